"""Targeted dropout: only the weights that pruning would take first are candidates."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_boolean, check_integer, check_number, check_rate
from thinnet._core.random import Key, Window, lanes
from thinnet.errors import InputError
from thinnet.variants._beyond.function import Array, FunctionVariant, Gains, check_call, exact, multiply
from thinnet.variants._law import threshold_of
from thinnet.variants._variant import Mode

__all__ = ["ROW", "candidates", "gains", "targeted_dropout"]


def gains(key: Key, window: Window, chosen: NDArray[np.bool_], *, rate: float) -> Gains:
    """Return 0 with chance `rate` where an entry is a candidate, else 1.

    Parameters
    ----------
    window : Window
        Of the lanes, one for each candidate: of all weights, or of the outputs.
    chosen : ndarray of bool
        Of the window's size, what `candidates` returns.

    Examples
    --------
    >>> gains(Key(0), Window.whole((2,)), np.array([True, False]), rate=1.0).tolist()
    [0.0, 1.0]
    """
    return np.where(chosen & (lanes(key, window) < threshold_of(rate)), 0.0, 1.0)


def candidates(weights: Array, *, target: float, units: bool, axis: int) -> NDArray[np.bool_]:
    """Return the mask of the weights, or of the outputs, that are small enough to be dropped.

    Examples
    --------
    >>> candidates(np.array([[0.1], [-3.0], [0.2], [2.0]]), target=0.5, units=False, axis=-1)[:, 0].tolist()
    [True, False, True, False]
    """
    outputs = np.moveaxis(exact(weights), axis, 0)
    flat = outputs.reshape(len(outputs), -1)
    if units:  # one lane for each output
        small = _smallest(np.linalg.norm(flat.astype(np.float64), axis=1), target)
        return np.moveaxis(small.reshape(-1, *(1,) * (weights.ndim - 1)), 0, axis)
    return np.moveaxis(_smallest(np.abs(flat), target).reshape(outputs.shape), 0, axis)


def _smallest(sizes: Array, share: float) -> NDArray[np.bool_]:
    """Return the mask of the smallest `share` of each row of numbers."""
    count = math.floor(share * sizes.shape[-1] + 1e-9)
    if not 0 < count < sizes.shape[-1]:
        return np.full(sizes.shape, count > 0)
    # The largest of the smallest; NaN counts as the largest of all. Of equal sizes the first ones are taken.
    edge = np.partition(sizes, count - 1, axis=-1)[..., count - 1 : count]
    below, equal = sizes < edge, sizes == edge
    if np.isnan(edge).any():
        missing = np.isnan(sizes)
        below, equal = below | (np.isnan(edge) & ~missing), equal | (np.isnan(edge) & missing)
    open_places = count - below.sum(axis=-1, keepdims=True)
    if (equal.sum(axis=-1, keepdims=True) == open_places).all():
        return below | equal
    return below | (equal & (np.cumsum(equal, axis=-1) <= open_places))


def targeted_dropout(
    weights: ArrayLike,
    rate: float,
    *,
    key: Key | None = None,
    target: float = 0.5,
    units: bool = False,
    axis: int = -1,
    mode: Mode = "sample",
) -> Array:
    """Zero the smallest weights with chance `rate`, and no others; nothing is scaled.

    Candidates are the `target` share of each output's weights that are smallest in magnitude or, with
    `units`, the outputs whose weights are shortest. At rate 1 this is pruning.

    Parameters
    ----------
    weights : array_like of float16, bfloat16, float32 or float64
        Of one layer.
    rate : float
        Chance that a candidate is dropped, in [0, 1]; the paper's alpha.
    key : Key
        The address of the randomness; the mode "mean" needs none.
    target : float
        Share of candidates, in [0, 1]; the paper's gamma.
    units : bool
        Drop whole outputs instead of single weights.
    axis : int
        The axis of the outputs: -1 for `Dense`, 0 for `Conv2d`.
    mode : {"sample", "mean"}
        Draw a mask, or return the weights.

    Returns
    -------
    ndarray
        Of the shape and dtype of the weights.

    Raises
    ------
    InputError
        A rate or a target outside [0, 1], an axis that the weights do not have.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> targeted_dropout(np.array([[0.1], [-3.0], [0.2], [2.0]]), 1.0, key=tn.Key(0)).T
    array([[ 0., -3.,  0.,  2.]])

    References
    ----------
    Gomez et al.: Learning sparse networks using targeted dropout. arXiv:1905.13678, 2019, section 3.
    """
    array = check_call("TargetedDropout", weights, key, mode, name="weights")
    if not array.ndim:
        raise InputError("TargetedDropout: weights must have at least one axis, got shape ().")
    axis = check_integer("TargetedDropout", "axis", axis, -array.ndim, array.ndim - 1)
    share = check_number("TargetedDropout", "target", target, 0, 1)
    chance = float(check_rate("TargetedDropout", rate, ()))
    units = check_boolean("TargetedDropout", "units", units)
    if key is None or mode == "mean" or not array.size:
        return array.copy()
    chosen = candidates(array, target=share, units=units, axis=axis)
    return multiply(gains(key, Window.whole(chosen.shape), chosen, rate=chance), array)


ROW = FunctionVariant(
    "TargetedDropout",
    "weight",
    "Gomez et al.: Learning sparse networks using targeted dropout. arXiv:1905.13678, 2019, section 3",
    "Drops only weights, or units, that are small enough to be pruned later.",
    "the candidates depend on the magnitudes of all weights of an output",
    (targeted_dropout,),
    usual=0.5,
    helps="Networks that are pruned after training.",
)
