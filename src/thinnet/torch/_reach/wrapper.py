"""The wrapper around a forward: while it runs, a mode draws the dropout of functional calls."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._internals import function_mode
from thinnet.torch._ops import keys
from thinnet.torch._reach import activations, attention, recurrent
from thinnet.torch._reach.activations import KINDS, Handler
from thinnet.torch._reach.direct import bind, redirect
from thinnet.torch._streams.holders import StreamHolder
from thinnet.torch._streams.streams import Clock, ModuleStream

__all__ = ["HANDLERS", "Outside", "Wrapper", "wrapper_of"]

HANDLERS: dict[Any, Handler] = {**activations.HANDLERS, **attention.HANDLERS, **recurrent.HANDLERS}
"""Each function of torch that drops, and its handler."""


class FunctionalCalls(TorchFunctionMode):
    """The functional calls of one module: a mode that draws them, and their streams."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: dict[str, ModuleStream] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        handler = HANDLERS.get(func)
        if handler is None:
            return func(*args, **kwargs) if kwargs else func(*args)
        return handler(self, func, *args, **(kwargs or {}))

    def key(self, kind: str) -> keys.AnyKey | None:
        """Return the key of the next call of a kind; None for a fresh key from torch's generator."""
        stream = self.streams.get(kind)
        return None if stream is None else stream.draw()


class Outside:
    """A forward that runs outside the mode of the module that calls it, as an attribute of its module.

    Each call of torch takes a microsecond longer inside a mode. Thinnet's modules need none.

    Parameters
    ----------
    module : Module
        The module, which keeps its class.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.replaced = vars(module).get("forward")

    def remove(self) -> None:
        """Restore the module's own forward."""
        if self.replaced is None:
            del vars(self.module)["forward"]
        else:
            vars(self.module)["forward"] = self.replaced

    @property
    def __wrapped__(self) -> Any:
        """The forward that this one replaces; `inspect.signature` reads it."""
        return self.replaced or functools.partial(type(self.module).forward, self.module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outer = None if torch.compiler.is_compiling() else function_mode()
        if type(outer) is not FunctionalCalls:
            return self.run(args, kwargs)
        outer.__exit__(None, None, None)
        try:
            return self.run(args, kwargs)
        finally:
            outer.__enter__()

    def run(self, args: Any, kwargs: Any) -> Any:
        """Call the forward that this one replaces."""
        if self.replaced is not None:
            return self.replaced(*args, **kwargs)
        return type(self.module).forward(self.module, *args, **kwargs)

    @property
    def __globals__(self) -> dict[str, Any]:
        """Refuse `torch.jit.script`, which reads it from a forward first."""
        raise InputError(
            f"{type(self.module).__name__}: torch.jit.script does not take functional calls of thinnet; use "
            "torch.compile or torch.export, or thinnet.torch.restore(model) first."
        )


class Wrapper(Outside, StreamHolder):
    """A forward whose functional calls thinnet draws.

    Where all calls are named in the forward itself (`direct`), a copy of it that finds thinnet's functions
    under torch's names runs in eager mode, without the mode. torch's own attention and recurrent layers enter
    the mode while they train at a rate above 0 alone: a mode excludes the faster path of attention in
    evaluation.
    """

    def __init__(self, module: nn.Module, *, direct: bool = False) -> None:
        super().__init__(module)
        self.calls = FunctionalCalls()
        self.direct = direct
        self._redirected: Any = None
        self.idle = type(module).__module__.startswith("torch.nn.") and hasattr(module, "dropout")

    def run(self, args: Any, kwargs: Any) -> Any:
        """Call the forward that this one replaces, in the mode."""
        module: Any = self.module
        if self.idle and not (module.training and module.dropout):
            return super().run(args, kwargs)
        if self.direct and not torch.compiler.is_compiling():
            if self._redirected is None:
                forward: Any = type(module).forward
                self._redirected = redirect(forward, bind(HANDLERS, self.calls))
            return self._redirected(module, *args, **kwargs)
        with self.calls:
            if self.replaced is not None:
                return self.replaced(*args, **kwargs)
            return type(module).forward(module, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_redirected": None}

    def _give(self, name: str, key: Key, clock: Clock) -> None:
        """Take a stream for each kind of call; call c at step t draws with `key.fold(kind).fold(c).at(t)`."""
        self.calls.streams = {kind: ModuleStream(f"{name} {kind}", key.fold(kind), clock) for kind in KINDS}

    def streams(self) -> Iterable[ModuleStream]:
        """Return the present streams; none before the first `give`."""
        return self.calls.streams.values()


def wrapper_of(module: nn.Module) -> Wrapper | None:
    """Return the wrapper that draws the functional calls of a module, or None."""
    found = vars(module).get("forward")
    return found if isinstance(found, Wrapper) else None
