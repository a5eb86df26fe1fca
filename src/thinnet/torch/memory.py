"""Room for what comes out: fresh memory costs more than dropout does, unless it comes in large pages."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import torch

__all__ = ["empty_like"]

# A large page of x86-64 and of most ARM systems; smaller arrays are not worth the call.
_PAGE = 1 << 21
_LARGE = 8 * _PAGE
_ADVICE = 14  # MADV_HUGEPAGE


def _madvise() -> Any:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "madvise", None)


_advise = _madvise()


def empty_like(x: torch.Tensor) -> torch.Tensor:
    """Return room for a tensor like x; much of it is asked for in large pages, where Linux has them.

    A page is zeroed and entered when it is first written; with pages of 4 KiB that takes longer than dropout
    itself. The advice is no more than that, and whether it is followed changes no number.
    """
    out = torch.empty_like(x)
    if _advise is not None and (size := out.nbytes) >= _LARGE:
        begin = -(-out.data_ptr() // _PAGE) * _PAGE
        end = (out.data_ptr() + size) // _PAGE * _PAGE
        _advise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _ADVICE)
    return out
