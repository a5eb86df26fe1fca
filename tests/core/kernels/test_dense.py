"""The fused end of a dense layer against the layers one after another, which are its definition."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet import net
from thinnet._core import kernels, native
from thinnet._core.kernels import ACTIVATIONS, NEEDS_INPUT, End, Source
from thinnet._core.kernels import dense_numpy as definition
from thinnet._core.random import Key, lanes
from thinnet.errors import InputError
from thinnet.schedules import Linear
from thinnet.variants import CATALOGUE
from thinnet.variants._law import inverted
from thinnet.variants._pattern import takes

from .bits import COMPILED, alike, threads

pytestmark = [
    pytest.mark.skipif(not COMPILED, reason=f"no compiled kernels: {native.why_not}"),
    # the layers warn about infinite arguments
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

Array = NDArray[Any]

EXACT: dict[str, net.Layer] = {
    "relu": net.ReLU(),
    "leaky_relu": net.LeakyReLU(),
    "leaky_relu of slope 0": net.LeakyReLU(slope=0.0),
    "leaky_relu of slope 2": net.LeakyReLU(slope=2.0),
}
# The tolerance of backward in rounding errors of dy; terms of the derivative of GELU cancel.
SMOOTH: dict[str, tuple[net.Layer, int]] = {
    "sigmoid": (net.Sigmoid(), 8),
    "tanh": (net.Tanh(), 8),
    "selu": (net.SELU(), 8),
    "gelu": (net.GELU(), 40),
}
LAYERS = EXACT | {name: layer for name, (layer, _) in SMOOTH.items()}
NAMES = {type(layer): name.split()[0] for name, layer in LAYERS.items()}
RATES = [0.0, 0.3, 1.0]
KEY = Key(77, 3)
EXTREME = [0.0, -0.0, 1e-45, -1e-45, 1e-30, -1e-8, 9.0, -9.0, 20.0, -20.0, 40.0, -40.0, 88.0, -89.0, 100.0]
EXTREME += [-100.0, 745.0, -745.0, 1e4, -1e4, 1e20, -1e20, 3e38, -3e38, np.inf, -np.inf, np.nan]
SHAPES = [(1, 1), (3, 5), (7, 2049), (2, 4100), (900, 3), (0, 4)]

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
rates = pytest.mark.parametrize("rate", RATES)


def problem(shape: tuple[int, int], dtype: str) -> tuple[Array, Array, Array]:
    """Return z, a bias and dy; z holds every extreme argument if z is large enough."""
    rng = np.random.default_rng(5)
    z = 4 * rng.standard_normal(shape)
    bias = rng.standard_normal(shape[1])
    flat = z.reshape(-1)
    flat[: len(EXTREME)] = EXTREME[: flat.size]
    bias[: len(EXTREME)] = 0  # those are meant as they are
    dy = rng.standard_normal(shape)
    return z.astype(dtype), bias.astype(dtype), dy.astype(dtype)


def by_layers(layer: net.Layer, rate: float, z: Array, dy: Array) -> tuple[Array, Array]:
    """Return y and the gradient of z, by the layers one after another."""
    dropout = net.Dropout(rate)
    with native.using(native.NUMPY):
        a, inner = layer.forward(z, {})
        y, outer = dropout.forward(a, {}, key=KEY)
        return y, layer.backward(dropout.backward(dy, outer, {}, {}), inner, {}, {})


def by_kernels(
    layer: net.Layer, rate: float, z: Array, bias: Array, dy: Array, module: Any = kernels
) -> tuple[Array, Array]:
    """Return the same by the fused kernels of the body in use, or by their NumPy definition."""
    name = NAMES[type(layer)]
    law = inverted(rate)
    end = End(name, getattr(layer, "slope", 0.0), KEY, law.threshold, law.kept.gain)
    z, dy = z.copy(), dy.copy()
    y = np.empty_like(z) if name in NEEDS_INPUT else z
    module.dense_forward(z, bias, end, y)
    module.dense_backward(z if name in NEEDS_INPUT else y, dy, end)
    return y, dy


@dtypes
@rates
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("shape", SHAPES)
def test_rectifiers_equal_the_layers(shape: tuple[int, int], name: str, rate: float, dtype: str) -> None:
    z, bias, dy = problem(shape, dtype)
    expected = by_layers(LAYERS[name], rate, z + bias, dy)
    y, dz = by_kernels(LAYERS[name], rate, z, bias, dy, definition)
    assert np.array_equal(y, expected[0], equal_nan=True)
    assert np.array_equal(dz, expected[1], equal_nan=True)
    for body in COMPILED:
        with native.using(body):
            y, dz = by_kernels(LAYERS[name], rate, z, bias, dy)
        assert np.array_equal(y, expected[0], equal_nan=True), body
        assert np.array_equal(dz, expected[1], equal_nan=True), body


def assert_near(a: Array, b: Array, scale: Array) -> None:
    """Assert that a and b differ by a few rounding errors of size `scale`, and agree where not finite."""
    finite = np.isfinite(b)
    assert np.array_equal(a[~finite], b[~finite], equal_nan=True)
    assert (np.abs(a - b)[finite] <= np.finfo(b.dtype).eps * np.broadcast_to(scale, b.shape)[finite]).all()


@dtypes
@rates
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("shape", SHAPES)
def test_smooth_activations_are_near_the_layers(
    shape: tuple[int, int], name: str, rate: float, dtype: str
) -> None:
    (layer, back), (z, bias, dy) = SMOOTH[name], problem(shape, dtype)
    law = inverted(rate)
    keep, gain = kernels.mask(shape, Source(KEY), law.threshold), law.kept[0]
    y_known, dz_known = by_layers(layer, rate, z + bias, dy)
    size = np.minimum(np.nan_to_num(np.abs(z + bias)), 100)
    # in separate layers a derivative of NaN leaks into dropped entries: 0 * NaN
    dz_known = np.where(keep, dz_known, 0)
    y, dz = by_kernels(layer, rate, z, bias, dy, definition)
    assert np.array_equal(y, y_known, equal_nan=True)
    assert_near(dz, dz_known, back * gain * np.abs(dy))
    for body in COMPILED:
        with native.using(body):
            y, dz = by_kernels(layer, rate, z, bias, dy)
        assert_near(y, y_known, 4 * gain * (1 + size))
        assert_near(dz, dz_known, back * gain * np.abs(dy))


@dtypes
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_activations_are_near_the_truth(name: str, dtype: str) -> None:
    # float64 in NumPy is the truth of float32; and small arguments lose no digits.
    z = np.concatenate([np.linspace(-30, 30, 3001), np.geomspace(1e-30, 1, 500)]).astype(dtype)[None]
    truth, _ = LAYERS[name].forward(z.astype(np.float64), {})
    for body in COMPILED:
        with native.using(body):
            y, _ = by_kernels(LAYERS[name], 0.0, z, np.zeros(z.shape[1], dtype), z)
        assert np.abs(y - truth).max() <= 4 * np.finfo(dtype).eps * 31
        small = np.s_[:, 3001:]
        if name != "sigmoid":
            assert np.allclose(y[small], truth[small], rtol=8 * np.finfo(dtype).eps, atol=0)


@dtypes
@pytest.mark.parametrize("body", COMPILED)
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_a_saturated_derivative_keeps_its_sign_at_any_rate(name: str, body: str, dtype: str) -> None:
    # y / gain may be rounded to more than 1, where `1 - y * y` and `1 - y` would be negative
    z = np.repeat(np.array([[100.0, -100.0]]), 4, axis=1).astype(dtype)
    with native.using(body):
        for threshold in range(1, 65536, 131):
            rate = threshold / 65536
            _, dz = by_kernels(LAYERS[name], rate, z, np.zeros(8, dtype), np.ones_like(z))
            assert dz.min() >= 0, rate


@dtypes
@pytest.mark.parametrize("body", COMPILED)
def test_an_entry_whose_lane_is_the_threshold_is_kept(body: str, dtype: str) -> None:
    z = np.ones((3, 40), dtype)
    for lane in lanes(KEY, z.shape)[:, ::13].reshape(-1).tolist():
        end = End("relu", 0.0, KEY, lane, 2.0)
        kept, y, dz = kernels.mask(z.shape, Source(KEY), lane), z.copy(), z.copy()
        with native.using(body):
            kernels.dense_forward(y, np.zeros(40, dtype), end, y)
            kernels.dense_backward(y, dz, end)
        assert np.array_equal(y, 2 * kept)
        assert np.array_equal(dz, 2 * kept)


@dtypes
@rates
@pytest.mark.parametrize("name", LAYERS)
def test_bodies_equal_each_other(name: str, rate: float, dtype: str) -> None:
    z, bias, dy = problem((5, 2100), dtype)
    results = []
    for body in COMPILED:
        with native.using(body):
            results.append(by_kernels(LAYERS[name], rate, z, bias, dy))
    for y, dz in results[1:]:
        assert alike(y, results[0][0])
        assert alike(dz, results[0][1])


@dtypes
@pytest.mark.parametrize("body", COMPILED)
def test_the_identity_adds_the_bias_and_drops(body: str, dtype: str) -> None:
    z, bias, dy = problem((4, 300), dtype)
    law, y, back = inverted(0.3), z.copy(), dy.copy()
    end = End("identity", 0.0, KEY, law.threshold, law.kept.gain)
    with native.using(body):
        kernels.dense_forward(y, bias, end, y)
        kernels.dense_backward(y, back, end)
    dropout = net.Dropout(0.3)
    with native.using(native.NUMPY):
        expected, saved = dropout.forward(z + bias, {}, key=KEY)
        assert alike(y, expected)
        assert np.array_equal(back, dropout.backward(dy, saved, {}, {}))


# One row for each thread, a few rows for each, and many.
@pytest.mark.parametrize(
    "shape", [(128, 20), (63, 64), (65, 64), (127, 129), (3, 900), (2, 64), (700, 71), (5001, 1)]
)
@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_threads_leave_no_seam(shape: tuple[int, int], name: str) -> None:
    z, bias, dy = problem(shape, "float32")
    with threads(1):
        alone = by_kernels(LAYERS[name], 0.3, z, bias, dy)
    for count, least in itertools.product((2, 3, 7), (1, 64, 300, 1280)):
        with threads(count, least):
            y, dz = by_kernels(LAYERS[name], 0.3, z, bias, dy)
        assert alike(y, alone[0]), (count, least)
        assert alike(dz, alone[1]), (count, least)


@pytest.mark.parametrize("body", COMPILED)
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
def test_rows_may_be_done_in_pieces(name: str, body: str) -> None:
    z, bias, dy = problem((9, 130), "float32")
    law, pieces = inverted(0.3), (0, 1, 1, 4, 9)
    numbers = KEY.value, KEY.step, ACTIVATIONS.index(name), 0.0, law.threshold, law.kept[0]
    with native.using(body):
        whole = by_kernels(LAYERS[name], 0.3, z, bias, dy)
        y = np.empty_like(z)
        for begin, end in itertools.pairwise(pieces):
            native.library.dense_forward(z, y, bias, *numbers, begin, end)
        for begin, end in itertools.pairwise(pieces):
            native.library.dense_backward(z if name in NEEDS_INPUT else y, dy, *numbers, begin, end)
    assert alike(y, whole[0])
    assert alike(dy, whole[1])


def network(layer: net.Layer, dropout: net.Layer | None, dtype: str = "float32") -> net.Network:
    """Return a network whose hidden layers can be fused, and whose end cannot."""
    hidden = [layer] if dropout is None else [layer, dropout]
    return net.Network(
        [net.Dense(6, 40, max_norm=2.0), *hidden, net.Dense(40, 33), *hidden, net.Dense(33, 3)],
        key=Key(1),
        dtype=dtype,
    )


def passes(nn: net.Network, key: Key | None, body: str) -> tuple[Array, Array, Array]:
    """Return logits, the gradient of the input and those of the weights."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((50, 6)).astype(nn.dtype)
    with native.using(body):
        z = nn.forward(x, key=key)
        gradient = rng.standard_normal(z.shape).astype(nn.dtype)
        given = gradient.copy()
        dx = nn.backward(gradient, input_gradient=True)
        assert np.array_equal(gradient, given), "the caller's gradient was changed"
        first = nn.flat_grads.copy()
        nn.backward(gradient)
        assert np.array_equal(nn.flat_grads, first), "backward changed the arrays that forward saved"
    assert dx is not None
    return z, dx, first


def near(a: Array, b: Array) -> bool:
    """Return whether results of a small network differ by rounding alone."""
    return np.allclose(a, b, rtol=0, atol=200 * np.finfo(b.dtype).eps * max(1, np.abs(b).max()))


DROPOUTS = {"none": None, "schedule": net.Dropout(Linear(0.0, 0.6, 5))}
DROPOUTS |= {f"Dropout {rate}": net.Dropout(rate) for rate in RATES}
FLOWING = [row.name for row in CATALOGUE.values() if row.flows and takes(row.pattern, 2)]
DROPOUTS |= {name: net.Dropout(0.4, variant=name) for name in FLOWING}


@dtypes
@pytest.mark.parametrize("dropout", DROPOUTS)
@pytest.mark.parametrize("key", [None, Key(1).at(4), Key(9)], ids=["mean", "its own key", "another key"])
def test_networks_of_rectifiers_are_the_same(key: Key | None, dropout: str, dtype: str) -> None:
    for name in ("relu", "leaky_relu"):
        nn = network(LAYERS[name], DROPOUTS[dropout], dtype)
        expected = passes(nn, key, native.NUMPY)
        for body in COMPILED:
            for mine, known in zip(passes(nn, key, body), expected, strict=True):
                assert np.array_equal(mine, known), (name, body)


@dtypes
@pytest.mark.parametrize("dropout", DROPOUTS)
@pytest.mark.parametrize("name", SMOOTH)
def test_networks_of_smooth_activations_are_near(name: str, dropout: str, dtype: str) -> None:
    nn = network(LAYERS[name], DROPOUTS[dropout], dtype)
    for key in (None, Key(1).at(4)):
        expected = passes(nn, key, native.NUMPY)
        results = [passes(nn, key, body) for body in COMPILED]
        for result in results:
            for mine, known, first in zip(result, expected, results[0], strict=True):
                assert near(mine, known)
                assert np.array_equal(mine, first)


@pytest.mark.parametrize(
    "layers", [[net.ReLU()], [net.ReLU(), net.Dropout(0.0)], [net.Tanh(), net.Dropout(0.5)]]
)
def test_a_network_may_end_in_a_fused_step(layers: list[net.Layer]) -> None:
    nn = net.Network([net.Dense(6, 4), *layers], key=Key(1))
    for key in (None, Key(1)):
        expected = passes(nn, key, native.NUMPY)
        for body in COMPILED:
            for mine, known in zip(passes(nn, key, body), expected, strict=True):
                assert near(mine, known), body


@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_the_body_may_change_between_the_two_passes(name: str) -> None:
    nn, x = network(LAYERS[name], net.Dropout(0.5)), np.ones((5, 6), np.float32)
    results: list[Array] = []
    for first, second in itertools.product(native.bodies(), repeat=2):
        with native.using(first):
            z = nn.forward(x, key=Key(1))
        with native.using(second):
            nn.backward(np.ones_like(z))
        results.append(nn.flat_grads.copy())
    assert all(near(mine, results[0]) for mine in results)


@pytest.mark.parametrize("body", COMPILED)
@pytest.mark.parametrize("optimizer", [net.SGD, net.Adam])
def test_training_gives_the_same_weights(body: str, optimizer: Callable[[], net.Optimizer]) -> None:
    rng, weights = np.random.default_rng(3), []
    X, Y = rng.standard_normal((90, 6)), rng.integers(0, 3, 90)
    for one in (native.NUMPY, body):
        nn = network(net.ReLU(), net.Dropout(0.5))
        with native.using(one):
            nn.fit(X, Y, epochs=3, batch=32, optimizer=optimizer())
        weights.append(nn.flat)
    assert np.array_equal(*weights)


@pytest.mark.parametrize("x", [np.ones((4, 6)), np.ones((4, 6), int), np.ones((4, 6), np.float16)])
def test_rows_of_another_dtype_are_refused(x: Array) -> None:
    nn = network(net.ReLU(), net.Dropout(0.5))
    for body in native.bodies():
        with native.using(body), pytest.raises(InputError, match="x must be float32"):
            nn.forward(x, key=Key(2))
