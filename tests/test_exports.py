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
        "concrete_dropout",
        "concrete_kl",
        "cutout",
        "drop",
        "drop_edges",
        "drop_head",
        "dropout",
        "errors",
        "get_num_threads",
        "lanes",
        "local_noise",
        "mask",
        "max_pool_dropout",
        "net",
        "patch_dropout",
        "r_drop",
        "schedules",
        "set_num_threads",
        "shake_drop",
        "shakeout",
        "sklearn",
        "sparse_kl",
        "sparse_prune",
        "standout",
        "study",
        "targeted_dropout",
        "torch",
        "variants",
        "variational_dropout",
        "variational_kl",
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
    "thinnet.variants": [
        "CATALOGUE",
        "FUNCTIONS",
        "FunctionVariant",
        "Law",
        "Table",
        "TwoPoint",
        "Variant",
        "drop",
        "dropout",
        "find",
        "mask",
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
    "thinnet.sklearn": [
        "MLPClassifier",
        "MLPRegressor",
    ],
    "thinnet.study": [
        "TablePreparation",
        "split",
    ],
    "thinnet.schedules": [
        "Constant",
        "Cosine",
        "Curriculum",
        "Early",
        "Late",
        "Linear",
        "Schedule",
        "scheduled_drop_path",
    ],
    "thinnet.gallery": [
        "EXHIBITS",
        "show",
    ],
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
