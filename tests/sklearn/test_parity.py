"""Without dropout the weights are scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification

import thinnet.sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

Data = tuple[Any, Any]


def digits() -> Data:
    x, y = load_digits(return_X_y=True)
    return x[:400] / 16, y[:400]


def two_digits() -> Data:
    x, y = digits()
    return x, np.where(y > 4, "high", "low")


def labels() -> Data:
    x, y = make_multilabel_classification(300, 12, n_classes=4, random_state=0)
    return x / 10, y


def diabetes() -> Data:
    x, y = load_diabetes(return_X_y=True)
    return x / x.std(axis=0), (y - y.mean()) / y.std()


def two_values() -> Data:
    x, y = diabetes()
    return x, np.stack([y, y**2], axis=1)


def counts() -> Data:
    x, y = diabetes()
    return x, np.round(np.exp(y))


TABLES = {
    "classes": ("MLPClassifier", digits, {}),
    "two classes": ("MLPClassifier", two_digits, {}),
    "labels": ("MLPClassifier", labels, {}),
    "values": ("MLPRegressor", diabetes, {}),
    "two values": ("MLPRegressor", two_values, {}),
    "counts": ("MLPRegressor", counts, {"loss": "poisson", "learning_rate_init": 1e-4}),
}
WAYS: dict[str, dict[str, Any]] = {
    "adam": {},
    "tanh": {"activation": "tanh"},
    "logistic": {"activation": "logistic"},
    "identity": {"activation": "identity"},
    "linear": {"hidden_layer_sizes": ()},
    "one layer": {"hidden_layer_sizes": 7},
    "large epsilon": {"epsilon": 1e-3, "beta_1": 0.5, "beta_2": 0.9},
    "penalty": {"alpha": 1.0, "batch_size": 64},
    "no penalty": {"alpha": 0},
    "in order": {"shuffle": False, "batch_size": 32},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "sgd": {"solver": "sgd"},
    "plain sgd": {"solver": "sgd", "momentum": 0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "all momentum": {"solver": "sgd", "momentum": 1.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.25},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
    "adaptive, stopping": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.5,
        "n_iter_no_change": 1,
        "early_stopping": True,
        "nesterovs_momentum": False,
    },
    "lbfgs": {"solver": "lbfgs"},
}


def both(table: str, way: str) -> tuple[Any, Any, Data]:
    name, data, given = TABLES[table]
    options = {"hidden_layer_sizes": (20, 12), "max_iter": 10, "random_state": 3, **WAYS[way], **given}
    theirs, ours = (getattr(module, name)(**options) for module in (sklearn.neural_network, thinnet.sklearn))
    return theirs, ours, data()


def same(theirs: Any, ours: Any, x: Any, tolerance: float = 1e-6) -> None:
    for name in ("coefs_", "intercepts_"):
        for expected, found in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
            assert found.dtype == expected.dtype
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
        expected = getattr(theirs, name, None)
        if expected is None:
            assert getattr(ours, name, None) is None
        else:
            np.testing.assert_allclose(getattr(ours, name), expected, rtol=tolerance, err_msg=name)
    assert np.array_equal(getattr(ours, "classes_", []), getattr(theirs, "classes_", []))
    for name in {"predict_proba", "predict_log_proba", "predict"}.intersection(dir(theirs)):
        expected, found = getattr(theirs, name)(x), getattr(ours, name)(x)
        if found.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=100 * tolerance, atol=tolerance)
        else:
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("table", TABLES)
def test_ten_epochs(table: str, way: str) -> None:
    theirs, ours, (x, y) = both(table, way)
    same(theirs.fit(x, y), ours.fit(x, y), x)


@pytest.mark.parametrize("way", ["adam", "sgd", "lbfgs", "early stopping"])
@pytest.mark.parametrize("table", TABLES)
def test_weights_of_rows(table: str, way: str) -> None:
    theirs, ours, (x, y) = both(table, way)
    weight = np.random.default_rng(0).random(len(x))
    # On a long step of L-BFGS their 1 - p has few digits left.
    tolerance = 1e-4 if way == "lbfgs" else 1e-6
    same(theirs.fit(x, y, sample_weight=weight), ours.fit(x, y, sample_weight=weight), x, tolerance)


@pytest.mark.parametrize("way", ["adam", "invscaling", "adaptive"])
@pytest.mark.parametrize("table", TABLES)
def test_piece_by_piece(table: str, way: str) -> None:
    theirs, ours, (x, y) = both(table, way)
    more = {"classes": np.unique(y)} if TABLES[table][0] == "MLPClassifier" and y.ndim == 1 else {}
    if table == "labels":
        more = {"classes": np.arange(4)}
    for rows in (slice(0, 150), slice(150, None), slice(0, 100)):
        theirs.partial_fit(x[rows], y[rows], **more)
        ours.partial_fit(x[rows], y[rows], **more)
    same(theirs, ours, x)


# Not with early stopping: theirs goes on training what it had kept as the best weights so far.
@pytest.mark.parametrize("way", ["adam", "sgd", "adaptive", "lbfgs"])
@pytest.mark.parametrize("table", TABLES)
def test_going_on(table: str, way: str) -> None:
    theirs, ours, (x, y) = both(table, way)
    for estimator in (theirs, ours):
        estimator.set_params(warm_start=True, max_iter=4).fit(x, y)
        estimator.fit(x, y)
    same(theirs, ours, x)


@pytest.mark.parametrize("table", TABLES)
def test_float32(table: str) -> None:
    theirs, ours, (x, y) = both(table, "adam")
    x = x.astype(np.float32)
    theirs.fit(x, y)
    ours.fit(x, y)
    for expected, found in zip(theirs.coefs_, ours.coefs_, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
        assert found.dtype == expected.dtype == np.float32


def test_a_generator_is_left_as_scikit_learn_leaves_it() -> None:
    x, y = digits()
    after: list[int] = []
    for module in (sklearn.neural_network, thinnet.sklearn):
        random = np.random.RandomState(7)
        module.MLPClassifier((8,), max_iter=2, random_state=random).fit(x, y)
        after.append(random.randint(2**31))
    assert after[0] == after[1]


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = digits()
    told: list[str] = []
    for module in (sklearn.neural_network, thinnet.sklearn):
        for options in ({"early_stopping": True}, {"tol": 10.0, "n_iter_no_change": 1}):
            given: dict[str, Any] = {"max_iter": 4, "verbose": True, "random_state": 0, **options}
            module.MLPClassifier((8,), solver="sgd", learning_rate="adaptive", **given).fit(x, y)
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert "Iteration 4, loss = " in told[1]
