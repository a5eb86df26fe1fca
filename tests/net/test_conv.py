"""Convolutions: the loop, the fast one, known answers, and PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._conv import Grid, convolve_backward


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("convolve", ["naive", "fast"])
def test_known_answers(convolve: str, vectors: Callable[[str], Any]) -> None:
    known = vectors("conv2d")
    x = np.linspace(-0.1, 0.5, 96).reshape(2, 3, 4, 4)
    w = np.linspace(-0.2, 0.3, 144).reshape(3, 3, 4, 4)
    b = np.linspace(-0.1, 0.2, 3)
    if convolve == "naive":
        y = net.conv2d_naive(x, w, b=b, stride=2, padding=1)
    else:
        y = net.conv2d(x, w, b=b, stride=2, padding=1)
    np.testing.assert_allclose(y, known["y"], rtol=0, atol=5e-9)


@given(st.data())
def test_the_fast_one_is_the_loop(data: st.DataObject) -> None:
    n, c, k = (data.draw(st.integers(1, 4)) for _ in range(3))
    kh, kw = (data.draw(st.integers(1, 4)) for _ in range(2))
    stride, padding = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2))
    height, width = (data.draw(st.integers(size, 8)) for size in (kh, kw))
    x, w, b = random(n, c, height, width), random(k, c, kh, kw, seed=1), random(k, seed=2)
    slow = net.conv2d_naive(x, w, b=b, stride=stride, padding=padding)
    fast = net.conv2d(x, w, b=b, stride=stride, padding=padding)
    np.testing.assert_allclose(fast, slow, atol=1e-12)


CASES: list[dict[str, Any]] = [
    {"inputs": 3, "outputs": 8, "kernel_size": 3},
    {"inputs": 3, "outputs": 8, "kernel_size": 3, "padding": 1},
    {"inputs": 4, "outputs": 6, "kernel_size": (3, 5), "stride": (2, 1), "padding": (1, 2)},
    {"inputs": 4, "outputs": 6, "kernel_size": 3, "dilation": (2, 3), "padding": 3},
    {"inputs": 4, "outputs": 8, "kernel_size": 3, "groups": 2, "stride": 2},
    {"inputs": 6, "outputs": 6, "kernel_size": 3, "groups": 6, "padding": 1},
    {"inputs": 5, "outputs": 7, "kernel_size": 1},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions_are_pytorchs(case: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer = net.Conv2d(**case)
    weights = {name: random(*shape, seed=i) for i, (name, shape) in enumerate(layer.shapes().items())}
    x = random(4, case["inputs"], 11, 13, seed=5)
    y, saved = layer.forward(x, weights)
    dy = random(*y.shape, seed=6)
    grads = {name: np.zeros_like(weight) for name, weight in weights.items()}
    dx = layer.backward(dy, saved, weights, grads)
    tensors = [torch.tensor(array, requires_grad=True) for array in (x, weights["weight"], weights["bias"])]
    given = {name: case[name] for name in ("stride", "padding", "dilation", "groups") if name in case}
    theirs = torch.nn.functional.conv2d(*tensors, **given)
    theirs.backward(torch.tensor(dy))
    assert y.shape == (4, *layer.output_shape(x.shape[1:])) == tuple(theirs.shape)
    np.testing.assert_allclose(y, theirs.detach().numpy(), atol=1e-12)
    for ours, tensor in zip((dx, grads["weight"], grads["bias"]), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-11)


def test_images_are_worked_on_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w, dy = random(7, 3, 9, 9), random(4, 3, 3, 3), random(7, 4, 7, 7)
    whole, grads = net.conv2d(x, w), convolve_backward(dy, x, w, Grid())
    monkeypatch.setattr("thinnet.net._conv._UNFOLDED", 2 * 3 * 9 * 49)
    np.testing.assert_allclose(net.conv2d(x, w), whole, atol=1e-13)
    for some, every in zip(convolve_backward(dy, x, w, Grid()), grads, strict=True):
        np.testing.assert_allclose(some, every, atol=1e-12)


def test_strided_and_float32_images() -> None:
    x, w = random(2, 5, 8, 8).astype("f4"), random(3, 5, 3, 3).astype("f4")
    y = net.conv2d(x, w)
    assert y.dtype == np.float32
    turned = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(net.conv2d(turned, w), y)


WRONG: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: net.Conv2d(3, 4, 0),
        "Conv2d: kernel_size must be one or two whole numbers of at least 1, got 0.",
    ),
    (
        lambda: net.Conv2d(3, 4, (3, 3, 3)),
        "Conv2d: kernel_size must be one or two whole numbers of at least 1",
    ),
    (
        lambda: net.Conv2d(3, 4, 3, stride=0),
        "Conv2d: stride must be one or two whole numbers of at least 1, got 0.",
    ),
    (
        lambda: net.Conv2d(3, 4, 3, padding=-1),
        "Conv2d: padding must be one or two whole numbers of at least 0",
    ),
    (lambda: net.Conv2d(3, 4, 3, groups=2), "Conv2d: groups must divide inputs, got 2 for 3."),
    (lambda: net.Conv2d(4, 3, 3, groups=2), "Conv2d: groups must divide outputs, got 2 for 3."),
    (lambda: net.Conv2d(0, 3, 3), "Conv2d: inputs must be a whole number of at least 1, got 0."),
    (
        lambda: net.Conv2d(1, 1, 5).output_shape((1, 4, 4)),
        "Conv2d: a kernel of (5, 5) with dilation (1, 1) does not fit images",
    ),
    (lambda: net.MaxPool2d(2, padding=2), "MaxPool2d: padding must be at most half of kernel_size, got 2."),
    (lambda: net.BatchNorm(3, momentum=0), "BatchNorm: momentum must be a number in (0, 1], got 0."),
    (lambda: net.Residual((3,)), "Residual: layer 0 must be a Layer, got int."),
    (
        lambda: net.Network([net.Conv2d(3, 4, 3), net.Flatten(), net.Dense(4, 2)], key=Key(0)),
        "Network: pass input_shape=(channels, height, width), the shape of one row; only Dense implies it.",
    ),
    (
        lambda: net.Network(
            [net.Conv2d(3, 4, 3), net.Flatten(), net.Dense(4, 2)], input_shape=(3, 8, 8), key=Key(0)
        ),
        "Network: layer 2, Dense(4, 2), takes 4 inputs, but gets 144.",
    ),
    (
        lambda: net.Network([net.Conv2d(3, 4, 3), net.Dense(4, 2)], input_shape=(3, 8, 8), key=Key(0)),
        "Network: layer 1, Dense(4, 2), takes 4 inputs, but gets (4, 6, 6); put Flatten() before it.",
    ),
    (
        lambda: net.Network([net.Conv2d(3, 4, 3)], input_shape=(1, 8, 8), key=Key(0)),
        "Network: layer 0, Conv2d(3, 4, 3), takes rows of shape (3, height, width), but gets (1, 8, 8).",
    ),
    (
        lambda: net.Network([net.Conv2d(3, 4, 3)], input_shape=(3, 8, 8), key=Key(0)),
        "Network: the last layer returns rows of shape (4, 6, 6); end with Flatten() or GlobalAvgPool2d().",
    ),
    (
        lambda: net.Network(
            [net.Residual((net.Conv2d(3, 4, 1),)), net.Flatten()], input_shape=(3, 8, 8), key=Key(0)
        ),
        "Network: layer 0, Residual(Conv2d(3, 4, 1)), must keep the shape of rows, (3, 8, 8), but",
    ),
]


@pytest.mark.parametrize(("call", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_refused(call: Callable[[], Any], said: str, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, call).startswith(said)
