"""The end of a dense layer in one pass: bias, activation, inverted dropout; and the way back.

These exist in compiled form alone (`thinnet._core.native.compiled` is not None); the layers of `thinnet.net`, one
after another, are their definition. What is saved for the way back is y: divided by the gain it is the
activation, which its own derivative follows from. GELU's does not, so its z is saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.random.key import Key
from thinnet._core.threads import split

__all__ = ["ACTIVATIONS", "NEEDS_INPUT", "End", "dense_backward", "dense_forward"]

Array: TypeAlias = NDArray[Any]
End: TypeAlias = tuple[str, float, Key, int, float]
"""(activation, slope of the leaky one, key, threshold, gain); threshold 0 means no dropout."""

ACTIVATIONS = ("identity", "relu", "leaky_relu", "sigmoid", "tanh", "selu", "gelu")
"""What the kernels know, in their order."""

NEEDS_INPUT = frozenset({"gelu"})
"""Activations whose derivative is taken from z, not from y."""

# Entries that are worth a thread of their own.
_ENTRIES = 1 << 17
_SMALL = 2 * _ENTRIES
_CODES = {name: code for code, name in enumerate(ACTIVATIONS)}


def dense_forward(z: Array, bias: Array, end: End, y: Array) -> None:
    """Write `dropout(activation(z + bias))` to y, shape (n, k); y may be z, but for GELU.

    z is left holding `z + bias` where the activation needs it, and is not changed elsewhere.
    """
    activation, slope, key, threshold, gain = end
    numbers = key.value, key.step, _CODES[activation], slope, threshold, gain
    forward = native.compiled.dense_forward
    if z.size < _SMALL:
        forward(z, y, bias, *numbers, 0, -1)
    else:
        _rows(z, lambda begin, end: forward(z, y, bias, *numbers, begin, end))


def dense_backward(saved: Array, dy: Array, end: End) -> None:
    """Turn the gradient of y into that of z, in place; `saved` is y, or z + bias for GELU."""
    activation, slope, key, threshold, gain = end
    numbers = key.value, key.step, _CODES[activation], slope, threshold, gain
    backward = native.compiled.dense_backward
    if dy.size < _SMALL:
        backward(saved, dy, *numbers, 0, -1)
    else:
        _rows(dy, lambda begin, end: backward(saved, dy, *numbers, begin, end))


def _rows(array: Array, work: Callable[[int, int], object]) -> None:
    rows, columns = array.shape
    split(work, rows, max(1, _ENTRIES // max(1, columns)))
