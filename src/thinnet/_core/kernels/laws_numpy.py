"""The NumPy definition of the laws: lanes choose the gain and the shift, `apply` computes y."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.apply import apply, read, working_type, write, zero_or_scale
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
    work = working_type(x)
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
    gain, shift = (
        np.where(keep, np.asarray(above, work), np.asarray(below, work))
        for below, above in zip(dropped, kept, strict=True)
    )
    return apply(gain, shift, x, other, out)


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
    work = working_type(x)
    if shifted is not None:
        drawn = lanes(key, window or Window.whole(x.shape))
        gain, shift = (factors[drawn].astype(work, copy=False) for factors in (gains, shifted[0]))
        return apply(gain, shift, x, shifted[1], out)
    if not _in_one_run(x, out, lane):
        drawn = lanes(key, window or Window.whole(x.shape))
        return apply(gains[drawn].astype(work, copy=False), 0.0, x, out=out)
    flat_x, flat_out, start = x.reshape(-1), out.reshape(-1), _offset(window)
    for first in range(0, flat_x.size, _CHUNK):
        chunk = flat_x[first : first + _CHUNK]
        gain = gains[flat_lanes(key, start + first, chunk.size)].astype(work, copy=False)
        apply(gain, 0.0, chunk, out=flat_out[first : first + _CHUNK])
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
    """Apply inverted dropout in chunks that stay in the cache."""
    key, window, _ = lane
    flat_x, flat_out, start = x.reshape(-1), out.reshape(-1), _offset(window)
    buffer = np.empty(min(_CHUNK, x.size), working_type(x))
    for first in range(0, flat_x.size, _CHUNK):
        chunk = flat_x[first : first + _CHUNK]
        keep = np.greater_equal(flat_lanes(key, start + first, chunk.size), threshold)
        zero_or_scale(keep, gain, chunk, flat_out[first : first + _CHUNK], buffer)


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
