"""Multi-sample dropout: several masks on one batch, and the mean of their losses."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_integer, check_rate
from thinnet._core.random import Key
from thinnet.variants._beyond.function import Array, FunctionVariant, check_call
from thinnet.variants._law import inverted
from thinnet.variants._sample import drop
from thinnet.variants._variant import Mode, Variant

__all__ = ["ROW", "multi_sample_dropout"]

_CITE = (
    "Inoue: Multi-sample dropout for accelerated training and better generalization. arXiv:1905.09788, 2019"
)
_ENTRIES = Variant("MultiSampleDropout", "activation", "...", inverted, cite=_CITE, doc="")


def multi_sample_dropout(
    x: ArrayLike, rate: float, *, key: Key | None = None, samples: int = 8, mode: Mode = "sample"
) -> Array:
    """Return x under several masks of dropout, along a new first axis.

    Apply the rest of the network and the loss to every sample, and average the losses. Backward is
    `dropout(dy, rate, key=key).sum(axis=0)`, with dy of the shape of the result.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64, any shape
        Activations before the last layers.
    rate : float
        Chance that an entry is dropped, in [0, 1].
    key : Key
        The address of the randomness; the mode "mean" needs none.
    samples : int
        The number of masks, in [1, 2**20]; 8 in the paper.
    mode : {"sample", "mean"}
        Draw masks, or return x once, along a first axis of length 1.

    Returns
    -------
    ndarray, shape (samples, …)
        Of the dtype of x.

    Raises
    ------
    InputError
        A rate outside [0, 1], a number of samples outside [1, 2**20].

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> multi_sample_dropout(np.ones(4), 0.5, key=tn.Key(0), samples=3)
    array([[2., 0., 2., 2.],
           [2., 2., 2., 2.],
           [2., 2., 0., 0.]])

    References
    ----------
    Inoue: Multi-sample dropout for accelerated training and better generalization. arXiv:1905.09788, 2019.
    """
    array = check_call("MultiSampleDropout", x, key, mode)
    chance = float(check_rate("MultiSampleDropout", rate, ()))
    count = check_integer("MultiSampleDropout", "samples", samples, 1, 1 << 20)
    if key is None or mode == "mean":
        return array[None].copy()
    every: Any = np.broadcast_to(array, (count, *array.shape))
    return drop(_ENTRIES, cast("Array", every), chance, key=key)


ROW = FunctionVariant(
    "MultiSampleDropout",
    "activation",
    _CITE,
    "Draws several masks for one batch, whose losses are averaged.",
    "the result has one more axis than x",
    (multi_sample_dropout,),
    usual=0.5,
    helps="Networks whose cost lies before their last layers: more masks in one step, fewer steps.",
)
