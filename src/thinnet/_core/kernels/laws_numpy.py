"""The NumPy twin of the laws: random affine maps `y = gain * x + shift * other`.

The arithmetic is fixed here, so that any other body can equal it to the bit:

- `gain * x` and `shift * other` are rounded one by one, then their sum; nothing is fused;
- a term whose factor is 0 is left out, and where both are, y is +0: what is dropped cannot leak NaN,
  infinity or a sign, and what is kept keeps the sign of its zero;
- float16 and bfloat16 are computed in float32 and rounded to nearest even, float32 and float64 in their own
  precision; bfloat16 comes and goes as its bits, in arrays of uint16;
- nothing warns: an overflow of what is kept is there to see in y, and what is dropped has none.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.random.key import Key
from thinnet._core.random.windows import Window, flat_lanes, lanes

__all__ = ["Lane", "Pair", "mask", "read", "table", "two_point", "write"]

Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[Any, Any]
"""(gain, shift): two numbers, or two arrays that broadcast against x."""

Lane: TypeAlias = tuple[Key, Window | None, tuple[int, ...]]
"""(key, window, block): the window of lanes broadcasts against x; None is all of x, a lane an entry.

A block of k sizes makes seeds of the lanes below the threshold, and drops what lies in a block that begins
at a seed: the last k axes of the grid of seeds are longer by size - 1 than those of x, so that every entry,
at the edges too, lies in equally many blocks."""

# Entries per pass: lanes, mask and a piece of x and y together stay in the second-level cache.
_CHUNK = 1 << 15
_INTEGERS = {np.dtype(np.float32): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.int64)}


@np.errstate(over="ignore", invalid="ignore")
def two_point(
    x: Array, lane: Lane, threshold: Any, sides: tuple[Pair, Pair], other: Any, out: Array
) -> Array:
    """Write a two-point law of x to `out`: one side where `lane < threshold`, the other elsewhere.

    Parameters
    ----------
    x : ndarray of float16, float32, float64, or uint16 for the bits of bfloat16
        What is dropped.
    lane : Lane
        Whose lanes decide.
    threshold : int or ndarray of int
        In [0, 65536], a number or an array that broadcasts against x.
    sides : (Pair, Pair)
        (gain, shift) of what is dropped and of what is kept.
    other : number or ndarray
        What stands in; ignored where every shift is 0.
    out : ndarray
        Of the shape and dtype of x; may be x itself.
    """
    dropped, kept = sides
    work = _working(x)
    plain = all(isinstance(value, (int, float)) for value in (threshold, *dropped, *kept))
    if (
        plain
        and dropped == (0.0, 0.0)
        and work.type(kept[0])
        and kept[1] == 0.0
        and _in_one_run(x, out, lane)
    ):
        _inverted(x, lane, threshold, kept[0], out)
        return out
    keep = mask(x.shape, lane, threshold)
    first = read(x)
    third = read(other) if type(other) is np.ndarray else other
    write(out, np.where(keep, _side(first, kept, third, work), _side(first, dropped, third, work)))
    return out


@np.errstate(over="ignore", invalid="ignore")
def table(
    x: Array,
    lane: Lane,
    gains: NDArray[np.float32],
    out: Array,
    shifted: tuple[NDArray[np.float32], Array] | None = None,
) -> Array:
    """Write `gains[lane] * x` to `out`, and `+ shifts[lane] * other` if `shifted` is (shifts, other).

    `gains` and `shifts` hold 65,536 float32 values each, and `other` broadcasts against x.
    """
    key, window, _ = lane
    work = _working(x)
    if shifted is not None:
        drawn = lanes(key, window or Window.whole(x.shape))
        gain, shift = (factors[drawn].astype(work, copy=False) for factors in (gains, shifted[0]))
        write(out, _side(read(x), (gain, shift), read(shifted[1]), work))
        return out
    if not _in_one_run(x, out, lane):
        drawn = lanes(key, window or Window.whole(x.shape))
        write(out, _term(gains[drawn].astype(work, copy=False), read(x), work))
        return out
    flat_x, flat_out, start = x.reshape(-1), out.reshape(-1), _offset(window)
    for first in range(0, flat_x.size, _CHUNK):
        piece = read(flat_x[first : first + _CHUNK])
        gain = gains[flat_lanes(key, start + first, piece.size)].astype(work, copy=False)
        write(flat_out[first : first + _CHUNK], _term(gain, piece, work))
    return out


def mask(shape: tuple[int, ...], lane: Lane, threshold: Any) -> NDArray[np.bool_]:
    """Return what is kept, of a shape that broadcasts against `shape`."""
    key, window, block = lane
    window = window or Window.whole(shape)
    if not block:
        return lanes(key, window).astype(np.int32) >= threshold
    grown = (1,) * (len(window.shape) - len(block)) + block
    seeds = Window(
        tuple(n + b - 1 for n, b in zip(window.shape, grown, strict=True)),
        window.start,
        tuple(n + b - 1 if n else 0 for n, b in zip(window.size, grown, strict=True)),
    )
    dropped = lanes(key, seeds).astype(np.int32) < threshold
    for axis, (length, size) in enumerate(zip(window.size, grown, strict=True)):
        parts = [dropped.take(range(first, first + length), axis) for first in range(size)]
        dropped = np.logical_or.reduce(parts)
    return ~dropped


def _inverted(x: Array, lane: Lane, threshold: int, gain: float, out: Array) -> None:
    """Zero or multiply, piece by piece; zeroing is a bitwise `and`, so dropped NaN becomes +0."""
    key, window, _ = lane
    flat_x, flat_out, start = x.reshape(-1), out.reshape(-1), _offset(window)
    work = _working(x)
    factor = work.type(gain)
    y = np.empty(min(_CHUNK, x.size), work)
    for first in range(0, flat_x.size, _CHUNK):
        piece = read(flat_x[first : first + _CHUNK])
        keep = np.greater_equal(flat_lanes(key, start + first, piece.size), threshold)
        whole = y[: piece.size]
        np.multiply(piece, factor, out=whole)
        # -1 is all ones: a kept entry passes through the `and` unchanged.
        bits = np.negative(keep.view(np.int8)).astype(_INTEGERS[work])
        np.bitwise_and(whole.view(bits.dtype), bits, out=bits)
        write(flat_out[first : first + _CHUNK], bits.view(work))


def _working(x: Array) -> np.dtype[Any]:
    """Return what x is computed in, in the machine's own byte order."""
    return np.dtype(np.float64 if x.dtype.type is np.float64 else np.float32)


def _side(x: Array, pair: Pair, other: Any, work: np.dtype[Any]) -> Array:
    """Return `gain * x + shift * other`, a term with factor 0 being left out."""
    gain, shift = (np.asarray(factor, work) for factor in pair)
    if not shift.any():
        return _term(gain, x, work)
    first, second = _term(gain, x, work), _term(shift, other, work)
    return np.where(shift == 0, first, np.where(gain == 0, second, first + second))


def _term(factor: Array, value: Any, work: np.dtype[Any]) -> Array:
    """Return `factor * value`, +0 where the factor is 0."""
    zero = np.zeros((), work)
    if not factor.any():
        return zero
    product = factor * np.asarray(value, work)
    return product if factor.all() else np.where(factor == 0, zero, product)


def read(x: Array) -> Array:
    """Return entries in the type that they are computed in."""
    if x.dtype.type is np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x.astype(_working(x), copy=False)


def write(out: Array, y: Array) -> None:
    """Round to the type of `out`; bfloat16 by its bits: to nearest even, and NaN stays NaN."""
    if out.dtype.type is not np.uint16:
        out[...] = y
        return
    bits = np.ascontiguousarray(y, np.float32).view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + (bits >> 16 & 1))) >> 16
    out[...] = np.where(np.isnan(y), bits >> 16 | 0x40, rounded).astype(np.uint16).reshape(np.shape(y))


def _in_one_run(x: Array, out: Array, lane: Lane) -> bool:
    """Say whether x, out and the window's lanes can be walked as three flat arrays side by side."""
    _, window, block = lane
    flat = x.flags.c_contiguous and out.flags.c_contiguous and not block
    return flat and (window is None or (window.size == x.shape and window.size[1:] == window.shape[1:]))


def _offset(window: Window | None) -> int:
    """Return the global number of the first lane of a window that is cut along the first axis alone."""
    if window is None:
        return 0
    inner = 1
    for length in window.shape[1:]:
        inner *= length
    return window.start[0] * inner if window.start else 0
