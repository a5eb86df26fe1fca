"""One sample of a law: drawn by the kernels on the CPU, by torch's own operations elsewhere.

The arguments have been checked (`thinnet.torch._ops.drop`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from thinnet._core import native
from thinnet._core.random import Key, Window
from thinnet.torch._ops import memory, plain
from thinnet.variants import Variant
from thinnet.variants._law import TwoPoint
from thinnet.variants._sample import sample

__all__ = ["TYPES", "Law", "draw", "to_array", "window_of"]

Tensor: TypeAlias = torch.Tensor

TYPES = {torch.float16: 0, torch.bfloat16: 1, torch.float32: 2, torch.float64: 3}
"""The dtypes that can be dropped, as the kernels number them."""

_NUMPYS = {
    **{torch.float16: np.float16, torch.bfloat16: np.uint16, torch.float32: np.float32},
    **{torch.float64: np.float64, torch.int64: np.int64, torch.int32: np.int32, torch.int16: np.int16},
    **{torch.int8: np.int8, torch.uint8: np.uint8, torch.bool: np.bool_},
}
_TYPESTRINGS = {dtype: np.dtype(same).str for dtype, same in _NUMPYS.items()}
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
    third = None if other is None else to_array(other)
    out = memory.empty_like(x)
    sample(row, to_array(x), rate, key, other=third, window=window, out=to_array(out), shifted=shifted)
    return out


class _Memory:
    """The memory of a tensor, as NumPy asks for it."""

    __slots__ = ("__array_interface__", "tensor")

    def __init__(self, x: Tensor) -> None:
        size = x.element_size()
        self.tensor = x
        self.__array_interface__ = {
            "version": 3,
            "typestr": _TYPESTRINGS[x.dtype],
            "data": (x.data_ptr(), False),
            "shape": x.shape,
            "strides": None if x.is_contiguous() else tuple([step * size for step in x.stride()]),
        }


def to_array(x: Tensor) -> Any:
    """Return an array of a tensor's memory; the bits of bfloat16 as uint16.

    `x.numpy()` would forbid the storage of x to be resized from then on, as FSDP does with parameters.
    """
    return np.asarray(_Memory(x))
