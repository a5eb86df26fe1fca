"""The public names, one by one; and what importing them costs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

EXPORTS = {
    "thinnet": [
        "CATALOGUE",
        "DataError",
        "FileError",
        "InputError",
        "Key",
        "MissingPackage",
        "RunError",
        "Stream",
        "ThinnetError",
        "Window",
        "drop",
        "dropout",
        "get_num_threads",
        "lanes",
        "mask",
        "net",
        "set_num_threads",
        "variants",
    ],
    "thinnet.errors": [
        "DataError",
        "FileError",
        "InputError",
        "MissingPackage",
        "RunError",
        "ThinnetError",
        "need",
    ],
    "thinnet.random": ["Key", "Stream", "Window", "lanes", "permutation", "philox4x32", "uniform", "words"],
    "thinnet.native": ["NUMPY", "bodies", "name", "use", "using", "why_not"],
    "thinnet.kernels": [
        "ACTIVATIONS",
        "NEEDS_INPUT",
        "End",
        "Lane",
        "Pair",
        "Rule",
        "dense_backward",
        "dense_forward",
        "mask",
        "read",
        "table",
        "two_point",
        "update",
        "write",
    ],
    "thinnet.variants": [
        "CATALOGUE",
        "Law",
        "Table",
        "TwoPoint",
        "Variant",
        "drop",
        "dropout",
        "find",
        "mask",
        "mean",
        "sample",
    ],
    "thinnet.variants.custom": [
        "CUSTOM",
        "Custom",
        "concrete_dropout",
        "concrete_kl",
        "cutout",
        "drop_edges",
        "drop_head",
        "local_noise",
        "max_pool_dropout",
        "patch_dropout",
        "r_drop",
        "shake_drop",
        "shakeout",
        "sparse_kl",
        "sparse_prune",
        "standout",
        "targeted_dropout",
        "variational_dropout",
        "variational_kl",
    ],
    "thinnet.torch": [
        "AlphaDropout",
        "ConcreteDropout",
        "Drop",
        "DropBlock2d",
        "DropConnect",
        "DropHead",
        "DropKey",
        "DropPath",
        "Dropout",
        "Dropout1d",
        "Dropout2d",
        "Dropout3d",
        "EmbeddingDropout",
        "FeatureAlphaDropout",
        "GaussianDropout",
        "LockedDropout",
        "MaxPoolDropout2d",
        "PatchDropout",
        "ShakeDrop",
        "SparseVariationalConv2d",
        "SparseVariationalLinear",
        "Standout",
        "StochasticDepth",
        "TargetedDropout",
        "VariationalLSTM",
        "VariationalLinear",
        "WeightDrop",
        "ZoneoutGRUCell",
        "ZoneoutLSTMCell",
        "functional",
        "get_kept_bytes",
        "replace",
        "restore",
        "schedule",
        "seed",
        "set_kept_bytes",
        "shard",
        "step",
        "summary",
    ],
    "thinnet.torch.functional": [
        "concrete_dropout",
        "concrete_kl",
        "drop",
        "drop_head",
        "dropout",
        "max_pool_dropout",
        "patch_dropout",
        "r_drop_loss",
        "scaled_dot_product_attention",
        "shake_drop",
        "sparse_kl",
        "standout",
        "targeted_dropout",
        "variational_dropout",
        "variational_kl",
    ],
    "thinnet.net": [
        "GELU",
        "SELU",
        "SGD",
        "AbsoluteError",
        "Adam",
        "AdamW",
        "AvgPool2d",
        "BatchNorm",
        "BinaryCrossEntropy",
        "Conv2d",
        "Dense",
        "DropConnect",
        "Dropout",
        "Epoch",
        "Flatten",
        "Gate",
        "GlobalAvgPool2d",
        "History",
        "Huber",
        "Layer",
        "LeakyReLU",
        "Loss",
        "MaxPool2d",
        "Network",
        "Optimizer",
        "PoissonDeviance",
        "ReLU",
        "Residual",
        "Sigmoid",
        "SoftmaxCrossEntropy",
        "SquaredError",
        "Tanh",
        "conv2d",
        "conv2d_naive",
        "three_layer_convnet",
        "vgg",
    ],
    "thinnet.sklearn": ["MLPClassifier", "MLPRegressor"],
    "thinnet.study": ["TablePreparation", "split"],
}
VARIANTS = ["Dropout", "VanillaDropout", "UnscaledDropout", "GaussianDropout"]


@pytest.mark.parametrize("name", EXPORTS)
def test_the_public_names_are_these(name: str) -> None:
    module = importlib.import_module(name)
    assert sorted(module.__all__) == sorted(EXPORTS[name])
    assert len(set(module.__all__)) == len(module.__all__)
    for exported in module.__all__:
        assert getattr(module, exported) is not None


def test_no_variant_is_lost() -> None:
    from thinnet import CATALOGUE

    assert list(CATALOGUE)[: len(VARIANTS)] == VARIANTS


def test_importing_thinnet_imports_numpy_and_nothing_else() -> None:
    code = (
        "import json, sys, numpy; before = set(sys.modules); import thinnet;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = set(json.loads(done.stdout)) - set(sys.stdlib_module_names) - {"numpy"}
    assert new == {"thinnet"}
    assert done.stderr == ""
