"""What the functions share: the checks of their arguments, and the draw of their gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from thinnet._checks import check_rate, format_value
from thinnet._core.random import Window
from thinnet.errors import InputError
from thinnet.torch._ops import keys
from thinnet.torch._ops.checks import check_tensor
from thinnet.torch._ops.gains import gains
from thinnet.torch._streams import shards

__all__ = [
    "AnyKey",
    "Tensor",
    "check_local",
    "check_p",
    "check_parameter",
    "draw_gains",
    "flat_window",
    "working_type",
]

Tensor: TypeAlias = torch.Tensor
AnyKey: TypeAlias = keys.AnyKey | None


def check_local(owner: str, x: Any, name: str = "x", axes: str = "") -> Tensor:
    """Return a dense tensor of floating point that is no DTensor; raise InputError for anything else."""
    if shards.is_distributed(x):
        raise InputError(f"{owner}: {name} must be one dense tensor, got a DTensor; use {name}.to_local().")
    return check_tensor(owner, x, name, axes)


_NUMBERS = (torch.Tensor, float, int, list, tuple, np.ndarray, np.generic)


def check_p(owner: str, p: Any, name: str = "p") -> float:
    """Return a chance as a float; raise InputError if it is not one number in [0, 1].

    Examples
    --------
    >>> check_p("Dropout", 1.5)
    Traceback (most recent call last):
    thinnet.errors.InputError: Dropout: p must be in [0, 1], got 1.5.
    """
    if (type(p) is float or type(p) is int) and 0 <= p <= 1:
        return float(p)
    if isinstance(p, torch.Tensor):
        p = _read(owner, p, name)
    return float(check_rate(owner, p, (), name))


def _read(owner: str, p: Tensor, name: str) -> Any:
    """Return the number in a tensor, of any device; raise InputError for one that cannot be a constant."""
    if p.requires_grad:
        raise InputError(
            f"{owner}: {name} has no gradient, got a tensor that requires grad; use {name}.detach(), or "
            "thinnet.torch.ConcreteDropout to learn a rate."
        )
    if p.is_meta:
        raise InputError(f"{owner}: {name} must be a number in [0, 1], got a tensor without data (meta).")
    return p if p.dim() else p.item()


def check_parameter(owner: str, name: str, value: Any, x: Tensor) -> Tensor:
    """Return numbers that broadcast against x as a tensor."""
    if not isinstance(value, _NUMBERS):
        raise InputError(f"{owner}: {name} must be a tensor or a number, got {format_value(value)}.")
    numbers = torch.as_tensor(value)
    lengths = zip(reversed(numbers.shape), reversed(x.shape), strict=False)
    if numbers.dim() > x.dim() or not all(one in (1, length) for one, length in lengths):
        shapes = f"{tuple(x.shape)}, got shape {tuple(numbers.shape)}"
        raise InputError(f"{owner}: {name} must be numbers that broadcast against x, of shape {shapes}.")
    return numbers if numbers.is_floating_point() else numbers.to(x.dtype)


def flat_window(owner: str, x: Tensor, window: Window | None) -> list[int]:
    """Return a window as the operators take it, `[*start, *shape]`; empty for None."""
    if window is None:
        return []
    if not isinstance(window, Window):
        raise InputError(f"{owner}: window must be a thinnet.Window, got {format_value(window)}.")
    if window.size != tuple(x.shape):
        raise InputError(f"{owner}: the window has size {window.size}, but x has shape {tuple(x.shape)}.")
    return [*window.start, *window.shape]


def draw_gains(
    name: str,
    x: Tensor,
    key: AnyKey,
    window: Window | None = None,
    parameter: Tensor | None = None,
    options: Sequence[float] = (),
) -> Tensor:
    """Return the gains of a variant for x, in its window or in that of `thinnet.torch.shard`."""
    owner = name.partition(" ")[0]
    address = keys.key_or_fresh(owner, key)
    place = flat_window(owner, x, window) if window is not None else shards.window(owner, x, address)
    drawn = gains(name, address, x.shape, place, parameter, options, x.device)
    # Products of float32 and these gains, of 17 bits, are exact in float64: float32 rounds them to the same.
    return drawn.float() if name == "ShakeDrop" and x.dtype == torch.float32 else drawn


def working_type(x: Tensor) -> torch.dtype:
    """Return the dtype that x is computed in: float32 for halves."""
    return torch.promote_types(x.dtype, torch.float32)
