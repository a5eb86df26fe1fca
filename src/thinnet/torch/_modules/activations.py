"""Modules: torch's own dropouts with their arguments, and others by the names that people know them by.

The first are subclasses of torch's, so whatever looks for `nn.Dropout` finds them; `p`, `inplace`, the repr,
the meaning of train and eval, and an empty `state_dict` are theirs.
"""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from thinnet.errors import InputError
from thinnet.torch._modules.base import Block, Rated, Tensor, dropped, noted, traceable
from thinnet.torch._streams.streams import Keyed
from thinnet.torch.functional import drop, max_pool_dropout
from thinnet.torch.functional._entry import whole
from thinnet.variants import find
from thinnet.variants._variant import PASSED

__all__ = [
    "AlphaDropout",
    "Drop",
    "DropBlock2d",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "LockedDropout",
    "MaxPoolDropout2d",
]


class Dropout(Keyed, nn.Dropout):
    """`torch.nn.Dropout` without a mask in memory.

    Examples
    --------
    >>> Dropout(0.5)
    Dropout(p=0.5, inplace=False)
    """

    variant = "Dropout"

    def forward(self, input: Tensor) -> Tensor:
        """Return input with entries dropped while training, input itself in evaluation."""
        return _mirrored(self, input)


class Dropout1d(Keyed, nn.Dropout1d):
    """`torch.nn.Dropout1d`: whole channels of (n, c, length), or of (c, length)."""

    variant = "Dropout1d"

    def forward(self, input: Tensor) -> Tensor:
        """Return input (n, c, l) with channels dropped while training, input itself in evaluation."""
        return _mirrored(self, input, 3)


class Dropout2d(Keyed, nn.Dropout2d):
    """`torch.nn.Dropout2d`: whole channels of (n, c, h, w), or of (n, c, length)."""

    variant = "Dropout2d"

    def forward(self, input: Tensor) -> Tensor:
        """Return input (n, c, h, w) with channels dropped while training, input itself in evaluation."""
        return _mirrored(self, input, 4)


class Dropout3d(Keyed, nn.Dropout3d):
    """`torch.nn.Dropout3d`: whole channels of (n, c, d, h, w), or of (c, d, h, w)."""

    variant = "Dropout3d"

    def forward(self, input: Tensor) -> Tensor:
        """Return input (n, c, d, h, w) with channels dropped while training, input itself in evaluation."""
        return _mirrored(self, input, 5)


class AlphaDropout(Keyed, nn.AlphaDropout):
    """`torch.nn.AlphaDropout`: keeps mean and variance behind SELU."""

    variant = "AlphaDropout"

    def forward(self, input: Tensor) -> Tensor:
        """Return input with entries set to SELU's lower limit while training, input itself in evaluation."""
        return _mirrored(self, input)


class FeatureAlphaDropout(Keyed, nn.FeatureAlphaDropout):
    """`torch.nn.FeatureAlphaDropout`: AlphaDropout of whole channels of (n, c, …)."""

    variant = "FeatureAlphaDropout"

    def forward(self, input: Tensor) -> Tensor:
        """Return input with channels set to SELU's lower limit while training, input itself in evaluation."""
        return _mirrored(self, input)


class Drop(Rated):
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

    def __init__(self, variant: str, p: float | None = None, block: Block = None) -> None:
        row = find(variant).sized(block)
        if row.other in PASSED:
            raise InputError(
                f"{variant}: wants a second operand; use thinnet.torch.functional.drop(other=…)."
            )
        super().__init__(row.usual if p is None else p, variant)
        self.variant, self.block = variant, block

    def forward(self, input: Tensor) -> Tensor:
        """Return a sample of the variant while training, its mean in evaluation."""
        return dropped(self, input, block=self.block)

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


class MaxPoolDropout2d(Rated):
    """Max-pooling of (n, c, h, w) that drops entries first; evaluation weights a window's by their chances.

    Entries have to be at least 0, as behind a rectifier.

    Parameters
    ----------
    kernel_size, stride : int
        Of the windows; the stride is the size if not given.
    p : float
        Chance that an entry is dropped, in [0, 1].

    References
    ----------
    Wu, Gu: Max-pooling dropout for regularization of convolutional neural networks. ICONIP 2015, section 3.
    """

    variant = "MaxPoolDropout"

    def __init__(self, kernel_size: int, stride: int | None = None, p: float = 0.5) -> None:
        super().__init__(p)
        self.kernel_size = whole("MaxPoolDropout2d", kernel_size, "kernel_size", 1)
        self.stride = kernel_size if stride is None else whole("MaxPoolDropout2d", stride, "stride", 1)

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the pooled maps of input (n, c, h, w): of sampled maxima while training, else their mean."""
        key = self.key() if self.training else None
        return max_pool_dropout(
            input,
            self.p,
            key=key,
            kernel_size=self.kernel_size,
            stride=self.stride,
            training=self.training,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, p={self.p}"


def _mirrored(module: Any, x: Tensor, axes: int | None = None) -> Tensor:
    """Drop; with an axis less than named, x is one sample without the axis of the samples."""
    if isinstance(x, fx.Proxy):
        return noted(module, x)
    if not module.training:
        return x
    if axes is None or x.dim() != axes - 1:
        y = drop(module.variant, x, module.rate, key=module.key())
    elif axes == 4:
        y = drop("Dropout1d", x, module.rate, key=module.key())
    else:
        y = drop(module.variant, x.unsqueeze(0), module.rate, key=module.key()).squeeze(0)
    return x.copy_(y) if module.inplace else y
