"""Dropout modules of other packages, and the modules of thinnet that do what they do."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from thinnet.torch._modules.activations import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from thinnet.torch._modules.base import Keyed, Rated, Tensor, drop_by, traceable
from thinnet.torch._modules.branches import DropPath, StochasticDepth
from thinnet.torch._modules.embeddings import PatchDropout
from thinnet.torch.functional import patch_dropout
from thinnet.variants import Variant, find
from thinnet.variants._law import unscaled

__all__ = ["OF_TORCH", "Counterpart", "counterpart", "own_rate"]

OF_TORCH: dict[type, type[Any]] = {
    kind.__bases__[1]: kind
    for kind in (Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout, FeatureAlphaDropout)
}
"""torch's class → thinnet's, whose second base it is."""


class Counterpart(NamedTuple):
    """A module of thinnet that does what another package's does, and the name of the rate there."""

    ours: Keyed
    rate: str


class UnscaledDropPath(Rated):
    """Zeroes a branch for whole samples, and divides nothing; evaluation returns x.

    Parameters
    ----------
    p : float
        Chance that a branch is dropped, in [0, 1].

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> UnscaledDropPath(0.5)(torch.ones(8, 1)).unique()
    tensor([0., 1.])
    """

    variant = "LayerDrop"

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the branch, zeroed for some samples while training."""
        if not self.training or self.rests:
            return input
        return drop_by(self, input, pattern="n 1...")


class ClippedDropBlock(Rated):
    """DropBlock whose blocks are clipped to small maps, as timm and torchvision clip them.

    Parameters
    ----------
    p : float
        Chance that an entry is dropped, before it is multiplied by `share`.
    variant : str
        A row of the catalogue that drops blocks.
    size : int
        Length of a block along each axis.
    cube : bool
        Clip every side to the shortest axis of the map, or each side to its own axis.
    share : float
        Multiplies the rate; timm's `gamma_scale`.
    scaled : bool
        Divide kept entries by keep.

    Examples
    --------
    >>> drop = ClippedDropBlock(0.5, "DropBlock2d", 7)
    >>> drop(torch.ones(9, 1, 2, 2)).unique()
    tensor([0.0000, 2.0000])
    """

    def __init__(
        self,
        p: float,
        variant: str,
        size: int,
        *,
        cube: bool = False,
        share: float = 1.0,
        scaled: bool = True,
    ) -> None:
        super().__init__(p, variant)
        self.inplace = False  # a replaced module keeps its own
        self.variant = variant if scaled else _unscaled_row(variant)
        self.size, self.axes, self.cube, self.share = size, len(find(variant).block), cube, share

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the maps with blocks of zeros while training, else unchanged."""
        if not self.training or self.rests:
            return input
        sides = tuple(input.shape[-self.axes :])
        sides = (min(sides),) * self.axes if self.cube else sides
        block = tuple(min(self.size, side) for side in sides)
        y = drop_by(self, input, p=_scaled(self.rate, self.share), block=block)
        return input.copy_(y) if self.inplace else y


def _scaled(rate: Any, share: float) -> Any:
    """Return a rate times a share, at most 1; a rate that is a tensor remains one."""
    if share == 1.0:
        return rate
    return (rate * share).clamp(max=1.0) if isinstance(rate, torch.Tensor) else min(1.0, rate * share)


def _unscaled_row(name: str) -> Variant:
    row = find(name)
    return dataclasses.replace(row, name=f"Unscaled{row.name}", law=unscaled, inference="identity")


class TimmPatchDropout(PatchDropout):
    """PatchDropout that keeps as many tokens as timm's: `max(1, int((t - prefix) * (1 - p)))`, in order.

    Parameters
    ----------
    p : float
        Share of the tokens that is removed, in [0, 1].
    prefix : int
        Number of leading tokens that always remain.
    indices : bool
        Also return the indices of kept tokens, counted after the prefix, or None in evaluation.
    """

    def __init__(self, p: float = 0.5, prefix: int = 1, *, indices: bool = False) -> None:
        super().__init__(p, prefix)
        self.indices = indices

    @traceable
    def forward(self, input: Tensor) -> Any:
        """Return input (n, tokens, e) without the dropped tokens while training, else input itself."""
        if not self.training or self.rests:
            return (input, None) if self.indices else input
        tokens = input.shape[1] - self.prefix
        kept = max(1, int(tokens * (1.0 - self.p)))
        y, index = patch_dropout(input, 1 - kept / tokens, key=self.key(), prefix=self.prefix)
        return (y, index[:, self.prefix :] - self.prefix) if self.indices else y


# Conversions return None for options that no variant has: the module remains.


def _drop_path(m: Any) -> Keyed:
    return DropPath(m.drop_prob or 0.0) if m.scale_by_keep else UnscaledDropPath(m.drop_prob or 0.0)


def _timm_blocks(m: Any) -> Keyed | None:
    if m.with_noise:
        return None
    shared = getattr(m, "couple_channels", True)
    return ClippedDropBlock(
        m.drop_prob or 0.0,
        "SharedDropBlock2d" if shared else "DropBlock2d",
        m.block_size,
        share=float(m.gamma_scale),
        scaled=getattr(m, "scale_by_keep", True),
    )


def _vision_blocks(m: Any) -> Keyed:
    return ClippedDropBlock(m.p, f"DropBlock{_forward_class(m).__name__[-2:]}", m.block_size, cube=True)


def _patches(m: Any) -> Keyed:
    return TimmPatchDropout(m.prob, m.num_prefix_tokens)


def _patches_with_indices(m: Any) -> Keyed:
    return TimmPatchDropout(m.prob, m.num_prefix_tokens, indices=True)


Convert: TypeAlias = Callable[[Any], Keyed | None]

# By name, so that no package needs to be installed: how to convert, and the attribute of the rate.
_BY_NAME: dict[str, tuple[Convert, str]] = {
    "timm.layers.drop.DropPath": (_drop_path, "drop_prob"),
    "timm.layers.drop.DropBlock2d": (_timm_blocks, "drop_prob"),
    "timm.layers.patch_dropout.PatchDropout": (_patches, "prob"),
    "timm.layers.patch_dropout.PatchDropoutWithIndices": (_patches_with_indices, "prob"),
    "torchvision.ops.stochastic_depth.StochasticDepth": (lambda m: StochasticDepth(m.p, m.mode), "p"),
    "torchvision.ops.drop_block.DropBlock2d": (_vision_blocks, "p"),
    "torchvision.ops.drop_block.DropBlock3d": (_vision_blocks, "p"),
}


def counterpart(module: Any) -> Counterpart | None:
    """Return a module of thinnet that does what a module of another package does, or None.

    A subclass with a forward of its own is another module, and so is an instance with one.
    """
    if isinstance(module, Keyed) or "forward" in vars(module):
        return None
    kind = _forward_class(module)
    if kind in OF_TORCH:
        return Counterpart(OF_TORCH[kind](module.p, module.inplace), "p")
    if (known := _BY_NAME.get(f"{kind.__module__}.{kind.__qualname__}")) is not None:
        ours = known[0](module)
        return None if ours is None else Counterpart(ours, known[1])
    made = _ACTS.get(_action(module, kind))
    return None if made is None else Counterpart(made(module.drop_prob or 0.0), "drop_prob")


def own_rate(module: Any) -> float | None:
    """Return the rate that a module named after dropout holds, or None.

    Examples
    --------
    >>> own_rate(nn.Dropout(0.25)), own_rate(nn.Linear(2, 2))
    (0.25, None)
    """
    if "drop" not in type(module).__name__.lower() or any(module.children()):
        return None
    rates = (vars(module).get(name) for name in ("drop_prob", "prob", "p"))
    return next((float(rate) for rate in rates if isinstance(rate, float | int)), None)


def _forward_class(module: nn.Module) -> type:
    """Return the class that defines the forward of a module."""
    return next(kind for kind in type(module).__mro__ if "forward" in vars(kind))


# Classes that many projects copy are known by what they do: Hugging Face's have a DropPath for each model.
_ACTS: dict[str, Callable[[float], Keyed]] = {
    "drops samples": DropPath,
    "drops samples without scaling": UnscaledDropPath,
    "drops entries": Dropout,
}
_KEEP = 0.75
_known: dict[tuple[type, tuple[tuple[str, bool], ...]], str] = {}


def _action(module: nn.Module, kind: type) -> str:
    """Return what a module does to ones at a rate of 1/4: a name of `_ACTS`, or "" for anything else.

    The module is called if its class is named after dropout, has `drop_prob` and holds nothing to learn; a
    copy of it is, under a generator of its own.
    """
    named = kind.__name__.endswith(("DropPath", "Dropout"))
    if not named or "drop_prob" not in vars(module):
        return ""
    if any(module.children()) or any(module.parameters()) or any(module.buffers()):
        return ""
    options = tuple(
        sorted((k, v) for k, v in vars(module).items() if isinstance(v, bool) and k != "training")
    )
    if (kind, options) not in _known:
        _known[kind, options] = _act(module, kind)
    return _known[kind, options]


def _act(module: nn.Module, kind: type) -> str:
    probe: Any = copy.copy(module)
    probe.__dict__ = {**vars(module), "_forward_hooks": {}, "_forward_pre_hooks": {}}
    probe.drop_prob, probe.training = 1 - _KEEP, True
    x = torch.ones(64, 4, 3, device="cpu")
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            first, second = kind.forward(probe, x), kind.forward(probe, x)
            probe.training = False
            still = torch.equal(kind.forward(probe, x), x)
    except Exception:  # another signature, other axes: another module
        return ""
    if not still or first.shape != x.shape or torch.equal(first, second):
        return ""
    values = first.unique().tolist()
    # Which axes share their draws: all slices along them are then equal.
    shared = [torch.equal(first.narrow(axis, 0, 1).expand_as(first), first) for axis in range(3)]
    scaled = len(values) == 2 and values[0] == 0.0 and abs(values[1] * _KEEP - 1) < 1e-5
    if shared == [False, True, True]:
        return "drops samples" if scaled else "drops samples without scaling" * (values == [0.0, 1.0])
    return "drops entries" if scaled and shared == [False] * 3 else ""
