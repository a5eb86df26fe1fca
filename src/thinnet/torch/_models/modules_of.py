"""The modules of a model, by their names."""

from __future__ import annotations

from typing import Any

from torch import nn

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._internals import is_wrapper
from thinnet.torch._modules.base import Keyed
from thinnet.torch._streams.holders import StreamHolder, holders_of
from thinnet.torch._streams.streams import ModuleStream

__all__ = ["keyed_modules", "modules_of", "stream_holders", "streams_of"]


def modules_of(owner: str, model: nn.Module) -> dict[str, Any]:
    """Return every module of a model by its qualified name; a shared module has its first name.

    Raises
    ------
    InputError
        The model is not a module.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"{owner}: model must be a torch.nn.Module, got {type(model).__name__}.")
    return dict(model.named_modules())


def keyed_modules(owner: str, model: nn.Module) -> dict[str, Keyed]:
    """Return thinnet's modules by their qualified names, without the parts that wrappers add.

    The masks of a wrapped model are therefore those of the model.
    """
    every = modules_of(owner, model)
    return {
        _unwrapped_name(name, every): module for name, module in every.items() if isinstance(module, Keyed)
    }


def stream_holders(owner: str, model: nn.Module) -> dict[str, list[StreamHolder]]:
    """Return the objects that draw by streams, by the qualified names of their modules without wrappers."""
    every = modules_of(owner, model)
    found = {_unwrapped_name(name, every): holders_of(module) for name, module in every.items()}
    return {name: holders for name, holders in found.items() if holders}


def streams_of(owner: str, model: nn.Module) -> list[ModuleStream]:
    """Return the streams of a model in the order of its modules.

    Raises
    ------
    InputError
        Two modules are copies of one seeded module, and would share their masks.
    """
    found: dict[Key, tuple[str, ModuleStream]] = {}
    for name, holders in stream_holders(owner, model).items():
        for stream in (stream for holder in holders for stream in holder.streams()):
            first, other = found.setdefault(stream.key, (name, stream))
            if other is not stream:
                raise InputError(
                    f"{owner}: {name!r} is a copy of {first!r} and has its masks; use "
                    "thinnet.torch.seed(model, 0) after the copies are made."
                )
    return [stream for _, stream in found.values()]


def _unwrapped_name(name: str, every: dict[str, nn.Module]) -> str:
    parts = name.split(".")
    parents = [".".join(parts[:i]) for i in range(len(parts))]
    pairs = zip(parents, parts, strict=True)
    return ".".join(part for parent, part in pairs if not part or not is_wrapper(every[parent], part))
