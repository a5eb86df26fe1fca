"""Variants whose rate or variance is learned, or computed from activations; see also `modules/learned.py`.

Masks are those of the NumPy functions; numbers behind a logarithm or an exponential agree to rounding.
"""

from __future__ import annotations

import torch

from thinnet.errors import InputError
from thinnet.torch._ops.lanes import lanes, normals, shares
from thinnet.torch._streams import shards
from thinnet.torch.functional._entry import AnyKey, Tensor, opened, times, wide
from thinnet.variants._beyond.sparse import K1, K2, K3
from thinnet.variants._beyond.variational import CUBIC
from thinnet.variants._law import LANES

__all__ = [
    "concrete_dropout",
    "concrete_kl",
    "sparse_kl",
    "standout",
    "variational_dropout",
    "variational_kl",
]


def concrete_dropout(
    x: Tensor, logit: Tensor, *, key: AnyKey = None, temperature: float = 0.1, training: bool = True
) -> Tensor:
    """Multiply by `(1 - z) / (1 - p)`, `z = sigmoid((logit + log((1 - u) / u)) / temperature)`, u on (0, 1).

    `p = sigmoid(logit)` is the rate, and has a gradient. Evaluation returns x.

    Examples
    --------
    >>> import thinnet as tn
    >>> concrete_dropout(torch.ones(4), torch.zeros(()), key=tn.Key(0)).round(decimals=3)
    tensor([2.0000, 0.0330, 2.0000, 2.0000])

    References
    ----------
    Gal et al.: Concrete dropout. NeurIPS 2017, section 3, equation 5.
    """
    x, address = opened("ConcreteDropout", x, key, training)
    if not temperature > 0:
        raise InputError(f"ConcreteDropout: temperature must be greater than 0, got {temperature!r}.")
    if address is None:
        return x
    u = shares(address, x, shards.window("ConcreteDropout", x, address)).to(wide(x))
    logit = logit.to(u.dtype)
    z = (logit + torch.log((1 - u) / u)) / temperature
    # (1 - sigmoid(z)) / (1 - sigmoid(logit)), as one exponential that neither cancels nor overflows.
    return times(torch.exp(_softplus(logit) - _softplus(z)), x)


def concrete_kl(logit: Tensor, weight: Tensor, *, length: float = 1.0) -> Tensor:
    """Return what the loss of all rows gains: `length**2 / (2 * (1 - p)) * sum(weight**2) - K * H(p)`.

    `H(p) = -p log p - (1 - p) log(1 - p)`, and K is the number of inputs, the second axis of the weight.

    Examples
    --------
    >>> concrete_kl(torch.tensor(0.0), torch.zeros(3, 2)).round(decimals=4)  # two coins of log 2 each
    tensor(-1.3863)

    References
    ----------
    Gal et al.: Concrete dropout. NeurIPS 2017, section 3, equations 3 and 4.
    """
    if weight.dim() < 2:
        shape = tuple(weight.shape)
        raise InputError(f"concrete_kl: weight must have shape (outputs, inputs, …), got {shape}.")
    log_p, log_keep = -_softplus(-logit), -_softplus(logit)
    entropy = -log_p.exp() * log_p - log_keep.exp() * log_keep
    return length**2 / 2 * torch.exp(-log_keep) * weight.square().sum() - weight.shape[1] * entropy


def variational_dropout(x: Tensor, log_alpha: Tensor, *, key: AnyKey = None, training: bool = True) -> Tensor:
    """Multiply by N(1, alpha), `alpha = min(exp(log_alpha), 1)`: Gaussian dropout whose variance is learned.

    Examples
    --------
    >>> import thinnet as tn
    >>> variational_dropout(torch.ones(3), torch.tensor(0.25).log(), key=tn.Key(0)).round(decimals=3)
    tensor([1.6690, 0.8720, 1.3720])

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 3.1.
    """
    x, address = opened("VariationalDropout", x, key, training)
    if address is None:
        return x
    noise = normals(address, x, shards.window("VariationalDropout", x, address)).to(wide(x))
    return times(1 + torch.exp(log_alpha.to(noise.dtype).clamp(max=0) / 2) * noise, x)


def variational_kl(log_alpha: Tensor) -> Tensor:
    """Return what one weight adds to the loss, `-(log(alpha) / 2 + c1 alpha + c2 alpha**2 + c3 alpha**3)`.

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, appendix C,
    equation 36.
    """
    known = log_alpha.clamp(max=0)
    alpha = known.exp()
    return -(known / 2 + alpha * (CUBIC[0] + alpha * (CUBIC[1] + alpha * CUBIC[2])))


def sparse_kl(log_alpha: Tensor) -> Tensor:
    """Return what one weight adds to the loss: its divergence from the log-uniform prior.

    `k1 - k1 * sigmoid(k2 + k3 * log(alpha)) + log(1 + 1 / alpha) / 2`, which goes to 0 as alpha grows.

    References
    ----------
    Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4.2,
    equation 14.
    """
    return K1 * torch.sigmoid(-(K2 + K3 * log_alpha)) + _softplus(-log_alpha) / 2


def standout(
    x: Tensor,
    logits: Tensor,
    *,
    key: AnyKey = None,
    alpha: float = 1.0,
    beta: float = 0.0,
    training: bool = True,
) -> Tensor:
    """Keep each entry with chance `sigmoid(alpha * logits + beta)`; evaluation multiplies by that chance.

    The mask is a constant to the gradient, as in the paper; the chance is not.

    Examples
    --------
    >>> standout(torch.ones(3), torch.tensor([-9.0, 0.0, 9.0]), training=False).round(decimals=3)
    tensor([0.0000, 0.5000, 1.0000])

    References
    ----------
    Ba, Frey: Adaptive dropout for training deep neural networks. NeurIPS 2013, section 3.
    """
    x, address = opened("Standout", x, key, training)
    z = alpha * logits + beta
    if address is None:
        return times(torch.sigmoid(z.to(wide(x))), x)
    threshold = (torch.sigmoid(-z.detach().double().nan_to_num()) * LANES).round()
    drawn = lanes(address, x.shape, shards.window("Standout", x, address)).to(x.device)
    return x.masked_fill(drawn < threshold, 0)


def _softplus(z: Tensor) -> Tensor:
    return torch.logaddexp(z, torch.zeros_like(z))
