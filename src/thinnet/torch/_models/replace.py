"""Replace the dropouts of torch and of other packages in a model by thinnet's, and restore them."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, TypeVar

from torch import nn

from thinnet.torch._models.both import class_of_both
from thinnet.torch._models.foreign import OF_TORCH, Counterpart, counterpart
from thinnet.torch._models.modules_of import modules_of
from thinnet.torch._modules.base import Keyed
from thinnet.torch._reach.reach import check_unscripted, reach, release

__all__ = ["replace", "restore"]

Model = TypeVar("Model", bound=nn.Module)


class _Replaced(NamedTuple):
    """What `restore` needs of a module: its class, the attributes added, the name of its rate."""

    kind: type
    added: list[str]
    rate: str


def replace(model: Model) -> Model:
    """Replace the dropout of a model by thinnet's, in place, and return the model.

    Modules of torch, timm, torchvision, transformers and subclasses of torch's are found, nested and shared
    ones too. Their rate, mode, hooks, names of attributes and references to them remain, and they stay
    instances of their class. A second call changes nothing. `thinnet.torch.summary` lists the result. If an
    error occurs, the model is left as it was.

    Parameters
    ----------
    model : Module
        Any model. A model without dropout is returned with a warning.

    Returns
    -------
    Module
        The model.

    Raises
    ------
    InputError
        The model is not a module, or holds a rate outside [0, 1].

    Examples
    --------
    >>> model = replace(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2)))
    >>> model[2], type(model[2]).__module__
    (Dropout(p=0.2, inplace=False), 'thinnet.torch._modules.activations')
    """
    every = modules_of("replace", model)
    check_unscripted("replace", model)
    found = {name: other for name, module in every.items() if (other := counterpart(module)) is not None}
    changed: list[Any] = []
    try:
        for name, other in found.items():
            changed.append(every[name])
            _change_class(every[name], other)
        reached = reach(model)
    except BaseException:
        release(model)
        for module in changed:
            _change_back(module)
        raise
    if not found and not reached and not any(isinstance(module, Keyed) for module in every.values()):
        warnings.warn("replace: the model holds no dropout; nothing was changed.", UserWarning, stacklevel=2)
    return model


def restore(model: Model) -> Model:
    """Undo `replace`, in place, and return the model.

    Modules lose their streams and schedules and keep their present rates.

    Examples
    --------
    >>> model = nn.Sequential(nn.Dropout(0.2))
    >>> type(restore(replace(model))[0]) is nn.Dropout
    True
    """
    every = modules_of("restore", model)
    release(model)
    for module in every.values():
        _change_back(module)
    return model


def _change_class(module: Any, other: Counterpart) -> None:
    """Give a module the class and the missing attributes of ours, so that references to it stay valid."""
    kind, ours = type(module), other.ours
    both = class_of_both(type(ours), kind, other.rate)
    held = vars(module)
    added = [name for name in vars(ours) if name not in held]
    module._replaced = _Replaced(kind, added, other.rate)
    held.update({name: vars(ours)[name] for name in added})
    if other.rate != "p":
        held.pop(other.rate)  # a property of the class of both
    module.__class__ = both
    module.p = ours.p


_BACK = {ours: theirs for theirs, ours in OF_TORCH.items()}


def _change_back(module: Any) -> None:
    """Give a module its former class, and take away what was added."""
    replaced: _Replaced | None = vars(module).pop("_replaced", None)
    if replaced is None:
        if type(module) not in _BACK:
            return
        replaced = _Replaced(_BACK[type(module)], [], "p")
    p = module.p
    for own in (*replaced.added, "_stream", "_rate", "_follow", "_schedule"):
        vars(module).pop(own, None)
    module.__class__ = replaced.kind
    setattr(module, replaced.rate, p)
