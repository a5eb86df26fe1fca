"""Standout: the chance to be kept is computed from the activations, by a network laid over the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_broadcast, check_number
from thinnet._core.random import Key, Window
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened
from thinnet.variants._catalogue import find
from thinnet.variants._sample import drop

__all__ = ["ROW", "standout"]

_VANILLA = replace(find("VanillaDropout"), name="Standout")


def standout(
    x: ArrayLike,
    logits: ArrayLike,
    *,
    key: Key,
    alpha: float = 1.0,
    beta: float = 0.0,
    mode: str = "sample",
    window: Window | None = None,
) -> Array:
    """Keep each entry with chance `sigmoid(alpha * logits + beta)`; the mean multiplies by that chance.

    Backward is the same call with dy in place of x: the mask is taken as constant, as the paper does.

    Parameters
    ----------
    x : array_like of float16, float32 or float64
        Activations.
    logits : array_like
        Broadcast against x: the outputs of the layer that decides, or the units' own inputs, which is the
        paper's shortcut.
    key : Key
        The address of the randomness.
    alpha, beta : float
        Scale and bias of the logits; beta moves how many are kept.
    mode : {"sample", "mean"}
        Draw a mask, or multiply by the chances.
    window : Window, optional
        Which part of which global array x is.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> standout(np.ones(3), [-9.0, 0.0, 9.0], key=tn.Key(0), mode="mean").round(3)
    array([0. , 0.5, 1. ])

    References
    ----------
    Ba, Frey: Adaptive dropout for training deep neural networks. NeurIPS 2013, section 3.
    """
    array = opened("Standout", x, key, mode)
    scale = check_number("Standout", "alpha", alpha, -1e300)
    bias = check_number("Standout", "beta", beta, -1e300)
    with np.errstate(over="ignore", invalid="ignore"):
        z = scale * check_broadcast("Standout", "logits", logits, array.shape) + bias
    rate = np.exp(-np.logaddexp(0, np.nan_to_num(z)))
    sampled = "sample" if mode == "sample" else "mean"
    return drop(_VANILLA, array, rate, key=key, mode=sampled, window=window)


ROW = FunctionVariant(
    "Standout",
    "activation",
    "Ba, Frey: Adaptive dropout for training deep neural networks. NeurIPS 2013, section 3",
    "Keeps units that are strongly driven more often than others.",
    "the rate is a function of the activations",
    (standout,),
    usual=None,
    helps="Autoencoders and dense layers whose units differ much.",
)
