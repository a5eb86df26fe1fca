"""Replace the dropouts of torch, timm and torchvision in a model by thinnet's, and restore them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from torch import nn

from thinnet.errors import InputError
from thinnet.torch._models.modules_of import modules_of
from thinnet.torch._modules.activations import (
    AlphaDropout,
    Drop,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from thinnet.torch._modules.base import Keyed
from thinnet.torch._modules.branches import DropPath, StochasticDepth
from thinnet.torch._modules.embeddings import PatchDropout

__all__ = ["counterpart", "replace", "restore"]

Convert: TypeAlias = Callable[[Any], Keyed | None]


class _Foreign(NamedTuple):
    """A class of another package: how to make thinnet's module from it, and the name of its rate."""

    convert: Convert
    rate: str


class _Replaced(NamedTuple):
    """What `restore` needs of a module: its class, the attributes added, the name of its rate."""

    kind: type
    added: list[str]
    rate: str


_OURS = (
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    AlphaDropout,
    FeatureAlphaDropout,
)
# torch's class is the second base of ours.
_OF_TORCH: dict[type, type[Any]] = {kind.__bases__[1]: kind for kind in _OURS}


def _drop_path(m: Any) -> Keyed | None:
    return DropPath(m.drop_prob or 0.0) if m.scale_by_keep else None


def _timm_blocks(m: Any) -> Keyed | None:
    if m.with_noise or m.gamma_scale != 1 or not getattr(m, "scale_by_keep", True):
        return None
    shared = getattr(m, "couple_channels", True)
    return Drop("SharedDropBlock2d" if shared else "DropBlock2d", m.drop_prob, block=m.block_size)


def _vision_blocks(m: Any) -> Keyed:
    return Drop(type(m).__name__, m.p, block=m.block_size)


# By name, so that neither package needs to be installed. A module with options that no variant has remains.
_FOREIGN: dict[str, _Foreign] = {
    "timm.layers.drop.DropPath": _Foreign(_drop_path, "drop_prob"),
    "timm.layers.drop.DropBlock2d": _Foreign(_timm_blocks, "drop_prob"),
    "timm.layers.patch_dropout.PatchDropout": _Foreign(
        lambda m: PatchDropout(m.prob, m.num_prefix_tokens), "prob"
    ),
    "torchvision.ops.stochastic_depth.StochasticDepth": _Foreign(lambda m: StochasticDepth(m.p, m.mode), "p"),
    "torchvision.ops.drop_block.DropBlock2d": _Foreign(_vision_blocks, "p"),
    "torchvision.ops.drop_block.DropBlock3d": _Foreign(_vision_blocks, "p"),
}


def replace(model: nn.Module) -> list[str]:
    """Replace dropout modules of torch, timm and torchvision by thinnet's, in place; return their names.

    Nested and shared modules are found. The rate, the mode, hooks and references to the module remain. Calls
    of functions in a forward, as of `F.dropout`, remain as they are; `thinnet.torch.summary` lists them.

    Parameters
    ----------
    model : Module
        Any model.

    Returns
    -------
    list of str
        Qualified names of the replaced modules.

    Raises
    ------
    InputError
        The model holds no such module.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2))
    >>> replace(model), type(model[2]) is Dropout
    (['2'], True)
    """
    names: list[str] = []
    for name, module in modules_of("replace", model).items():
        if (ours := counterpart(module)) is not None:
            _change_class(module, ours)
            names.append(name)
    if not names:
        raise InputError("replace: the model holds no dropout module to replace; nothing was changed.")
    return names


def restore(model: nn.Module) -> list[str]:
    """Undo `replace`, in place; return the qualified names of the restored modules.

    Modules lose their streams and schedules and keep their present rates.

    Examples
    --------
    >>> model = nn.Sequential(Dropout(0.2))
    >>> restore(model), type(model[0]) is nn.Dropout
    (['0'], True)
    """
    back = {ours: theirs for theirs, ours in _OF_TORCH.items()}
    names: list[str] = []
    for name, module in modules_of("restore", model).items():
        replaced: _Replaced | None = module.__dict__.pop("_replaced", None)
        if replaced is None:
            if type(module) not in back:
                continue
            replaced = _Replaced(back[type(module)], [], "p")
        p = module.p
        for own in (*replaced.added, "_stream", "_rate", "_follow"):
            module.__dict__.pop(own, None)
        module.__class__ = replaced.kind
        setattr(module, replaced.rate, p)
        names.append(name)
    return names


def counterpart(module: Any) -> Keyed | None:
    """Return a module of thinnet that does what a module of another package does, or None."""
    kind = type(module)
    if kind in _OF_TORCH:
        return _OF_TORCH[kind](module.p, module.inplace)
    foreign = _foreign(kind)
    return None if foreign is None else foreign.convert(module)


def _foreign(kind: type) -> _Foreign | None:
    return _FOREIGN.get(f"{kind.__module__}.{kind.__qualname__}")


def _change_class(module: Any, ours: Keyed) -> None:
    """Give a module the class and the missing attributes of ours, so that references to it stay valid."""
    kind = type(module)
    foreign = _foreign(kind)
    added = [name for name in vars(ours) if name not in vars(module)]
    module.__dict__.update({name: vars(ours)[name] for name in added})
    module._replaced = _Replaced(kind, added, "p" if foreign is None else foreign.rate)
    module.__class__ = type(ours)
