"""Variants whose rate or variance is learned, or computed from activations, and their penalties.

Gains are NumPy's to the bit; their derivatives are the slopes that stand beside them.
"""

from __future__ import annotations

from typing import Any

import torch

from thinnet._checks import check_number
from thinnet._core.random import Window
from thinnet.errors import InputError
from thinnet.torch._apply import apply, round_once
from thinnet.torch._ops.checks import check_tensor
from thinnet.torch._ops.gains import gains
from thinnet.torch.functional._entry import (
    AnyKey,
    Tensor,
    check_local,
    check_parameter,
    draw_gains,
    working_type,
)
from thinnet.variants._beyond.sparse import K1, K2, K3
from thinnet.variants._beyond.variational import CUBIC, LARGEST_LOG_ALPHA

__all__ = [
    "concrete_dropout",
    "concrete_kl",
    "local_noise",
    "sparse_kl",
    "standout",
    "variational_dropout",
    "variational_kl",
]


def concrete_dropout(
    x: Tensor,
    logit: Tensor | float,
    *,
    key: AnyKey = None,
    temperature: float = 0.1,
    training: bool = True,
    window: Window | None = None,
) -> Tensor:
    """Multiply by `(1 - z) / (1 - p)`, `z = sigmoid((logit + log((1 - u) / u)) / temperature)`.

    `p = sigmoid(logit)` is the rate, and has a gradient; u is uniform on (0, 1). Evaluation returns x.

    Parameters
    ----------
    x : Tensor of floating point
        Activations.
    logit : Tensor or float
        `log(p / (1 - p))`, broadcast against x.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    temperature : float
        Greater than 0; 0.1 in the paper.
    training : bool
        Draw gains, or return x.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x that is not of floating point, a temperature that is not positive.

    Examples
    --------
    >>> import thinnet as tn
    >>> concrete_dropout(torch.ones(4), 0.0, key=tn.Key(0)).round(decimals=3)
    tensor([2.0000, 0.0330, 2.0000, 2.0000])

    References
    ----------
    Gal et al.: Concrete dropout. NeurIPS 2017, section 3, equation 5.
    """
    x = check_local("ConcreteDropout", x)
    t = check_number("ConcreteDropout", "temperature", temperature, 1e-6)
    logits = check_parameter("ConcreteDropout", "logit", logit, x)
    if not training:
        return x
    return apply(draw_gains("ConcreteDropout", x, key, window, logits, (t,)), 0.0, x)


def concrete_kl(logit: Tensor, weight: Tensor, *, length: float = 1.0) -> Tensor:
    """Return the regularisation term to add to the loss summed over all rows.

    `length**2 / (2 * (1 - p)) * sum(weight**2) - K * H(p)`, where
    `H(p) = -p log p - (1 - p) log(1 - p)` is the entropy of the mask and K the number of inputs.

    Parameters
    ----------
    logit : Tensor, shape ()
        `log(p / (1 - p))`.
    weight : Tensor, shape (outputs, K, …)
        The weight of the layer after the dropout.
    length : float
        The length scale of the prior.

    Returns
    -------
    Tensor, shape ()

    Raises
    ------
    InputError
        A weight without an axis of inputs.

    Examples
    --------
    >>> concrete_kl(torch.tensor(0.0), torch.zeros(3, 2)).round(decimals=4)  # two coins of log 2 each
    tensor(-1.3863)

    References
    ----------
    Gal et al.: Concrete dropout. NeurIPS 2017, section 3, equations 3 and 4.
    """
    check_tensor("concrete_kl", logit, "logit")
    check_tensor("concrete_kl", weight, "weight")
    check_number("concrete_kl", "length", length, 0)
    if weight.dim() < 2:
        shape = tuple(weight.shape)
        raise InputError(f"concrete_kl: weight must have shape (outputs, inputs, …), got {shape}.")
    log_p, log_keep = -_softplus(-logit), -_softplus(logit)
    entropy = -log_p.exp() * log_p - log_keep.exp() * log_keep
    return length**2 / 2 * torch.exp(-log_keep) * weight.square().sum() - weight.shape[1] * entropy


def variational_dropout(
    x: Tensor,
    log_alpha: Tensor | float,
    *,
    key: AnyKey = None,
    training: bool = True,
    window: Window | None = None,
) -> Tensor:
    """Multiply by N(1, alpha), `alpha = min(exp(log_alpha), 1)`: Gaussian dropout with a learned variance.

    Evaluation returns x.

    Parameters
    ----------
    x : Tensor of floating point
        Activations.
    log_alpha : Tensor or float
        Logarithm of the variance of the noise, broadcast against x.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    training : bool
        Draw gains, or return x.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x that is not of floating point, a log_alpha that does not broadcast against it.

    Examples
    --------
    >>> import thinnet as tn
    >>> variational_dropout(torch.ones(3), torch.tensor(0.25).log(), key=tn.Key(0)).round(decimals=3)
    tensor([1.6690, 0.8720, 1.3720])

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 3.1.
    """
    x = check_local("VariationalDropout", x)
    logs = check_parameter("VariationalDropout", "log_alpha", log_alpha, x)
    return apply(draw_gains("VariationalDropout", x, key, window, logs), 0.0, x) if training else x


def local_noise(
    x: Tensor,
    weight: Tensor,
    log_alpha: Tensor | float,
    *,
    key: AnyKey = None,
    training: bool = True,
    window: Window | None = None,
) -> Tensor:
    """Return `x @ weight.T + sqrt(x**2 @ (alpha * weight**2).T) * noise`: a linear layer with noisy weights.

    The output has the distribution of `x @ w.T` with weights drawn anew for each row, w from
    N(weight, alpha * weight**2), at the price of two products. The computation takes place in float64, as
    NumPy's does. Evaluation returns `x @ weight.T`.

    Parameters
    ----------
    x : Tensor of floating point, shape (n, inputs)
        Rows.
    weight : Tensor, shape (outputs, inputs)
        Means of the weights.
    log_alpha : Tensor or float
        Logarithm of the relative variance of a weight, broadcast against the weight.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    training : bool
        Draw, or return the mean.
    window : Window, optional
        The part of a global array of outputs that the output is.

    Returns
    -------
    Tensor, shape (n, outputs)
        Of the dtype of x.

    Raises
    ------
    InputError
        A weight or a log_alpha that does not fit x.

    Examples
    --------
    >>> import thinnet as tn
    >>> local_noise(torch.ones(1, 2), torch.eye(2), 0.0, key=tn.Key(0)).round(decimals=3)
    tensor([[2.3380, 0.7440]])

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 2.3.
    """
    x = check_local("VariationalDropout", x, axes="n inputs")
    means = check_local("VariationalDropout", weight, "weight", "outputs inputs").double()
    if means.shape[1] != x.shape[1]:
        raise InputError(
            f"VariationalDropout: weight must have shape (outputs, {x.shape[1]}), got {tuple(means.shape)}."
        )
    logs = check_parameter("VariationalDropout", "log_alpha", log_alpha, means)
    mean = x.double() @ means.mT  # (n, inputs) @ (inputs, outputs)
    if not training:
        return round_once(mean, x.dtype)
    spread = torch.exp(logs.double().clamp(max=LARGEST_LOG_ALPHA) / 2) * means
    variance = x.double().square() @ spread.square().mT
    # The root has no derivative at 0.
    none = variance == 0
    deviation = torch.where(none, 0, torch.where(none, 1, variance).sqrt())
    return round_once(mean + deviation * draw_gains("VariationalDropout noise", mean, key, window), x.dtype)


def variational_kl(log_alpha: Tensor) -> Tensor:
    """Return the penalty of each weight: `-(log(alpha) / 2 + c1 alpha + c2 alpha**2 + c3 alpha**3)`.

    It is the divergence from the log-uniform prior up to a constant, for alpha up to 1.

    Examples
    --------
    >>> variational_kl(torch.tensor([0.0, -2.0])).round(decimals=4)
    tensor([-0.2457,  0.8689])

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, appendix C,
    equation 36.
    """
    check_tensor("variational_kl", log_alpha, "log_alpha")
    known = log_alpha.clamp(max=0)
    alpha = known.exp()
    return -(known / 2 + alpha * (CUBIC[0] + alpha * (CUBIC[1] + alpha * CUBIC[2])))


def sparse_kl(log_alpha: Tensor) -> Tensor:
    """Return the penalty of each weight: its divergence from the log-uniform prior.

    `k1 - k1 * sigmoid(k2 + k3 * log(alpha)) + log(1 + 1 / alpha) / 2`, which goes to 0 as alpha grows.

    Examples
    --------
    >>> sparse_kl(torch.tensor([-4.0, 0.0])).round(decimals=4)
    tensor([2.6342, 0.4312])

    References
    ----------
    Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4.2,
    equation 14.
    """
    check_tensor("sparse_kl", log_alpha, "log_alpha")
    return K1 * torch.sigmoid(-(K2 + K3 * log_alpha)) + _softplus(-log_alpha) / 2


def standout(
    x: Tensor,
    logits: Tensor | float,
    *,
    key: AnyKey = None,
    alpha: float = 1.0,
    beta: float = 0.0,
    training: bool = True,
    window: Window | None = None,
) -> Tensor:
    """Keep each entry with chance `sigmoid(alpha * logits + beta)`; evaluation multiplies by that chance.

    The mask is a constant to the gradient, as in the paper; the chance has a gradient.

    Parameters
    ----------
    x : Tensor of floating point
        Activations.
    logits : Tensor or float
        Broadcast against x: the outputs of the layer that decides, or the inputs of the activation.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    alpha, beta : float
        Scale and bias of the logits.
    training : bool
        Draw a mask, or multiply by the chances.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x that is not of floating point, logits that do not broadcast against it.

    Examples
    --------
    >>> standout(torch.ones(3), torch.tensor([-9.0, 0.0, 9.0]), training=False).round(decimals=3)
    tensor([0.0000, 0.5000, 1.0000])

    References
    ----------
    Ba, Frey: Adaptive dropout for training deep neural networks. NeurIPS 2013, section 3.
    """
    x = check_local("Standout", x)
    options = check_number("Standout", "alpha", alpha), check_number("Standout", "beta", beta)
    numbers = check_parameter("Standout", "logits", logits, x)
    if training:
        return apply(draw_gains("Standout", x, key, window, numbers.detach(), options), 0.0, x)
    mean = gains("Standout mean", None, x.shape, (), numbers, options, x.device)
    return apply(mean.to(working_type(x)), 0.0, x)


def _softplus(z: Any) -> Tensor:
    return torch.logaddexp(z, torch.zeros_like(z))
