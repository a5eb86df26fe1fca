"""Small tensors in compiled code: the operator in torch's own operations, which inductor fuses.

A compiled graph calls an operator through Python, which takes longer than drawing some hundred lanes. Below
a number of entries inductor gets Philox itself, from the key as a tensor, and merges it with the operations
around it; backward computes it again from the key. The bits are those of the kernels.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from thinnet._core.random import Window
from thinnet._core.random.philox import BLOCK, MULTIPLIERS, ROUNDS, WEYL
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

FUSED = 256
"""The largest number of entries that is drawn in fused code: each call adds seconds to the compilation."""

_LOW = (1 << 32) - 1
# Fused code need not round a half after each operation.
_TYPES = frozenset({torch.float32, torch.float64})


def announce() -> None:
    """Let inductor use the decomposition; called while `torch.compile` traces."""
    compiler: Any = torch.compiler
    if not compiler.is_exporting():
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
    a, b, c, d = _philox((blocks & _LOW, blocks >> 32, step, 0), (key[0] & _LOW, key[0] >> 32 & _LOW))
    word = torch.where(half < 4, torch.where(half < 2, a, b), torch.where(half < 6, c, d))
    return word >> 16 * (half % 2) & 0xFFFF


def _philox(counter: tuple[Any, Any, Any, Any], key: tuple[Tensor, Tensor]) -> tuple[Any, Any, Any, Any]:
    """Return `philox4x32(counter, key)` without a product that leaves int64: in C++ it is undefined."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        (high0, low0), (high1, low1) = _product(c0, MULTIPLIERS[0]), _product(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + WEYL[0]) & _LOW, (k1 + WEYL[1]) & _LOW
    return c0, c1, c2, c3


def _product(word: Any, multiplier: int) -> tuple[Any, Any]:
    """Return the high and the low word of a product of words; `2**32 * word` is added to its high word."""
    rest = word * (multiplier - (1 << 32))  # in (-2**63, 0]
    return (rest >> 32) + word & _LOW, rest & _LOW


add_decomposition(torch.ops.thinnet.drop.default, decompose)
