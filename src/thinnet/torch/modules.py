"""Modules: torch's own dropouts with their arguments, and others by the names that people know them by.

The first are subclasses of torch's, so whatever looks for `nn.Dropout` finds them; `p`, `inplace`, the repr,
the meaning of train and eval, and an empty `state_dict` are theirs.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import nn

from thinnet.errors import InputError
from thinnet.torch import functional
from thinnet.variants import find
from thinnet.variants.variant import HANDED

__all__ = [
    "AlphaDropout",
    "Drop",
    "DropBlock2d",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "LockedDropout",
]

Tensor: TypeAlias = torch.Tensor


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` without a mask in memory.

    Examples
    --------
    >>> Dropout(0.5)
    Dropout(p=0.5, inplace=False)
    """

    def forward(self, input: Tensor) -> Tensor:
        return _dropped(self, "Dropout", input)


class Dropout1d(nn.Dropout1d):
    """`torch.nn.Dropout1d`: whole channels of (n, c, length), or of (c, length)."""

    def forward(self, input: Tensor) -> Tensor:
        return _batched(self, "Dropout1d", input, 3)


class Dropout2d(nn.Dropout2d):
    """`torch.nn.Dropout2d`: whole channels of (n, c, h, w), or of (c, h, w)."""

    def forward(self, input: Tensor) -> Tensor:
        return _batched(self, "Dropout2d", input, 4)


class Dropout3d(nn.Dropout3d):
    """`torch.nn.Dropout3d`: whole channels of (n, c, d, h, w), or of (c, d, h, w)."""

    def forward(self, input: Tensor) -> Tensor:
        return _batched(self, "Dropout3d", input, 5)


class AlphaDropout(nn.AlphaDropout):
    """`torch.nn.AlphaDropout`: keeps mean and variance behind SELU."""

    def forward(self, input: Tensor) -> Tensor:
        return _dropped(self, "AlphaDropout", input)


class FeatureAlphaDropout(nn.FeatureAlphaDropout):
    """`torch.nn.FeatureAlphaDropout`: AlphaDropout of whole channels of (n, c, …)."""

    def forward(self, input: Tensor) -> Tensor:
        return _dropped(self, "FeatureAlphaDropout", input)


class Drop(nn.Module):
    """Any variant of the catalogue that needs no second operand.

    Parameters
    ----------
    variant : str
        A row of `thinnet.CATALOGUE`.
    p : float
        Chance that an entry is dropped, in [0, 1]; the variant's usual rate if not given.
    block : int or tuple of int, optional
        How long blocks are along each axis that has them.

    Raises
    ------
    InputError
        No such variant, or one that wants a second operand; p outside [0, 1].

    Examples
    --------
    >>> Drop("UnitDropout", 0.2)
    Drop('UnitDropout', p=0.2)
    """

    def __init__(
        self, variant: str, p: float | None = None, block: int | tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        row = find(variant).sized(block)
        if row.other in HANDED:
            raise InputError(
                f"{variant}: wants a second operand; use thinnet.torch.functional.drop(other=…)."
            )
        self.variant, self.p, self.block = variant, row.usual if p is None else p, block
        if isinstance(self.p, bool) or not isinstance(self.p, int | float) or not 0 <= self.p <= 1:
            raise InputError(f"{variant}: p must be in [0, 1], got {self.p!r}.")

    def forward(self, input: Tensor) -> Tensor:
        return functional.drop(self.variant, input, self.p, training=self.training, block=self.block)

    def extra_repr(self) -> str:
        name = repr(self.variant) + ", " if type(self) is Drop else ""
        return f"{name}p={self.p}" + (f", block={self.block}" if self.block is not None else "")


class GaussianDropout(Drop):
    """Multiplies by N(1, p / (1 - p)).

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014, section 10.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__("GaussianDropout", p)


class DropPath(Drop):
    """Zeroes a branch for whole samples, and divides it by keep for the others.

    References
    ----------
    Huang et al.: Deep networks with stochastic depth. ECCV 2016; Larsson et al.: FractalNet. ICLR 2017.
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__("DropPath", p)


class DropBlock2d(Drop):
    """Zeroes squares of feature maps; the asked rate holds at the borders too.

    References
    ----------
    Ghiasi et al.: DropBlock. NeurIPS 2018, section 3.
    """

    def __init__(self, p: float = 0.1, block_size: int | tuple[int, int] = 7) -> None:
        super().__init__("DropBlock2d", p, block_size)


class LockedDropout(Drop):
    """One mask for a whole sequence, (n, time, features).

    References
    ----------
    Gal, Ghahramani: A theoretically grounded application of dropout in recurrent networks. NeurIPS 2016.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__("LockedDropout", p)


def _dropped(module: Any, name: str, x: Tensor) -> Tensor:
    if not module.training:
        return x
    y = functional.drop(name, x, float(module.p))
    return x.copy_(y) if module.inplace else y


def _batched(module: nn.Module, name: str, x: Tensor, axes: int) -> Tensor:
    if x.dim() == axes - 1:
        return _dropped(module, name, x.unsqueeze(0)).squeeze(0)
    return _dropped(module, name, x)
