"""The NumPy definition of the laws: lanes choose the factors of each entry, and `apply` computes y."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.apply import apply, working_type, zero_or_scale
from thinnet._core.kernels.records import Source, TwoPoint
from thinnet._core.random.windows import Window, flat_lanes, lanes

__all__ = ["mask", "table", "two_point"]

Array: TypeAlias = NDArray[Any]

# Entries of one pass: lanes, mask and a chunk of x and y together stay in the second-level cache.
_CHUNK = 1 << 15


@np.errstate(over="ignore", invalid="ignore")
def two_point(x: Array, law: TwoPoint, source: Source, other: Any, out: Array) -> Array:
    """Write a law of two points of x to `out`, and return it.

    Parameters
    ----------
    x : ndarray of float16, float32, float64, or uint16 for the bits of bfloat16
        The entries.
    law : TwoPoint
        The factors of dropped and of kept entries.
    source : Source
        The source of the lanes; an entry is dropped where `lane < law.threshold`.
    other : number or ndarray
        The replacement of dropped entries; ignored where every shift is 0.
    out : ndarray
        The output buffer, of the shape and dtype of x; may be x itself.
    """
    work, gain = working_type(x), law.kept[0]
    if law.zeroes and law.numbers is not None and work.type(gain) and _is_flat(x, out, source):
        return _inverted(x, law.threshold, gain, source, out)
    keep = mask(x.shape, source, law.threshold)
    gain, shift = (
        np.where(keep, np.asarray(above, work), np.asarray(below, work))
        for below, above in zip(law.dropped, law.kept, strict=True)
    )
    return apply(gain, shift, x, other, out)


def table(
    x: Array,
    gains: NDArray[np.float32],
    source: Source,
    out: Array,
    *,
    shifts: NDArray[np.float32] | None = None,
    other: Any = 0.0,
) -> Array:
    """Write `gains[lane] * x + shifts[lane] * other` to `out`, and return it.

    `gains` and `shifts` hold 65,536 float32 values each; `other` is an array that broadcasts against x.
    """
    key, window, _ = source
    work = working_type(x)
    if shifts is not None or not _is_flat(x, out, source):
        drawn = lanes(key, window or Window.whole(x.shape))
        shift = 0.0 if shifts is None else shifts[drawn].astype(work, copy=False)
        return apply(gains[drawn].astype(work, copy=False), shift, x, other, out)
    flat_x, flat_out, start = x.reshape(-1), out.reshape(-1), _first_lane(window)
    for first in range(0, flat_x.size, _CHUNK):
        chunk = flat_x[first : first + _CHUNK]
        gain = gains[flat_lanes(key, start + first, chunk.size)].astype(work, copy=False)
        apply(gain, 0.0, chunk, out=flat_out[first : first + _CHUNK])
    return out


def mask(shape: tuple[int, ...], source: Source, threshold: Any) -> NDArray[np.bool_]:
    """Return the mask, True = kept, of a shape that broadcasts against `shape`."""
    key, window, block = source
    window = window or Window.whole(shape)
    if not block:
        return lanes(key, window).astype(np.int32) >= threshold
    dropped = lanes(key, window.grown(block)).astype(np.int32) < threshold
    for axis, size in zip(range(-len(block), 0), block, strict=True):
        length = window.size[axis]
        dropped = np.logical_or.reduce(
            [dropped.take(range(first, first + length), axis) for first in range(size)]
        )
    return ~dropped


def _inverted(x: Array, threshold: int, gain: float, source: Source, out: Array) -> Array:
    """Apply inverted dropout in chunks that stay in the cache."""
    flat_x, flat_out, start = x.reshape(-1), out.reshape(-1), _first_lane(source[1])
    buffer = np.empty(min(_CHUNK, x.size), working_type(x))
    for first in range(0, flat_x.size, _CHUNK):
        chunk = flat_x[first : first + _CHUNK]
        keep = np.greater_equal(flat_lanes(source[0], start + first, chunk.size), threshold)
        zero_or_scale(keep, gain, chunk, flat_out[first : first + _CHUNK], buffer)
    return out


def _is_flat(x: Array, out: Array, source: Source) -> bool:
    """Return whether x, out and the lanes of the window are three contiguous runs."""
    _, window, block = source
    flat = x.flags.c_contiguous and out.flags.c_contiguous and not block
    return flat and (window is None or (window.size == x.shape and window.size[1:] == window.shape[1:]))


def _first_lane(window: Window | None) -> int:
    """Return the number of the first lane of a window that is cut along the first axis alone."""
    return 0 if window is None else window.addresses[0]
