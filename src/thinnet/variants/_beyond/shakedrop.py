"""ShakeDrop: a residual branch is multiplied by noise, forward and backward by different noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_rate
from thinnet._core.random import Key, Window, lanes
from thinnet.errors import InputError
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened, part, shares, times
from thinnet.variants._law import TwoPoint, unscaled
from thinnet.variants._pattern import lane_window

__all__ = ["ROW", "shake_drop"]


def shake_drop(
    x: ArrayLike,
    rate: float,
    *,
    key: Key,
    backward: bool = False,
    mode: str = "sample",
    window: Window | None = None,
) -> Array:
    """Multiply the branch of each sample by 1 or, with chance `rate`, by noise even on (-1, 1).

    The paper's `b + alpha - b * alpha` with b a Bernoulli number of mean keep. Backward, the same samples are
    multiplied by other noise, even on (0, 1): pass dy and `backward=True`. The mean multiplies by keep.

    Parameters
    ----------
    x : array_like of float16, float32 or float64, shape (n, …)
        A branch's output, or its gradient.
    rate : float
        Chance of noise, in [0, 1]; it grows with depth, up to 0.5.
    key : Key
        The address of the randomness; the same one forward and backward.
    backward : bool
        Whether x is a gradient.
    mode : {"sample", "mean"}
        Draw a gain for each sample, or multiply by keep.
    window : Window, optional
        Which part of which global array x is.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> shake_drop(np.ones((4, 1)), 0.5, key=tn.Key(0)).ravel().round(3)
    array([ 1.   , -0.035,  1.   ,  1.   ])

    References
    ----------
    Yamada et al.: ShakeDrop regularization for deep residual learning. IEEE Access 7, 2019, section III.
    """
    array = opened("ShakeDrop", x, key, mode)
    if not array.ndim:
        raise InputError("ShakeDrop: x must have shape (n, …), got ().")
    law = unscaled(float(check_rate("ShakeDrop", rate, ())))
    assert isinstance(law, TwoPoint)
    where = lane_window("n 1...", part("ShakeDrop", array, window), "ShakeDrop")
    if mode == "mean":
        return times(law.mean[0], array)
    noise = shares(key.fold("backward"), where) if backward else 2 * shares(key.fold("forward"), where) - 1
    gains = np.where(lanes(key, where) < law.threshold, noise, 1.0)
    return times(gains, array)


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
