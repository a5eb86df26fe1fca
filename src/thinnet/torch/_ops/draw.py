"""One sample of a law: drawn by the kernels on the CPU, by torch's own operations elsewhere.

The arguments have been checked (`thinnet.torch._ops.drop`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch

from thinnet._core import native
from thinnet._core.random import Key, Window
from thinnet.torch._ops import memory, plain
from thinnet.variants import Variant
from thinnet.variants._law import TwoPoint
from thinnet.variants._sample import sample

__all__ = ["TYPES", "Law", "draw", "window_of"]

Tensor: TypeAlias = torch.Tensor

TYPES = {torch.float16: 0, torch.bfloat16: 1, torch.float32: 2, torch.float64: 3}
"""The dtypes that can be dropped, as the kernels number them."""

_SMALL = 1 << 16


class Law(NamedTuple):
    """The law of one call: all of it but the tensors.

    Parameters
    ----------
    variant : Variant
        The row, of the block and the pattern of the call.
    rate : float
        Chance that an entry is dropped.
    key : Key
        The address of the randomness.
    window : sequence of int
        `[*start, *shape]`: the index in a global array where x begins, and the shape of that array; empty if
        x is all of it.
    shifted : bool
        Whether there is a second term.
    """

    variant: Variant
    rate: float
    key: Key
    window: Sequence[int]
    shifted: bool


def window_of(size: Sequence[int], window: Sequence[int]) -> Window:
    """Return the window of a tensor of some size: all of a global array if `window` is empty."""
    shape, axes = tuple(size), len(size)
    return Window(tuple(window[axes:]), tuple(window[:axes]), shape) if window else Window.whole(shape)


def draw(x: Tensor, other: Tensor | None, law: Law) -> Tensor:
    """Return `gain * x + shift * other`, without derivatives."""
    row, rate, key, cut, shifted = law
    window = window_of(x.shape, cut) if cut else None
    if not x.is_cpu:
        return plain.sample(row, x, rate, key, other=other, window=window, shifted=shifted)
    # A small run of memory is dropped by its address, which takes half the time.
    if window is None and x.numel() <= _SMALL and row.pattern == "..." and x.is_contiguous():
        library, points = native.library, row.law_of(rate)
        points = points if shifted else points.unshifted
        if library is not None and type(points) is TwoPoint and not points.dropped[1] and not points.kept[1]:
            out = torch.empty_like(x)
            run = x.data_ptr(), out.data_ptr(), x.numel(), TYPES[x.dtype]
            gains = points.dropped[0], points.kept[0]
            library.two_point_at(*run, key.value, key.step, points.threshold, *gains)
            return out
    third = None if other is None else _array(other)
    out = memory.empty_like(x)
    sample(row, _array(x), rate, key, other=third, window=window, out=_array(out), shifted=shifted)
    return out


def _array(x: Tensor) -> Any:
    x = x.detach() if x.requires_grad else x
    return (x.view(torch.uint16) if x.dtype is torch.bfloat16 else x).numpy()
