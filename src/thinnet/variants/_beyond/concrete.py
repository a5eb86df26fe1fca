"""Concrete dropout: the rate itself is learned, through masks that are nearly 0 or 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_broadcast, check_number
from thinnet._core.random import Key, Window
from thinnet.errors import InputError
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened, part, shares, times

__all__ = ["ROW", "concrete_dropout", "concrete_kl"]


def concrete_dropout(
    x: ArrayLike,
    logit: ArrayLike,
    *,
    key: Key,
    temperature: float = 0.1,
    mode: str = "sample",
    window: Window | None = None,
) -> Array:
    """Multiply by a relaxed gain, `(1 - z) / (1 - p)` with `z = sigmoid((logit + log((1 - u) / u)) / t)`.

    `p = sigmoid(logit)` is the rate and u is even on (0, 1). z depends smoothly on the logit, which can so be
    learned by gradient descent; as t goes to 0 this becomes dropout at rate p, under the same mask.

    Parameters
    ----------
    x : array_like of float16, float32 or float64
        What is dropped.
    logit : array_like
        `log(p / (1 - p))`, broadcast against x.
    key : Key
        The address of the randomness.
    temperature : float
        t, greater than 0; 0.1 in the paper.
    mode : {"sample", "mean"}
        Draw gains, or return x: the gains' mean as t goes to 0 (at t = 0.1 and p = 0.1 it is 0.998).
    window : Window, optional
        Which part of which global array x is.

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
    array = opened("ConcreteDropout", x, key, mode)
    t = check_number("ConcreteDropout", "temperature", temperature, 1e-6)
    where = part("ConcreteDropout", array, window)
    logits = check_broadcast("ConcreteDropout", "logit", logit, array.shape)
    if mode == "mean":
        return array.copy()
    u = shares(key, where)
    # (1 - sigmoid(z)) / (1 - sigmoid(logit)), as one exponential that neither cancels nor overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        z = (logits + np.log((1 - u) / u)) / t
        gains = np.exp(np.logaddexp(0, logits) - np.logaddexp(0, z))
    return times(np.where(logits == np.inf, 0, gains), array)


def concrete_kl(logit: float, weights: ArrayLike, *, length: float = 1.0) -> float:
    """Return what the loss of all rows gains: `length**2 / (2 * (1 - p)) * sum(weights**2) - K * H(p)`.

    `H(p) = -p log p - (1 - p) log(1 - p)` is the mask's entropy and K the number of inputs. The paper writes
    the first term with the weights of a layer that never scales, which are these divided by `1 - p`.

    Parameters
    ----------
    logit : float
        `log(p / (1 - p))`, in [-700, 700].
    weights : array_like, shape (K, outputs)
        Of the layer behind the dropout, which divides by keep.
    length : float
        The prior's length scale.

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
    matrix = np.asarray(weights, np.float64)
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
    "Learns the rate by gradient descent, through masks that are relaxed until they have a gradient.",
    "the rate is a parameter with a gradient, and a gain is a function of both the lane and the rate",
    (concrete_dropout, concrete_kl),
    usual=None,
    helps="Honest uncertainty without a search for rates: the logit is learned, from log(0.1 / 0.9) say.",
)
