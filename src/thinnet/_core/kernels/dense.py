"""The end of a dense layer in one pass: bias, activation, inverted dropout; forward and backward.

`dense_numpy.py` defines both functions. Backward needs y alone: divided by the gain, y is the activation, and
its derivative is a function of it. The derivative of GELU needs z, which is saved instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.kernels import dense_numpy as by_numpy
from thinnet._core.kernels.dense_numpy import ACTIVATIONS, NEEDS_INPUT, End
from thinnet._core.threads import split

__all__ = ["ACTIVATIONS", "NEEDS_INPUT", "End", "dense_backward", "dense_forward"]

Array: TypeAlias = NDArray[Any]

# The least number of entries for which a thread of their own pays off.
_ENTRIES = 1 << 17
_SMALL = 2 * _ENTRIES
_CODES = {name: code for code, name in enumerate(ACTIVATIONS)}


def dense_forward(z: Array, bias: Array, end: End, y: Array) -> None:
    """Write `dropout(activation(z + bias))` to y, shape (n, k); y may be z, except for GELU.

    For GELU, z becomes `z + bias`; for other activations z is only read.
    """
    if native.compiled is None:
        by_numpy.dense_forward(z, bias, end, y)
        return
    activation, slope, key, threshold, gain = end
    numbers = key.value, key.step, _CODES[activation], slope, threshold, gain
    forward = native.compiled.dense_forward
    if z.size < _SMALL:
        forward(z, y, bias, *numbers, 0, -1)
    else:
        _rows(z, lambda begin, end: forward(z, y, bias, *numbers, begin, end))


def dense_backward(saved: Array, dy: Array, end: End) -> None:
    """Turn the gradient of y into that of z, in place; `saved` is y, or z + bias for GELU.

    The kernels run even while NumPy is in use, so that backward agrees with the forward before it.
    """
    if native.compiled is None:
        by_numpy.dense_backward(saved, dy, end)
        return
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
