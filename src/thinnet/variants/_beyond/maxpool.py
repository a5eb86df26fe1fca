"""Max-pooling dropout: entries are dropped before the largest of a window is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from thinnet._checks import check_rate
from thinnet._core.random import Key, Window
from thinnet.errors import InputError
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened, part
from thinnet.variants._catalogue import find
from thinnet.variants._law import TwoPoint
from thinnet.variants._sample import drop

__all__ = ["ROW", "max_pool_dropout"]

_UNSCALED = replace(find("UnscaledDropout"), name="MaxPoolDropout")


def max_pool_dropout(
    x: ArrayLike,
    rate: float,
    *,
    key: Key,
    size: int = 2,
    stride: int | None = None,
    mode: str = "sample",
    window: Window | None = None,
) -> Array:
    """Take the largest entry of each window that is not dropped; 0 if all are.

    With the window's entries in order, `a[1] >= a[2] >= …`, entry i comes out with chance
    `keep * rate**(i - 1)`; the mean is the sum of `keep * rate**(i - 1) * a[i]`, and not the largest entry.
    Training alone is what `Dropout` in front of `MaxPool2d` does, without its scale.

    Parameters
    ----------
    x : array_like of float16, float32 or float64, shape (n, channels, height, width)
        Activations of at least 0, as behind a rectifier.
    rate : float
        Chance that an entry is dropped, in [0, 1].
    key : Key
        The address of the randomness.
    size, stride : int
        Of the windows; the stride is the size if not given.
    mode : {"sample", "mean"}
        Draw a mask, or weight entries by their chances.
    window : Window, optional
        Which part of which global array x is.

    Returns
    -------
    ndarray, shape (n, channels, (height - size) // stride + 1, (width - size) // stride + 1)

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> max_pool_dropout(np.array([[[[4.0, 3.0], [2.0, 1.0]]]]), 0.5, key=tn.Key(0), mode="mean")
    array([[[[3.0625]]]])

    References
    ----------
    Wu, Gu: Max-pooling dropout for regularization of convolutional neural networks. ICONIP 2015, section 3.
    """
    array = opened("MaxPoolDropout", x, key, mode, "n channels height width")
    chance = float(check_rate("MaxPoolDropout", rate, ()))
    step = size if stride is None else stride
    if any(isinstance(value, bool) or not isinstance(value, int) or value < 1 for value in (size, step)):
        raise InputError(
            f"MaxPoolDropout: size and stride must be whole numbers of at least 1, got {size!r} and {step!r}."
        )
    if min(array.shape[2:]) < size:
        raise InputError(f"MaxPoolDropout: windows of {size} are larger than x, of shape {array.shape}.")
    where = part("MaxPoolDropout", array, window)
    if array.size and array.min() < 0:
        raise InputError("MaxPoolDropout: x has entries below 0; put a rectifier before it.")
    if mode == "sample":
        kept = drop(_UNSCALED, array, chance, key=key, window=where)
        return _windows(kept, size, step).max(axis=-1)
    law = _UNSCALED.law_of(chance)
    assert isinstance(law, TwoPoint)
    order = np.sort(_windows(array, size, step), axis=-1)[..., ::-1]
    weights = (1 - law.rate) * law.rate ** np.arange(size**2)
    some = weights > 0
    return (order[..., some] @ weights[some]).astype(array.dtype)


def _windows(x: Array, size: int, stride: int) -> Array:
    views: Any = sliding_window_view(x, (size, size), axis=(2, 3))  # pyright: ignore[reportCallIssue, reportArgumentType]
    strided = views[:, :, ::stride, ::stride]
    return strided.reshape(*strided.shape[:4], size**2)


ROW = FunctionVariant(
    "MaxPoolDropout",
    "activation",
    "Wu, Gu: Max-pooling dropout for regularization of convolutional neural networks. ICONIP 2015, section 3",
    "Drops entries before the largest of a window is taken; inference weights all by their chances.",
    "its mean is no multiple of x but depends on the order within each window",
    (max_pool_dropout,),
    usual=0.5,
    helps="Convolutional networks with max-pooling; the weighted inference is what it adds.",
)
