"""Concrete dropout: the rate itself is learned, through masks that are nearly 0 or 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_broadcast, check_number, check_numbers
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.windows import check_window
from thinnet.errors import InputError
from thinnet.variants._beyond.function import (
    Array,
    FunctionVariant,
    Gains,
    check_call,
    log_odds_table,
    multiply,
)
from thinnet.variants._law import LANES
from thinnet.variants._variant import Mode

__all__ = ["ROW", "concrete_dropout", "concrete_kl", "gains", "slope"]


def gains(key: Key, window: Window, logit: NDArray[np.float64], *, temperature: float) -> Gains:
    """Return `(1 - z) / (1 - p)` with `p = sigmoid(logit)`, `z = sigmoid((logit + log((1 - u) / u)) / t)`.

    Examples
    --------
    >>> gains(Key(0), Window.whole((4,)), np.zeros(()), temperature=0.1).round(3).tolist()
    [2.0, 0.033, 2.0, 2.0]
    """
    drawn = lanes(key, window)
    if np.size(logit) == 1 < LANES < drawn.size:  # one gain for each lane
        of_lane = _gains_of(log_odds_table(), np.reshape(logit, ()), temperature)
        return of_lane[drawn]
    return _gains_of(log_odds_table()[drawn], logit, temperature)


def _gains_of(log_odds: NDArray[np.float64], logit: NDArray[np.float64], temperature: float) -> Gains:
    # (1 - sigmoid(z)) / (1 - sigmoid(logit)), as one exponential that neither cancels nor overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        z = (logit + log_odds) / temperature
        drawn = np.exp(np.logaddexp(0, logit) - np.logaddexp(0, z))
    return np.where(logit == np.inf, 0, drawn)


def slope(xp: Any, gain: Any, logit: Any, *, temperature: float) -> Any:
    """Return the derivative of the gains with respect to the logit, from the gains.

    `gain * (p - (1 - gain * (1 - p)) / t)`, `p = sigmoid(logit) = (1 + tanh(logit / 2)) / 2`.

    Parameters
    ----------
    xp : module
        `numpy` or `torch`: the namespace of the arrays.
    gain : array
        What `gains` returned, zeroed for NaN or not.
    logit : array
        Broadcast against the gain.

    Examples
    --------
    >>> float(slope(np, np.float64(2.0), np.float64(0.0), temperature=0.1))
    1.0
    """
    p, keep = (1 + xp.tanh(logit / 2)) / 2, (1 + xp.tanh(-logit / 2)) / 2
    return gain * (p - (1 - gain * keep) / temperature)


def concrete_dropout(
    x: ArrayLike,
    logit: ArrayLike,
    *,
    key: Key | None = None,
    temperature: float = 0.1,
    mode: Mode = "sample",
    window: Window | None = None,
) -> Array:
    """Multiply by a relaxed gain, `(1 - z) / (1 - p)` with `z = sigmoid((logit + log((1 - u) / u)) / t)`.

    `p = sigmoid(logit)` is the rate and u is uniform on (0, 1). z is a smooth function of the logit, so
    gradient descent can learn the logit; as t goes to 0 this becomes dropout at rate p, under the same mask.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        Activations.
    logit : array_like
        `log(p / (1 - p))`, broadcast against x.
    key : Key
        The address of the randomness; the mode "mean" needs none.
    temperature : float
        t, greater than 0; 0.1 in the paper.
    mode : {"sample", "mean"}
        Draw gains, or return x: the mean of the gains as t goes to 0 (at t = 0.1 and p = 0.1 it is 0.998).
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x that is not floating point, a temperature that is not positive.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> concrete_dropout(np.ones(4), 0.0, key=tn.Key(0)).round(3)
    array([2.   , 0.033, 2.   , 2.   ])

    References
    ----------
    Gal et al.: Concrete dropout. NeurIPS 2017, section 3, equation 5.
    """
    array = check_call("ConcreteDropout", x, key, mode)
    t = check_number("ConcreteDropout", "temperature", temperature, 1e-6)
    where = check_window("ConcreteDropout", window, array.shape)
    logits = check_broadcast("ConcreteDropout", "logit", logit, array.shape)
    if key is None or mode == "mean":
        return array.copy()
    return multiply(gains(key, where, logits, temperature=t), array)


def concrete_kl(logit: float, weights: ArrayLike, *, length: float = 1.0) -> float:
    """Return the regularisation term of a loss summed over all rows.

    `length**2 / (2 * (1 - p)) * sum(weights**2) - K * H(p)`, where `H(p) = -p log p - (1 - p) log(1 - p)` is
    the entropy of the mask and K the number of inputs. The paper writes the first term with the weights of a
    layer that never scales, which are these divided by `1 - p`.

    Parameters
    ----------
    logit : float
        `log(p / (1 - p))`, in [-700, 700].
    weights : array_like, shape (K, outputs)
        Of the layer after the dropout, which divides by keep.
    length : float
        The length scale of the prior.

    Examples
    --------
    >>> import numpy as np
    >>> round(concrete_kl(0.0, np.zeros((2, 3))), 4)  # two coins of log 2 each
    -1.3863

    References
    ----------
    Gal et al.: Concrete dropout. NeurIPS 2017, section 3, equations 3 and 4.
    """
    scale = check_number("concrete_kl", "length", length, 0)
    matrix = check_numbers("concrete_kl", "weights", weights)
    if matrix.ndim != 2:
        raise InputError(f"concrete_kl: weights must have shape (inputs, outputs), got {matrix.shape}.")
    logit = check_number("concrete_kl", "logit", logit, -700, 700)
    log_p, log_keep = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
    entropy = -np.exp(log_p) * log_p - np.exp(log_keep) * log_keep
    return float(scale**2 / 2 * np.exp(-log_keep) * np.square(matrix).sum() - len(matrix) * entropy)


ROW = FunctionVariant(
    "ConcreteDropout",
    "activation",
    "Gal et al.: Concrete dropout. NeurIPS 2017, section 3",
    "Learns the rate by gradient descent, through relaxed masks that have a gradient.",
    "the rate is a parameter with a gradient, and a gain is a function of both the lane and the rate",
    (concrete_dropout, concrete_kl),
    usual=None,
    helps="Calibrated uncertainty without a search for rates: the logit is learned, starting from "
    "log(0.1 / 0.9), for example.",
)
