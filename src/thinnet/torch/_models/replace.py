"""Put thinnet's dropouts in the place of torch's, timm's and torchvision's in a model, and take them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import nn

from thinnet.errors import InputError
from thinnet.torch import _modules as modules
from thinnet.torch._streams.streams import Keyed, named

__all__ = ["replace", "restore", "twin"]

Convert: TypeAlias = Callable[[Any], Keyed | None]

_OURS = (
    modules.Dropout,
    modules.Dropout1d,
    modules.Dropout2d,
    modules.Dropout3d,
    modules.AlphaDropout,
    modules.FeatureAlphaDropout,
)
_TORCHS: dict[type, type[Any]] = {kind.__mro__[2]: kind for kind in _OURS}


def _drop_path(m: Any) -> Keyed | None:
    return modules.DropPath(m.drop_prob or 0.0) if m.scale_by_keep else None


def _timm_blocks(m: Any) -> Keyed | None:
    if m.with_noise or m.gamma_scale != 1 or not getattr(m, "scale_by_keep", True):
        return None
    shared = getattr(m, "couple_channels", True)
    return modules.Drop("SharedDropBlock2d" if shared else "DropBlock2d", m.drop_prob, m.block_size)


def _vision_blocks(m: Any) -> Keyed:
    return modules.Drop(type(m).__name__, m.p, m.block_size)


# By their names, so that neither package need be there: what stands in, and what holds their rate. What was
# asked for what no variant does has nothing that could stand in, and is left as it is.
_OTHERS: dict[str, tuple[Convert, str]] = {
    "timm.layers.drop.DropPath": (_drop_path, "drop_prob"),
    "timm.layers.drop.DropBlock2d": (_timm_blocks, "drop_prob"),
    "timm.layers.patch_dropout.PatchDropout": (
        lambda m: modules.PatchDropout(m.prob, m.num_prefix_tokens),
        "prob",
    ),
    "torchvision.ops.stochastic_depth.StochasticDepth": (
        lambda m: modules.StochasticDepth(m.p, m.mode),
        "p",
    ),
    "torchvision.ops.drop_block.DropBlock2d": (_vision_blocks, "p"),
    "torchvision.ops.drop_block.DropBlock3d": (_vision_blocks, "p"),
}


def replace(model: nn.Module) -> list[str]:
    """Replace dropout modules of torch, timm and torchvision by thinnet's, in place; return their names.

    Nested and shared modules are found; the rate, the mode, hooks and whatever holds the module stay. Calls
    of functions inside a forward are no modules and stay as they are: `thinnet.torch.summary` finds them.

    Returns
    -------
    list of str
        Qualified names of what was replaced.

    Raises
    ------
    InputError
        The model holds no such module.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2))
    >>> replace(model), type(model[2]) is modules.Dropout
    (['2'], True)
    """
    names: list[str] = []
    for name, module in named("replace", model):
        if (made := twin(module)) is not None:
            _become(module, made)
            names.append(name)
    if not names:
        raise InputError("replace: the model holds no dropout module to replace; nothing was changed.")
    return names


def restore(model: nn.Module) -> list[str]:
    """Undo `replace`; return the qualified names of what was changed. Modules lose their streams.

    Examples
    --------
    >>> model = nn.Sequential(modules.Dropout(0.2))
    >>> restore(model), type(model[0]) is nn.Dropout
    (['0'], True)
    """
    back = {ours: theirs for theirs, ours in _TORCHS.items()}
    names: list[str] = []
    for name, module in named("restore", model):
        before, added, rate = module.__dict__.pop("_replaced", (back.get(type(module)), (), "p"))
        if before is None:
            continue
        p = module.p
        for own in (*added, "_stream", "_rate", "_follow"):
            module.__dict__.pop(own, None)
        module.__class__ = before
        setattr(module, rate, p)
        names.append(name)
    return names


def twin(module: Any) -> Keyed | None:
    """Return what `replace` puts in the place of a module, or None if it leaves it as it is."""
    kind = type(module)
    if kind in _TORCHS:
        return _TORCHS[kind](module.p, module.inplace)
    convert, _ = _OTHERS.get(f"{kind.__module__}.{kind.__qualname__}", (None, ""))
    return None if convert is None else convert(module)


def _become(module: Any, made: Keyed) -> None:
    """Make a module what another is: whoever shares it, hooks it or counts it goes on doing so."""
    kind = type(module)
    _, rate = _OTHERS.get(f"{kind.__module__}.{kind.__qualname__}", (None, "p"))
    added = [name for name in vars(made) if name not in vars(module)]
    module.__dict__.update({name: vars(made)[name] for name in added})
    module._replaced = kind, added, rate
    module.__class__ = type(made)
