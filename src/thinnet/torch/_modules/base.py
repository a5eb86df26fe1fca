"""The base of all modules: a variant, a rate, and a key for each call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import fx, nn

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._ops import keys
from thinnet.torch._streams.holders import StreamHolder
from thinnet.torch._streams.streams import Clock, ModuleStream
from thinnet.torch.functional import drop
from thinnet.torch.functional._entry import check_p
from thinnet.torch.functional._rows import leaves_unchanged

__all__ = ["Block", "Keyed", "Rated", "Tensor", "drop_by", "record_call", "traceable"]

Tensor: TypeAlias = torch.Tensor
Block: TypeAlias = int | tuple[int, ...] | None


class Keyed(nn.Module, StreamHolder):
    """A module that draws: its key comes from its stream if it has one, else from torch's generator."""

    variant: Any  # a name, or a Variant
    p: Any
    _stream: ModuleStream | None = None
    _rate: Tensor | None = None
    _follow: Callable[[int], None] | None = None
    _schedule: Any = None

    @property
    def rate(self) -> Any:
        """The rate; compiled code gets a tensor where a schedule changes it: a number would be a constant."""
        return self._rate if self._rate is not None and torch.compiler.is_compiling() else self.p

    @property
    def rests(self) -> bool:
        """Whether the rate is exactly 0: x is returned then, and no call is counted."""
        p = self.rate
        return not isinstance(p, Tensor) and p == 0

    def key(self) -> keys.AnyKey:
        """Return the key of this call."""
        return keys.fresh() if self._stream is None else self._stream.draw()

    def _give(self, name: str, key: Key, clock: Clock) -> None:
        """Take a new stream instead of the present one."""
        self._stream = ModuleStream(name, key, clock)
        if self._follow is not None and self._follow not in clock.followers:
            clock.followers.append(self._follow)

    def streams(self) -> list[ModuleStream]:
        """Return the present stream, if there is one."""
        return [] if self._stream is None else [self._stream]

    def __prepare_scriptable__(self) -> Any:
        """Refuse `torch.jit.script`, which asks this method before it looks inside."""
        raise InputError(
            f"{type(self).__name__}: torch.jit.script does not take it; use torch.compile or torch.export, "
            "or thinnet.torch.restore(model) first."
        )


class Rated(Keyed):
    """A module with one rate, `p`."""

    def __init__(self, p: float, owner: str | None = None) -> None:
        super().__init__()
        self.p = check_p(owner or type(self).__name__, p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def drop_by(module: Any, x: Tensor, *, p: float | None = None, **options: Any) -> Tensor:
    """Apply the variant of a module in the module's mode, at its rate or at another."""
    if isinstance(x, fx.Proxy):
        return record_call(module, x)
    training = module.training
    rate = p if p is not None else module.rate if training else module.p
    if leaves_unchanged(module.variant, rate, training):
        return x
    if not training:
        return drop(module.variant, x, rate, training=False, **options)
    return drop(module.variant, x, rate, key=module.key(), **options)


def record_call(module: Any, *inputs: Any, **named: Any) -> Any:
    """Return the node of a module's call while torch.fx traces.

    torch.fx would trace through modules that are not torch's own, and record the mode and the key as
    constants.
    """
    tracer: Any = next(x for x in inputs if isinstance(x, fx.Proxy)).tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(module), inputs, named)


def traceable(forward: Callable[..., Any]) -> Any:
    """Decorate a forward: torch.fx records one call of the module instead of tracing through it."""

    @functools.wraps(forward)
    def call(self: Any, *inputs: Any, **named: Any) -> Any:
        if any(isinstance(x, fx.Proxy) for x in inputs):
            return record_call(self, *inputs, **named)
        return forward(self, *inputs, **named)

    return call
