"""scikit-learn's own checks of estimators: all of them, and those that dropout can pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from thinnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The sizes are small beyond the defaults, since the checks fit each estimator often.
PLAIN = [
    MLPClassifier(),
    MLPRegressor(),
    MLPClassifier(solver="lbfgs", alpha=0.1),
    MLPRegressor(hidden_layer_sizes=(20,), solver="sgd"),
    MLPClassifier((20,), max_norm=3.0),
]
DROPPED = [
    MLPClassifier((40,), dropout=0.5, input_dropout=0.1),
    MLPRegressor(hidden_layer_sizes=(40,), dropout=[0.2], variant="GaussianDropout"),
]
# A row given twice draws two masks, a row of weight 2 draws one: they come to the same only on average.
IMPOSSIBLE = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


@parametrize_with_checks(PLAIN)
def test_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def with_dropout() -> list[Any]:
    pairs = [pair for estimator in DROPPED for pair in estimator_checks_generator(estimator)]
    named = [(estimator, check, getattr(check, "func", check).__name__) for estimator, check in pairs]
    return [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name}")
        for estimator, check, name in named
        if name not in IMPOSSIBLE
    ]


@pytest.mark.parametrize(("estimator", "check"), with_dropout())
def test_checks_with_dropout(estimator: Any, check: partial[None]) -> None:
    check(estimator)
