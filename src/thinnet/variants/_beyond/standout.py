"""Standout: the chance to be kept is computed from the activations, by a network laid over the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_broadcast, check_number
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.windows import check_window
from thinnet.variants._beyond.function import (
    Array,
    FunctionVariant,
    Gains,
    check_call,
    log_odds_table,
    multiply,
)
from thinnet.variants._law import LANES, threshold_of
from thinnet.variants._variant import Mode

__all__ = ["ROW", "gains", "mean_gain", "mean_slope", "standout"]


def gains(
    key: Key, window: Window, logits: NDArray[np.float64], *, alpha: float = 1.0, beta: float = 0.0
) -> Gains:
    """Return 1 with chance `sigmoid(alpha * logits + beta)`, else 0; their derivative is taken as 0.

    Examples
    --------
    >>> gains(Key(0), Window.whole((3,)), np.array([-9.0, 0.0, 9.0])).tolist()
    [0.0, 0.0, 1.0]
    """
    drawn = lanes(key, window)
    if logits.size < _MANY:
        return np.where(drawn >= _thresholds(logits, alpha, beta), 1.0, 0.0)
    # `lane >= threshold(z)` is `z >= log_odds(lane)`; rounding decides where both are nearly equal.
    with np.errstate(over="ignore", invalid="ignore"):
        above = alpha * logits + beta - log_odds_table()[drawn]
    kept, near = above >= 0, ~(np.abs(above) >= _NEAR)  # or NaN
    if near.any():
        kept[near] = drawn[near] >= _thresholds(np.broadcast_to(logits, drawn.shape)[near], alpha, beta)
    return kept.astype(np.float64)


def mean_gain(logits: NDArray[np.float64], *, alpha: float = 1.0, beta: float = 0.0) -> Gains:
    """Return the realised chance that an entry is kept, a multiple of 1 / 65536.

    The mean network multiplies by it in the precision of x, float32 for float16.

    Examples
    --------
    >>> mean_gain(np.array([-9.0, 0.0, 9.0])).round(3).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.asarray(1 - _thresholds(logits, alpha, beta) / LANES)


def mean_slope(xp: Any, logits: Any, *, alpha: float = 1.0, beta: float = 0.0) -> Any:
    """Return the derivative of the chance with respect to the logits, `alpha * p * (1 - p)`.

    Parameters
    ----------
    xp : module
        `numpy` or `torch`: the namespace of the arrays.
    """
    bent = xp.tanh((alpha * logits + beta) / 2)  # 2 * sigmoid - 1
    return alpha * (1 - bent) * (1 + bent) / 4


# Numbers from which on a table is faster; and 1e-9 is far above the errors of exp, and of sums near 12.
_MANY = 1 << 14
_NEAR = 1e-9


def _thresholds(logits: NDArray[np.float64], alpha: float, beta: float) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        z = alpha * logits + beta
    return threshold_of(np.exp(-np.logaddexp(0, np.nan_to_num(z))))


def standout(
    x: ArrayLike,
    logits: ArrayLike,
    *,
    key: Key | None = None,
    alpha: float = 1.0,
    beta: float = 0.0,
    mode: Mode = "sample",
    window: Window | None = None,
) -> Array:
    """Keep each entry with chance `sigmoid(alpha * logits + beta)`; the mean multiplies by that chance.

    Backward is the same call with dy in place of x: the mask is taken as constant, as the paper does.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        Activations.
    logits : array_like
        Broadcast against x: the outputs of a layer that decides, or the inputs of the units themselves, which
        is the paper's shortcut.
    key : Key
        The address of the randomness; the mode "mean" needs none.
    alpha, beta : float
        Scale and bias of the logits; a larger beta keeps more.
    mode : {"sample", "mean"}
        Draw a mask, or multiply by the chances.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        Logits that do not broadcast against x, or hold NaN.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> standout(np.ones(3), [-9.0, 0.0, 9.0], key=tn.Key(0), mode="mean").round(3)
    array([0. , 0.5, 1. ])

    References
    ----------
    Ba, Frey: Adaptive dropout for training deep neural networks. NeurIPS 2013, section 3.
    """
    array = check_call("Standout", x, key, mode)
    scale = check_number("Standout", "alpha", alpha, -1e300)
    bias = check_number("Standout", "beta", beta, -1e300)
    known = check_broadcast("Standout", "logits", logits, array.shape)
    where = check_window("Standout", window, array.shape)
    if key is None or mode == "mean":
        narrow = np.float64 if array.dtype == np.float64 else np.float32
        return multiply(mean_gain(known, alpha=scale, beta=bias).astype(narrow), array)
    return multiply(gains(key, where, known, alpha=scale, beta=bias), array)


ROW = FunctionVariant(
    "Standout",
    "activation",
    "Ba, Frey: Adaptive dropout for training deep neural networks. NeurIPS 2013, section 3",
    "Keeps units with large inputs more often than others.",
    "the rate is a function of the activations",
    (standout,),
    usual=None,
    helps="Autoencoders and dense layers whose units differ much.",
)
