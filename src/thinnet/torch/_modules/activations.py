"""Modules between layers: torch's own dropouts, any variant of the catalogue, and max-pooling.

The first six are subclasses of torch's, so `isinstance(module, nn.Dropout)` finds them; `p`, `inplace`, the
repr, the meaning of train and eval, and the empty `state_dict` are torch's.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

from torch import fx, nn

from thinnet._checks import check_boolean, check_integer
from thinnet.errors import InputError
from thinnet.torch._internals import is_plain_in_eager_mode
from thinnet.torch._modules.base import Block, Keyed, Rated, Tensor, drop_by, record_call, traceable
from thinnet.torch._ops import small
from thinnet.torch._streams import shards
from thinnet.torch.functional import drop, max_pool_dropout
from thinnet.torch.functional._entry import check_p
from thinnet.variants import Variant, find

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


class _Mirrored(Keyed):
    """A dropout of torch: torch's class is the second base; x itself in evaluation."""

    inplace: bool
    axes: int | None = None  # of a batch; with one axis less, x is one sample

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        checked = check_p(type(self).__name__, p)
        super().__init__(checked, inplace)  # pyright: ignore[reportCallIssue] - torch's, the second base

    def forward(self, input: Tensor) -> Tensor:
        """Return a sample of the variant while training, input itself in evaluation."""
        if self.training and self.axes is None and is_plain_in_eager_mode(input) and not shards.active():
            y = small.drop(self.variant, input, self.p, self._stream)
            if y is not None:
                return input.copy_(y) if self.inplace else y
        if isinstance(input, fx.Proxy):
            return record_call(self, input)
        if not self.training or self.rests:
            return input
        y = self._drop(input)
        return input.copy_(y) if self.inplace else y

    def _drop(self, x: Tensor) -> Tensor:
        usual = (None, self.axes, None if self.axes is None else self.axes - 1)
        if self.axes in (4, 5) and x.dim() not in usual and x.dim() > 1:
            return self._drop_channels(x)
        if self.variant == "FeatureAlphaDropout" and x.dim() == 2:  # channels of one entry
            return drop(self.variant, x, self.rate, key=self.key(), pattern="n c")
        if self.axes is None or x.dim() != self.axes - 1:
            return drop(self.variant, x, self.rate, key=self.key())
        if self.axes == 4:  # torch takes three axes for (n, c, length)
            return drop("Dropout1d", x, self.rate, key=self.key())
        return drop(self.variant, x.unsqueeze(0), self.rate, key=self.key()).squeeze(0)

    def _drop_channels(self, x: Tensor) -> Tensor:
        """Drop along the axes that torch takes with a warning."""
        warnings.warn(
            f"{self.variant}: x of {x.dim()} axes is deprecated in torch; use one of "
            f"{self.axes or 0} axes, or Dropout for a mask of each entry.",
            UserWarning,
            stacklevel=4,
        )
        batch = x.unsqueeze(0) if self.axes == 5 else x
        pattern = " ".join(("n", "c", *("1" for _ in batch.shape[2:])))
        y = drop(self.variant, batch, self.rate, key=self.key(), pattern=pattern)
        return y.squeeze(0) if self.axes == 5 else y


class Dropout(_Mirrored, nn.Dropout):
    """`torch.nn.Dropout` without a mask in memory.

    Parameters
    ----------
    p : float
        Chance that an entry is dropped, in [0, 1].
    inplace : bool
        Write the result to x.

    Raises
    ------
    InputError
        A rate outside [0, 1].

    Examples
    --------
    >>> Dropout(0.5)
    Dropout(p=0.5, inplace=False)

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014, sections 4 and 10.
    """

    variant = "Dropout"


class Dropout1d(_Mirrored, nn.Dropout1d):
    """`torch.nn.Dropout1d`: whole channels of (n, c, length) or (c, length)."""

    variant, axes = "Dropout1d", 3


class Dropout2d(_Mirrored, nn.Dropout2d):
    """`torch.nn.Dropout2d`: whole channels of (n, c, h, w) or (n, c, length)."""

    variant, axes = "Dropout2d", 4


class Dropout3d(_Mirrored, nn.Dropout3d):
    """`torch.nn.Dropout3d`: whole channels of (n, c, d, h, w) or (c, d, h, w)."""

    variant, axes = "Dropout3d", 5


class AlphaDropout(_Mirrored, nn.AlphaDropout):
    """`torch.nn.AlphaDropout`: preserves mean and variance after SELU."""

    variant = "AlphaDropout"


class FeatureAlphaDropout(_Mirrored, nn.FeatureAlphaDropout):
    """`torch.nn.FeatureAlphaDropout`: AlphaDropout of whole channels of (n, c, …)."""

    variant = "FeatureAlphaDropout"


class Drop(Rated):
    """Any variant of the catalogue that needs no second operand.

    Evaluation applies the mean of the variant's law.

    Parameters
    ----------
    variant : str or Variant
        A name in `thinnet.CATALOGUE`, or a variant of your own.
    p : float, optional
        Chance that an entry is dropped, in [0, 1]; by default the variant's usual rate.
    block : int or tuple of int, optional
        Length of a block along each axis that has blocks; by default the variant's.
    pattern : str, optional
        Which entries share one lane: "n c 1 1" draws one for each sample and channel. By default the
        variant's.

    Raises
    ------
    InputError
        An unknown variant, a variant that needs a second operand, or a rate outside [0, 1].

    Examples
    --------
    >>> Drop("UnitDropout", 0.2)
    Drop('UnitDropout', p=0.2)
    """

    def __init__(
        self,
        variant: str | Variant,
        p: float | None = None,
        *,
        block: Block = None,
        pattern: str | None = None,
    ) -> None:
        row = find(variant).sized(block)
        if pattern is not None:
            row = row.patterned(pattern)
        if row.needs_other:
            raise InputError(
                f"{row.name}: needs a second operand; use thinnet.torch.functional.drop(…, other=…)."
            )
        super().__init__(row.usual if p is None else p, row.name)
        self.variant, self.block, self.pattern = variant, block, pattern

    def forward(self, input: Tensor) -> Tensor:
        """Return a sample of the variant while training, its mean in evaluation."""
        pattern: Any = {} if self.pattern is None else {"pattern": self.pattern}
        return drop_by(self, input, block=self.block, **pattern)

    def extra_repr(self) -> str:
        name = f"{self.variant!r}, " if type(self) is Drop else ""
        options = {"block": self.block, "pattern": self.pattern}
        given = [f", {option}={value!r}" for option, value in options.items() if value is not None]
        return f"{name}p={self.p}{''.join(given)}"


class GaussianDropout(Drop):
    """Multiplies by N(1, p / (1 - p)).

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014, section 10.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__("GaussianDropout", p)


class DropBlock2d(Drop):
    """Zeroes square blocks of feature maps, (n, c, h, w), and divides the rest by keep.

    The rate is exact at borders and corners too.

    Parameters
    ----------
    p : float
        Chance that an entry is dropped, in [0, 1].
    block : int or tuple of int
        Height and width of a block.

    References
    ----------
    Ghiasi et al.: DropBlock. NeurIPS 2018, section 3.
    """

    def __init__(self, p: float = 0.1, block: int | tuple[int, int] = 7) -> None:
        super().__init__("DropBlock2d", p, block=block)


class LockedDropout(Drop):
    """Drops features with one mask for all time steps of a sample.

    Parameters
    ----------
    p : float
        Chance that a feature of a sample is dropped, in [0, 1].
    batch_first : bool
        Whether x is (n, time, features), or (time, n, features) as the recurrent layers of torch take it by
        default and as in the code of the second paper. Samples have the same masks in both.

    Raises
    ------
    InputError
        A rate outside [0, 1]; in forward, an x without three axes.

    Examples
    --------
    >>> import torch
    >>> y = LockedDropout(0.5, batch_first=False)(torch.ones(3, 2, 8))
    >>> bool((y == y[0]).all())
    True

    References
    ----------
    Gal, Ghahramani: A theoretically grounded application of dropout in recurrent networks. NeurIPS 2016.
    Merity et al.: Regularizing and optimizing LSTM language models. ICLR 2018, section 4.1.
    """

    batch_first: bool = True  # of modules that were pickled without it

    def __init__(self, p: float = 0.5, *, batch_first: bool = True) -> None:
        super().__init__("LockedDropout", p)
        self.batch_first = check_boolean("LockedDropout", "batch_first", batch_first)

    def forward(self, input: Tensor) -> Tensor:
        """Return a sample of the variant while training, input itself in evaluation."""
        if isinstance(input, fx.Proxy):
            return record_call(self, input)
        with shards.batch_on(0) if shards.active() else contextlib.nullcontext():
            if self.batch_first or input.dim() != 3:
                return super().forward(input)
            return super().forward(input.transpose(0, 1)).transpose(0, 1)

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.batch_first else ", batch_first=False")


class MaxPoolDropout2d(Rated):
    """Max-pooling of (n, c, h, w) that drops entries before it takes the maximum.

    Evaluation weights the entries of a window by the chances that each is the maximum. Entries must be at
    least 0, as after a ReLU.

    Parameters
    ----------
    kernel_size, stride : int
        Of the windows; the stride is the kernel size by default.
    p : float
        Chance that an entry is dropped, in [0, 1].

    References
    ----------
    Wu, Gu: Max-pooling dropout for regularization of convolutional neural networks. ICONIP 2015, section 3.
    """

    variant = "MaxPoolDropout"

    def __init__(self, kernel_size: int, stride: int | None = None, *, p: float = 0.5) -> None:
        super().__init__(p)
        self.kernel_size = check_integer("MaxPoolDropout2d", "kernel_size", kernel_size, 1)
        self.stride = (
            kernel_size if stride is None else check_integer("MaxPoolDropout2d", "stride", stride, 1)
        )

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the maxima of kept entries while training, the mean of that law in evaluation."""
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
