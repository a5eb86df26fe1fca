"""A forward whose own code makes all its dropout calls: it runs with other names, outside any mode.

A mode sees each call of torch, which costs a microsecond, and five where torch's function is written in
Python. A copy of the forward that finds thinnet's functions under torch's names costs nothing elsewhere.
Compilers trace the forward itself, in the mode.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["bind", "redirect"]


def redirect(
    forward: types.FunctionType, replacements: Mapping[Callable[..., Any], Callable[..., Any]]
) -> Callable[..., Any]:
    """Return a copy of a function whose global names of torch's functions have other values.

    Parameters
    ----------
    forward : function
        It names the functions by globals: `dropout`, `F.dropout`, `nn.functional.dropout`, `torch.dropout`.
    replacements : mapping
        A function to call instead of each function of torch.
    """
    spaces = _namespaces(replacements)
    names: dict[str, Any] = {}
    for name, value in forward.__globals__.items():
        if isinstance(value, types.ModuleType) and value in spaces:
            names[name] = spaces[value]
        elif isinstance(value, _FUNCTIONS) and value in replacements:
            names[name] = replacements[value]
    copy = types.FunctionType(
        forward.__code__,
        _Names(names, forward.__globals__),
        forward.__name__,
        forward.__defaults__,
        forward.__closure__,
    )
    copy.__kwdefaults__ = forward.__kwdefaults__
    return copy


_FUNCTIONS = types.FunctionType, types.BuiltinFunctionType


class _Names(dict[str, Any]):
    """Global names of which some have other values."""

    def __init__(self, own: Mapping[str, Any], others: Mapping[str, Any]) -> None:
        super().__init__(own)
        self.others = others

    def __missing__(self, name: str) -> Any:
        return self.others[name]


class _Namespace:
    """A module of which some attributes have other values."""

    def __init__(self, module: types.ModuleType, own: Mapping[str, Any]) -> None:
        vars(self).update(own)
        self.__module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__module, name)


def _namespaces(replacements: Mapping[Callable[..., Any], Any]) -> dict[types.ModuleType, _Namespace]:
    def within(module: types.ModuleType) -> dict[str, Any]:
        both = ((each.__name__, each, new) for each, new in replacements.items())
        return {name: new for name, each, new in both if getattr(module, name, None) == each}

    functional = _Namespace(nn.functional, within(nn.functional))
    of_nn = _Namespace(nn, {"functional": functional})
    of_torch = _Namespace(torch, {**within(torch), "nn": of_nn})
    return {torch: of_torch, nn: of_nn, nn.functional: functional}


def bind(handlers: Mapping[Any, Callable[..., Any]], calls: Any) -> dict[Any, Callable[..., Any]]:
    """Return each handler with the calls of a module and torch's function as its first arguments."""
    return {function: functools.partial(handler, calls, function) for function, handler in handlers.items()}
