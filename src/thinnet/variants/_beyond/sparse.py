"""Sparse variational dropout: a variance for each weight, and weights that are all noise are pruned."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_array, check_broadcast
from thinnet.variants._beyond.entry import Array, FunctionVariant
from thinnet.variants._beyond.variational import local_noise

__all__ = ["ROW", "sparse_kl", "sparse_prune"]

K1, K2, K3 = 0.63576, 1.87320, 1.48695


def sparse_kl(log_alpha: ArrayLike) -> NDArray[np.float64]:
    """Return what one weight adds to the loss: its divergence from the log-uniform prior.

    `k1 - k1 * sigmoid(k2 + k3 * log(alpha)) + log(1 + 1 / alpha) / 2`, which goes to 0 as alpha grows.

    Parameters
    ----------
    log_alpha : array_like
        One for each weight, of any size.

    Examples
    --------
    >>> sparse_kl([-4.0, 0.0, 8.0]).round(4).tolist()
    [2.6342, 0.4312, 0.0002]

    References
    ----------
    Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4.2,
    equation 14.
    """
    known = np.asarray(log_alpha, np.float64)
    left = np.exp(-np.logaddexp(0, K2 + K3 * known))  # 1 - sigmoid
    return K1 * left + np.logaddexp(0, -known) / 2


def sparse_prune(weights: ArrayLike, log_alpha: ArrayLike, *, threshold: float = 3.0) -> Array:
    """Return the weights with those at zero whose log(alpha) is above a threshold: they are all noise.

    Examples
    --------
    >>> sparse_prune([0.5, -2.0], [4.0, -1.0])
    array([ 0., -2.])

    References
    ----------
    Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4.3.
    """
    known = check_array("SparseVariationalDropout", weights, "weights")
    logs = check_broadcast("SparseVariationalDropout", "log_alpha", log_alpha, known.shape)
    return np.where(logs > threshold, known.dtype.type(0), known)


ROW = FunctionVariant(
    "SparseVariationalDropout",
    "weight",
    "Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4",
    "Learns a variance for each weight, without a limit; what becomes all noise is pruned.",
    "the variance is a parameter with a gradient, and the noise is drawn for sums, not for entries",
    (local_noise, sparse_kl, sparse_prune),
    usual=None,
    helps="Networks that are to lose most of their weights; warm the penalty up.",
)
