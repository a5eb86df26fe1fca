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

__all__ = ["TYPES", "Law", "draw", "draw_each", "to_array", "window_of"]

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
    if not x.is_cpu:
        row, rate, key, cut, shifted = law
        window = window_of(x.shape, cut) if cut else None
        return plain.sample(row, x, rate, key, other=other, window=window, shifted=shifted)
    # A small run of memory is dropped by its address, which takes half the time.
    if x.numel() <= _SMALL and x.is_contiguous() and (points := _run_law(law)) is not None:
        out = torch.empty_like(x)
        _draw_run((x.data_ptr(), out.data_ptr(), x.numel(), TYPES[x.dtype]), law.key, points)
        return out
    out = memory.empty_like(x)
    _draw_array(to_array(x), None if other is None else to_array(other), law, to_array(out))
    return out


def draw_each(x: Tensor, other: Tensor | None, laws: Sequence[Law]) -> Tensor:
    """Return a tensor whose entries along the first axis are those of x under one law each."""
    if not x.is_cpu:
        others = [None] * len(laws) if other is None else other.unbind()
        return torch.stack([draw(*entry) for entry in zip(x.unbind(), others, laws, strict=True)])
    out = memory.empty_like(x) if x.is_contiguous() else torch.empty(x.shape, dtype=x.dtype, device="cpu")
    length = out.numel() // len(laws)
    if length <= _SMALL and (length == 0 or x[0].is_contiguous()):
        points = {rate: _run_law(law) for rate, law in {law.rate: law for law in laws}.items()}
        if all(each is not None for each in points.values()):
            begin, end, size = x.data_ptr(), out.data_ptr(), x.element_size()
            for i, law in enumerate(laws):
                places = begin + i * x.stride(0) * size, end + i * length * size
                _draw_run((*places, length, TYPES[x.dtype]), law.key, points[law.rate])
            return out
    source, target = to_array(x), to_array(out)
    third = None if other is None else to_array(other)
    for i, law in enumerate(laws):  # an ellipsis keeps entries without axes arrays
        _draw_array(source[i, ...], None if third is None else third[i, ...], law, target[i, ...])
    return out


def _run_law(law: Law) -> TwoPoint | None:
    """Return a law that one run of memory can be drawn by; None for other laws."""
    row, rate, _, cut, shifted = law
    if cut or row.pattern != "..." or native.library is None:
        return None
    points = row.law_of(rate)
    points = points if shifted else points.unshifted
    return points if type(points) is TwoPoint and not points.dropped[1] and not points.kept[1] else None


def _draw_run(run: tuple[int, int, int, int], key: Key, points: Any) -> None:
    library: Any = native.library
    gains = points.dropped[0], points.kept[0]
    library.two_point_at(*run, key.value, key.step, points.threshold, *gains)


def _draw_array(x: Any, other: Any, law: Law, out: Any) -> None:
    row, rate, key, cut, shifted = law
    window = window_of(x.shape, cut) if cut else None
    sample(row, x, rate, key, other=other, window=window, out=out, shifted=shifted)


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
