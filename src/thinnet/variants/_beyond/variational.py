"""Variational dropout: Gaussian noise of learned variance, with the local reparameterisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_broadcast
from thinnet._core.random import Key, Window, lanes
from thinnet.errors import InputError
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened, part, times
from thinnet.variants._tables import normal_table

__all__ = ["ROW", "local_noise", "variational_dropout", "variational_kl"]

# Beyond it a weight is nothing but noise, and its square would overflow.
_MOST = 300.0
# Of the cubic in alpha; the paper's appendix C, where the constants stand.
CUBIC = (1.16145124, -1.50204118, 0.58629921)


def variational_dropout(
    x: ArrayLike, log_alpha: ArrayLike, *, key: Key, mode: str = "sample", window: Window | None = None
) -> Array:
    """Multiply by N(1, alpha), `alpha = min(exp(log_alpha), 1)`: Gaussian dropout whose variance is learned.

    Parameters
    ----------
    x : array_like of float16, float32 or float64
        What is dropped.
    log_alpha : array_like
        Logarithm of the noise's variance, broadcast against x; alpha is rate / keep of a rate of dropout.
    key : Key
        The address of the randomness.
    mode : {"sample", "mean"}
        Draw gains, or return x.
    window : Window, optional
        Which part of which global array x is.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> variational_dropout(np.ones(3), np.log(0.25), key=tn.Key(0)).round(3)
    array([1.669, 0.872, 1.372])

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 3.1.
    """
    array = opened("VariationalDropout", x, key, mode)
    where = part("VariationalDropout", array, window)
    logs = check_broadcast("VariationalDropout", "log_alpha", log_alpha, array.shape)
    if mode == "mean":
        return array.copy()
    noise = normal_table()[lanes(key, where)]
    return times(1 + np.exp(np.minimum(logs, 0) / 2) * noise, array)


def local_noise(
    x: ArrayLike,
    weights: ArrayLike,
    log_alpha: ArrayLike,
    *,
    key: Key,
    mode: str = "sample",
    window: Window | None = None,
) -> Array:
    """Return `x @ weights + sqrt(x**2 @ (alpha * weights**2)) * noise`: a dense layer with noisy weights.

    What comes out has the law of `x @ w` with weights drawn anew for each row, w from
    N(weights, alpha * weights**2), at the price of two products.

    Parameters
    ----------
    x : array_like of float16, float32 or float64, shape (n, inputs)
        Rows.
    weights : array_like, shape (inputs, outputs)
        Means.
    log_alpha : array_like
        Broadcast against the weights.
    key : Key
        The address of the randomness.
    mode : {"sample", "mean"}
        Draw, or return `x @ weights`.
    window : Window, optional
        Which part of which global array of outputs this is.

    Returns
    -------
    ndarray, shape (n, outputs)

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> local_noise(np.ones((1, 2)), np.eye(2), 0.0, key=tn.Key(0)).round(3)
    array([[2.338, 0.744]])

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 2.3.
    """
    array = opened("VariationalDropout", x, key, mode, "n inputs")
    means = np.asarray(weights, np.float64)
    if means.ndim != 2 or len(means) != array.shape[1]:
        raise InputError(
            f"VariationalDropout: weights must have shape ({array.shape[1]}, outputs), got {means.shape}."
        )
    logs = check_broadcast("VariationalDropout", "log_alpha", log_alpha, means.shape)
    x64 = array.astype(np.float64)  # squares want twice the range
    out = x64 @ means
    where = part("VariationalDropout", out, window)
    if mode == "sample":
        spread = np.exp(np.minimum(logs, _MOST) / 2) * means
        out += np.sqrt(np.square(x64) @ np.square(spread)) * normal_table()[lanes(key, where)]
    with np.errstate(over="ignore"):
        return out.astype(array.dtype)


def variational_kl(log_alpha: ArrayLike) -> NDArray[np.float64]:
    """Return what one weight adds to the loss, `-(log(alpha) / 2 + c1 alpha + c2 alpha**2 + c3 alpha**3)`.

    The divergence from the log-uniform prior but for a constant, for alpha up to 1, to which it is limited.

    Examples
    --------
    >>> variational_kl([0.0, -2.0]).round(4).tolist()
    [-0.2457, 0.8689]

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, appendix C,
    equation 36.
    """
    known = np.minimum(np.asarray(log_alpha, np.float64), 0)
    alpha = np.exp(known)
    return -(known / 2 + alpha * (CUBIC[0] + alpha * (CUBIC[1] + alpha * CUBIC[2])))


ROW = FunctionVariant(
    "VariationalDropout",
    "weight",
    "Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 3",
    "Learns the variance of Gaussian noise, alpha = rate / keep up to 1 (dropout at 1/2), against a prior.",
    "the variance is a parameter with a gradient, and the noise is drawn for sums, not for entries",
    (variational_dropout, local_noise, variational_kl),
    usual=None,
    helps="Noise that adapts to each layer, unit or weight.",
)
