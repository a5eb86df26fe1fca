"""Reuse of output buffers: fresh pages cost more than dropout itself, so the memory of freed tensors is kept.

An operating system zeroes each page before its first use, which takes longer than dropout on its entries.
Large outputs lie in buffers that return to a pool when the tensor is freed. New buffers use huge pages where
the system has them.
"""

from __future__ import annotations

import contextlib
import mmap
import weakref
from typing import Any

import numpy as np
import torch

from thinnet._checks import check_integer

__all__ = ["empty_like", "get_kept_bytes", "set_kept_bytes"]

_LEAST = 1 << 20  # bytes of a tensor; malloc keeps the pages of smaller blocks
_LARGE_PAGE = 1 << 21
_CLASSES = 8  # sizes of buffers between two powers of 2, so that batches of similar lengths share them
# By default mmap shares memory with processes that are forked later, which would then write into the tensors
# of this one.
_PRIVATE: dict[str, Any] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
)


class _Pool:
    """Unused buffers by size, the last used last; finalizers return them at any time and in any thread."""

    def __init__(self) -> None:
        self.limit = 1 << 28
        self.free: dict[int, list[mmap.mmap]] = {}

    def take(self, size: int) -> mmap.mmap:
        try:
            return self.free[size].pop()
        except (KeyError, IndexError):
            return _new(size)

    def give(self, buffer: mmap.mmap) -> None:
        size = len(buffer)
        self.trim(self.limit - size)
        if size <= self.limit:
            buffers = self.free.pop(size, [])
            buffers.append(buffer)
            self.free[size] = buffers

    def trim(self, limit: int) -> None:
        """Free buffers, those of the size used longest ago first, until the others hold `limit` bytes."""
        held = self.held()
        for size, buffers in list(self.free.items()):
            with contextlib.suppress(IndexError):  # another thread took the last one
                while buffers and held > limit:
                    buffers.pop()
                    held -= size
            if not buffers:
                self.free.pop(size, None)

    def held(self) -> int:
        return sum(size * len(buffers) for size, buffers in list(self.free.items()))


_pool = _Pool()


def get_kept_bytes() -> int:
    """Return the limit on the memory of freed tensors that is kept, in bytes."""
    return _pool.limit


def set_kept_bytes(limit: int) -> None:
    """Keep at most `limit` bytes of the memory of freed outputs; 0 keeps none.

    Outputs of dropout of 1 MiB or more return their memory to a pool when they are freed, and the next output
    of similar size reuses it: fresh memory takes several times longer to write. No result depends on it. The
    storage of such an output cannot grow: `resize_` beyond its entries raises RuntimeError. A clone can, and
    so can outputs under a limit of 0.

    Parameters
    ----------
    limit : int
        Bytes, at least 0; initially 256 MiB.

    Raises
    ------
    InputError
        The limit is not a whole number of at least 0.

    Examples
    --------
    >>> import thinnet.torch as tt
    >>> tt.get_kept_bytes() >> 20
    256
    >>> tt.set_kept_bytes(1 << 28)
    """
    _pool.limit = check_integer("set_kept_bytes", "limit", limit, 0)
    _pool.trim(_pool.limit)


def empty_like(x: torch.Tensor) -> torch.Tensor:
    """Return an uninitialised tensor like x, with its strides where it is dense."""
    size = x.nbytes
    if not _LEAST <= size <= _pool.limit:
        return torch.empty_like(x)
    buffer = _pool.take(_rounded(size))
    array = np.frombuffer(buffer, np.uint8, size)
    # The array is freed with the tensor's storage; then the buffer returns to the pool.
    weakref.finalize(array, _pool.give, buffer).atexit = False
    strides: Any = (x if x.is_contiguous() else torch.empty_like(x, device="meta")).stride()
    storage = torch.from_numpy(array).untyped_storage()
    # set_ instead of a view: an operation in place later needs a tensor that owns its storage
    return torch.empty(0, dtype=x.dtype, device="cpu").set_(storage, 0, x.shape, strides)


def _rounded(size: int) -> int:
    """Return the bytes of a buffer for `size` bytes: at most 1/8 more, a multiple of the page."""
    unit = max(mmap.PAGESIZE, (1 << size.bit_length() - 1) // _CLASSES)
    return -(-size // unit) * unit


def _new(size: int) -> mmap.mmap:
    buffer = mmap.mmap(-1, size, **_PRIVATE)
    if size >= 8 * _LARGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer
