"""Every backward pass against finite differences: each layer, each loss, whole networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet import net
from thinnet._core.random import Key
from thinnet.schedules import Curriculum, Early, Linear
from thinnet.variants import CATALOGUE
from thinnet.variants._pattern import takes

from .finite import TOLERANCE, numeric, relative_error

KEY = Key(2014, 3)
FITTING = [row.name for row in CATALOGUE.values() if row.flows and takes(row.pattern, 2)]
VARIANTS = pytest.mark.parametrize("variant", FITTING)


def away_from_kinks(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float64]:
    """Return numbers of both signs, none of them nearer to 0 than 0.1."""
    x = np.random.default_rng(seed).standard_normal(shape)
    return np.sign(x) * (np.abs(x) + 0.1)


def classes_of(base: type) -> list[type]:
    exported = [getattr(net, name) for name in net.__all__]
    return [
        made for made in exported if isinstance(made, type) and issubclass(made, base) and made is not base
    ]


BRANCH = (
    net.BatchNorm(4),
    net.Conv2d(4, 3, 1),
    net.Tanh(),
    net.Dropout(0.4),
    net.Conv2d(3, 4, 3, padding=1),
)
# One layer of each class that has required arguments.
EXAMPLES: dict[type, net.Layer] = {
    net.Dense: net.Dense(5, 4),
    net.Dropout: net.Dropout(0.4),
    net.Gate: net.Gate(5),
    net.DropConnect: net.DropConnect(net.Dense(5, 4), 0.4),
    net.Conv2d: net.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
    net.MaxPool2d: net.MaxPool2d(3, stride=2, padding=1),
    net.AvgPool2d: net.AvgPool2d((3, 2), stride=(2, 1), padding=1),
    net.BatchNorm: net.BatchNorm(5),
    net.Residual: net.Residual(BRANCH),
}
IMAGES = {net.Conv2d, net.MaxPool2d, net.AvgPool2d, net.GlobalAvgPool2d, net.Flatten, net.Residual}
# A network learns statistics in training; there the gradient goes through them.
WAYS = {"mean": (None, "forward"), "sample": (KEY, "forward"), "training": (KEY, "learn")}


@pytest.mark.parametrize("kind", classes_of(net.Layer), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("key", "way"), WAYS.values(), ids=WAYS)
def test_every_layer(kind: Any, key: Key | None, way: str) -> None:
    layer = EXAMPLES[kind] if kind in EXAMPLES else kind()
    trained = {name: away_from_kinks(shape, 1) for name, shape in layer.shapes().items()}
    kept = {name: np.full(shape, value + 0.5) for name, (shape, value) in layer.buffers().items()}
    weights = {**trained, **kept}
    grads = {name: np.full_like(weight, np.nan) for name, weight in trained.items()}
    x = away_from_kinks((3, 4, 5, 6) if kind in IMAGES else (6, 5))
    forward = getattr(layer, way)
    y, saved = forward(x, weights, key=key)
    assert y.shape == (len(x), *layer.output_shape(x.shape[1:]))
    r = away_from_kinks(y.shape, 2)
    dx = layer.backward(r, saved, weights, grads)

    def value() -> float:
        return float(np.vdot(r, forward(x, weights, key=key)[0]))

    assert relative_error(dx, numeric(value, x)) < TOLERANCE
    for name, weight in trained.items():
        assert relative_error(grads[name], numeric(value, weight)) < TOLERANCE, name
    alone = {name: np.full_like(weight, np.nan) for name, weight in trained.items()}
    layer.gradients(r, saved, weights, alone)
    assert all(np.array_equal(alone[name], grads[name]) for name in grads)


@VARIANTS
@pytest.mark.parametrize("key", [None, KEY], ids=["mean", "sample"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0, Linear(0.2, 0.6, 10)], ids=str)
def test_the_dropout_layer_of_every_variant(variant: str, key: Key | None, rate: Any) -> None:
    layer = net.Dropout(rate, variant=variant)
    x, r = away_from_kinks((6, 5)), away_from_kinks((6, 5), 2)
    y, saved = layer.forward(x, {}, key=key)
    dx = layer.backward(r, saved, {}, {})
    expected = numeric(lambda: float(np.vdot(r, layer.forward(x, {}, key=key)[0])), x)
    assert np.allclose(dx, expected, atol=1e-7)
    at_zero = layer.forward(np.zeros_like(x), {}, key=key)[0]
    assert np.vdot(dx, x) == pytest.approx(np.vdot(r, y - at_zero), rel=1e-12)


Z = away_from_kinks((7, 3))
CLASSES = np.array([0, 1, 2, 2, 1, 0, 0])
P = np.exp(Z[::-1]) / np.exp(Z[::-1]).sum(axis=1, keepdims=True)
LOSSES: list[tuple[net.Loss, NDArray[Any]]] = [
    (net.SoftmaxCrossEntropy(), CLASSES),
    (net.SoftmaxCrossEntropy(), P),
    (net.SoftmaxCrossEntropy(), 0.5 * P),
    (net.BinaryCrossEntropy(), (Z > 0.2).astype(float)),
    (net.BinaryCrossEntropy(), P),
    (net.SquaredError(), P),
    (net.AbsoluteError(), P + 0.01),
    (net.Huber(), P),
    (net.PoissonDeviance(), np.round(3 * P)),
    (net.Huber(delta=0.3), P),
]


def test_every_loss_is_tested() -> None:
    assert {type(loss) for loss, _ in LOSSES} == set(classes_of(net.Loss))


@pytest.mark.parametrize(
    ("loss", "y"), LOSSES, ids=lambda value: repr(value) if isinstance(value, net.Loss) else ""
)
@pytest.mark.parametrize(
    "weight", [None, np.array([1.0, 0.0, 2.5, 0.3, 1.0, 4.0, 0.7])], ids=["", "weighted"]
)
def test_every_loss(loss: net.Loss, y: NDArray[Any], weight: NDArray[Any] | None) -> None:
    z = Z.copy()
    value, gradient = loss(z, y, sample_weight=weight)
    assert relative_error(gradient, numeric(lambda: loss(z, y, sample_weight=weight)[0], z)) < TOLERANCE
    rows = loss.rows(z, y)[0]
    assert rows.shape == (7,)
    assert value == pytest.approx(np.average(rows, weights=weight), rel=1e-14)


def whole(layers: list[net.Layer], y: NDArray[Any], loss: net.Loss, key: Key | None) -> tuple[float, float]:
    """Return the errors of the gradients of all weights and of x, with rows of unequal weight."""
    network = net.Network(layers, key=Key(1), loss=loss, dtype="float64")
    generator = np.random.default_rng(4)
    network.flat += 0.2 * generator.standard_normal(network.flat.shape)  # biases too
    x, weight = generator.standard_normal((9, network.inputs)), generator.uniform(0.1, 2, 9)

    def value() -> float:
        return loss(network.forward(x, key=key), y, sample_weight=weight)[0]

    _, gradient = loss(network.forward(x, key=key), y, sample_weight=weight)
    dx = network.backward(gradient, input_gradient=True)
    assert dx is not None
    grads = network.flat_grads.copy()
    network.forward(x, key=key)
    network.flat_grads[:] = np.nan
    assert network.backward(gradient) is None
    assert np.array_equal(network.flat_grads, grads)
    return relative_error(grads, numeric(value, network.flat)), relative_error(dx, numeric(value, x))


@VARIANTS
@pytest.mark.parametrize("key", [None, KEY], ids=["mean", "sample"])
def test_whole_networks_with_every_variant(variant: str, key: Key | None) -> None:
    layers = [
        net.Dropout(0.2, variant=variant),
        net.Dense(4, 6),
        net.Tanh(),
        net.Dropout(0.4, variant=variant),
        net.Dense(6, 5),
        net.GELU(),
        net.Dropout(Curriculum(0.5, 0.3), variant=variant),
        net.Dense(5, 3, max_norm=2.0),
    ]
    y = np.array([0, 1, 2] * 3)
    assert max(whole(layers, y, net.SoftmaxCrossEntropy(), key)) < TOLERANCE


@pytest.mark.parametrize(
    "loss", [net.SquaredError(), net.BinaryCrossEntropy(), net.Huber(delta=0.5)], ids=repr
)
def test_whole_networks_with_other_layers_and_losses(loss: net.Loss) -> None:
    layers = [
        net.Dense(3, 8),
        net.SELU(),
        net.Dropout(Early(0.3, 9)),
        net.Dense(8, 4),
        net.Sigmoid(),
        net.Gate(4),
    ]
    y = np.random.default_rng(5).uniform(0, 1, (9, 2))
    assert max(whole([*layers, net.Dense(4, 2)], y, loss, KEY)) < TOLERANCE


def test_the_derivative_of_sigmoid_is_taken_before_the_mask() -> None:
    # Many a tutorial keeps only a = mask * sigmoid(z) / keep and goes back with a * (1 - a): with keep
    # 0.5 that is negative wherever the sigmoid is above one half. This check has to notice.
    generator = np.random.default_rng(6)
    network = net.Network(
        [net.Dense(4, 6), net.Sigmoid(), net.Dropout(0.5), net.Dense(6, 2)],
        key=Key(1),
        loss=net.SquaredError(),
        dtype="float64",
    )
    x, y = generator.standard_normal((9, 4)), generator.standard_normal((9, 2))

    def value() -> float:
        return network.loss(network.forward(x, key=KEY), y)[0]

    _, gradient = network.loss(network.forward(x, key=KEY), y)
    network.backward(gradient)
    expected = numeric(value, network.weights[0]["weight"])
    assert relative_error(network.grads[0]["weight"], expected) < TOLERANCE

    z = network.layers[0].forward(x, network.weights[0])[0]
    a = network.layers[2].forward(1 / (1 + np.exp(-z)), {}, key=network._layer_key(2, KEY))[0]
    shortcut = x.T @ ((gradient @ network.weights[3]["weight"].T) * a * (1 - a))
    assert relative_error(shortcut, expected) > 0.1
