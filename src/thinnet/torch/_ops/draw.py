"""One sample of a law, drawn: by the kernels on the CPU, by torch's own operations elsewhere.

All has been checked (`op.check`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from thinnet._core import native
from thinnet._core.random import Key, Window
from thinnet.torch._ops import memory, plain
from thinnet.variants import Variant
from thinnet.variants._law import TwoPoint
from thinnet.variants._sample import sample

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
        return plain.sample(row, x, rate, key, other=other if shifted else 0.0, window=window)
    # A small run of memory is dropped by its address, which takes half the time.
    if window is None and x.numel() <= _SMALL and row.pattern == "..." and x.is_contiguous():
        library, law = native.library, row.law_of(rate)
        if library is not None and type(law) is TwoPoint and not law.dropped[1] and not law.kept[1]:
            out = torch.empty_like(x)
            run = x.data_ptr(), out.data_ptr(), x.numel(), TYPES[x.dtype]
            library.two_point_at(*run, key.value, key.step, law.threshold, law.dropped[0], law.kept[0])
            return out
    third = 0.0 if not shifted else None if other is None else _array(other)
    out = memory.empty_like(x)
    sample(row, _array(x), rate, key, other=third, window=window, out=_array(out))
    return out


def _array(x: Tensor) -> Any:
    x = x.detach() if x.requires_grad else x
    return (x.view(torch.uint16) if x.dtype is torch.bfloat16 else x).numpy()
