"""DropHead: whole attention heads are dropped, and the others scaled by the share that was kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_rate
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.windows import check_window
from thinnet.variants._beyond.function import (
    Array,
    FunctionVariant,
    Gains,
    check_call,
    multiply,
)
from thinnet.variants._law import threshold_of
from thinnet.variants._variant import Mode

__all__ = ["ROW", "drop_head", "gains"]


def gains(key: Key, window: Window, *, rate: float) -> Gains:
    """Return `heads / kept` for kept heads and 0 for dropped ones, shape (n, heads, 1, 1).

    Examples
    --------
    >>> gains(Key(0), Window.whole((2, 4, 1, 1)), rate=0.5)[0, :, 0, 0].round(3).tolist()
    [1.333, 0.0, 1.333, 1.333]
    """
    heads = window.shape[1]
    every = Window((window.shape[0], heads), (window.start[0], 0), (window.size[0], heads))
    kept = lanes(key, every) >= threshold_of(rate)
    scale = heads / np.maximum(kept.sum(axis=1, keepdims=True), 1)
    own = kept[:, window.start[1] : window.start[1] + window.size[1], None, None]
    return np.where(own, scale[:, :, None, None], 0.0)


def drop_head(
    x: ArrayLike, rate: float, *, key: Key | None = None, mode: Mode = "sample", window: Window | None = None
) -> Array:
    """Drop heads of each sample, and multiply the others by `heads / kept`: their sum keeps its size.

    A sample whose heads are all dropped becomes 0. Inference changes nothing.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64, shape (n, heads, tokens, features)
        The outputs of the heads, before they are joined.
    rate : float
        Chance that a head is dropped, in [0, 1].
    key : Key
        The address of the randomness; the mode "mean" needs none.
    mode : {"sample", "mean"}
        Draw a mask, or return x.
    window : Window, optional
        The part of a global array that x is; heads that other parts hold are counted too.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x of other axes, a rate outside [0, 1].

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> drop_head(np.ones((2, 4, 1, 1)), 0.5, key=tn.Key(0))[..., 0, 0].round(3)
    array([[1.333, 0.   , 1.333, 1.333],
           [1.   , 1.   , 1.   , 1.   ]])

    References
    ----------
    Zhou et al.: Scheduled DropHead: a regularization method for transformer models. Findings of EMNLP 2020,
    section 3.
    """
    array = check_call("DropHead", x, key, mode, "n heads tokens features")
    chance = float(check_rate("DropHead", rate, ()))
    where = check_window("DropHead", window, array.shape)
    if key is None or mode == "mean":
        return array.copy()
    return multiply(gains(key, where, rate=chance), array)


ROW = FunctionVariant(
    "DropHead",
    "attention",
    "Zhou et al.: Scheduled DropHead: a regularization method for transformer models. Findings of "
    "EMNLP 2020, section 3",
    "Drops whole attention heads and divides the others by the share of heads that was kept.",
    "the scale of a head depends on the lanes of all heads",
    (drop_head,),
    usual=0.2,
    helps="Transformers whose attention relies on few heads; the paper's rate falls and rises again.",
)
