"""Laws and masks: one call of a compiled kernel, or the NumPy definition in `laws_numpy.py`.

Both give the same bits. Where a kernel cannot walk over the layout of an array (last axis strided, unaligned,
foreign byte order), it works on a copy.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.apply import working_type, write
from thinnet._core.kernels import laws_numpy as by_numpy
from thinnet._core.kernels.records import Blocks, Placement, Source, TwoPoint
from thinnet._core.random.windows import Window
from thinnet._core.threads import get_num_threads, split
from thinnet.errors import InputError

__all__ = ["mask", "table", "two_point"]

Array: TypeAlias = NDArray[Any]

# The least number of entries for which a thread of their own pays off: it costs some 50 microseconds.
_ENTRIES = 1 << 20
_SMALL = 2 * _ENTRIES


def two_point(x: Array, law: TwoPoint, source: Source, other: Any, out: Array) -> Array:
    """Write a law of two points of x to `out`, and return it; `laws_numpy.two_point` is the definition."""
    library, numbers = native.library, law.numbers
    if type(other) is not float and getattr(other, "ndim", 0):
        _check_dtype(x, other)
    if library is None:
        return by_numpy.two_point(x, law, source, other, out)
    if numbers is None:
        return _two_point_rates(library, x, law, source, other, out)
    key, window, block = source
    where: Any = ()
    if window is not None or block:
        where = _placement(window or Window.whole(x.shape), x.shape, block, numbers[0])
        numbers = (1, *numbers[1:]) if block else numbers
    third: Any = other if type(other) is float else _third(other, x)
    # one call and no more, for arrays that take no longer than the call
    if x.size < _SMALL and library.two_point(x, out, third, key.value, key.step, where, *numbers, 0, -1):
        return out
    return _run(library.two_point, (x, out, third), (key.value, key.step, where, *numbers))


def table(
    x: Array,
    gains: NDArray[np.float32],
    source: Source,
    out: Array,
    *,
    shifts: NDArray[np.float32] | None = None,
    other: Any = 0.0,
) -> Array:
    """Write a table law of x to `out`, and return it; `laws_numpy.table` is the definition."""
    library = native.library
    third = None
    if shifts is not None:
        third = _third(_rounded(other, x), x)
    if library is None:
        return by_numpy.table(x, gains, source, out, shifts=shifts, other=third)
    key, window, _ = source
    where: Any = () if window is None else _placement(window, x.shape, (), 0)
    law = gains, shifts, key.value, key.step, where
    if x.size < _SMALL and library.table(x, out, third, *law, 0, -1):
        return out
    return _run(library.table, (x, out, third), law)


def mask(shape: tuple[int, ...], source: Source, threshold: Any) -> NDArray[np.bool_]:
    """Return the mask of an array of `shape`, True = kept, as an array of its own."""
    library = native.library
    if library is None or type(threshold) is not int:
        return np.array(np.broadcast_to(by_numpy.mask(shape, source, threshold), shape))
    key, window, block = source
    where = _placement(window or Window.whole(shape), shape, block, threshold)
    out = np.empty(shape, np.bool_)
    numbers = key.value, key.step, where, 1 if block else threshold
    split(lambda begin, end: library.mask(out, *numbers, begin, end), out.size, _ENTRIES)
    return out


def _two_point_rates(library: Any, x: Array, law: TwoPoint, source: Source, other: Any, out: Array) -> Array:
    """Apply a law whose threshold and factors are arrays: one rate for each channel, for each entry."""
    key, window, block = source
    if block:
        return by_numpy.two_point(x, law, source, other, out)
    work, values = working_type(x), (law.threshold, *law.dropped, *law.kept)
    common: tuple[int, ...] = np.broadcast_shapes(*(np.shape(value) for value in values))
    common = (1,) * (x.ndim - len(common)) + common
    if x.size == 0:
        return out
    with np.errstate(over="ignore"):
        arrays: list[Any] = [
            np.ascontiguousarray(np.broadcast_to(np.asarray(value, dtype), common)).reshape(common)
            for value, dtype in zip(values, (np.int32, work, work, work, work), strict=True)
        ]
    if law.zeroes:
        arrays[1] = arrays[2] = arrays[4] = None
    where: Any = () if window is None else _placement(window, x.shape, (), 0)
    third: Any = float(other) if isinstance(other, int | float) else _third(other, x)
    return _run(library.two_point_rates, (x, out, third), (key.value, key.step, where, *arrays))


def _run(kernel: Any, arrays: tuple[Any, ...], rest: tuple[Any, ...]) -> Array:
    """Run a kernel on (x, out, other) and return `out`; a layout that does not fit goes through copies."""
    x, out, third = arrays
    if not _fits(kernel, arrays, rest):
        plain = np.empty(x.shape, x.dtype.newbyteorder("="))
        third = third if third is None or type(third) is float else _contiguous(third)
        if not _fits(kernel, (_contiguous(x), plain, third), rest):
            raise RuntimeError(f"the kernels refuse contiguous arrays of shape {x.shape}")
        out[...] = plain
    return out


def _fits(kernel: Any, arrays: tuple[Any, ...], rest: tuple[Any, ...]) -> bool:
    """Run a kernel, on several threads for many entries; False if the layout does not fit."""
    size = arrays[0].size
    if size < _SMALL or get_num_threads() == 1:
        return kernel(*arrays, *rest, 0, -1)
    if not kernel(*arrays, *rest, 0, 0):
        return False
    split(lambda begin, end: kernel(*arrays, *rest, begin, end), size, _ENTRIES)
    return True


def _check_dtype(x: Array, other: Array) -> None:
    if other.dtype.newbyteorder("=") != x.dtype.newbyteorder("="):
        raise InputError(f"two_point: other must have the dtype of x, {x.dtype}, got {other.dtype}.")


def _third(other: Any, x: Array) -> Any:
    """Return `other` as the kernels take it: a float, or an array of the shape and dtype of x."""
    if np.ndim(other) == 0 and not isinstance(other, np.ndarray):
        return float(other)
    array: Array = np.asarray(other)  # pyright: ignore[reportUnknownArgumentType]
    fortran = x.flags.f_contiguous and not x.flags.c_contiguous
    ready = array.flags.f_contiguous if fortran else array.flags.c_contiguous
    if ready and array.shape == x.shape and array.dtype == x.dtype:
        return array
    return np.broadcast_to(array, x.shape).astype(x.dtype, order="F" if fortran else "C")


def _rounded(other: Any, x: Array) -> Array:
    """Return `other` as an array; a number is rounded to the type of x, for bfloat16 to its bits."""
    if isinstance(other, np.ndarray):
        return cast("Array", other)
    number = np.empty((), x.dtype)
    with np.errstate(over="ignore"):
        write(number, np.asarray(other, working_type(x)))
    return number


def _contiguous(x: Array) -> Array:
    """Return a contiguous, aligned copy in the byte order of the machine."""
    return x.astype(x.dtype.newbyteorder("="), order="C", copy=True)


def _placement(window: Window, shape: tuple[int, ...], block: tuple[int, ...], threshold: int) -> Any:
    """Return the placement of a window that broadcasts against `shape`."""
    if 0 in shape:  # an empty window may lie anywhere
        return ()
    lead = (0,) * (len(shape) - len(window.size))
    if not block:
        start, strides = window.addresses
        return Placement(start, lead + strides)
    sizes = (1,) * (len(window.size) - len(block)) + block
    blocks = Blocks(window.grown(block).shape, window.start, window.size, sizes, len(block), threshold)
    return Placement(0, lead + Window.whole(window.size).addresses[1], blocks)
