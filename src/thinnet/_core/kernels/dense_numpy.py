"""The NumPy definition of activations and of the end of a dense layer: bias, activation, dropout."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.apply import apply
from thinnet._core.kernels import laws_numpy
from thinnet._core.kernels.records import Pair, Source, TwoPoint
from thinnet._core.random.key import Key

__all__ = [
    "ACTIVATIONS",
    "NEEDS_INPUT",
    "End",
    "activate",
    "dense_backward",
    "dense_forward",
    "derivative",
    "gelu",
    "gelu_derivative",
]

Array: TypeAlias = NDArray[Any]

ACTIVATIONS = ("identity", "relu", "leaky_relu", "sigmoid", "tanh", "selu", "gelu")
"""The activations that the kernels know, in their order."""

NEEDS_INPUT = frozenset({"gelu"})
"""Activations whose derivative is a function of their input, not of their output."""

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
_GELU_A, _GELU_B = math.sqrt(2 / math.pi), 0.044715


class End(NamedTuple):
    """The end of a dense layer: `dropout(activation(z + bias))`.

    Parameters
    ----------
    activation : str
        One of `ACTIVATIONS`.
    slope : float
        The slope of "leaky_relu" below 0.
    key : Key
        The key of dropout, at its step.
    threshold : int
        An entry is dropped where `lane < threshold`; 0 means no dropout.
    gain : float
        The gain of a kept entry.
    """

    activation: str
    slope: float
    key: Key
    threshold: int
    gain: float


def activate(name: str, x: Array, slope: float = 0.0) -> Array:
    """Return the activation of x, in the dtype of x.

    Examples
    --------
    >>> activate("leaky_relu", np.array([-2.0, 3.0]), 0.5).tolist()
    [-1.0, 3.0]
    """
    match name:
        case "relu":
            return np.maximum(x, 0)
        case "leaky_relu":
            return np.where(x > 0, x, x.dtype.type(slope) * x)
        case "sigmoid":  # 1 / (1 + exp(-x)) in a form that cannot overflow
            return 0.5 * (1 + np.tanh(0.5 * x))
        case "tanh":
            return np.tanh(x)
        case "selu":
            return _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0)))
        case "gelu":
            return gelu(x)[0]
        case _:
            return x


def derivative(name: str, dy: Array, a: Array, slope: float = 0.0) -> Array:
    """Return `dy` times the derivative of an activation.

    Parameters
    ----------
    a : ndarray
        The output of the activation, for "gelu" its input; for "relu" and "leaky_relu" either will do.
    """
    match name:
        case "relu":
            return dy * (a > 0)
        case "leaky_relu":
            return np.where(a > 0, dy, dy.dtype.type(slope) * dy)
        case "sigmoid":
            return dy * a * (1 - a)
        case "tanh":
            return dy * (1 - a * a)
        case "selu":
            return dy * np.where(a > 0, _SELU_SCALE, a + _SELU_SCALE * _SELU_ALPHA)
        case "gelu":
            return dy * gelu_derivative(a, gelu(a)[1])
        case _:
            return dy


def gelu(x: Array) -> tuple[Array, Array]:
    """Return `x / 2 * (1 + t)` and t, `t = tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))`."""
    t = np.tanh(_GELU_A * (x + _GELU_B * x * x * x))
    return 0.5 * x * (1 + t), t


def gelu_derivative(x: Array, t: Array) -> Array:
    """Return the derivative of `gelu` at x, whose t is known."""
    slope = _GELU_A * (1 + 3 * _GELU_B * x * x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope


def dense_forward(z: Array, bias: Array, end: End, y: Array) -> None:
    """Write `dropout(activation(z + bias))` to y, shape (n, k), and `z + bias` to z if backward needs it.

    The compiled kernel equals this to the bit for rectifiers; its tanh and exp are its own, and differ from
    those of NumPy by rounding.
    """
    x = z + bias  # (n, k) + (k,)
    if end.activation in NEEDS_INPUT:
        z[...] = x
    a = activate(end.activation, x, end.slope)
    if end.threshold:
        laws_numpy.two_point(a, _inverted(end), Source(end.key), 0.0, y)
    else:
        y[...] = a


def dense_backward(saved: Array, dy: Array, end: End) -> None:
    """Turn the gradient of y into that of z, in place; `saved` is y, or z + bias for GELU."""
    if not end.threshold:
        dy[...] = derivative(end.activation, dy, saved, end.slope)
        return
    source = Source(end.key)
    laws_numpy.two_point(dy, _inverted(end), source, 0.0, dy)
    scaled = end.activation not in NEEDS_INPUT
    a = apply(1 / end.gain if end.gain else 0.0, 0.0, saved) if scaled else saved
    dz = derivative(end.activation, dy, a, end.slope)
    # the derivative at a dropped entry may be NaN
    dy[...] = np.where(laws_numpy.mask(dy.shape, source, end.threshold), dz, 0)


def _inverted(end: End) -> TwoPoint:
    return TwoPoint(end.threshold, Pair(0.0, 0.0), Pair(end.gain, 0.0))
