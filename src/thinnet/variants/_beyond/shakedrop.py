"""ShakeDrop: a residual branch is multiplied by noise, forward and backward by different noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_boolean, check_rate
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.windows import check_window
from thinnet.errors import InputError
from thinnet.variants._beyond.function import (
    Array,
    FunctionVariant,
    Gains,
    check_call,
    multiply,
    uniforms,
)
from thinnet.variants._law import LANES, threshold_of
from thinnet.variants._pattern import lane_window
from thinnet.variants._variant import Mode

__all__ = ["ROW", "gains", "mean_gain", "shake_drop"]


def gains(key: Key, window: Window, *, rate: float, backward: bool) -> Gains:
    """Return the gain of each sample, shape (n, 1, …): 1, or uniform noise with chance `rate`.

    Examples
    --------
    >>> gains(Key(0), Window.whole((4, 1)), rate=0.5, backward=False)[:, 0].round(3).tolist()
    [1.0, -0.035, 1.0, 1.0]
    """
    samples = lane_window("n 1...", window, "ShakeDrop")
    if backward:
        noise = uniforms(key.fold("backward"), samples)
    else:
        noise = 2 * uniforms(key.fold("forward"), samples) - 1
    return np.where(lanes(key, samples) < threshold_of(rate), noise, 1.0)


def mean_gain(rate: float) -> float:
    """Return keep, the mean of the gains forward."""
    return 1 - threshold_of(rate) / LANES


def shake_drop(
    x: ArrayLike,
    rate: float,
    *,
    key: Key | None = None,
    backward: bool = False,
    mode: Mode = "sample",
    window: Window | None = None,
) -> Array:
    """Multiply the branch of each sample by 1 or, with chance `rate`, by uniform noise in (-1, 1).

    The paper's `b + alpha - b * alpha` with b a Bernoulli number of mean keep. Backward, the same samples are
    multiplied by other noise, uniform on (0, 1): pass dy and `backward=True`. The mean multiplies by keep.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64, shape (n, …)
        The output of a branch, or its gradient.
    rate : float
        Chance of noise, in [0, 1]; it grows with depth, up to 0.5.
    key : Key
        The address of the randomness; the same one forward and backward. The mode "mean" needs none.
    backward : bool
        Whether x is a gradient.
    mode : {"sample", "mean"}
        Draw a gain for each sample, or multiply by keep.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x without axes, a rate outside [0, 1].

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> shake_drop(np.ones((4, 1)), 0.5, key=tn.Key(0)).ravel().round(3)
    array([ 1.   , -0.035,  1.   ,  1.   ])

    References
    ----------
    Yamada et al.: ShakeDrop regularization for deep residual learning. IEEE Access 7, 2019, section III.
    """
    array = check_call("ShakeDrop", x, key, mode)
    if not array.ndim:
        raise InputError("ShakeDrop: x must have shape (n, …), got ().")
    chance = float(check_rate("ShakeDrop", rate, ()))
    second = check_boolean("ShakeDrop", "backward", backward)
    where = check_window("ShakeDrop", window, array.shape)
    if key is None or mode == "mean":
        return multiply(mean_gain(chance), array)
    return multiply(gains(key, where, rate=chance, backward=second), array)


ROW = FunctionVariant(
    "ShakeDrop",
    "branch",
    "Yamada et al.: ShakeDrop regularization for deep residual learning. IEEE Access 7, 2019, section III",
    "Multiplies a branch by noise where DropPath would drop it, and its gradient by other noise.",
    "backward is not the derivative of forward",
    (shake_drop,),
    usual=0.5,
    helps="Deep residual networks with batch normalisation in the branch; it needs long training.",
)
