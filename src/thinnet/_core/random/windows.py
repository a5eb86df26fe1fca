"""Windows, and the lanes of a window: the uniform 16-bit integers that decide which entries are dropped.

Lane i of a key is the 16-bit half `i mod 8`, little end first, of block `i div 8`. The lanes of an array are
numbered in C order of its global shape; a shard passes its window and gets the lanes of its own entries.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check_shape, check_type
from thinnet._core import native
from thinnet._core.random.blocks import words, words_at
from thinnet._core.random.key import Key, check_key
from thinnet._core.random.philox import BLOCK
from thinnet._core.threads import split
from thinnet.errors import InputError

__all__ = ["Window", "check_window", "flat_lanes", "lanes"]

Lanes = NDArray[np.uint16]

# The least number of lanes for which a thread of their own pays off.
_THREADED = 1 << 20

# The lanes of a window are numbered by signed 64-bit integers.
_MOST = 1 << 63

# The greatest number of blocks (16 bytes each) that are gathered at once.
_GATHERED = 1 << 16

_INTEGERS = {int}


@dataclass(frozen=True)
class Window:
    """The position of an array inside a global array, such as a shard inside a mini-batch.

    Parameters
    ----------
    shape : tuple of int
        The global shape.
    start : tuple of int
        The first index of the window along each axis.
    size : tuple of int
        The shape of the window.

    Raises
    ------
    InputError
        A value is not a tuple of whole numbers, the window does not lie inside the global shape, or the
        global shape has 2**63 entries or more.

    Examples
    --------
    >>> Window((100, 8), start=(50, 0), size=(50, 8)).size
    (50, 8)
    """

    shape: tuple[int, ...]
    start: tuple[int, ...]
    size: tuple[int, ...]

    def __post_init__(self) -> None:
        shape, start, size = self.shape, self.start, self.size
        if not type(shape) is type(start) is type(size) is tuple or not _INTEGERS.issuperset(
            map(type, shape + start + size)
        ):
            # Integers of NumPy would wrap around, and floats would be equal to the right window in a cache.
            for name in ("shape", "start", "size"):
                object.__setattr__(self, name, check_shape("Window", name, getattr(self, name)))
        if not len(self.shape) == len(self.start) == len(self.size):
            raise InputError(
                f"Window: shape, start and size must have one entry for each axis, "
                f"got {self.shape}, {self.start} and {self.size}."
            )
        for axis, (whole, start, size) in enumerate(zip(self.shape, self.start, self.size, strict=True)):
            if start < 0 or size < 0 or start + size > whole:
                check_shape("Window", "shape", self.shape)
                raise InputError(
                    f"Window: axis {axis} must lie inside [0, {whole}), got start {start} and size {size}."
                )
        if math.prod(self.shape) >= _MOST:
            raise InputError(f"Window: shape must have fewer than 2**63 entries, got {self.shape}.")

    @functools.cached_property
    def addresses(self) -> tuple[int, tuple[int, ...]]:
        """The number of the first lane, and the lane stride along each axis: 0 for an axis of size 1."""
        strides = [math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))]
        start = sum(a * b for a, b in zip(self.start, strides, strict=True))
        return start, tuple(
            0 if size == 1 else stride for size, stride in zip(self.size, strides, strict=True)
        )

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Window:
        """Return the window that covers an array of `shape`."""
        if type(shape) is not tuple:
            shape = check_shape("Window.whole", "shape", shape)
        return cls(shape, (0,) * len(shape), shape)

    def grown(self, block: tuple[int, ...]) -> Window:
        """Return the window of the seeds of blocks whose entries lie in this window.

        The last axes, one for each size of `block`, are longer by size - 1 than those of the entries, so that
        every entry, at the edges too, lies in equally many blocks.

        Examples
        --------
        >>> Window((8, 9, 9), start=(2, 0, 3), size=(6, 9, 4)).grown((3, 3))
        Window(shape=(8, 11, 11), start=(2, 0, 3), size=(6, 11, 6))
        """
        more = (0,) * (len(self.shape) - len(block)) + tuple(size - 1 for size in block)
        return Window(
            tuple(n + m for n, m in zip(self.shape, more, strict=True)),
            self.start,
            tuple(n + m if n else 0 for n, m in zip(self.size, more, strict=True)),
        )


def check_window(owner: str, window: Window | None, shape: tuple[int, ...], of: str = "x") -> Window:
    """Return the window of an array of some shape: the whole of it if no window is given.

    Examples
    --------
    >>> check_window("drop", Window.whole((3,)), (2, 3))
    Traceback (most recent call last):
    thinnet.errors.InputError: drop: the window has size (3,), but x has shape (2, 3).
    """
    if window is None:
        return Window.whole(shape)
    check_type(owner, "window", window, Window, f"use thinnet.Window.whole({shape})")
    if window.size != shape:
        raise InputError(f"{owner}: the window has size {window.size}, but {of} has shape {shape}.")
    return window


def lanes(key: Key, shape: tuple[int, ...] | Window) -> Lanes:
    """Return the lanes of an array, or of a window of one.

    Parameters
    ----------
    key : Key
        The address, its step included.
    shape : tuple of int, or Window
        The shape of the array, or the window of it whose lanes are wanted.

    Returns
    -------
    ndarray of uint16
        Of that shape, or of the size of the window; uniform on 0 … 65535.

    Raises
    ------
    InputError
        `key` is not a Key, or `shape` is neither a tuple of whole numbers nor a Window.

    Examples
    --------
    >>> whole = lanes(Key(7), (4, 6))
    >>> part = lanes(Key(7), Window((4, 6), start=(1, 2), size=(2, 3)))
    >>> bool((part == whole[1:3, 2:5]).all())
    True
    """
    if type(key) is not Key:
        check_key("lanes", key)
    if not isinstance(shape, Window) and type(shape) is not tuple:
        shape = check_shape("lanes", "shape", shape)
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
    """Cut a window into runs of consecutive lanes: (the first lane of each, the length of all)."""
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
