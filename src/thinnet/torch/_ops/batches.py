"""Batches of torch.vmap as one call of the operator `thinnet::drop`, instead of one call for each entry.

A key that is not batched draws one mask for the whole batch: the pattern shares its lanes along a new first
axis. Keys that are batched have the shape (entries, 1 or 2), and each draws the mask of one entry of x. Both
draw the lanes that a call for each entry would draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch

from thinnet.torch._ops.rows import name_of, variant_of

__all__ = ["in_one_call"]

Tensor: TypeAlias = torch.Tensor


def in_one_call(
    size: int, dims: Sequence[int | None], inputs: Sequence[Any], call: Callable[..., Tensor]
) -> tuple[Tensor, int]:
    """Call the operator once for a whole batch.

    Parameters
    ----------
    size : int
        The number of entries of the batch.
    dims : sequence of int or None
        The axis of the batch of each argument, None for arguments without one.
    inputs : sequence
        All arguments of the operator.
    call : function
        The operator.

    Returns
    -------
    tuple of Tensor and int
        The result, and its axis of the batch.
    """
    x, other, key, name, rate, block, window, shifted = inputs
    x, other = (_batched(value, dim, size) for value, dim in zip((x, other), dims, strict=False))
    if dims[2] is None and dims[4] is None:
        return _with_one_mask(x, other, call, key, name, rate, block, window, shifted)
    key, nested = _batched(key, dims[2], size), key.dim() - (dims[2] is not None) == 2
    if isinstance(rate, torch.Tensor):
        rate = _batched(rate, dims[4], size)
    if not nested:
        return call(x, other, key, name, rate, block, window, shifted), 0
    # The keys of an inner batch, (size, entries, 1 or 2): both batches become one.
    lengths = key.shape[:2]
    if isinstance(rate, torch.Tensor):
        rate = (rate[:, None] if rate.dim() == 1 else rate).expand(lengths).flatten()
    flat = (None if value is None else value.flatten(0, 1) for value in (x, other, key))
    return call(*flat, name, rate, block, window, shifted).unflatten(0, lengths), 0


def _with_one_mask(
    x: Tensor, other: Tensor | None, call: Callable[..., Tensor], key: Tensor, *law: Any
) -> tuple[Tensor, int]:
    """Share the lanes of each entry along the axis of the batch."""
    name, rate, block, window, shifted = law
    axis, size = key.dim() - 1, x.shape[0]  # after the axis of the keys of an inner batch
    if axis:
        x, other = x.movedim(0, 1), None if other is None else other.movedim(0, 1)
    row = variant_of(name, block)
    shared, _ = name_of(row.patterned(f"1 {row.pattern}"))
    if window:
        half = len(window) // 2
        window = [0, *window[:half], size, *window[half:]]
    return call(x, other, key, shared, rate, block, window, shifted), axis


def _batched(value: Any, dim: int | None, size: int) -> Any:
    """Return a tensor with the batch as its first axis."""
    if value is None:
        return None
    return value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)
