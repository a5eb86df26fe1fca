"""Modules that learn their rates or variances, or compute them from activations.

Modules with a prior have `kl()`, a regularisation term to add to the loss summed over all rows; divide it by
the number of rows where the loss is a mean.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from thinnet._checks import check, check_number
from thinnet._constraints import Number
from thinnet.torch._modules.base import Keyed, Tensor, traceable
from thinnet.torch._ops.gains import gains
from thinnet.torch._streams import shards
from thinnet.torch.functional import (
    concrete_dropout,
    concrete_kl,
    sparse_kl,
    sparse_prune,
    standout,
    variational_kl,
)
from thinnet.torch.functional._entry import check_local

__all__ = [
    "ConcreteDropout",
    "SparseVariationalConv2d",
    "SparseVariationalLinear",
    "Standout",
    "VariationalLinear",
]

_MOST = 300.0  # of log_alpha; exp of more overflows float32


class ConcreteDropout(Keyed):
    """Dropout before a layer, with a rate that is learned by gradient descent.

    Parameters
    ----------
    p : float
        The initial rate, in (0, 1).
    temperature : float
        Softness of the masks, greater than 0.

    Attributes
    ----------
    logit : Parameter
        `log(p / (1 - p))`, shape ().

    Raises
    ------
    InputError
        A rate outside (0, 1), or a temperature of 0 or less.

    Examples
    --------
    >>> drop, layer = ConcreteDropout(0.1), nn.Linear(8, 4)
    >>> round(drop.p, 3), drop.kl(layer.weight, length=1e-2).shape
    (0.1, torch.Size([]))

    References
    ----------
    Gal et al.: Concrete dropout. NeurIPS 2017, section 3.
    """

    variant = "ConcreteDropout"

    def __init__(self, p: float = 0.1, *, temperature: float = 0.1) -> None:
        super().__init__()
        check("ConcreteDropout", "p", p, Number(0, 1, "()"))
        check("ConcreteDropout", "temperature", temperature, Number(0, ends="()"))
        self.logit = nn.Parameter(torch.tensor(math.log(p / (1 - p))))
        self.temperature = float(temperature)

    @property
    def p(self) -> float:
        """The learned rate."""
        return torch.sigmoid(self.logit.detach()).item()

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return input with entries dropped at the learned rate while training, else input itself."""
        key = self.key() if self.training else None
        return concrete_dropout(
            input, self.logit, key=key, temperature=self.temperature, training=self.training
        )

    def kl(self, weight: Tensor, *, length: float = 1.0) -> Tensor:
        """Return the regularisation term to add to the loss summed over all rows.

        Parameters
        ----------
        weight : Tensor, shape (outputs, inputs, …)
            The weight of the next layer.
        length : float
            Length scale of the weight's Gaussian prior.
        """
        return concrete_kl(self.logit, weight, length=length)

    def extra_repr(self) -> str:
        return f"p={self.p:.3g}, temperature={self.temperature}"


class Standout(Keyed):
    """Keeps an entry with chance `sigmoid(alpha * logits + beta)`; evaluation multiplies by that chance.

    The logits come from a second layer on the same inputs or, as in the paper, are the inputs of the
    activation.

    Parameters
    ----------
    alpha, beta : float
        Scale and shift of the logits.

    Raises
    ------
    InputError
        A scale or shift that is not a finite number.

    Examples
    --------
    >>> layer, drop = nn.Linear(4, 8), Standout(beta=1.0)
    >>> z = layer(torch.ones(2, 4))
    >>> drop(z.relu(), z).shape
    torch.Size([2, 8])

    References
    ----------
    Ba, Frey: Adaptive dropout for training deep neural networks. NeurIPS 2013, section 3.
    """

    variant = "Standout"

    def __init__(self, *, alpha: float = 1.0, beta: float = 0.0) -> None:
        super().__init__()
        self.alpha = check_number("Standout", "alpha", alpha)
        self.beta = check_number("Standout", "beta", beta)

    @traceable
    def forward(self, input: Tensor, logits: Tensor) -> Tensor:
        """Return input with entries dropped at the rates that logits give, scaled by keep in evaluation."""
        key = self.key() if self.training else None
        return standout(input, logits, key=key, alpha=self.alpha, beta=self.beta, training=self.training)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, beta={self.beta}"


def _sampled(module: Keyed, mean: Tensor, variance: Tensor) -> Tensor:
    """Return a sample of N(mean, variance): the local reparameterization trick draws sums, not weights."""
    mean, key = check_local(module.variant, mean), module.key()
    place = shards.window(module.variant, mean, key)
    noise = gains("VariationalDropout noise", key, mean.shape, place, device=mean.device).to(mean.dtype)
    # The root has no derivative at a variance of 0.
    return mean + variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt() * noise


class VariationalLinear(Keyed, nn.Linear):
    """`torch.nn.Linear` with weights drawn from N(w, alpha * w**2); alpha, at most 1, is learned for each.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As torch's.
    p : float
        The initial rate, in (0, 0.5]; alpha is p / (1 - p).

    Raises
    ------
    InputError
        A rate outside (0, 0.5].

    Examples
    --------
    >>> layer = VariationalLinear(8, 4)
    >>> layer(torch.ones(2, 8)).shape, layer.kl().shape
    (torch.Size([2, 4]), torch.Size([]))

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 2.3.
    """

    variant = "VariationalDropout"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        p: float = 0.2,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        check("VariationalLinear", "p", p, Number(0, 0.5, "(]"))
        self.log_alpha = nn.Parameter(torch.full_like(self.weight, math.log(p / (1 - p))))

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output with the noise of its inputs while training, its mean otherwise."""
        mean = super().forward(input)
        if not self.training:
            return mean
        spread = (self.log_alpha.clamp(max=0) / 2).exp() * self.weight
        return _sampled(self, mean, F.linear(input.square(), spread.square()))

    def kl(self) -> Tensor:
        """Return the regularisation term to add to the loss summed over all rows, up to a constant."""
        return variational_kl(self.log_alpha).sum()


class _Sparse(Keyed):
    """Weights drawn from N(w, sigma**2); evaluation zeroes the weights whose noise exceeds a threshold."""

    variant = "SparseVariationalDropout"
    weight: Tensor
    log_sigma2: Tensor
    threshold: float

    def _add_variance(self, threshold: float) -> None:
        self.threshold = check_number(type(self).__name__, "threshold", threshold)
        self.log_sigma2 = nn.Parameter(torch.full_like(self.weight, -10.0))

    @property
    def log_alpha(self) -> Tensor:
        """`log(sigma**2 / w**2)`, at most 300."""
        return (self.log_sigma2 - self.weight.square().clamp(min=1e-38).log()).clamp(max=_MOST)

    @property
    def mask(self) -> Tensor:
        """True where a weight is kept: log(alpha) up to the threshold."""
        return self.log_alpha.detach() <= self.threshold

    def _pruned(self) -> Tensor:
        return sparse_prune(self.weight, self.log_alpha, threshold=self.threshold)

    def kl(self) -> Tensor:
        """Return the regularisation term to add to the loss summed over all rows.

        Increase its weight from 0 in the first epochs.
        """
        return sparse_kl(self.log_alpha).sum()


class SparseVariationalLinear(_Sparse, nn.Linear):
    """`torch.nn.Linear` that learns a variance for each weight; evaluation prunes weights that are noise.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As torch's.
    threshold : float
        Evaluation zeroes the weights whose log(alpha) is greater.

    Attributes
    ----------
    log_sigma2 : Parameter
        Logarithms of the variances, in the weight's shape.

    Raises
    ------
    InputError
        A threshold that is not a finite number.

    Examples
    --------
    >>> layer = SparseVariationalLinear(8, 4)
    >>> layer.eval()(torch.ones(2, 8)).shape, layer.mask.float().mean().item() > 0.9
    (torch.Size([2, 4]), True)

    References
    ----------
    Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        threshold: float = 3.0,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self._add_variance(threshold)

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the output with Gaussian weight noise while training, with pruned weights otherwise."""
        if not self.training:
            return F.linear(input, self._pruned(), self.bias)
        variance = F.linear(input.square(), self.log_sigma2.exp())
        return _sampled(self, super().forward(input), variance)


class SparseVariationalConv2d(_Sparse, nn.Conv2d):
    """`torch.nn.Conv2d` that learns a variance for each weight; evaluation prunes weights that are noise.

    Parameters
    ----------
    in_channels, out_channels, kernel_size and all options
        As torch's.
    threshold : float
        Evaluation zeroes the weights whose log(alpha) is greater.

    Raises
    ------
    InputError
        A threshold that is not a finite number.

    References
    ----------
    Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        *positions: Any,
        threshold: float = 3.0,
        **options: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, *positions, **options)
        self._add_variance(threshold)

    @traceable
    def forward(self, input: Tensor) -> Tensor:
        """Return the output maps with Gaussian weight noise while training, with pruned weights otherwise."""
        if not self.training:
            return self._convolve(input, self._pruned(), self.bias)
        variance = self._convolve(input.square(), self.log_sigma2.exp(), None)
        return _sampled(self, super().forward(input), variance)

    def _convolve(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve as this layer does, with another weight."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._borders(), mode=self.padding_mode), 0
        return F.conv2d(input, weight, bias, self.stride, padding, self.dilation, self.groups)  # pyright: ignore[reportArgumentType]

    def _borders(self) -> list[int]:
        """Return how many pixels are added left, right, above and below."""
        if self.padding == "same":
            spans = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            sides = [(span // 2, span - span // 2) for span in spans]
        else:
            widths = (0, 0) if self.padding == "valid" else self.padding
            sides = [(int(width), int(width)) for width in widths]
        return [size for pair in reversed(sides) for size in pair]
