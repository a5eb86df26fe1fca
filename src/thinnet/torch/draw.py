"""One sample of a law, drawn: by the kernels on the CPU, by torch's own operations elsewhere.

All has been checked (`op.check`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from thinnet import native
from thinnet.random import Key, Window
from thinnet.torch import memory, plain
from thinnet.variants import Variant, sample
from thinnet.variants.law import TwoPoint

__all__ = ["TYPES", "Law", "draw"]

Tensor: TypeAlias = torch.Tensor
Law: TypeAlias = tuple[Variant, float, Key, Window | None, bool]
"""(row, rate, key, which part x is, whether there is a second term)."""

TYPES = {torch.float16: 0, torch.bfloat16: 1, torch.float32: 2, torch.float64: 3}
"""What can be dropped, as the kernels number it."""

_SMALL = 1 << 16


def draw(
    x: Tensor,
    other: Tensor | None,
    row: Variant,
    rate: float,
    key: Key,
    window: Window | None,
    shifted: bool,
) -> Tensor:
    """Return `gain * x + shift * other`, without derivatives."""
    if not x.is_cpu:
        third = other if shifted else 0.0
        return plain.sample(row, x, rate, key, other=third, window=window)
    if window is None and row.pattern == "..." and (out := _at_once(row, x, rate, key)) is not None:
        return out
    third = 0.0 if not shifted else None if other is None else _array(other)
    out = memory.empty_like(x)
    sample(row, _array(x), rate, key, other=third, window=window, out=_array(out))
    return out


def _at_once(row: Variant, x: Tensor, rate: float, key: Key) -> Tensor | None:
    """Drop a small run of memory by its address, which takes half the time; None where this is none."""
    library, count = native.library, x.numel()
    if library is None or count > _SMALL or not x.is_contiguous():
        return None
    law = row.law_of(rate)
    if type(law) is not TwoPoint or law.dropped[1] or law.kept[1]:
        return None
    out = torch.empty_like(x)
    gains = law.threshold, law.dropped[0], law.kept[0]
    library.two_point_at(x.data_ptr(), out.data_ptr(), count, TYPES[x.dtype], key.value, key.step, *gains)
    return out


def _array(x: Tensor) -> Any:
    x = x.detach() if x.requires_grad else x
    return (x.view(torch.uint16) if x.dtype is torch.bfloat16 else x).numpy()
