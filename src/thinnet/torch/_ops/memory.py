"""Room for what comes out: fresh memory costs more than dropout does, so that of freed tensors is kept.

An operating system zeroes each page before it is first written, which takes longer than dropping what it
holds. Large tensors come from rooms of our own, which go back into a pool when the tensor is freed; new ones
are asked for in large pages, where there are such.
"""

from __future__ import annotations

import mmap
import weakref
from numbers import Integral
from typing import Any

import numpy as np
import torch

from thinnet.errors import InputError

__all__ = ["empty_like", "get_kept_bytes", "set_kept_bytes"]

_LEAST = 1 << 25  # of a tensor; malloc keeps what is smaller
_LARGE_PAGE = 1 << 21
# Unless told so, mmap shares memory with processes that are forked later, which would then write into tensors
# of this one.
_PRIVATE: dict[str, Any] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
)


class _Pool:
    """Rooms that no tensor holds, by size; finalizers give them back, at any time and in any thread."""

    def __init__(self) -> None:
        self.limit = 1 << 28
        self.free: dict[int, list[mmap.mmap]] = {}

    def take(self, size: int) -> mmap.mmap:
        try:
            return self.free[size].pop()
        except (KeyError, IndexError):
            return _new(size)

    def give(self, room: mmap.mmap) -> None:
        size = len(room)
        self.trim(self.limit - size)
        if size <= self.limit:
            self.free.setdefault(size, []).append(room)

    def trim(self, limit: int) -> None:
        """Let rooms go until the rest holds no more than a limit; sizes that came first go first."""
        for rooms in list(self.free.values()):
            while rooms and self.held() > limit:
                rooms.pop()

    def held(self) -> int:
        return sum(size * len(rooms) for size, rooms in list(self.free.items()))


_pool = _Pool()


def get_kept_bytes() -> int:
    """Return how much memory of freed tensors is kept at most."""
    return _pool.limit


def set_kept_bytes(limit: int) -> None:
    """Keep no more than so much memory of freed tensors from now on; 0 keeps none.

    It is 256 MiB unless something else is said. What dropout returns, of 32 MiB or more, goes back there when
    it is freed, and the next call that returns as much writes over it: fresh memory takes several times
    longer to write. No number depends on it.

    Raises
    ------
    InputError
        A limit that is no whole number of at least 0.

    Examples
    --------
    >>> import thinnet.torch as tt
    >>> tt.get_kept_bytes() >> 20
    256
    >>> tt.set_kept_bytes(1 << 28)
    """
    if isinstance(limit, bool) or not isinstance(limit, Integral) or limit < 0:
        raise InputError(f"set_kept_bytes: limit must be a whole number of at least 0, got {limit!r}.")
    _pool.limit = int(limit)
    _pool.trim(_pool.limit)


def empty_like(x: torch.Tensor) -> torch.Tensor:
    """Return room for a tensor like x, with its strides where it is dense."""
    size = x.nbytes
    if not _LEAST <= size <= _pool.limit:
        return torch.empty_like(x)
    room = _pool.take(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    array = np.frombuffer(room, np.uint8, size)
    # When the tensor's storage goes, so does the array; the room goes back.
    weakref.finalize(array, _pool.give, room).atexit = False
    strides: Any = torch.empty_like(x, device="meta").stride()
    storage = torch.from_numpy(array).untyped_storage()
    # set_ and no view: what is written in place later must find a tensor of its own
    return torch.empty(0, dtype=x.dtype, device="cpu").set_(storage, 0, x.shape, strides)


def _new(size: int) -> mmap.mmap:
    room = mmap.mmap(-1, size, **_PRIVATE)
    if size >= 8 * _LARGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        room.madvise(mmap.MADV_HUGEPAGE)
    return room
