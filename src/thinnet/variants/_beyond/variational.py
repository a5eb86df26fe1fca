"""Variational dropout: Gaussian noise of learned variance, with the local reparameterisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_broadcast, check_numbers
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.windows import check_window
from thinnet.errors import InputError
from thinnet.variants._beyond.function import (
    Array,
    FunctionVariant,
    Gains,
    check_call,
    multiply,
)
from thinnet.variants._law import LANES
from thinnet.variants._tables import normal_table
from thinnet.variants._variant import Mode

__all__ = [
    "CUBIC",
    "LARGEST_LOG_ALPHA",
    "ROW",
    "gains",
    "local_noise",
    "normals",
    "slope",
    "variational_dropout",
    "variational_kl",
]

# The largest log(alpha) of `local_noise`: above it squares overflow.
LARGEST_LOG_ALPHA = 300.0
# The coefficients of the cubic in alpha, from the paper's appendix C.
CUBIC = (1.16145124, -1.50204118, 0.58629921)


def normals(key: Key, window: Window) -> NDArray[np.float32]:
    """Return standard normal numbers, one for each lane.

    Examples
    --------
    >>> normals(Key(0), Window.whole((2,))).round(3)
    array([ 1.338, -0.256], dtype=float32)
    """
    return normal_table()[lanes(key, window)]


def gains(key: Key, window: Window, log_alpha: NDArray[np.float64]) -> Gains:
    """Return numbers from N(1, alpha), `alpha = min(exp(log_alpha), 1)`.

    Examples
    --------
    >>> gains(Key(0), Window.whole((3,)), np.log(0.25)).round(3).tolist()
    [1.669, 0.872, 1.372]
    """
    drawn, deviation = lanes(key, window), np.exp(np.minimum(log_alpha, 0) / 2)
    if np.size(deviation) == 1 < LANES < drawn.size:  # one gain for each lane
        return np.asarray(1 + np.reshape(deviation, ()) * normal_table(), np.float64)[drawn]
    return np.asarray(1 + deviation * normal_table()[drawn], np.float64)


def slope(xp: Any, gain: Any, log_alpha: Any) -> Any:
    """Return the derivative of the gains with respect to `log_alpha`: `(gain - 1) / 2` up to 0, then 0.

    Parameters
    ----------
    xp : module
        `numpy` or `torch`: the namespace of the arrays.

    Examples
    --------
    >>> slope(np, np.array([1.5, 1.5]), np.array([-1.0, 1.0])).tolist()
    [0.25, 0.0]
    """
    return xp.where(log_alpha <= 0, (gain - 1) / 2, 0.0)


def variational_dropout(
    x: ArrayLike,
    log_alpha: ArrayLike,
    *,
    key: Key | None = None,
    mode: Mode = "sample",
    window: Window | None = None,
) -> Array:
    """Multiply by N(1, alpha), `alpha = min(exp(log_alpha), 1)`: Gaussian dropout whose variance is learned.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        Activations.
    log_alpha : array_like
        Logarithm of the variance of the noise, broadcast against x; alpha stands for rate / keep of dropout.
    key : Key
        The address of the randomness; the mode "mean" needs none.
    mode : {"sample", "mean"}
        Draw gains, or return x.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x that is not floating point, a log_alpha that does not broadcast against it.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> variational_dropout(np.ones(3), np.log(0.25), key=tn.Key(0)).round(3)
    array([1.669, 0.872, 1.372])

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 3.1.
    """
    array = check_call("VariationalDropout", x, key, mode)
    where = check_window("VariationalDropout", window, array.shape)
    logs = check_broadcast("VariationalDropout", "log_alpha", log_alpha, array.shape)
    if key is None or mode == "mean":
        return array.copy()
    return multiply(gains(key, where, logs), array)


def local_noise(
    x: ArrayLike,
    weights: ArrayLike,
    log_alpha: ArrayLike,
    *,
    key: Key | None = None,
    mode: Mode = "sample",
    window: Window | None = None,
) -> Array:
    """Return `x @ weights + sqrt(x**2 @ (alpha * weights**2)) * noise`: a dense layer with noisy weights.

    The output has the distribution of `x @ w` with weights drawn anew for each row, w from
    N(weights, alpha * weights**2), at the price of two products.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64, shape (n, inputs)
        Rows.
    weights : array_like, shape (inputs, outputs)
        Means.
    log_alpha : array_like
        Broadcast against the weights.
    key : Key
        The address of the randomness; the mode "mean" needs none.
    mode : {"sample", "mean"}
        Draw, or return `x @ weights`.
    window : Window, optional
        The part of a global array that the output is.

    Returns
    -------
    ndarray, shape (n, outputs)
        Of the dtype of x.

    Raises
    ------
    InputError
        Weights or a log_alpha that do not fit x.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> local_noise(np.ones((1, 2)), np.eye(2), 0.0, key=tn.Key(0)).round(3)
    array([[2.338, 0.744]])

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, section 2.3.
    """
    array = check_call("VariationalDropout", x, key, mode, "n inputs")
    means = check_numbers("VariationalDropout", "weights", weights)
    if means.ndim != 2 or len(means) != array.shape[1]:
        raise InputError(
            f"VariationalDropout: weights must have shape ({array.shape[1]}, outputs), got {means.shape}."
        )
    logs = check_broadcast("VariationalDropout", "log_alpha", log_alpha, means.shape)
    x64 = array.astype(np.float64)  # squares need twice the range
    out = x64 @ means
    where = check_window("VariationalDropout", window, out.shape)
    if key is not None and mode == "sample":
        spread = np.exp(np.minimum(logs, LARGEST_LOG_ALPHA) / 2) * means
        out += np.sqrt(np.square(x64) @ np.square(spread)) * normals(key, where)
    with np.errstate(over="ignore"):
        return out.astype(array.dtype)


def variational_kl(log_alpha: ArrayLike) -> NDArray[np.float64]:
    """Return the penalty of each weight, `-(log(alpha) / 2 + c1 alpha + c2 alpha**2 + c3 alpha**3)`.

    It is the divergence from the log-uniform prior up to a constant, for alpha limited to 1.

    Parameters
    ----------
    log_alpha : array_like
        One for each weight, of any size.

    Examples
    --------
    >>> variational_kl([0.0, -2.0]).round(4).tolist()
    [-0.2457, 0.8689]

    References
    ----------
    Kingma et al.: Variational dropout and the local reparameterization trick. NeurIPS 2015, appendix C,
    equation 36.
    """
    known = np.minimum(check_numbers("variational_kl", "log_alpha", log_alpha), 0)
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
