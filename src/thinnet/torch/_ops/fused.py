"""Small tensors in compiled code: the operator in torch's own operations, which inductor fuses.

A compiled graph calls an operator through Python, which takes longer than drawing some hundred lanes. Below
a number of entries inductor gets Philox itself, from the key as a tensor, and merges it with the operations
around it; backward computes it again from the key. The bits are those of the kernels.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from thinnet._core.random import Window
from thinnet._core.random.philox import BLOCK, philox4x32
from thinnet.torch._apply import apply
from thinnet.torch._internals import add_decomposition, load_decompositions
from thinnet.torch._ops import drop as op
from thinnet.torch._ops.draw import window_of
from thinnet.torch._ops.plain import replacement
from thinnet.torch._ops.rows import variant_of
from thinnet.variants._law import TwoPoint
from thinnet.variants._pattern import lane_window

__all__ = ["FUSED", "announce", "decompose"]

Tensor: TypeAlias = torch.Tensor

FUSED = 0
"""The largest number of entries that is drawn in fused code: none for now, see the test of orders."""

_LOW = (1 << 32) - 1
# Fused code need not round a half after each operation.
_TYPES = frozenset({torch.float32, torch.float64})


def announce() -> None:
    """Let inductor use the decomposition; called while `torch.compile` traces."""
    compiler: Any = torch.compiler
    if FUSED and not compiler.is_exporting():
        load_decompositions()


def decompose(
    x: Tensor,
    other: Tensor | None,
    key: Tensor,
    name: str,
    rate: float,
    block: list[int],
    window: tuple[Any, ...] | list[Any] = (),
    shifted: bool = True,
) -> Any:
    """Return the result of `thinnet::drop`, or NotImplemented where the operator has to serve.

    Examples
    --------
    >>> decompose(torch.ones(8), None, torch.tensor([0]), "Dropout", 0.5, [])
    tensor([2., 0., 2., 2., 2., 2., 2., 2.])
    """
    if not all(type(number) is int for number in (*x.shape, *window)):
        return NotImplemented  # sizes that change
    if x.numel() > FUSED or x.dtype not in _TYPES or x.device.type != "cpu":
        return NotImplemented
    row = variant_of(name, block)
    op.check(x, other, row, rate, window, shifted)
    law = row.law_of(rate) if shifted else row.law_of(rate).unshifted
    if not isinstance(law, TwoPoint) or row.block:
        return NotImplemented
    place = lane_window(row.pattern, window_of(x.shape, window), row.name)
    dropped = _lanes(key, place) < law.threshold
    second = replacement(row.other, x.dtype) if other is None else other
    kept = apply(*law.kept, x, second)
    if law.dropped == (0.0, 0.0):
        return torch.where(dropped, 0.0, kept)
    return torch.where(dropped, apply(*law.dropped, x, second), kept)


def _lanes(key: Tensor, window: Window) -> Tensor:
    """Return the lanes of a window as int64, each from a block of its own: fused code shares none."""
    start, strides = window.addresses
    numbers = torch.full((), start, dtype=torch.int64)
    for length, stride in zip(window.size, strides, strict=True):
        numbers = numbers[..., None] + torch.arange(length) * stride
    blocks, half = numbers // BLOCK, numbers % BLOCK
    step = key[1] if key.shape[0] == 2 else 0
    words: Any = key[0] & _LOW, key[0] >> 32 & _LOW
    a, b, c, d = philox4x32((blocks & _LOW, blocks >> 32, step, 0), words)
    word = torch.where(half < 4, torch.where(half < 2, a, b), torch.where(half < 6, c, d))
    return word >> 16 * (half % 2) & 0xFFFF


add_decomposition(torch.ops.thinnet.drop.default, decompose)
