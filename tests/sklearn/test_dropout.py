"""What dropout does in the estimators: in training, in predictions, in thinned networks."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_diabetes, load_digits
from sklearn.neural_network import MLPClassifier as Theirs

import thinnet as tn
from thinnet.errors import InputError
from thinnet.schedules import Cosine, Linear
from thinnet.sklearn import MLPClassifier, MLPRegressor
from thinnet.sklearn import _parameters as parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]
D, T = load_diabetes(return_X_y=True)
D, T = D[:200] * 20, T[:200] / 100
SHORT: dict[str, Any] = {"hidden_layer_sizes": (24, 16), "max_iter": 5, "random_state": 0}


def weights(estimator: Any) -> np.ndarray[Any, Any]:
    return np.concatenate([array.ravel() for array in [*estimator.coefs_, *estimator.intercepts_]])


@pytest.mark.filterwarnings("ignore:Dropout. rate 1e-09 is rounded to 0")
def test_first_weights_and_orders_are_the_same_at_every_rate() -> None:
    # A rate this small rounds to a threshold of 0, so the masks keep everything.
    plain, tiny = (MLPClassifier(**SHORT, dropout=rate).fit(X, Y) for rate in (0.0, 1e-9))
    assert len(tiny.network_.layers) == len(plain.network_.layers) + 2
    assert np.array_equal(weights(plain), weights(tiny))


def test_the_loss_is_that_of_the_network_thinned_by_the_documented_masks() -> None:
    mlp = MLPClassifier(
        (24,), dropout=0.5, alpha=0, shuffle=False, batch_size=len(X), max_iter=1, random_state=0
    )
    begun = Theirs((24,), alpha=0, learning_rate_init=1e-300, max_iter=1, random_state=0).fit(X, Y)
    mlp.fit(X, Y)
    # input, activation, dropout: the third layer's masks, at the first step
    mask = tn.mask((len(X), 24), 0.5, key=mlp.network_.key.fold("dropout").fold(2).at(0))
    hidden = np.maximum(X @ begun.coefs_[0] + begun.intercepts_[0], 0) * mask / 0.5
    z = hidden @ begun.coefs_[1] + begun.intercepts_[1]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    assert mlp.loss_ == pytest.approx(-np.log(p[np.arange(len(Y)), Y]).mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"dropout": 0.5}, [None, 0.5, 0.5]),
        ({"dropout": [0.0, 0.25]}, [None, None, 0.25]),
        ({"dropout": (0.1, 0.2), "input_dropout": 0.05}, [0.05, 0.1, 0.2]),
        ({"dropout": Linear(0.0, 0.5, 100)}, [None, Linear(0.0, 0.5, 100), Linear(0.0, 0.5, 100)]),
        ({"input_dropout": Linear(0.0, 0.5, 9)}, [Linear(0.0, 0.5, 9), None, None]),
        ({}, [None, None, None]),
    ],
)
def test_where_it_acts(given: dict[str, Any], expected: list[Any]) -> None:
    layers = list(MLPClassifier(**SHORT, **given, variant="VanillaDropout").fit(X, Y).network_.layers)
    found: list[Any] = [layers.pop(0).rate if isinstance(layers[0], tn.net.Dropout) else None]
    for i, layer in enumerate(layers[:-1]):
        if isinstance(layer, tn.net.ReLU):
            after = layers[i + 1]
            found.append(after.rate if isinstance(after, tn.net.Dropout) else None)
    assert found == expected
    assert all(layer.variant == "VanillaDropout" for layer in layers if isinstance(layer, tn.net.Dropout))


@pytest.mark.parametrize("variant", parameters.VARIANTS)
def test_every_variant_trains_and_predicts_by_its_mean_network(variant: str) -> None:
    mlp = MLPClassifier((32,), dropout=0.3, variant=variant, max_iter=99, random_state=0).fit(X, Y)
    assert mlp.score(X, Y) > 0.8  # AlphaDropout is not for rectifiers
    hidden = np.maximum(X @ mlp.coefs_[0] + mlp.intercepts_[0], 0)
    z = tn.drop(variant, hidden, 0.3, key=tn.Key(0), mode="mean") @ mlp.coefs_[1] + mlp.intercepts_[1]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(mlp.predict_proba(X), p / p.sum(axis=1, keepdims=True), rtol=1e-9)
    assert np.array_equal(mlp.predict(X), mlp.classes_[z.argmax(axis=1)])


def test_dropout_keeps_from_overfitting() -> None:
    """The difference between training rows and others is less, seed by seed."""
    x, y = load_digits(return_X_y=True)
    gaps: dict[float, list[float]] = {0.0: [], 0.5: []}
    for rate, found in gaps.items():
        for seed in range(3):
            mlp = MLPRegressor(hidden_layer_sizes=(128,), dropout=rate, max_iter=60, random_state=seed).fit(
                x[:150] / 16, y[:150]
            )
            found.append(mlp.score(x[:150] / 16, y[:150]) - mlp.score(x[900:] / 16, y[900:]))
    assert all(dropped < plain for dropped, plain in zip(gaps[0.5], gaps[0.0], strict=True))


def test_max_norm_holds_for_hidden_units() -> None:
    mlp = MLPClassifier(**SHORT, max_norm=0.5).fit(X, Y)
    for matrix in mlp.coefs_[:-1]:
        assert np.linalg.norm(matrix, axis=0).max() <= 0.5 * (1 + 1e-12)
    assert np.linalg.norm(mlp.coefs_[-1], axis=0).max() > 0.5


def test_a_schedule_of_the_learning_rate_needs_no_warning() -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rate = Cosine(1e-2, 0.0, steps=10)
        mlp = MLPClassifier(**SHORT, solver="adamw", alpha=0.01, learning_rate_init=rate).fit(X, Y)
    assert mlp.score(X, Y) > 0.5


def test_adamw_shrinks_weights_apart_from_the_loss() -> None:
    plain, shrunk = (
        MLPClassifier(**SHORT, solver="adamw", alpha=alpha, shuffle=False).fit(X, Y) for alpha in (0.0, 10.0)
    )
    assert np.linalg.norm(shrunk.coefs_[0]) < np.linalg.norm(plain.coefs_[0])
    assert shrunk.loss_curve_[0] == pytest.approx(plain.loss_curve_[0], rel=0.05)


# --- predictions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_is_answered_alike_in_any_company(dtype: Any) -> None:
    mlp = MLPClassifier(**SHORT, dropout=0.5, input_dropout=0.2).fit(X.astype(dtype), Y)
    every = mlp.predict_proba(X.astype(dtype))
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    for rows in ([7], [3, 200], range(299, -1, -1), np.arange(50), [5] * 9):
        some = np.asarray(list(rows))
        np.testing.assert_allclose(mlp.predict_proba(X[some].astype(dtype)), every[some], rtol=rtol)
        thin = mlp.sample_predict(X.astype(dtype), draws=3, key=tn.Key(1))
        np.testing.assert_allclose(
            mlp.sample_predict(X[some].astype(dtype), draws=3, key=tn.Key(1)), thin[:, some], rtol=rtol
        )


def test_sample_predict() -> None:
    mlp = MLPClassifier((64,), dropout=0.5, input_dropout=0.1, max_iter=60, random_state=0).fit(X, Y)
    key = tn.Key(5)
    drawn = mlp.sample_predict(X, draws=400, key=key)
    assert drawn.shape == (400, len(X), 10)
    assert np.allclose(drawn.sum(axis=2), 1)
    for i in (0, 7):
        thin = mlp.network_.thinned(key=key.fold(i))
        z = thin.logits(X)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        np.testing.assert_allclose(drawn[i], p / p.sum(axis=1, keepdims=True), rtol=1e-9)
    assert np.array_equal(drawn[:5], mlp.sample_predict(X, draws=5, key=key))
    assert not np.array_equal(drawn[0], drawn[1])
    # thinned networks agree with the mean network on average, though none is it
    assert (drawn.mean(axis=0).argmax(axis=1) == mlp.predict_proba(X).argmax(axis=1)).mean() > 0.9


def test_sample_predict_of_values_and_labels() -> None:
    one = MLPRegressor(**SHORT, dropout=0.2).fit(D, T)
    assert one.sample_predict(D, draws=3, key=tn.Key(0)).shape == (3, 200)
    two = MLPRegressor(**SHORT, dropout=0.2).fit(D, np.stack([T, -T], axis=1))
    assert two.sample_predict(D, draws=3, key=tn.Key(0)).shape == (3, 200, 2)
    labels = MLPClassifier(**SHORT, dropout=0.2).fit(X, np.stack([Y > 4, Y % 2 == 0], axis=1))
    assert labels.sample_predict(X, draws=2, key=tn.Key(0)).shape == (2, 300, 2)
    binary = MLPClassifier(**SHORT, dropout=0.2).fit(X, Y > 4)
    assert binary.sample_predict(X, draws=2, key=tn.Key(0)).shape == (2, 300, 2)


def test_without_dropout_all_draws_are_the_prediction() -> None:
    mlp = MLPRegressor(**SHORT).fit(D, T)
    np.testing.assert_allclose(mlp.sample_predict(D, draws=2, key=tn.Key(0)), np.tile(mlp.predict(D), (2, 1)))


@pytest.mark.parametrize(
    ("draws", "key", "line"),
    [
        (0, tn.Key(0), "draws must be a whole number of at least 1, got 0."),
        (2.5, tn.Key(0), "draws must be a whole number of at least 1, got 2.5."),
        (3, 0, "key must be a thinnet.Key, got 0; use thinnet.Key(0)."),
    ],
)
def test_what_sample_predict_refuses(refusal: Callable[..., str], draws: Any, key: Any, line: str) -> None:
    mlp = MLPRegressor(**SHORT).fit(D, T)
    assert (
        refusal(InputError, mlp.sample_predict, D, draws=draws, key=key)
        == f"MLPRegressor.sample_predict: {line}"
    )


# --- going on, copies, sparse rows ---------------------------------------------------------------


@pytest.mark.parametrize("given", [{}, {"solver": "sgd", "learning_rate_init": 0.05}])
def test_pieces_are_epochs_of_a_fit(given: dict[str, Any]) -> None:
    """Five partial fits in the order of the rows are a fit of five epochs, masks and all."""
    options = {**SHORT, "dropout": 0.5, "shuffle": False, **given}
    whole, pieces = MLPClassifier(**options).fit(X, Y), MLPClassifier(**options)
    for _ in range(5):
        pieces.partial_fit(X, Y, classes=np.arange(10))
    assert np.array_equal(weights(whole), weights(pieces))
    assert pieces.t_ == whole.t_ == 5 * len(X)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda mlp: pickle.loads(pickle.dumps(mlp))])
def test_copies_go_on_alike(copied: Callable[[Any], Any]) -> None:
    mlp = MLPClassifier(**SHORT, dropout=[0.5, Linear(0.1, 0.4, 50)]).partial_fit(X, Y, classes=np.arange(10))
    twin = copied(mlp)
    for estimator in (mlp, twin):
        for _ in range(3):
            estimator.partial_fit(X, Y)
    assert np.array_equal(weights(mlp), weights(twin))
    assert np.array_equal(mlp.predict_proba(X), twin.predict_proba(X))
    assert twin.coefs_[0].base is not None  # views of the network again
    assert twin.network_.step == mlp.network_.step == 8


def test_a_pickle_holds_the_weights_once() -> None:
    mlp = MLPClassifier((200,), dropout=0.5, max_iter=1).fit(X, Y)
    held = sum(array.nbytes for array in [mlp.network_.flat, *mlp._optimizer.state])
    assert len(pickle.dumps(mlp)) < held + 10_000


def test_dropout_may_change_between_warm_starts() -> None:
    mlp = MLPClassifier(**SHORT, warm_start=True).fit(X, Y)
    before = weights(mlp)
    mlp.set_params(dropout=0.5, learning_rate_init=1e-12).fit(X, Y)
    assert isinstance(mlp.network_.layers[2], tn.net.Dropout)
    np.testing.assert_allclose(weights(mlp), before, atol=1e-9)


def test_sizes_may_not_change_between_warm_starts(refusal: Callable[..., str]) -> None:
    mlp = MLPClassifier((8,), max_iter=1, warm_start=True).fit(X, Y)
    line = refusal(InputError, mlp.set_params(hidden_layer_sizes=(9,)).fit, X, Y)
    assert line.startswith(
        "MLPClassifier: the fitted layers have [8, 10] units, but the parameters ask for [9, 10]"
    )


def test_weights_may_be_put_in_place_of_others() -> None:
    mlp = MLPRegressor(hidden_layer_sizes=4, max_iter=3, random_state=0).fit(D, T)
    other = MLPRegressor(hidden_layer_sizes=4, max_iter=9, random_state=1).fit(D, T)
    mlp.coefs_, mlp.intercepts_ = other.coefs_, other.intercepts_
    assert np.array_equal(mlp.predict(D), other.predict(D))
    mlp.coefs_[1] *= 0
    assert np.allclose(mlp.predict(D), mlp.intercepts_[1])
    assert not np.allclose(other.predict(D), other.intercepts_[1])


@pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_array])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dropout": 0.5},
        {"dropout": 0.5, "input_dropout": 0.2},
        {"input_dropout": 0.2, "variant": "VanillaDropout"},
        {"early_stopping": True},
        {"solver": "lbfgs"},
    ],
)
def test_sparse_rows_are_rows(form: Any, given: dict[str, Any]) -> None:
    dense = MLPClassifier(**SHORT, **given).fit(X, Y)
    sparse = MLPClassifier(**SHORT, **given).fit(form(X), Y)
    np.testing.assert_allclose(weights(sparse), weights(dense), atol=1e-8)
    np.testing.assert_allclose(sparse.predict_proba(form(X)), dense.predict_proba(X), atol=1e-7)
    np.testing.assert_allclose(
        sparse.sample_predict(form(X), draws=2, key=tn.Key(0)),
        dense.sample_predict(X, draws=2, key=tn.Key(0)),
        atol=1e-7,
    )
