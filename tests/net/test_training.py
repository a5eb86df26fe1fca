"""Training: progress, repeatability, the best weights, refusals of wrong input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet._core.random import Key, permutation
from thinnet.errors import InputError
from thinnet.schedules import Constant, Linear
from thinnet.variants import CATALOGUE
from thinnet.variants._pattern import takes


def blobs(count: int = 150) -> tuple[Any, Any]:
    """Return three clouds of points that straight lines can separate."""
    y = np.arange(count) % 3
    centres = np.array([[2.0, 0.0], [-1.0, 2.0], [-1.0, -2.0]])
    return centres[y] + 0.4 * np.random.default_rng(0).standard_normal((count, 2)), y


def build(key: Key, variant: str = "Dropout", **options: Any) -> net.Network:
    layers = [net.Dense(2, 24), net.ReLU(), net.Dropout(0.4, variant=variant), net.Dense(24, 3)]
    return net.Network(layers, key=key, **options)


ACTIVATIONS = [row.name for row in CATALOGUE.values() if row.site == "activation" and takes(row.pattern, 2)]


@pytest.mark.parametrize("variant", ACTIVATIONS)
def test_it_learns_with_every_variant(variant: str) -> None:
    x, y = blobs()
    network = build(Key(0), variant)
    history = network.fit(x, y, epochs=40, batch=25, optimizer=net.Adam(0.02))
    assert (network.predict(x) == y).mean() > 0.95
    assert len(history.epochs) == history.best == 40
    assert history.loss[-1] < history.loss[0] / 2
    assert history.validation_loss == [None] * 40


@pytest.mark.parametrize("optimizer", [net.SGD(0.3, momentum=0.9), net.Adam(0.02), net.AdamW(0.02)], ids=repr)
def test_it_learns_xor_with_one_output(optimizer: net.Optimizer) -> None:
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    network = net.Network([net.Dense(2, 16), net.Tanh(), net.Dropout(0.2), net.Dense(16, 1)], key=Key(3))
    network.fit(x, y, epochs=600, optimizer=optimizer)
    assert network.predict(x).tolist() == y.tolist()


def test_one_key_is_one_result_to_the_bit() -> None:
    x, y = blobs()

    def weights(key: Key, **options: Any) -> bytes:
        network = build(key)
        network.fit(x, y, epochs=3, batch=32, **options)
        return network.flat.tobytes()

    once = weights(Key(5))
    assert weights(Key(5)) == once
    assert weights(Key(6)) != once
    assert weights(Key(5, 1)) != once
    assert weights(Key(5), validation=(x, y)) == once  # looking on changes nothing
    seen: list[int] = []
    assert weights(Key(5), on_epoch=lambda epoch: seen.append(epoch.number)) == once
    assert seen == [1, 2, 3]


def test_two_calls_go_on_where_one_would_have() -> None:
    x, y = blobs()
    once, twice = build(Key(5)), build(Key(5))
    once.fit(x, y, epochs=4, batch=32, optimizer=net.SGD(0.1))
    for _ in range(2):
        twice.fit(x, y, epochs=2, batch=32, optimizer=net.SGD(0.1))
    assert twice.step == once.step == 4 * 5
    assert np.array_equal(twice.flat, once.flat)


def test_every_row_is_seen_once_an_epoch_in_a_new_order() -> None:
    seen: list[list[float]] = []

    class Watch(net.SquaredError):
        def rows(self, z: Any, y: Any) -> Any:
            seen.append(y.ravel().tolist())
            return super().rows(z, y)

    y = np.arange(10.0)
    net.Network([net.Dense(1, 1)], loss=Watch(), key=Key(0)).fit(y[:, None], y, epochs=3, batch=4)
    assert [len(batch) for batch in seen] == [4, 4, 2] * 3
    epochs = [[*seen[i], *seen[i + 1], *seen[i + 2]] for i in (0, 3, 6)]
    assert all(sorted(epoch) == y.tolist() for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    # Which order it is belongs to the promise that a key always gives the same network.
    shuffle = Key(0).fold("shuffle")
    assert epochs == [permutation(shuffle.at(step), 10).tolist() for step in (0, 3, 6)]


def test_the_history_holds_the_losses() -> None:
    x, y = blobs(60)
    network = net.Network([net.Dense(2, 3)], dtype="float64", key=Key(0))
    tested: list[float] = []

    def look(epoch: net.Epoch) -> None:
        tested.append(network.loss(network.forward(x[:20]), y[:20])[0])

    network.check_data(x, y, "fit")  # from here on the loss is known
    before = network.loss(network.forward(x), y)[0]
    history = network.fit(x, y, epochs=3, batch=60, validation=(x[:20], y[:20]), on_epoch=look)
    # One batch: the loss of an epoch is that of the weights it began with.
    assert history.loss[0] == pytest.approx(before, rel=1e-12)
    assert history.validation_loss == pytest.approx(tested, rel=1e-12)
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3]


def test_early_stopping_keeps_the_best_weights() -> None:
    x, y = blobs()
    network, seen = build(Key(0)), []

    def look(epoch: net.Epoch) -> None:
        seen.append(network.flat.copy())

    # A few rows with false answers: the validation loss falls, then rises.
    wrong = np.where(np.arange(60) % 6 == 0, (y[:60] + 1) % 3, y[:60])
    history = network.fit(
        x,
        y,
        epochs=200,
        batch=30,
        optimizer=net.Adam(0.003),
        validation=(x[:60], wrong),
        patience=7,
        on_epoch=look,
    )
    losses = np.array(history.validation_loss, float)
    assert history.best == int(losses.argmin()) + 1 > 1
    assert len(seen) == len(history.epochs) == history.best + 7 < 200
    assert np.array_equal(network.flat, seen[history.best - 1])
    assert not np.array_equal(network.flat, seen[-1])
    assert network.mean_loss(*network.check_data(x[:60], wrong, "test")) == losses.min()


def test_without_patience_the_last_weights_stay() -> None:
    x, y = blobs()
    network, seen = build(Key(0)), []
    history = network.fit(
        x, y, epochs=9, validation=(x, (y + 1) % 3), on_epoch=lambda epoch: seen.append(network.flat.copy())
    )
    assert history.best == len(history.epochs) == 9
    assert np.array_equal(network.flat, seen[-1])


def test_on_epoch_may_end_the_training() -> None:
    x, y = blobs()
    history = build(Key(0)).fit(x, y, epochs=50, on_epoch=lambda epoch: epoch.number == 4)
    assert len(history.epochs) == 4


def test_a_row_of_weight_0_is_not_there_and_one_of_weight_2_twice() -> None:
    x, y = blobs(30)
    weight = np.arange(30) % 3

    def weights(x: Any, y: Any, sample_weight: Any) -> Any:
        network = net.Network([net.Dense(2, 6), net.Tanh(), net.Dense(6, 3)], key=Key(0), dtype="float64")
        optimizer = net.SGD(0.1, momentum=0.5, l2=1e-3)
        network.fit(x, y, epochs=20, batch=100, optimizer=optimizer, sample_weight=sample_weight)
        return network.flat

    expected = weights(np.repeat(x, weight, axis=0), np.repeat(y, weight), None)
    assert np.allclose(weights(x, y, weight), expected, rtol=1e-9, atol=1e-12)
    assert np.allclose(weights(x, y, 7.5 * weight), expected, rtol=1e-9, atol=1e-12)
    assert not np.allclose(weights(x, y, None), expected, rtol=1e-3)


def test_mini_batches_of_weight_0_do_no_harm() -> None:
    x, y = blobs(40)
    network = build(Key(0))
    history = network.fit(x, y, epochs=3, batch=2, sample_weight=np.arange(40) < 5)
    assert np.isfinite(network.flat).all()
    assert np.isfinite(history.loss).all()


def test_the_learning_rate_follows_its_schedule_step_by_step() -> None:
    x, y = blobs()
    constant, scheduled, falling = (build(Key(0)) for _ in range(3))
    constant.fit(x, y, epochs=2, batch=50, optimizer=net.SGD(0.1))
    scheduled.fit(x, y, epochs=2, batch=50, optimizer=net.SGD(Constant(0.1)))
    assert np.array_equal(constant.flat, scheduled.flat)
    ends: list[Any] = []
    optimizer = net.SGD(Linear(0.1, 0.0, 6))  # three steps an epoch: after two epochs it stands still
    falling.fit(
        x, y, epochs=4, batch=50, optimizer=optimizer, on_epoch=lambda _: ends.append(falling.flat.copy())
    )
    assert not np.array_equal(ends[0], ends[1])
    assert np.array_equal(ends[1], ends[3])


X, Y = blobs(12)
HOLED = X.copy()
HOLED[3, 1] = np.inf
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("X of one axis", {"x": X[0]}, "fit: X must have shape (n, 2), got (2,)."),
    ("X too wide", {"x": np.ones((12, 3))}, "fit: X must have shape (n, 2), got (12, 3)."),
    ("X with infinity", {"x": HOLED}, "fit: X holds NaN or infinity."),
    ("X of text", {"x": [["a", "b"]] * 12}, "fit: X must be an array of real numbers, got 'a'."),
    ("no rows", {"x": X[:0], "y": Y[:0]}, "fit: X has no rows."),
    ("lengths", {"y": Y[:11]}, "fit: X has 12 rows, but Y has 11."),
    ("class out of range", {"y": Y + 1}, "SoftmaxCrossEntropy: classes must be in [0, 3), got 3."),
    ("columns", {"y": np.ones((12, 2))}, "fit: Y has 2 columns, but the network has 3 outputs."),
    ("values for classes", {"y": Y * 1.0}, "fit: Y has 1 columns, but the network has 3 outputs."),
    ("Y with NaN", {"y": np.full((12, 3), np.nan)}, "fit: Y holds NaN or infinity."),
    ("Y of three axes", {"y": np.ones((12, 3, 1))}, "fit: Y must have shape (n,) or (n, 3), got (12, 3, 1)."),
    ("Y a number", {"y": 1.0}, "fit: Y must have shape (n,) or (n, 3), got ()."),
    ("Y of text", {"y": ["a"] * 12}, "SquaredError: targets must be an array of real numbers, got 'a'."),
    (
        "Y ragged",
        {"y": [[1.0], [1.0, 2.0]]},
        "fit: Y must be an array of numbers, got rows of different lengths.",
    ),
    ("X complex", {"x": X * 1j}, "fit: X must be an array of real numbers, got complex128."),
    ("Y complex", {"y": Y * 1j}, "SquaredError: targets must be an array of real numbers, got complex128."),
    (
        "validation a number",
        {"validation": 3},
        "fit: validation must be a tuple (X, Y), got 3; pass validation=(X, Y).",
    ),
    (
        "on_epoch a number",
        {"on_epoch": 3},
        "fit: on_epoch must be a function of an Epoch, got 3; pass a function such as print.",
    ),
    ("epochs True", {"epochs": True}, "fit: epochs must be a whole number of at least 1, got True."),
    ("epochs", {"epochs": 0}, "fit: epochs must be a whole number of at least 1, got 0."),
    ("batch", {"batch": 2.5}, "fit: batch must be a whole number of at least 1, got 2.5."),
    ("patience", {"patience": 3}, "fit: patience needs a validation loss; pass validation=(X, Y)."),
    (
        "patience 0",
        {"patience": 0, "validation": (X, Y)},
        "fit: patience must be a whole number of at least 1, got 0.",
    ),
    ("validation", {"validation": (X, Y[:5])}, "fit: validation: X has 12 rows, but Y has 5."),
    ("weights", {"sample_weight": np.ones(5)}, "fit: sample_weight must have shape (12,), got (5,)."),
    (
        "weight below 0",
        {"sample_weight": -np.ones(12)},
        "fit: sample_weight must be finite and at least 0, with a sum greater than 0.",
    ),
    (
        "weights all 0",
        {"sample_weight": np.zeros(12)},
        "fit: sample_weight must be finite and at least 0, with a sum greater than 0.",
    ),
]


@pytest.mark.parametrize(("change", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_fit_refuses(change: dict[str, Any], said: str, refusal: Callable[..., str]) -> None:
    network = build(Key(0))
    before = network.flat.copy()
    assert refusal(InputError, network.fit, **{"x": X, "y": Y, **change}) == said
    assert np.array_equal(network.flat, before)
    assert network.step == 0
