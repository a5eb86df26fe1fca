"""What is refused leaves things as they were; what changes between fits is noticed."""

from __future__ import annotations

import copy
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import NotFittedError

import thinnet as tn
from thinnet.errors import InputError
from thinnet.schedules import Linear
from thinnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5))
V = X @ RNG.normal(size=5)
Y = np.digitize(V, [-1, 1])
SHORT: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 8, "random_state": 0}


def classifier(**given: Any) -> MLPClassifier:
    return MLPClassifier(**{**SHORT, **given})


def regressor(**given: Any) -> MLPRegressor:
    return MLPRegressor(**{**SHORT, **given})


def runs_out(step: int) -> float:
    return 0.01 if step < 5 else -0.5


REFUSED: list[tuple[str, dict[str, Any], Callable[[Any], Any]]] = [
    ("at least 2 rows", {"early_stopping": True, "validation_fraction": 0.01}, lambda m: m.fit(X, Y)),
    ("got -0.5 at step 5", {"learning_rate_init": runs_out, "batch_size": 10}, lambda m: m.fit(X, Y)),
    ("diverged", {"learning_rate_init": 1e300, "solver": "sgd"}, lambda m: m.fit(X, Y)),
    ("NaN", {}, lambda m: m.fit(X * np.nan, Y)),
    ("greater than zero", {}, lambda m: m.fit(X[:, :3], Y, sample_weight=np.zeros(60))),
    ("got -0.5 at step 5", {"learning_rate_init": runs_out, "batch_size": 10}, lambda m: m.partial_fit(X, Y)),
    ("new classes", {}, lambda m: m.partial_fit(X, Y + 5)),
    ("early_stopping=False", {"early_stopping": True}, lambda m: m.partial_fit(X, Y)),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("said", "change", "call"), REFUSED)
def test_a_refused_fit_changes_nothing(said: str, change: dict[str, Any], call: Callable[[Any], Any]) -> None:
    fitted = classifier(dropout=0.5).fit(X, Y)
    expected, curve = fitted.predict_proba(X), list(fitted.loss_curve_)
    with pytest.raises(ValueError, match=said):
        call(fitted.set_params(**change))
    assert np.array_equal(fitted.predict_proba(X), expected)
    assert fitted.loss_curve_ == curve
    assert fitted.set_params(learning_rate_init=1e-3, early_stopping=False, solver="adam").partial_fit(X, Y)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("said", "change", "call"), REFUSED[:5])
def test_what_was_not_fitted_still_is_not(
    said: str, change: dict[str, Any], call: Callable[[Any], Any]
) -> None:
    fresh = classifier(**change)
    with pytest.raises(ValueError, match=said):
        call(fresh)
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    assert not [name for name in vars(fresh) if name.endswith("_")]


def test_a_refused_piece_keeps_the_outputs(refusal: Callable[..., str]) -> None:
    two = regressor().fit(X, np.stack([V, -V], axis=1))
    assert "the fitted layers have [6, 2] units, but the parameters ask for [6, 1]" in refusal(
        InputError, two.partial_fit, X, V
    )
    assert two.predict(X).shape == (60, 2)
    fresh = classifier()
    refusal(InputError, fresh.partial_fit, X, Y, classes=[0, 1])
    assert fresh.partial_fit(X, Y, classes=[0, 1, 2]).predict(X).shape == (60,)


def test_a_fitted_model_answers_as_it_was_fitted(refusal: Callable[..., str]) -> None:
    model = regressor(warm_start=True).fit(X, abs(V))
    before = model.predict(X)
    model.set_params(loss="poisson")
    assert np.array_equal(model.predict(X), before)
    assert "fitted with another loss" in refusal(InputError, model.fit, X, abs(V))
    assert "fitted with another loss" in refusal(InputError, model.partial_fit, X, abs(V))
    assert np.array_equal(model.predict(X), before)
    dropped = classifier(dropout=0.3, variant="VanillaDropout").fit(X, Y)
    proba = dropped.predict_proba(X)
    assert np.array_equal(dropped.set_params(dropout=0.9).predict_proba(X), proba)


def test_weights_of_another_shape_are_refused(refusal: Callable[..., str]) -> None:
    model = classifier().fit(X, Y)
    model.coefs_[0] = model.coefs_[0].T
    line = refusal(InputError, model.predict, X)
    assert line.startswith(
        "MLPClassifier: coefs_ and intercepts_ must have shapes [(5, 6), (6, 3), (6,), (3,)]"
    )
    model = classifier().fit(X, Y)
    model.coefs_ = model.coefs_[:1]
    assert "must have shapes" in refusal(InputError, model.predict_proba, X)


@pytest.mark.parametrize(
    "change",
    [
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 10.0},
        {"solver": "adamw", "alpha": 0.5},
        {"learning_rate_init": Linear(0.01, 0.001, 50)},
    ],
)
@pytest.mark.parametrize(
    "begun", [{}, {"solver": "adamw", "alpha": 0.5}, {"learning_rate_init": lambda step: 0.01}]
)
def test_another_policy_begins_with_another_optimiser(begun: dict[str, Any], change: dict[str, Any]) -> None:
    usual = {"solver": "adam", "alpha": 1e-4, "learning_rate_init": 0.001}
    model = classifier(**begun, batch_size=10).fit(X, Y)
    known, same = model._optimizer, {**usual, **begun}.items() >= {**usual, **change}.items()
    for _ in range(5):
        model.set_params(**{**usual, **change}).partial_fit(X, Y)
    assert (model._optimizer is known) == same
    assert np.isfinite(model.loss_)


def test_early_stopping_may_come_and_go() -> None:
    model = classifier(warm_start=True).fit(X, Y)
    model.set_params(early_stopping=True).fit(X, Y)
    assert model.best_loss_ is None
    assert len(model.validation_scores_ or []) == 8
    model.set_params(early_stopping=False).fit(X, Y).partial_fit(X, Y)
    assert model.validation_scores_ is None
    assert model.best_loss_ == min(model.loss_curve_[16:])
    model.set_params(solver="lbfgs").fit(X, Y).set_params(solver="adam").fit(X, Y)


def test_rows_beyond_float32_are_refused_by_a_model_of_float32(refusal: Callable[..., str]) -> None:
    model = classifier().fit(X.astype(np.float32), Y)
    for call in (model.predict, model.predict_proba, lambda x: model.partial_fit(x, Y)):
        assert "X has values beyond float32" in refusal(InputError, call, X * 1e40)
    assert "y has values beyond float32" in refusal(InputError, regressor().fit, X.astype("f4"), V * 1e40)


def test_weights_of_rows_may_be_one_number(refusal: Callable[..., str]) -> None:
    one, none = classifier().fit(X, Y, sample_weight=2.0), classifier(alpha=5e-5).fit(X, Y)
    np.testing.assert_allclose(one.coefs_[0], none.coefs_[0], rtol=1e-6)
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        classifier().fit(X, Y, sample_weight=np.ones((60, 1)))
    assert "greater than zero" in refusal(
        InputError, classifier(solver="lbfgs").fit, X, Y, np.where(X[:, 0] > 0, 0, 0)
    )


def test_a_subclass_may_take_fewer_parameters() -> None:
    class Small(MLPClassifier):
        def __init__(self, dropout: float = 0.5) -> None:
            super().__init__((6,), dropout=dropout, max_iter=3)

    assert Small(0.25).fit(X, Y).network_.layers[2] == tn.net.Dropout(0.25)


def test_sparse_rows_are_scored_under_every_variant() -> None:
    given: dict[str, Any] = {"variant": "VanillaDropout", "input_dropout": 0.2, "early_stopping": True}
    sparse = classifier(**given).fit(scipy.sparse.csr_array(X), Y)
    assert sparse.validation_scores_ == classifier(**given).fit(X, Y).validation_scores_


def test_draws_are_made_one_by_one() -> None:
    model = MLPRegressor(hidden_layer_sizes=(400, 400), dropout=0.5, max_iter=1).fit(X, V)
    model.sample_predict(X, draws=2, key=tn.Key(0))
    tracemalloc.start()
    try:
        model.sample_predict(X, draws=20, key=tn.Key(0))
        assert tracemalloc.get_traced_memory()[1] < 6 * model.network_.flat.nbytes
    finally:
        tracemalloc.stop()


def test_the_penalty_may_change_between_pieces() -> None:
    for solver in ("adam", "sgd", "adamw"):
        model = classifier(solver=solver, alpha=0.0).partial_fit(X, Y, classes=[0, 1, 2])
        twin = copy.deepcopy(model)
        for _ in range(3):
            model.set_params(alpha=100.0).partial_fit(X, Y)
            twin.partial_fit(X, Y)
        assert np.linalg.norm(model.coefs_[0]) < np.linalg.norm(twin.coefs_[0]), solver


def test_lbfgs_leaves_nothing_of_epochs_behind() -> None:
    model = (
        classifier(early_stopping=True)
        .fit(X.astype("f4"), Y)
        .set_params(solver="lbfgs")
        .fit(X.astype("f4"), Y)
    )
    assert not {"loss_curve_", "best_loss_", "validation_scores_"} & set(vars(model))
    assert model.coefs_[0].dtype == np.float64


def test_warnings_point_to_the_caller() -> None:
    calls = [
        lambda: classifier(batch_size=100).fit(X, Y),
        lambda: classifier(batch_size=100).partial_fit(X, Y, classes=[0, 1, 2]),
        lambda: classifier(solver="lbfgs").fit(X, Y),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert caught
        assert {warning.filename for warning in caught} == {__file__}


def test_ctrl_c_keeps_what_was_learned() -> None:
    seen: list[int] = []

    def interrupts(step: int) -> float:
        seen.append(step)
        if step == 20:
            raise KeyboardInterrupt
        return 0.01

    model = classifier(learning_rate_init=interrupts, batch_size=10)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    assert (model.n_iter_, len(model.loss_curve_)) == (3, 3)
    assert model.predict(X).shape == (60,)


@pytest.mark.parametrize("rate", [np.float32(0.01), np.int64(1), 1])
def test_a_schedule_may_return_any_number(rate: Any) -> None:
    assert len(classifier(learning_rate_init=lambda step: rate).fit(X, Y).loss_curve_) == 8


def test_early_stopping_needs_a_part_of_the_rows(refusal: Callable[..., str]) -> None:
    model = classifier(early_stopping=True, validation_fraction=0)
    assert "validation_fraction must be greater than 0" in refusal(InputError, model.fit, X, Y)
    classifier(validation_fraction=0).fit(X, Y)
