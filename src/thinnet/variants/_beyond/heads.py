"""DropHead: whole attention heads are dropped, and the others scaled by how many are left."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_rate
from thinnet._core.random import Key, Window, lanes
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened, part, times
from thinnet.variants._law import TwoPoint, unscaled

__all__ = ["ROW", "drop_head"]


def drop_head(
    x: ArrayLike, rate: float, *, key: Key, mode: str = "sample", window: Window | None = None
) -> Array:
    """Drop heads of each sample, and multiply the others by `heads / kept`: their sum stays as large.

    Where all heads of a sample are dropped there is nothing left of it. Inference changes nothing.

    Parameters
    ----------
    x : array_like of float16, float32 or float64, shape (n, heads, tokens, features)
        The heads' outputs, before they are joined.
    rate : float
        Chance that a head is dropped, in [0, 1].
    key : Key
        The address of the randomness.
    mode : {"sample", "mean"}
        Draw a mask, or return x.
    window : Window, optional
        Which part of which global array x is; heads that other parts hold are counted too.

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
    array = opened("DropHead", x, key, mode, "n heads tokens features")
    law = unscaled(float(check_rate("DropHead", rate, ())))
    assert isinstance(law, TwoPoint)
    where = part("DropHead", array, window)
    if mode == "mean":
        return array.copy()
    heads = where.shape[1]
    every = Window((where.shape[0], heads), (where.start[0], 0), (where.size[0], heads))
    kept = lanes(key, every) >= law.threshold
    scale = heads / np.maximum(kept.sum(axis=1, keepdims=True), 1)
    own = kept[:, where.start[1] : where.start[1] + where.size[1], None, None]
    return times(np.where(own, scale[:, :, None, None], 0), array)


ROW = FunctionVariant(
    "DropHead",
    "attention",
    "Zhou et al.: Scheduled DropHead: a regularization method for transformer models. Findings of "
    "EMNLP 2020, "
    "section 3",
    "Drops whole attention heads and scales the others by how many are left.",
    "the scale of a head depends on the lanes of all heads",
    (drop_head,),
    usual=0.2,
    helps="Transformers whose attention leans on few heads; the paper's rate falls and rises again.",
)
