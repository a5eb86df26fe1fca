"""What modules share: a variant, a rate, a key for each call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import fx

from thinnet.torch._streams.streams import Keyed
from thinnet.torch.functional import drop
from thinnet.torch.functional._entry import chance

__all__ = ["Block", "Rated", "Tensor", "dropped", "noted", "traceable"]

Tensor: TypeAlias = torch.Tensor
Block: TypeAlias = int | tuple[int, ...] | None


class Rated(Keyed):
    """A module with one rate, `p`."""

    def __init__(self, p: float, owner: str | None = None) -> None:
        super().__init__()
        self.p = chance(owner or type(self).__name__, p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def dropped(module: Any, x: Tensor, *, p: float | None = None, **more: Any) -> Tensor:
    """Apply a module's row of the catalogue, at its rate or another, in the mode that it is in."""
    if isinstance(x, fx.Proxy):
        return noted(module, x)
    if not module.training:
        return drop(module.variant, x, module.p if p is None else p, training=False, **more)
    return drop(module.variant, x, module.rate if p is None else p, key=module.key(), **more)


def noted(module: Any, *inputs: Any, **named: Any) -> Any:
    """Return what stands for the call of a module while torch.fx traces.

    Tracing looks inside modules that are not torch's own; it would take the mode and the key for constants.
    """
    tracer: Any = next(x for x in inputs if isinstance(x, fx.Proxy)).tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(module), inputs, named)


def traceable(forward: Callable[..., Any]) -> Any:
    """Let torch.fx note the calls of a module instead of looking inside."""

    @functools.wraps(forward)
    def call(self: Any, *inputs: Any, **named: Any) -> Any:
        if any(isinstance(x, fx.Proxy) for x in inputs):
            return noted(self, *inputs, **named)
        return forward(self, *inputs, **named)

    return call
