"""Wrap every forward of a model that may call a dropout function, and undo it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from thinnet.errors import InputError
from thinnet.torch._modules.base import Keyed
from thinnet.torch._reach.scan import Scan
from thinnet.torch._reach.wrapper import HANDLERS, Outside, Wrapper, wrapper_of

__all__ = ["check_unscripted", "reach", "release"]

_scan = Scan(HANDLERS)
_FASTER_OUTSIDE = Keyed, nn.TransformerEncoder, nn.TransformerEncoderLayer
"""Classes that read many attributes of tensors, and those whose faster path of evaluation excludes modes."""
_LARGE = 5
"""The number of modules from which leaving the mode takes less time than it saves."""


def reach(model: nn.Module) -> list[str]:
    """Wrap the forward of each module whose code may call a dropout function of torch; return their names.

    Modules of thinnet and modules that are wrapped already stay as they are.
    """
    every = dict(model.named_modules())
    kinds = {type(module) for module in every.values()}
    names: list[str] = []
    for name, module in every.items():
        if wrapper_of(module) is None and _is_foreign(module) and _scan.may_call(module, kinds):
            _unwrap(module)
            vars(module)["forward"] = Wrapper(module, direct=_scan.is_direct(module, kinds))
            names.append(name)
    for name in names:
        wrapper = wrapper_of(every[name])
        for module in () if wrapper is None or wrapper.direct else _inside(every[name]):
            vars(module)["forward"] = Outside(module)
    return names


def release(model: nn.Module) -> None:
    """Undo `reach`."""
    for module in model.modules():
        _unwrap(module)


def check_unscripted(owner: str, model: nn.Module) -> None:
    """Raise InputError for a model with a part that torch.jit has compiled and that drops.

    Its functions run without Python, where no mode sees them.
    """
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) and "dropout" in str(_graph(module)):
            raise InputError(
                f"{owner}: {name or 'the model'} was compiled by torch.jit; call {owner} before "
                "torch.jit.trace or torch.jit.script."
            )


def _graph(module: Any) -> Any:
    try:
        return module.inlined_graph
    except (AttributeError, RuntimeError):  # a part without a forward
        return ""


def _is_foreign(module: nn.Module) -> bool:
    if isinstance(module, torch.jit.ScriptModule):
        return False
    if isinstance(module, nn.RNNBase) and module.num_layers == 1:
        return type(module).forward not in _RECURRENT
    return not str(type(module).forward.__module__).startswith("thinnet.")


_RECURRENT = {nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward}


def _unwrap(module: nn.Module) -> None:
    found = vars(module).get("forward")
    if isinstance(found, Outside):
        found.remove()


def _inside(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that are faster outside the mode of a module that calls them."""
    for child in module.children():
        if isinstance(vars(child).get("forward"), Outside):
            continue
        lists = isinstance(child, (nn.ModuleList, nn.ModuleDict))  # they have no forward
        large = not lists and sum(1 for _ in child.modules()) >= _LARGE
        own_code = not lists and not type(child).__module__.startswith("torch.nn.")
        if large or own_code or isinstance(child, _FASTER_OUTSIDE):
            yield child
        else:
            yield from _inside(child)
