"""Lanes: the uniform 16-bit integers that decide, for any window of any array.

Lane i of a key is the 16-bit half `i mod 8`, little end first, of block `i div 8`. An array's lanes
are numbered in C order of its whole ("global") shape; a shard names its window and gets its part.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.random.key import Key
from thinnet._core.random.philox import BLOCK, words, words_at
from thinnet._core.threads import split
from thinnet.errors import InputError

__all__ = ["Window", "flat_lanes", "lanes"]

Lanes = NDArray[np.uint16]

# Lanes that are worth a thread of their own.
_THREADED = 1 << 20

# A window's lanes are numbered by signed 64-bit integers.
_MOST = 1 << 63

# Runs of a window gathered at once hold at most so many blocks (16 bytes each).
_GATHERED = 1 << 16


@dataclass(frozen=True)
class Window:
    """Say which part of a global array this is.

    Parameters
    ----------
    shape : tuple of int
        The global shape.
    start : tuple of int
        First index of the part, one an axis.
    size : tuple of int
        The part's own shape.

    Raises
    ------
    InputError
        The part does not lie inside the global shape, or that has 2**63 entries or more.

    Examples
    --------
    >>> Window((100, 8), start=(50, 0), size=(50, 8)).size
    (50, 8)
    """

    shape: tuple[int, ...]
    start: tuple[int, ...]
    size: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.shape) == len(self.start) == len(self.size):
            raise InputError(
                f"Window: shape, start and size must have one entry an axis, "
                f"got {self.shape}, {self.start} and {self.size}."
            )
        for axis, (whole, start, size) in enumerate(zip(self.shape, self.start, self.size, strict=True)):
            if start < 0 or size < 0 or start + size > whole:
                raise InputError(
                    f"Window: axis {axis} must lie inside [0, {whole}), got start {start} and size {size}."
                )

        if math.prod(self.shape) >= _MOST:
            raise InputError(f"Window: shape must have fewer than 2**63 entries, got {self.shape}.")

    @functools.cached_property
    def addresses(self) -> tuple[int, tuple[int, ...]]:
        """The number of the first lane, and how far apart lanes are along each axis: 0 where it has one."""
        strides = [math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))]
        start = sum(a * b for a, b in zip(self.start, strides, strict=True))
        return start, tuple(
            0 if size == 1 else stride for size, stride in zip(self.size, strides, strict=True)
        )

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Window:
        """Return the window that is all of an array of `shape`."""
        return cls(shape, (0,) * len(shape), shape)


def lanes(key: Key, shape: tuple[int, ...] | Window) -> Lanes:
    """Return the lanes of an array, or of a window of one.

    Parameters
    ----------
    key : Key
        The address, its step included.
    shape : tuple of int, or Window
        The array's shape, or which part of which global shape is wanted.

    Returns
    -------
    ndarray of uint16
        Of the shape, or of the window's size; uniform on 0 … 65535.

    Examples
    --------
    >>> whole = lanes(Key(7), (4, 6))
    >>> part = lanes(Key(7), Window((4, 6), start=(1, 2), size=(2, 3)))
    >>> bool((part == whole[1:3, 2:5]).all())
    True
    """
    window = shape if isinstance(shape, Window) else Window.whole(shape)
    if 0 in window.size:
        return np.empty(window.size, np.uint16)
    if native.library is not None:
        draw, drawn = native.library.lanes, np.empty(window.size, np.uint16)
        numbers = key.value, key.step, window.addresses
        split(lambda begin, end: draw(drawn, *numbers, begin, end), drawn.size, _THREADED)
        return drawn
    starts, length = _runs(window)
    if starts.size == 1:
        return flat_lanes(key, int(starts[0]), length).reshape(window.size)
    out = np.empty((starts.size, length), np.uint16)
    for first, last in _batches(starts.size, length):
        out[first:last] = _gather(key, starts[first:last], length)
    return out.reshape(window.size)


def flat_lanes(key: Key, start: int, count: int) -> Lanes:
    """Return lanes start … start + count - 1 of a key; `start` need not be a multiple of eight."""
    first = start // BLOCK
    blocks = -(-(start + count) // BLOCK) - first
    halves = words(key, first, blocks).reshape(-1).view("<u2")
    return halves[start - first * BLOCK :][:count].astype(np.uint16, copy=False)


def _runs(window: Window) -> tuple[NDArray[np.uint64], int]:
    """Cut a window into runs of neighbouring lanes: (where each begins, the length of each)."""
    axis, length, stride = len(window.shape), 1, 1
    while axis and length == stride:
        axis -= 1
        length *= window.size[axis]
        stride *= window.shape[axis]
    starts = np.zeros(1, np.uint64)
    strides = [math.prod(window.shape[i + 1 :]) for i in range(len(window.shape))]
    for i in range(len(window.shape)):
        steps = np.arange(window.size[i] if i < axis else 1, dtype=np.uint64) + np.uint64(window.start[i])
        starts = np.add.outer(starts, steps * np.uint64(strides[i])).reshape(-1)
    return starts, length


def _batches(runs: int, length: int) -> Iterator[tuple[int, int]]:
    step = max(1, _GATHERED // (length // BLOCK + 2))
    return ((first, min(first + step, runs)) for first in range(0, runs, step))


def _gather(key: Key, starts: NDArray[np.uint64], length: int) -> Lanes:
    """Return the lanes of many runs of one length, shape (runs, length)."""
    offsets = (starts % BLOCK).astype(np.intp)
    most = -(-(int(offsets.max()) + length) // BLOCK)
    blocks = (starts // BLOCK)[:, None] + np.arange(most, dtype=np.uint64)
    halves = words_at(key, blocks).reshape(len(starts), -1).view("<u2")
    return np.take_along_axis(halves, offsets[:, None] + np.arange(length), axis=1)
