"""Sparse variational dropout: a variance for each weight, and weights that are mostly noise are pruned."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_array, check_broadcast, check_number, check_numbers
from thinnet.variants._beyond.function import Array, FunctionVariant, Gains, multiply
from thinnet.variants._beyond.variational import local_noise

__all__ = ["K1", "K2", "K3", "ROW", "pruned_gains", "sparse_kl", "sparse_prune"]

# Of the paper's equation 14.
K1, K2, K3 = 0.63576, 1.87320, 1.48695


def pruned_gains(log_alpha: NDArray[np.float64], *, threshold: float) -> Gains:
    """Return 0 where `log_alpha` is above a threshold, else 1.

    Examples
    --------
    >>> pruned_gains(np.array([4.0, -1.0]), threshold=3.0).tolist()
    [0.0, 1.0]
    """
    return np.where(log_alpha > threshold, 0.0, 1.0)


def sparse_kl(log_alpha: ArrayLike) -> NDArray[np.float64]:
    """Return the penalty of each weight, its divergence from the log-uniform prior.

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
    known = check_numbers("sparse_kl", "log_alpha", log_alpha)
    with np.errstate(invalid="ignore"):  # NaN comes out as NaN
        left = np.exp(-np.logaddexp(0, K2 + K3 * known))  # 1 - sigmoid
        return K1 * left + np.logaddexp(0, -known) / 2


def sparse_prune(weights: ArrayLike, log_alpha: ArrayLike, *, threshold: float = 3.0) -> Array:
    """Zero the weights whose log(alpha) is above a threshold: their noise is larger than they are.

    Parameters
    ----------
    weights : array_like of float16, bfloat16, float32 or float64
        Means.
    log_alpha : array_like
        Broadcast against the weights.
    threshold : float
        3 in the paper, a rate of 0.95.

    Returns
    -------
    ndarray
        Of the shape and dtype of the weights.

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
    most = check_number("SparseVariationalDropout", "threshold", threshold)
    return multiply(pruned_gains(logs, threshold=most), known)


ROW = FunctionVariant(
    "SparseVariationalDropout",
    "weight",
    "Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4",
    "Learns a variance for each weight, without a limit; weights that are mostly noise are pruned.",
    "the variance is a parameter with a gradient, and the noise is drawn for sums, not for entries",
    (local_noise, sparse_kl, sparse_prune),
    usual=None,
    helps="Networks that should lose most of their weights; increase the penalty gradually.",
)
