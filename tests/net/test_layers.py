"""Layers: PyTorch's activations, initial weights, max-norm, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet._core.kernels.updates_numpy import shorten
from thinnet._core.random import Key, uniform
from thinnet.errors import InputError
from thinnet.schedules import Constant, Late, Linear

ACTIVATIONS = [net.ReLU(), net.LeakyReLU(slope=0.2), net.Sigmoid(), net.Tanh(), net.SELU(), net.GELU()]


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_activations_are_pytorchs(layer: Any) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    peers: dict[str, Any] = {
        "LeakyReLU": torch.nn.LeakyReLU(0.2),
        "GELU": torch.nn.GELU(approximate="tanh"),
    }
    peer = peers.get(type(layer).__name__) or getattr(torch.nn, type(layer).__name__)()
    x = np.concatenate([np.linspace(-8, 8, 101), [-700.0, -40.0, 40.0, 700.0]])
    theirs = torch.tensor(x, requires_grad=True)
    out = peer(theirs)
    out.sum().backward()
    y, saved = layer.forward(x, {})
    assert np.allclose(y, out.detach().numpy(), rtol=1e-12, atol=1e-15)
    dx = layer.backward(np.ones_like(x), saved, {}, {})
    assert np.allclose(dx, theirs.grad.numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_activations_keep_float32_and_stay_finite(layer: Any) -> None:
    x = np.array([-1e4, -100.0, -0.0, 0.0, 100.0, 1e4], np.float32)
    y, saved = layer.forward(x, {})
    dx = layer.backward(np.ones_like(x), saved, {}, {})
    assert y.dtype == dx.dtype == np.float32
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()


@pytest.mark.parametrize(
    ("following", "variance"),
    [
        ([net.ReLU()], 2 / 300),
        ([net.Dropout(0.5), net.LeakyReLU()], 2 / 300),
        ([net.GELU()], 2 / 300),
        ([net.SELU()], 1 / 300),
        ([net.Tanh()], 2 / 500),
        ([net.Dropout(0.5), net.Sigmoid()], 2 / 500),
        ([], 2 / 500),
    ],
)
def test_initial_weights_suit_the_activation_after_them(following: list[net.Layer], variance: float) -> None:
    network = net.Network([net.Dense(300, 200), *following], key=Key(3), dtype="float64")
    weight = network.weights[0]["weight"]
    # Uniform weights: the variance of a sample of m has a relative error of sqrt(0.8 / m); five of those.
    assert weight.var() == pytest.approx(variance, rel=5 * (0.8 / weight.size) ** 0.5)
    assert abs(weight).max() <= (3 * variance) ** 0.5
    assert not network.weights[0]["bias"].any()


def test_initial_weights_are_those_of_their_key() -> None:
    network = net.Network([net.Dense(3, 2), net.Tanh(), net.Dense(2, 4)], key=Key(3), dtype="float64")
    drawn = uniform(Key(3).fold("weights").fold(2), (2, 4))
    assert np.allclose(network.weights[2]["weight"], (2 * drawn - 1) * 1.0, rtol=1e-15)  # sqrt(6 / (2 + 4))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_max_norm_shortens_what_is_too_long_and_nothing_else(dtype: str) -> None:
    weight = np.random.default_rng(0).standard_normal((6, 5)).astype(dtype)
    length = np.linalg.norm(weight, axis=0)
    weight *= (np.array([0.0, 0.5, 1.999, 2.5, 40.0]) / length).astype(dtype)
    before = weight.copy()
    shorten(weight, 2.0)
    assert weight.dtype == dtype
    assert np.array_equal(weight[:, :3], before[:, :3])
    assert np.allclose(np.linalg.norm(weight[:, 3:], axis=0), 2.0, rtol=4 * np.finfo(dtype).eps)
    assert np.allclose(weight[:, 3:] / before[:, 3:], [2 / 2.5, 2 / 40], rtol=1e-5)


def test_max_norm_holds_all_through_training() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((60, 4)), generator.integers(0, 3, 60)
    network = net.Network([net.Dense(4, 8, max_norm=0.5), net.ReLU(), net.Dense(8, 3)], key=Key(0))
    longest: list[list[float]] = []

    def look(epoch: net.Epoch) -> None:
        longest.append([np.linalg.norm(network.weights[i]["weight"], axis=0).max() for i in (0, 2)])

    network.fit(x, y, epochs=20, batch=20, optimizer=net.SGD(0.5), on_epoch=look)
    assert max(first for first, _ in longest) == pytest.approx(0.5, rel=1e-6)
    assert max(second for _, second in longest) > 1


def test_dropout_follows_its_schedule_and_ends_where_it_ends() -> None:
    layer, x = net.Dropout(Linear(0.0, 1.0, 10), variant="VanillaDropout"), np.ones((50, 50))
    dropped = [1 - layer.forward(x, {}, key=Key(0, step))[0].mean() for step in range(0, 11, 2)]
    # 2,500 entries: 0.05 is five standard deviations.
    assert dropped == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0], abs=0.05)
    assert (dropped[0], dropped[-1]) == (0, 1)
    late = net.Dropout(Late(0.25, 100), variant="VanillaDropout")
    assert late.forward(x, {})[0].mean() == 0.75


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: net.Dense(0, 3), "Dense: inputs must be a whole number of at least 1, got 0."),
    (lambda: net.Dense(3, 2.0), "Dense: outputs must be a whole number of at least 1, got 2.0."),
    (lambda: net.Dense("3", 2), "Dense: inputs must be a whole number of at least 1, got '3'."),
    (lambda: net.Dense(True, 2), "Dense: inputs must be a whole number of at least 1, got True."),
    (lambda: net.Dense(3, 2, max_norm=0), "Dense: max_norm must be a number greater than 0, got 0."),
    (lambda: net.Dense(3, 2, max_norm=np.nan), "Dense: max_norm must be a number greater than 0, got nan."),
    (lambda: net.Gate(-1), "Gate: units must be a whole number of at least 1, got -1."),
    (lambda: net.LeakyReLU(slope=np.inf), "LeakyReLU: slope must be a finite number, got inf."),
    (lambda: net.Dropout(1.5), "Dropout: rate must be in [0, 1], got 1.5."),
    (
        lambda: net.Dropout(np.nan, variant="VanillaDropout"),
        "VanillaDropout: rate must be in [0, 1], got nan.",
    ),
    (lambda: net.Dropout("a"), "Dropout: rate must be a number in [0, 1], got 'a'."),
    (
        lambda: net.Dropout([0.1, 0.2]),
        "Dropout: rate must be one number in [0, 1], got an array of shape (2,).",
    ),
    (lambda: net.Dropout(Constant(-1)), "Dropout: rate must be in [0, 1], got -1."),
    (
        lambda: net.Dropout(0.5, variant="Dropuot"),
        "variant: there is no 'Dropuot' in the catalogue; did you mean 'Dropout'?",
    ),
]


@pytest.mark.parametrize(("call", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_layers_refuse(call: Callable[[], Any], said: str, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, call) == said


def test_a_schedule_that_leaves_the_unit_interval_is_named(refusal: Callable[..., str]) -> None:
    layer = net.Dropout(lambda step: step / 10)
    line = refusal(InputError, layer.forward, np.ones((2, 2)), {}, key=Key(0, 12))
    assert line == "Dropout: rate must be in [0, 1], got 1.2."


def test_sizes_may_be_numpys() -> None:
    assert net.Dense(np.int64(3), np.uint8(2)) == net.Dense(3, 2)
    assert type(net.Dense(np.int64(3), 2).inputs) is int


def test_the_mean_of_inverted_dropout_does_not_ask_the_schedule() -> None:
    x = np.ones((2, 3))
    layer = net.Dropout(lambda step: step / 100)
    assert layer.forward(x, {})[0] is x
