"""The modules of a model, by their names."""

from __future__ import annotations

from typing import Any

from torch import nn

from thinnet.errors import InputError
from thinnet.torch._internals import is_wrapper
from thinnet.torch._modules.base import Keyed
from thinnet.torch._streams.holders import StreamHolder, holders_of

__all__ = ["keyed_modules", "modules_of", "stream_holders"]


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


def _unwrapped_name(name: str, every: dict[str, nn.Module]) -> str:
    parts = name.split(".")
    parents = [".".join(parts[:i]) for i in range(len(parts))]
    pairs = zip(parents, parts, strict=True)
    return ".".join(part for parent, part in pairs if not part or not is_wrapper(every[parent], part))
