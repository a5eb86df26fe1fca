"""What functions outside of the catalogue share: the checks at their door, and how they multiply."""

from __future__ import annotations

from numbers import Integral
from typing import Any, TypeAlias

import torch

from thinnet.errors import InputError
from thinnet.torch._ops import keys
from thinnet.torch._streams import shards

__all__ = ["AnyKey", "Tensor", "chance", "opened", "shaped", "times", "whole", "wide"]

Tensor: TypeAlias = torch.Tensor
AnyKey: TypeAlias = keys.AnyKey | None


def opened(owner: str, x: Tensor, key: AnyKey, training: bool) -> tuple[Tensor, Tensor | None]:
    """Return x and the key as a tensor, None in evaluation; say what does not fit."""
    _tensor(owner, x)
    if not x.is_floating_point():
        dtype = str(x.dtype).removeprefix("torch.")
        raise InputError(f"{owner}: x must be of floating point, got {dtype}; use x.float().")
    if x.layout is not torch.strided or x.is_nested or shards.is_distributed(x):
        raise InputError(f"{owner}: x must be one dense tensor, got {type(x).__name__} of {x.layout}.")
    return x, keys.to_tensor(keys.checked(owner, key)) if training else None


def _tensor(owner: str, x: Any) -> None:
    if not isinstance(x, torch.Tensor):
        raise InputError(
            f"{owner}: x must be a torch.Tensor, got {type(x).__name__}; use torch.as_tensor(x)."
        )


def shaped(owner: str, x: Tensor, axes: str) -> None:
    """Say if a tensor has not one axis for each name."""
    _tensor(owner, x)
    names = axes.split()
    if x.dim() != len(names):
        raise InputError(f"{owner}: x must have shape ({', '.join(names)}), got {tuple(x.shape)}.")


def chance(owner: str, value: float, name: str = "p") -> float:
    """Return a number in [0, 1], or say what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{owner}: {name} must be in [0, 1], got {value!r}.")
    return float(value)


def whole(owner: str, value: int, name: str, least: int) -> int:
    """Return a whole number of at least so much, or say what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise InputError(f"{owner}: {name} must be a whole number of at least {least}, got {value!r}.")
    return int(value)


def wide(x: Tensor) -> torch.dtype:
    """Return the dtype that gains are computed in: halves are multiplied in float32."""
    return torch.promote_types(x.dtype, torch.float32)


def times(gain: Tensor, x: Tensor) -> Tensor:
    """Return gain * x in the dtype of x."""
    return (gain * x).to(x.dtype)
