"""Networks: forward and redraw, thinned networks, answers, and what they refuse."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.schedules import Late, Linear
from thinnet.variants import CATALOGUE, mask
from thinnet.variants._pattern import takes

FITTING = [row.name for row in CATALOGUE.values() if row.flows and takes(row.pattern, 2)]
VARIANTS = pytest.mark.parametrize("variant", FITTING)
KEY = Key(77)


def build(variant: str = "Dropout", rate: Any = 0.5, width: int = 12, **options: Any) -> net.Network:
    layers = [
        net.Dropout(0.2, variant=variant),
        net.Dense(4, width),
        net.ReLU(),
        net.Dropout(rate, variant=variant),
        net.Dense(width, 3),
    ]
    options = {"key": Key(1), "loss": net.SoftmaxCrossEntropy(), "dtype": "float64", **options}
    return net.Network(layers, **options)


def rows(count: int, dtype: str = "float64") -> Any:
    return np.random.default_rng(0).standard_normal((count, 4)).astype(dtype)


@VARIANTS
def test_a_key_is_a_sample_and_the_same_key_the_same_sample(variant: str) -> None:
    network, x = build(variant), rows(20)
    one = network.forward(x, key=KEY)
    assert np.array_equal(network.forward(x, key=KEY), one)
    steps, folds = ([KEY.at(i) for i in range(1, 9)], [KEY.fold(i) for i in range(8)])
    for others in (steps, folds):  # several, since one draw for a whole batch may come out the same
        assert not all(np.array_equal(network.forward(x, key=other), one) for other in others)
    assert np.array_equal(network.forward(x), network.forward(x))


def test_two_dropout_layers_draw_different_masks() -> None:
    network = net.Network(
        [net.Dropout(0.5), net.Dense(60, 60), net.Dropout(0.5)], dtype="float64", key=Key(0)
    )
    network.weights[1]["weight"][:] = np.eye(60)
    both = network.forward(np.ones((50, 60)), key=KEY) != 0
    # Independent masks keep a quarter, one mask twice would keep half; 0.04 is five standard deviations.
    assert both.mean() == pytest.approx(0.25, abs=0.04)


def test_backward_draws_the_mask_of_forward_again() -> None:
    network, x = build(), rows(200)
    network.forward(x, key=KEY)
    dx = network.backward(np.ones((200, 3)), input_gradient=True)
    kept = mask(x.shape, 0.2, key=KEY.fold("dropout").fold(0))
    assert not dx[~kept].any()
    assert (dx[kept] != 0).mean() > 0.5


def test_the_masks_depend_on_the_key_that_is_given_and_nothing_else() -> None:
    x = rows(20)
    networks = [build(key=key) for key in (KEY, KEY.at(9), Key(1))]
    for network in networks:
        network.flat[:] = networks[0].flat
    one, other, third = (network.forward(x, key=KEY.at(3)) for network in networks)
    assert np.array_equal(one, other)
    assert np.array_equal(one, third)


@VARIANTS
def test_logits_of_many_rows_are_those_of_one_forward(variant: str) -> None:
    network, x = build(variant), rows(9000)
    # With a key the answer must not depend on how the rows are cut into pieces.
    assert np.array_equal(network.logits(x, key=KEY), network.forward(x, key=KEY))
    assert np.allclose(network.logits(x), network.forward(x), rtol=1e-12)


def test_backward_wants_a_forward_pass(refusal: Callable[..., str]) -> None:
    network = build()
    said = "Network.backward: no forward pass has been recorded; call forward first."
    assert refusal(InputError, network.backward, np.ones((2, 3))) == said
    network.forward(rows(2), key=KEY)
    network.logits(rows(2))
    assert refusal(InputError, network.backward, np.ones((2, 3))) == said


@VARIANTS
def test_a_thinned_network_is_one_sample_for_all_rows(variant: str) -> None:
    network, x = build(variant), rows(15)
    thin = network.thinned(key=KEY)
    assert not any(isinstance(layer, net.Dropout) for layer in thin.layers)
    assert [type(layer) for layer in thin.layers if isinstance(layer, net.Gate)] == [net.Gate, net.Gate]
    y = thin.forward(x)
    # Nothing random is left: no key changes it, and no row has a mask of its own.
    assert np.array_equal(thin.forward(x, key=Key(5)), y)
    assert np.allclose(thin.forward(x[::-1])[::-1], y, rtol=1e-12)
    # By hand: the gates are the gains of one row, multiplied in.
    (w1, b1), (w2, b2) = ((network.weights[i]["weight"], network.weights[i]["bias"]) for i in (1, 4))
    first, second = (thin.weights[i] for i in (0, 3))
    hidden = np.maximum((x * first["gain"] + first["shift"]) @ w1 + b1, 0)
    assert np.allclose((hidden * second["gain"] + second["shift"]) @ w2 + b2, y, rtol=1e-12)
    # And they are those that a forward pass with this key gives its first row.
    for key in (KEY, KEY.at(4)):
        assert np.allclose(
            network.thinned(key=key).forward(x[:1]), network.forward(x[:1], key=key), rtol=1e-12
        )


def test_thinned_networks_differ_and_have_the_mask_of_their_key() -> None:
    network = build(width=400)
    gains = [network.thinned(key=KEY.fold(i)).weights[3]["gain"] for i in range(3)]
    assert all(set(gain.tolist()) == {0.0, 2.0} for gain in gains)
    assert not np.array_equal(gains[0], gains[1])
    kept = mask((1, 400), 0.5, key=KEY.fold(0).fold("dropout").fold(3))[0]
    assert np.array_equal(gains[0] != 0, kept)


@VARIANTS
def test_the_mean_of_thinned_networks_is_the_mean_network(variant: str) -> None:
    # Up to the first nonlinearity that is exact; here with a bound of five standard deviations.
    network = net.Network([net.Dropout(0.3, variant=variant), net.Dense(4, 5)], key=Key(1), dtype="float64")
    x, count = rows(3), 2000
    thinned = np.stack([network.thinned(key=KEY.fold(i)).forward(x) for i in range(count)])
    expected = network.forward(x)
    if CATALOGUE[variant].inference == "identity":  # its mean network is not the mean: that is its point
        gain, shift = CATALOGUE[variant].law_of(0.3).mean
        expected = network.forward(gain * x + shift)
    error = np.abs(thinned.mean(axis=0) - expected) / (thinned.std(axis=0) / math.sqrt(count))
    assert error.max() < 5


def test_thinning_twice_changes_nothing_more() -> None:
    thin = build().thinned(key=KEY)
    again = thin.thinned(key=Key(5))
    assert np.array_equal(again.forward(rows(4)), thin.forward(rows(4)))
    again.weights[0]["gain"][:] = 0
    assert thin.weights[0]["gain"].any()


def test_thinning_takes_the_rate_of_the_present_step() -> None:
    network = build(rate=Linear(0.0, 1.0, 10))
    assert (network.thinned(key=KEY).weights[3]["gain"] == 1).all()
    network.step = 10
    assert not network.thinned(key=KEY).weights[3]["gain"].any()


def test_a_thinned_network_is_its_own() -> None:
    network = build()
    thin = network.thinned(key=KEY)
    before = network.forward(rows(3))
    thin.fit(rows(30), np.arange(30) % 3, epochs=2)
    assert np.array_equal(network.forward(rows(3)), before)
    assert not np.array_equal(thin.flat, network.flat)


def test_answers_of_each_loss() -> None:
    x = rows(6)
    many = build()
    assert np.array_equal(many.predict(x), many.forward(x).argmax(axis=1))
    assert np.allclose(many.predict_proba(x).sum(axis=1), 1)
    one = net.Network([net.Dense(4, 1)], loss=net.BinaryCrossEntropy(), dtype="float64", key=Key(0))
    p = 1 / (1 + np.exp(-one.forward(x)[:, 0]))
    assert np.allclose(one.predict_proba(x), np.stack([1 - p, p], axis=1))
    assert np.array_equal(one.predict(x), (p > 0.5).astype(int))
    labels = net.Network([net.Dense(4, 2)], loss=net.BinaryCrossEntropy(), dtype="float64", key=Key(0))
    assert labels.predict(x).shape == labels.predict_proba(x).shape == (6, 2)
    value = net.Network([net.Dense(4, 1)], loss=net.SquaredError(), dtype="float64", key=Key(0))
    assert np.array_equal(value.predict(x), value.forward(x)[:, 0])
    values = net.Network([net.Dense(4, 2)], loss=net.Huber(), dtype="float64", key=Key(0))
    assert np.array_equal(values.predict(x), values.forward(x))
    assert many.predict(x[:0]).shape == (0,)


def test_the_loss_is_taken_from_the_targets() -> None:
    cases: list[tuple[int, Any, type]] = [
        (3, [0, 1, 2, 1], net.SoftmaxCrossEntropy),
        (2, [True, False, True, True], net.SoftmaxCrossEntropy),
        (1, [0, 1, 1, 0], net.BinaryCrossEntropy),
        (1, [False, True, True, False], net.BinaryCrossEntropy),
        (2, [[0, 1], [1, 1], [0, 0], [1, 0]], net.BinaryCrossEntropy),
        (1, [0.0, 1.0, 1.0, 0.0], net.SquaredError),
        (2, np.zeros((4, 2)), net.SquaredError),
    ]
    for outputs, y, expected in cases:
        network = net.Network([net.Dense(4, outputs)], key=Key(0))
        network.fit(rows(4), y, epochs=1)
        assert type(network.loss) is expected


def test_nothing_is_learned_about_the_loss_from_a_call_that_failed(refusal: Callable[..., str]) -> None:
    network = net.Network([net.Dense(4, 3)], key=Key(0))
    refusal(InputError, network.fit, rows(4), np.zeros(4))
    network.fit(rows(4), [0, 1, 2, 0], epochs=1)
    assert network.loss == net.SoftmaxCrossEntropy()


WRONG: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: net.Network([net.Dense(4, 8)], key=None),
        "Network: key must be a thinnet.Key, got None; use thinnet.Key(0).",
    ),
    (lambda: net.Network(3, key=KEY), "Network: layers must be a list of layers, got 3."),
    (
        lambda: net.Network([net.Dense(4, 8)], key=KEY, loss="mse"),
        "Network: loss must be a thinnet.net.Loss, got 'mse'.",
    ),
    (
        lambda: net.Network([net.Dense(4, 8)], key=KEY, dtype="x"),
        "Network: dtype must be float32 or float64, got 'x'.",
    ),
    (
        lambda: build().thinned(key=3),
        "Network.thinned: key must be a thinnet.Key, got 3; use thinnet.Key(0).",
    ),
    (
        lambda: build().logits(rows(2), key=3),
        "Network.logits: key must be a thinnet.Key, got 3; use thinnet.Key(0).",
    ),
    (
        lambda: build().forward(rows(2), key=3),
        "Network.forward: key must be a thinnet.Key, got 3; use thinnet.Key(0).",
    ),
    (
        lambda: build(dtype="float32").forward(rows(2)),
        'Network.forward: x must be float32, the dtype of the network, got float64; use x.astype("float32").',
    ),
    (lambda: build().forward(rows(2)[:, :3]), "Network.forward: x must have shape (n, 4), got (2, 3)."),
    (
        lambda: build().forward([[1.0]]),
        "Network.forward: x must be an array of float64 and shape (n, 4), got [[1.0]].",
    ),
    (lambda: build().predict(1j * rows(2)), "predict: X must be an array of real numbers, got complex128."),
    (
        lambda: net.Network([net.ReLU()], key=Key(0)),
        "Network: there is no Dense layer; a network needs at least one.",
    ),
    (lambda: net.Network([], key=Key(0)), "Network: there is no Dense layer; a network needs at least one."),
    (
        lambda: net.Network([net.Dense(4, 8), net.ReLU(), net.Dense(9, 2)], key=Key(0)),
        "Network: layer 2, Dense(9, 2), takes 9 inputs, but gets 8.",
    ),
    (
        lambda: net.Network([net.Dense(4, 8), net.Gate(7)], key=Key(0)),
        "Network: layer 1, Gate(units=7), takes 7 inputs, but gets 8.",
    ),
    (
        lambda: net.Network([net.Dense(4, 8), "relu"], key=Key(0)),
        "Network: layer 1 must be a Layer, got str.",
    ),
    (
        lambda: net.Network([net.Dense(4, 8), net.ReLU], key=Key(0)),
        "Network: layer 1 must be a Layer, got type.",
    ),
    (
        lambda: net.Network([net.Dense(4, 8)], dtype="float16", key=Key(0)),
        "Network: dtype must be float32 or float64, got float16.",
    ),
    (
        lambda: net.Network([net.Dense(4, 8)], key=3),
        "Network: key must be a thinnet.Key, got 3; use thinnet.Key(0).",
    ),
    (
        lambda: net.Network([net.Dense(4, 8)], key=Key(0)).predict(rows(2)),
        "Network: no loss is known yet; pass loss= or call fit first.",
    ),
    (
        lambda: net.Network([net.Dense(4, 1)], loss=net.SquaredError(), key=Key(0)).predict_proba(rows(2)),
        "predict_proba: a network with SquaredError predicts values, not classes; use predict.",
    ),
    (lambda: build().predict(rows(2)[0]), "predict: X must have shape (n, 4), got (4,)."),
    (lambda: build().predict(np.ones((2, 5))), "predict: X must have shape (n, 4), got (2, 5)."),
    (lambda: build().predict(np.full((2, 4), np.nan)), "predict: X holds NaN or infinity."),
    (lambda: build().predict([["a"] * 4]), "predict: X must be an array of real numbers, got 'a'."),
    (
        lambda: build().predict([[1.0], [1.0, 2.0]]),
        "predict: X must be an array of real numbers, got rows of different lengths.",
    ),
]


@pytest.mark.parametrize(("call", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_networks_refuse(call: Callable[[], Any], said: str, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, call) == said


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_copy_goes_on_by_itself(copied: Callable[[net.Network], net.Network]) -> None:
    network, x, y = build(), rows(30), np.arange(30) % 3
    network.fit(x, y, epochs=2, batch=10)
    twin, before = copied(network), network.flat.copy()
    assert twin.step == network.step == 6
    assert np.array_equal(twin.logits(x), network.logits(x))
    twin.fit(x, y, epochs=2, batch=10)
    assert np.array_equal(network.flat, before)
    network.fit(x, y, epochs=2, batch=10)
    assert np.array_equal(network.flat, twin.flat)
    assert np.array_equal(network.logits(x), twin.logits(x))
    assert all(np.shares_memory(w, twin.flat) for group in twin.weights for w in group.values())
    thin = network.thinned(key=KEY)
    assert np.array_equal(copied(thin).logits(x), thin.logits(x))


def test_a_network_may_be_given_its_weights(refusal: Callable[..., str]) -> None:
    network = build()
    again = net.Network(network.layers, loss=network.loss, dtype="float64", flat=network.flat, key=Key(0))
    assert np.array_equal(again.logits(rows(5)), network.logits(rows(5)))
    assert not np.shares_memory(again.flat, network.flat)
    line = refusal(InputError, net.Network, [net.Dense(2, 3)], key=KEY, flat=np.zeros(4))
    assert line == "Network: flat must have shape (9,), got (4,)."


def test_sparse_rows_go_through_as_dense_ones() -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    x = rows(9) * (rows(9)[:, ::-1] > 0)
    for layers in (build().layers, build().layers[1:]):
        network = net.Network(layers, loss=net.SoftmaxCrossEntropy(), dtype="float64", key=Key(0))
        for key in (None, KEY):
            z, dense = network.forward(sparse.csr_array(x), key=key), network.forward(x, key=key)
            np.testing.assert_allclose(z, dense, atol=1e-14)
            network.backward(np.ones_like(z))
            expected = network.flat_grads.copy()
            network.forward(sparse.csr_array(x), key=key)
            network.backward(np.ones_like(z))
            np.testing.assert_allclose(network.flat_grads, expected, atol=1e-13)


def test_a_network_prints_itself() -> None:
    layers = [
        net.Dropout(0.2),
        net.Dense(784, 1024, max_norm=2.0),
        net.LeakyReLU(slope=0.1),
        net.Dropout(Late(0.5, 9), variant="VanillaDropout"),
        net.Dense(1024, 10),
    ]
    assert repr(net.Network(layers, key=Key(0))) == (
        "Network 784 -> 10, 814,090 weights, float32\n"
        "  0  Dropout(0.2)                              (n, 784)\n"
        "  1  Dense(784, 1024, max_norm=2)              (n, 784) -> (n, 1024)   803,840\n"
        "  2  LeakyReLU(slope=0.1)                      (n, 1024)\n"
        "  3  VanillaDropout(Late(rate=0.5, steps=9))   (n, 1024)\n"
        "  4  Dense(1024, 10)                           (n, 1024) -> (n, 10)    10,250"
    )


@pytest.mark.parametrize("shape", [5, "abc", (1, -2, 3), (1, 8.0, 8), ()])
def test_shapes_of_rows_that_are_none(shape: Any, refusal: Callable[..., str]) -> None:
    line = refusal(
        InputError, net.Network, [net.Conv2d(1, 2, 3), net.GlobalAvgPool2d()], key=KEY, input_shape=shape
    )
    rule = "input_shape must be the shape of one row, such as (channels, height, width)"
    assert line == f"Network: {rule}, got {shape!r}."


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: net.Residual(net.ReLU()), "Residual: branch must be a tuple of layers, got ReLU."),
        (lambda: net.SGD("a"), "SGD: learning_rate must be a number greater than 0, got 'a'."),
        (lambda: net.LeakyReLU(slope="a"), "LeakyReLU: slope must be a finite number, got 'a'."),
        (lambda: net.BatchNorm(3, momentum="x"), "BatchNorm: momentum must be a number in (0, 1], got 'x'."),
        (lambda: net.vgg(width="a", key=Key(0)), "vgg: width must be a number greater than 0, got 'a'."),
        (
            lambda: net.Network([net.Dense(2, 2)], key=Key(0)).fit([[1, 2]], [0], optimizer="adam"),
            "fit: optimizer must be a thinnet.net.Optimizer, got 'adam'; use thinnet.net.Adam().",
        ),
    ],
)
def test_numbers_that_are_none(make: Callable[[], Any], said: str, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, make) == said


def test_numbers_of_numpy_are_saved_as_plain_ones(tmp_path: Path) -> None:
    layers = [
        net.Conv2d(1, 2, np.int64(3)),
        net.BatchNorm(2, momentum=np.float32(0.5)),
        net.LeakyReLU(slope=np.float64(0.5)),
        net.MaxPool2d(np.int64(2)),
        net.Flatten(),
        net.Dense(np.int64(18), 2, max_norm=np.float32(3)),
    ]
    made = net.Network(layers, input_shape=(1, 8, 8), loss=net.SoftmaxCrossEntropy(), key=Key(0))
    made.save(tmp_path / "net.safetensors")
    assert net.Network.load(tmp_path / "net.safetensors").layers == made.layers


def test_rows_are_predicted_in_pieces_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    made = net.Network(
        [net.Dense(3, 8), net.ReLU(), net.Dense(8, 2)], loss=net.SoftmaxCrossEntropy(), key=Key(0)
    )
    x = np.random.default_rng(0).standard_normal((50, 3))
    whole, most = made.logits(x), []
    forward = made.forward
    monkeypatch.setattr(made, "forward", lambda x, key=None: most.append(len(x)) or forward(x, key=key))
    monkeypatch.setattr("thinnet.net._network._ENTRIES", 64)
    assert np.allclose(made.logits(x), whole, atol=1e-6)
    assert max(most) == 8
