"""Laws and masks: one call of a compiled kernel, or the NumPy twin.

What a compiled kernel does not take goes another way, with the same bits: arrays of rates through the twin;
arrays whose last axis is strided, unaligned or in foreign byte order through a copy.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.kernels import laws_numpy as by_numpy
from thinnet._core.kernels.laws_numpy import Lane, Pair, read, write
from thinnet._core.random.windows import Window
from thinnet._core.threads import get_num_threads, split
from thinnet.errors import InputError

__all__ = ["Lane", "Pair", "mask", "read", "table", "two_point", "write"]

Array: TypeAlias = NDArray[Any]

# Parts of an array that are worth a thread of their own: handing one over costs some 50 microseconds.
_ENTRIES = 1 << 20
_SMALL = 2 * _ENTRIES


def two_point(
    x: Array, lane: Lane, threshold: Any, sides: tuple[Pair, Pair], other: Any, out: Array
) -> Array:
    """Write a two-point law of x to `out`; `thinnet._core.kernels.laws_numpy.two_point` is its definition."""
    library = native.library
    if getattr(other, "ndim", 0) and other.dtype.newbyteorder("=") != x.dtype.newbyteorder("="):
        raise InputError(f"two_point: other must have the dtype of x, {x.dtype}, got {other.dtype}.")
    (a, b), (c, d) = sides
    numbers = type(threshold) is int and float is type(a) is type(b) is type(c) is type(d)
    if library is None or not numbers:
        return by_numpy.two_point(x, lane, threshold, sides, other, out)
    key, window, block = lane
    where: Any = ()
    if window is not None or block:
        where = _where(window or Window.whole(x.shape), x.shape, block, threshold)
        threshold = 1 if block else threshold
    third: Any = other if type(other) is float else _third(other, x)
    law = key.value, key.step, where, threshold, a, b, c, d
    if x.size < _SMALL:  # the short way, for arrays that take no longer than the call
        if library.two_point(x, out, third, *law, 0, -1):
            return out
    elif _fits(library.two_point, (x, out, third), law):
        return out
    plain = np.empty(x.shape, x.dtype.newbyteorder("="))
    third = third if type(third) is float else _plain(third)
    _fits(library.two_point, (_plain(x), plain, third), law)
    out[...] = plain
    return out


def table(
    x: Array,
    lane: Lane,
    gains: NDArray[np.float32],
    out: Array,
    shifted: tuple[NDArray[np.float32], Array] | None = None,
) -> Array:
    """Write a table law of x to `out`; `thinnet._core.kernels.laws_numpy.table` is its definition."""
    library = native.library
    if library is None:
        return by_numpy.table(x, lane, gains, out, shifted)
    key, window, _ = lane
    where = () if window is None else _where(window, x.shape, (), 0)
    shifts, third = (None, None) if shifted is None else (shifted[0], _third(shifted[1], x))
    law = gains, shifts, key.value, key.step, where
    if _fits(library.table, (x, out, third), law):
        return out
    plain = np.empty(x.shape, x.dtype.newbyteorder("="))
    _fits(library.table, (_plain(x), plain, third if third is None else _plain(third)), law)
    out[...] = plain
    return out


def mask(shape: tuple[int, ...], lane: Lane, threshold: Any) -> NDArray[np.bool_]:
    """Return what is kept, as an array of its own of `shape`."""
    library = native.library
    if library is None or type(threshold) is not int:
        return np.array(np.broadcast_to(by_numpy.mask(shape, lane, threshold), shape))
    key, window, block = lane
    where = _where(window or Window.whole(shape), shape, block, threshold)
    out = np.empty(shape, np.bool_)
    numbers = key.value, key.step, where, 1 if block else threshold
    split(lambda begin, end: library.mask(out, *numbers, begin, end), out.size, _ENTRIES)
    return out


def _fits(kernel: Any, arrays: tuple[Any, ...], rest: tuple[Any, ...]) -> bool:
    """Run a kernel over all entries, on several threads if they are many; False: the layout does not fit."""
    size = arrays[0].size
    if size < _SMALL or get_num_threads() == 1:
        return kernel(*arrays, *rest, 0, -1)
    if not kernel(*arrays, *rest, 0, 0):
        return False
    split(lambda begin, end: kernel(*arrays, *rest, begin, end), size, _ENTRIES)
    return True


def _third(other: Any, x: Array) -> Any:
    """Return `other` as the kernels take it: a float, or an array of the shape and dtype of x."""
    if np.ndim(other) == 0 and not isinstance(other, np.ndarray):
        return float(other)
    array: Array = np.asarray(other)  # pyright: ignore[reportUnknownArgumentType]
    if array.shape == x.shape and array.dtype == x.dtype and array.flags.c_contiguous:
        return array
    return np.broadcast_to(array, x.shape).astype(x.dtype, order="C")


def _plain(x: Array) -> Array:
    """Return a copy in one aligned run of memory and the machine's byte order."""
    return x.astype(x.dtype.newbyteorder("="), order="C", copy=True)


def _where(window: Window, shape: tuple[int, ...], block: tuple[int, ...], threshold: int) -> Any:
    """Return (start, lane strides[, blocks]) of a window that broadcasts against `shape`."""
    if 0 in shape:  # a window that is empty may lie anywhere
        return ()
    lead = len(shape) - len(window.size)
    if not block:
        start, strides = window.addresses
        return start, (0,) * lead + strides
    axes = len(window.size)
    grown = (1,) * (axes - len(block)) + block
    inside = Window.whole(window.size)
    seeds = Window.whole(tuple(n + b - 1 for n, b in zip(window.shape, grown, strict=True)))
    blocks = seeds.shape, window.start, window.size, grown, len(block), threshold
    return 0, (0,) * lead + inside.addresses[1], blocks
