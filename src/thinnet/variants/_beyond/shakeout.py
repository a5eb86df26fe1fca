"""Shakeout: units are not dropped, their weights go to a constant of the other sign."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_integer, check_number
from thinnet._core.random import Key
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened
from thinnet.variants._law import mixed
from thinnet.variants._sample import drop
from thinnet.variants._variant import Variant

__all__ = ["ROW", "shakeout"]

_CITE = "Kang et al.: Shakeout: a new regularized deep neural network training scheme. AAAI 2016, section 3"


def shakeout(
    weights: ArrayLike, rate: float, *, key: Key, c: float = 0.1, axis: int = 0, mode: str = "sample"
) -> Array:
    """Set an input's weights to `-c * sign(w)` with chance `rate`, else to `(w + rate * c * sign(w)) / keep`.

    The mean is w, but at rate 1. With c = 0 this is dropout of inputs; a larger c acts as an L1 penalty and
    makes weights sparse. It is Mixout with `-c * sign(w)` as the other, and one lane for each input.

    Parameters
    ----------
    weights : array_like of float16, float32 or float64
        Of one layer.
    rate : float
        Chance of the first, in [0, 1]; the paper's tau.
    key : Key
        The address of the randomness.
    c : float
        How far, at least 0.
    axis : int
        Which axis is the inputs: 0 for `Dense`, 1 for `Conv2d`.
    mode : {"sample", "mean"}
        Draw weights, or return their mean.

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
    array = opened("Shakeout", weights, key, mode)
    axis = check_integer("Shakeout", "axis", axis, -array.ndim, array.ndim - 1)
    words = ["1"] * array.ndim
    words[axis] = "f"
    row = Variant("Shakeout", "weight", " ".join(words), mixed, cite=_CITE, doc="", other="pretrained")
    other = (-check_number("Shakeout", "c", c, 0) * np.sign(array)).astype(array.dtype)
    return drop(row, array, rate, key=key, other=other, mode="sample" if mode == "sample" else "mean")


ROW = FunctionVariant(
    "Shakeout",
    "weight",
    _CITE,
    "Sets the weights of an input to a constant of the other sign instead of dropping it.",
    "what stands in for a weight is computed from the weight itself",
    (shakeout,),
    usual=0.3,
    helps="Networks that should be sparse: it joins L0, L1 and L2 penalties.",
)
