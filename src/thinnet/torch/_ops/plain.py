"""The laws in torch's own operations, for any device: slow, short, with the bits of the kernels.

torch has no arithmetic of uint32: the words of Philox are held in int64, whose products wrap around.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import torch

from thinnet._core.random import Key, Window
from thinnet._core.random.philox import BLOCK, philox4x32
from thinnet.torch._apply import apply
from thinnet.variants._law import TwoPoint
from thinnet.variants._pattern import lane_window
from thinnet.variants._variant import Variant

__all__ = ["lanes", "replacement", "sample"]

Tensor: TypeAlias = torch.Tensor

_LOW = (1 << 32) - 1


def sample(
    row: Variant,
    x: Tensor,
    rate: float,
    key: Key,
    *,
    other: Tensor | float | None = None,
    window: Window | None = None,
    shifted: bool = True,
) -> Tensor:
    """Draw one sample of a variant's law; the arguments are those of `thinnet.variants._sample.sample`."""
    law = row.law_of(rate) if shifted else row.law_of(rate).unshifted
    where = lane_window(row.pattern, window or Window.whole(tuple(x.shape)), row.name)
    other = replacement(row.other, x.dtype) if other is None else other
    if isinstance(law, TwoPoint):
        dropped = _dropped(key, where, row.block, law.threshold, x.device)
        return torch.where(dropped, apply(*law.dropped, x, other), apply(*law.kept, x, other))
    drawn = lanes(key, where, x.device)
    shift = 0.0 if law.shifts is None else _table(law.shifts, x.device)[drawn]
    return apply(_table(law.gains, x.device)[drawn], shift, x, other)


def replacement(other: str, dtype: torch.dtype) -> float | None:
    """Return the number that replaces a dropped entry, or None where a tensor is passed or there is none."""
    return 1.0 if other == "one" else torch.finfo(dtype).min if other == "lowest" else None


def lanes(key: Key, window: Window, device: torch.device) -> Tensor:
    """Return the lanes of a window as int64."""
    start, strides = window.addresses
    if window.size[1:] == window.shape[1:]:  # one run
        count = math.prod(window.size)
        first, last = start // BLOCK, -(-(start + count) // BLOCK)
        words = _words(key, torch.arange(first, last, device=device))  # (blocks, 4)
        halves = torch.stack([words & 0xFFFF, words >> 16], -1).reshape(-1)
        return halves[start - first * BLOCK :][:count].reshape(window.size)
    numbers = torch.full((), start, dtype=torch.int64, device=device)
    for length, stride in zip(window.size, strides, strict=True):
        numbers = numbers[..., None] + torch.arange(length, device=device) * stride
    words = _words(key, numbers // BLOCK)
    half = numbers % BLOCK
    word = words.gather(-1, (half // 2)[..., None])[..., 0]
    return word >> 16 * (half % 2) & 0xFFFF


def _words(key: Key, blocks: Tensor) -> Tensor:
    """Return the four words of each block, (…, 4)."""
    return torch.stack(philox4x32((blocks & _LOW, blocks >> 32, key.step, 0), key.words), -1)


def _dropped(
    key: Key, window: Window, block: tuple[int, ...], threshold: int, device: torch.device
) -> Tensor:
    if not block:
        return lanes(key, window, device) < threshold
    dropped = lanes(key, window.grown(block), device) < threshold
    for axis, size in zip(range(-len(block), 0), block, strict=True):
        if size > 1:
            dropped = dropped.unfold(axis, size, 1).any(-1)
    return dropped


def _table(values: Any, device: torch.device) -> Tensor:
    return torch.tensor(values, device=device)
