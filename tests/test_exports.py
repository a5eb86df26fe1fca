"""The public names, one by one; the line between public and private; the cost of an import."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

import thinnet

EXPORTS = {
    "thinnet": [
        "CATALOGUE",
        "DataError",
        "FileError",
        "InputError",
        "Key",
        "MissingPackage",
        "RunError",
        "ThinnetError",
        "Window",
        "concrete_dropout",
        "concrete_kl",
        "cutout",
        "dare_merge",
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
        "multi_sample_dropout",
        "neftune_noise",
        "net",
        "patch_dropout",
        "r_drop",
        "register",
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
        "Formula",
        "FunctionVariant",
        "Law",
        "Table",
        "TwoPoint",
        "Variant",
        "alpha",
        "drop",
        "dropout",
        "find",
        "formula",
        "gaussian",
        "hold",
        "inverted",
        "log_normal",
        "mask",
        "mixed",
        "register",
        "shake",
        "threshold_of",
        "uniform",
        "unscaled",
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
        "callbacks",
        "flex",
        "functional",
        "get_kept_bytes",
        "replace",
        "restore",
        "schedule",
        "seed",
        "set_kept_bytes",
        "shard",
        "state",
        "step",
        "summary",
    ],
    "thinnet.torch.callbacks": ["lightning", "transformers"],
    "thinnet.torch.flex": ["SHAPE", "attention", "drop_key"],
    "thinnet.torch.functional": [
        "concrete_dropout",
        "concrete_kl",
        "cutout",
        "dare_merge",
        "drop",
        "drop_edges",
        "drop_head",
        "dropout",
        "local_noise",
        "max_pool_dropout",
        "multi_sample_dropout",
        "neftune_noise",
        "patch_dropout",
        "r_drop",
        "scaled_dot_product_attention",
        "shake_drop",
        "shakeout",
        "sparse_kl",
        "sparse_prune",
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
        "Options",
        "TablePreparation",
        "predict",
        "split",
        "study",
    ],
    "thinnet.schedules": [
        "Constant",
        "Cosine",
        "Curriculum",
        "Early",
        "FlatCosine",
        "Late",
        "Linear",
        "Schedule",
        "final",
        "scheduled_drop_path",
    ],
    "thinnet.gallery": [
        "EXHIBITS",
        "show",
    ],
}
VARIANTS = """
    Dropout VanillaDropout UnscaledDropout GaussianDropout UniformDropout LogNormalDropout AlphaDropout
    UnitDropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout DropBlock1d DropBlock2d DropBlock3d
    SharedDropBlock1d SharedDropBlock2d SharedDropBlock3d
    DropPath StochasticDepth LayerDrop ShakeShake ModalityDropout
    LockedDropout EmbeddingDropout TokenDropout WordDropout ConditionDropout VariationalRNN RecurrentDropout
    Zoneout AttentionDropout DropKey
    DropConnect WeightDrop Mixout DARE DropEdge DropNode DropMessage
"""
"""The rows of the catalogue."""

FUNCTIONS = """
    ConcreteDropout VariationalDropout SparseVariationalDropout Standout TargetedDropout MaxPoolDropout
    ShakeDrop Shakeout PatchDropout RDrop Cutout DropHead drop_edges NEFTune MultiSampleDropout dare_merge
"""
"""The variants that are functions."""

EXTRAS = {
    "torch": ("torch", "tn.torch"),
    "torch, at the first use of a name": ("torch", "tn.torch.Dropout"),
    "sklearn": ("sklearn", "tn.sklearn"),
    "sklearn, imported": ("sklearn", "from thinnet.sklearn import MLPClassifier"),
    "study": ("pandas", "tn.study.split('digits')"),
    "study, a class": ("pandas", "tn.study.TablePreparation().fit([[1.0]], [0])"),
    "save": (
        "safetensors",
        "tn.net.Network([tn.net.Dense(1, 1)], key=tn.Key(0)).save('never-written.safetensors')",
    ),
}
"""A package that is missing, and code that uses it; the first word of the name is the extra."""


@pytest.mark.parametrize("name", EXPORTS)
def test_the_public_names_are_these(name: str) -> None:
    module = importlib.import_module(name)
    assert sorted(module.__all__) == sorted(EXPORTS[name])
    assert len(set(module.__all__)) == len(module.__all__)
    for exported in module.__all__:
        assert getattr(module, exported) is not None


def test_no_variant_is_lost() -> None:
    from thinnet import variants

    assert sorted(variants.CATALOGUE) == sorted(VARIANTS.split())
    assert sorted(variants.FUNCTIONS) == sorted(FUNCTIONS.split())


def modules() -> Iterator[str]:
    """Yield every module of the package, the compiled one left out."""
    for found in pkgutil.walk_packages(thinnet.__path__, "thinnet."):
        if not found.name.endswith(("._native", ".__main__")):
            yield found.name


def test_a_module_that_is_no_namespace_is_private() -> None:
    found = list(modules())
    assert len(found) > 100
    public = {name for name in found if not any(word.startswith("_") for word in name.split("."))}
    assert public == set(EXPORTS) - {"thinnet"}


def test_no_name_shadows_a_module() -> None:
    for name in modules():
        home, _, leaf = name.rpartition(".")
        module = importlib.import_module(name)
        held = getattr(importlib.import_module(home), leaf)
        assert held is module, f"{home}.{leaf} is {held!r} and hides the module {name}"


def test_the_exports_of_a_namespace_are_its_public_attributes() -> None:
    for name in EXPORTS:
        module = importlib.import_module(name)
        if name == "thinnet" or not hasattr(module, "__path__"):
            continue  # the first resolves its names when they are used, the others import what they need
        own = {
            key
            for key, value in vars(module).items()
            if not key.startswith("_")
            and (inspect.isclass(value) or inspect.isfunction(value))
            and value.__module__.startswith("thinnet")
        }
        assert own - set(module.__all__) <= {"need"}, name


@pytest.mark.parametrize("case", EXTRAS)
def test_a_missing_extra_is_named(case: str) -> None:
    package, use = EXTRAS[case]
    code = f"""
import sys
sys.modules[{package!r}] = None  # its import fails as if it were not installed
import thinnet as tn
try:
    {use}
except tn.MissingPackage as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    extra = case.partition(",")[0]
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, done.stdout
    assert f"package {package} is not installed" in done.stdout
    assert f'pip install "thinnet[{extra}]"' in done.stdout


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'droput'"):
        thinnet.droput  # type: ignore[attr-defined]  # noqa: B018
    assert set(thinnet.__all__) <= set(dir(thinnet))


def test_importing_thinnet_imports_numpy_and_nothing_else() -> None:
    code = (
        "import json, sys, numpy; before = set(sys.modules); import thinnet;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = set(json.loads(done.stdout)) - set(sys.stdlib_module_names) - {"numpy"}
    assert new == {"thinnet"}
    assert done.stderr == ""
