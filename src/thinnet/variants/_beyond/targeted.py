"""Targeted dropout: only the weights that pruning would take first are candidates."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_integer, check_number, check_rate
from thinnet._core.random import Key
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened
from thinnet.variants._catalogue import find
from thinnet.variants._sample import drop

__all__ = ["ROW", "targeted_dropout"]

_UNSCALED = replace(find("UnscaledDropout"), name="TargetedDropout")


def targeted_dropout(
    weights: ArrayLike,
    rate: float,
    *,
    key: Key,
    target: float = 0.5,
    units: bool = False,
    axis: int = -1,
    mode: str = "sample",
) -> Array:
    """Zero the smallest weights with chance `rate`, and no others; nothing is scaled.

    Candidates are the `target` share of each output's weights that are smallest in magnitude or, with
    `units`, the outputs whose weights are shortest. At rate 1 this is pruning.

    Parameters
    ----------
    weights : array_like of float16, float32 or float64
        Of one layer.
    rate : float
        Chance that a candidate is dropped, in [0, 1]; the paper's alpha.
    key : Key
        The address of the randomness.
    target : float
        Share of candidates, in [0, 1]; the paper's gamma.
    units : bool
        Whole outputs instead of single weights.
    axis : int
        Which axis is the outputs: -1 for `Dense`, 0 for `Conv2d`.
    mode : {"sample", "mean"}
        Draw a mask, or return the weights.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> targeted_dropout(np.array([[0.1], [-3.0], [0.2], [2.0]]), 1.0, key=tn.Key(0)).T
    array([[ 0., -3.,  0.,  2.]])

    References
    ----------
    Gomez et al.: Learning sparse networks using targeted dropout. arXiv:1905.13678, 2019, section 3.
    """
    array = opened("TargetedDropout", weights, key, mode)
    axis = check_integer("TargetedDropout", "axis", axis, -array.ndim, array.ndim - 1)
    share = check_number("TargetedDropout", "target", target, 0, 1)
    chance = float(check_rate("TargetedDropout", rate, ()))
    if mode == "mean" or not array.size:
        return array.copy()
    outputs = np.moveaxis(array, axis, 0)
    flat = outputs.reshape(len(outputs), -1)
    row = _UNSCALED
    if units:  # one lane for each output
        candidates = _smallest(np.linalg.norm(flat.astype(np.float64), axis=1), share)
        candidates = candidates.reshape(-1, *(1,) * (array.ndim - 1))
        words = ["1"] * array.ndim
        words[axis] = "f"
        row = replace(row, pattern=" ".join(words))
    else:
        candidates = _smallest(np.abs(flat), share).reshape(outputs.shape)
    return drop(row, array, np.where(np.moveaxis(candidates, 0, axis), chance, 0.0), key=key)


def _smallest(sizes: Array, share: float) -> Array:
    """Say of each number whether it is among the smallest of its row, so large a share of it."""
    count = math.floor(share * sizes.shape[-1] + 1e-9)
    ranks = np.argsort(np.argsort(sizes, axis=-1, kind="stable"), axis=-1, kind="stable")
    return ranks < count


ROW = FunctionVariant(
    "TargetedDropout",
    "weight",
    "Gomez et al.: Learning sparse networks using targeted dropout. arXiv:1905.13678, 2019, section 3",
    "Drops only weights, or units, that are small enough to be pruned later.",
    "which entries may be dropped depends on all magnitudes of an output",
    (targeted_dropout,),
    usual=0.5,
    helps="Networks that are pruned after training.",
)
