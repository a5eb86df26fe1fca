"""Parametrized modules in a pickle: torch refuses them, since it makes their class when it parametrizes."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrize

__all__ = ["Packed", "pack", "unpack"]


class Packed(NamedTuple):
    """A parametrized module without its class.

    Parameters
    ----------
    kind : type
        The class before it was parametrized.
    names : list of str
        The parametrized tensors.
    state : dict
        The module's attributes, the parametrizations included.
    """

    kind: type[nn.Module]
    names: list[str]
    state: dict[str, Any]


def pack(module: nn.Module) -> Packed:
    """Return what `unpack` makes an equal module of; tensors and submodules are shared, not copied."""
    kind: Any = parametrize.type_before_parametrizations(module)
    lists: Any = module.parametrizations
    return Packed(kind, list(lists), dict(kind.__getstate__(module)))


def unpack(packed: Packed) -> nn.Module:
    """Return a module with the attributes that `pack` found.

    Examples
    --------
    >>> layer = parametrize.register_parametrization(nn.Linear(2, 3), "weight", nn.ReLU())
    >>> bool((unpack(pack(layer)).weight == layer.weight).all())
    True
    """
    kind: Any = packed.kind
    module = kind.__new__(kind)
    nn.Module.__init__(module)
    for name in packed.names:  # makes the class and its properties
        module.register_parameter(name, nn.Parameter(torch.empty(0)))
        parametrize.register_parametrization(module, name, nn.Identity(), unsafe=True)
    module.__setstate__(packed.state)
    return module
