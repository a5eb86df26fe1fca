"""Shakeout: the weights of an input are set to a constant of the other sign instead of dropped."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_integer, check_number
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.variants._beyond.function import Array, FunctionVariant, check_call, exact
from thinnet.variants._law import mixed
from thinnet.variants._sample import drop
from thinnet.variants._variant import Mode, Variant

__all__ = ["ROW", "shakeout", "variant_of"]

_CITE = "Kang et al.: Shakeout: a new regularized deep neural network training scheme. AAAI 2016, section 3"


def variant_of(axes: int, axis: int) -> Variant:
    """Return Mixout with one lane for each index of one axis; its `other` is `-c * sign(w)`.

    Examples
    --------
    >>> variant_of(2, 0).pattern
    'f 1'
    """
    words = ["1"] * axes
    words[axis] = "f"
    return Variant("Shakeout", "weight", " ".join(words), mixed, cite=_CITE, doc="", other="pretrained")


def shakeout(
    weights: ArrayLike,
    rate: float,
    *,
    key: Key | None = None,
    c: float = 0.1,
    axis: int = 0,
    mode: Mode = "sample",
) -> Array:
    """Set an input's weights to `-c * sign(w)` with chance `rate`, else `(w + rate * c * sign(w)) / keep`.

    The mean is w, except at rate 1. With c = 0 this is dropout of inputs; a larger c acts as an L1 penalty
    and makes weights sparse. It is Mixout with `-c * sign(w)` as the other, and one lane for each input.

    Parameters
    ----------
    weights : array_like of float16, bfloat16, float32 or float64
        Of one layer.
    rate : float
        Chance of the constant, in [0, 1]; the paper's tau.
    key : Key
        The address of the randomness; the mode "mean" needs none.
    c : float
        The size of the constant, at least 0.
    axis : int
        The axis of the inputs: 0 for `Dense`, 1 for `Conv2d`.
    mode : {"sample", "mean"}
        Draw weights, or return their mean.

    Returns
    -------
    ndarray
        Of the shape and dtype of the weights.

    Raises
    ------
    InputError
        A rate outside [0, 1], a negative c, an axis that the weights do not have.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> shakeout(np.array([[1.0, -2.0], [3.0, 4.0]]), 0.5, key=tn.Key(0), c=0.1).round(3)
    array([[ 2.1, -4.1],
           [-0.1, -0.1]])

    References
    ----------
    Kang et al.: Shakeout: a new regularized deep neural network training scheme. AAAI 2016, section 3,
    equation 5.
    """
    array = check_call("Shakeout", weights, key, mode, name="weights")
    if not array.ndim:
        raise InputError("Shakeout: weights must have at least one axis, got shape ().")
    axis = check_integer("Shakeout", "axis", axis, -array.ndim, array.ndim - 1)
    other = (-check_number("Shakeout", "c", c, 0) * np.sign(exact(array))).astype(array.dtype)
    return drop(variant_of(array.ndim, axis), array, rate, key=key, other=other, mode=mode)


ROW = FunctionVariant(
    "Shakeout",
    "weight",
    _CITE,
    "Sets the weights of an input to a constant of the other sign instead of dropping it.",
    "the replacement of a weight is computed from the weight itself",
    (shakeout,),
    usual=0.3,
    helps="Networks that should be sparse: it combines L0, L1 and L2 penalties.",
)
