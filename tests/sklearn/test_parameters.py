"""The one table of parameters, and everything that is made of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network

from thinnet._checks import format_value
from thinnet.errors import InputError
from thinnet.schedules import Linear
from thinnet.sklearn import MLPClassifier, MLPRegressor
from thinnet.sklearn import _parameters as parameters

KINDS = [MLPClassifier, MLPRegressor]
OURS = ["dropout", "input_dropout", "variant", "pattern", "max_norm"]
X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_signatures_are_scikit_learns_and_five_more(kind: type) -> None:
    ours = inspect.signature(kind).parameters
    theirs = inspect.signature(getattr(sklearn.neural_network, kind.__name__)).parameters
    assert [*theirs, *OURS] == list(ours)
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default
        assert ours[name].kind == parameter.kind
    assert [row.name for row in parameters.rows_of(kind)] == list(ours)


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_scikit_learns_is_there(kind: type) -> None:
    theirs = getattr(sklearn.neural_network, kind.__name__)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(kind))
    for name in ("fit", "partial_fit", "predict", "score"):
        assert list(inspect.signature(getattr(kind(), name)).parameters) == list(
            inspect.signature(getattr(theirs(), name)).parameters
        )
    attributes = {
        name
        for name in vars(theirs(max_iter=1, early_stopping=True).fit(np.tile(X, (5, 1)), np.tile(Y, 5)))
        if name.endswith("_") and not name.startswith("_")
    }
    ours = kind(max_iter=1, early_stopping=True).fit(np.tile(X, (5, 1)), np.tile(Y, 5))
    assert all(hasattr(ours, name) for name in attributes)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BAD = [
    pytest.param(kind, row, value, id=f"{kind.__name__}-{row.name}-{number}")
    for kind in KINDS
    for row in parameters.rows_of(kind)
    for number, value in enumerate(row.constraint.bad)
]


@pytest.mark.parametrize(("kind", "row", "value"), BAD)
def test_bad_values(refusal: Callable[..., str], kind: Any, row: parameters.Parameter, value: Any) -> None:
    estimator = kind(**{row.name: value})
    line = refusal(InputError, estimator.fit, X, Y)
    assert (
        line
        == f"{kind.__name__}: {row.name} must be {row.constraint.requirement}, got {format_value(value)}."
    )
    assert not [name for name in vars(estimator) if name.endswith("_")]


TOGETHER: list[tuple[dict[str, Any], str]] = [
    (
        {"dropout": [0.5, 0.5]},
        "MLPClassifier: dropout must have one rate for each hidden layer, got 2 for 1.",
    ),
    ({"hidden_layer_sizes": [], "dropout": 0.5}, "MLPClassifier: dropout needs a hidden layer to act on"),
    (
        {"solver": "lbfgs", "dropout": 0.5},
        'MLPClassifier: solver="lbfgs" minimises one fixed loss',
    ),
    ({"solver": "lbfgs", "dropout": [0.5]}, 'MLPClassifier: solver="lbfgs" minimises'),
    ({"solver": "lbfgs", "input_dropout": 0.1}, 'MLPClassifier: solver="lbfgs" minimises'),
    ({"solver": "lbfgs", "dropout": Linear(0.0, 0.5, 10)}, 'MLPClassifier: solver="lbfgs" minimises'),
    ({"solver": "lbfgs", "max_norm": 3.0}, 'MLPClassifier: solver="lbfgs" does not bound its steps'),
    (
        {"learning_rate_init": Linear(0.1, 0.0, 10), "learning_rate": "adaptive", "solver": "sgd"},
        'MLPClassifier: learning_rate must be "constant" where learning_rate_init is a schedule',
    ),
]


@pytest.mark.parametrize(("given", "start"), TOGETHER)
def test_values_that_do_not_go_together(
    refusal: Callable[..., str], given: dict[str, Any], start: str
) -> None:
    assert refusal(InputError, MLPClassifier(**given).fit, X, Y).startswith(start)


@pytest.mark.parametrize(
    "given",
    [
        {"dropout": [0.0], "solver": "lbfgs"},
        {"hidden_layer_sizes": [], "dropout": []},
        {"hidden_layer_sizes": (), "input_dropout": 0.2},
        {"hidden_layer_sizes": np.array([4, 4]), "dropout": np.array([0.1, 0.2])},
        {"hidden_layer_sizes": (4, 4), "dropout": [0.5, Linear(0.0, 0.5, 10)]},
        {"hidden_layer_sizes": np.int64(4), "dropout": np.float32(0.5)},
        {"dropout": 1, "input_dropout": 1.0},
        {"learning_rate_init": Linear(0.1, 0.0, 10)},
    ],
)
def test_values_that_are_legal(given: dict[str, Any]) -> None:
    assert np.isfinite(MLPClassifier(**given, max_iter=2).fit(X, Y).predict_proba(X)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_docstring_holds_the_table(kind: type) -> None:
    doc = inspect.getdoc(kind) or ""
    assert "{parameters}" not in doc
    words = " ".join(doc.split())
    for row in parameters.rows_of(kind):
        assert f"{row.name} : default" in words
        assert row.constraint.requirement in words
        assert " ".join(row.doc.split()) in words
    assert ("poisson" in doc) == (kind is MLPRegressor)


def test_the_documentation_holds_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "sklearn.md"
    assert parameters.markdown(*KINDS) in page.read_text("utf-8")
