"""Objects that draw by streams, as `thinnet.torch.seed` and `thinnet.torch.step` find them in a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thinnet._core.random import Key
from thinnet.torch._streams.streams import Clock, ModuleStream

__all__ = ["StreamHolder", "holders_of"]


class StreamHolder:
    """An object that draws by streams once it has been given some.

    Two kinds of objects are found: a module that is one, and the value of a module's instance attribute
    `forward`, the wrapper that takes over the functional calls of that module. A wrapper makes one stream for
    each kind of call, `ModuleStream(f"{name} {kind}", key.fold(kind), clock)`. It makes all of them in
    `_give`: compiled code cannot make any.
    """

    __slots__ = ()

    def _give(self, name: str, key: Key, clock: Clock) -> None:
        """Take new streams instead of the present ones.

        Parameters
        ----------
        name : str
            The qualified name of the module, for messages and for the saved state.
        key : Key
            `Key(seed).fold(name)`.
        clock : Clock
            The step.
        """
        raise NotImplementedError

    def streams(self) -> Iterable[ModuleStream]:
        """Return the present streams; none before the first `_give`."""
        raise NotImplementedError


def holders_of(module: Any) -> list[StreamHolder]:
    """Return the objects of one module that draw by streams: itself, and the wrapper of its forward."""
    return [found for found in (module, vars(module).get("forward")) if isinstance(found, StreamHolder)]
