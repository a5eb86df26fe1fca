"""Max-pooling dropout: entries are dropped before the largest of a window is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from thinnet._checks import check_integer, check_rate
from thinnet._core.random import Key, Window
from thinnet._core.random.windows import check_window
from thinnet.errors import InputError
from thinnet.variants._beyond.function import Array, FunctionVariant, Gains, check_call, exact
from thinnet.variants._law import LANES, threshold_of, unscaled
from thinnet.variants._sample import drop
from thinnet.variants._variant import Mode, Variant

__all__ = ["ROW", "max_pool_dropout", "mean_weights"]

_CITE = (
    "Wu, Gu: Max-pooling dropout for regularization of convolutional neural networks. ICONIP 2015, section 3"
)
_ENTRIES = Variant("MaxPoolDropout", "activation", "...", unscaled, cite=_CITE, doc="")


def mean_weights(rate: float, count: int) -> Gains:
    """Return the chance of each entry of a window to be its largest, in descending order of the entries.

    `keep * rate**(i - 1)` for i from 1 to `count`, at the realised rate; entries whose chance is 0 are left
    out.

    Examples
    --------
    >>> mean_weights(0.5, 4).tolist(), mean_weights(0.0, 4).tolist()
    ([0.5, 0.25, 0.125, 0.0625], [1.0])
    """
    realised = threshold_of(rate) / LANES
    weights = (1 - realised) * realised ** np.arange(count)
    return weights[weights > 0]


def max_pool_dropout(
    x: ArrayLike,
    rate: float,
    *,
    key: Key | None = None,
    kernel_size: int = 2,
    stride: int | None = None,
    mode: Mode = "sample",
    window: Window | None = None,
) -> Array:
    """Take the largest entry of each window that is not dropped; 0 if all are dropped.

    With the entries of a window in order, `a[1] >= a[2] >= …`, the result is entry i with chance
    `keep * rate**(i - 1)`; the mean is the sum of `keep * rate**(i - 1) * a[i]`. In training this equals
    `Dropout` before `MaxPool2d`, without its scale.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64, shape (n, channels, height, width)
        Activations of at least 0, as after a rectifier.
    rate : float
        Chance that an entry is dropped, in [0, 1].
    key : Key
        The address of the randomness; the mode "mean" needs none.
    kernel_size, stride : int
        Extent of the windows and the distance between them, in entries; by default both are equal.
    mode : {"sample", "mean"}
        Draw a mask, or weight entries by their chances.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    ndarray, shape (n, channels, (height - kernel_size) // stride + 1, ...)
        Of the dtype of x.

    Raises
    ------
    InputError
        An x of other axes or with negative entries, windows that are larger than x, a rate outside [0, 1].

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> max_pool_dropout(np.array([[[[4.0, 3.0], [2.0, 1.0]]]]), 0.5, key=tn.Key(0), mode="mean")
    array([[[[3.0625]]]])

    References
    ----------
    Wu, Gu: Max-pooling dropout for regularization of convolutional neural networks. ICONIP 2015, section 3.
    """
    array = check_call("MaxPoolDropout", x, key, mode, "n channels height width")
    chance = float(check_rate("MaxPoolDropout", rate, ()))
    size = check_integer("MaxPoolDropout", "kernel_size", kernel_size, 1)
    step = size if stride is None else check_integer("MaxPoolDropout", "stride", stride, 1)
    if min(array.shape[2:]) < size:
        raise InputError(f"MaxPoolDropout: windows of {size} are larger than x, of shape {array.shape}.")
    where = check_window("MaxPoolDropout", window, array.shape)
    if array.size and array.min() < 0:
        raise InputError("MaxPoolDropout: x has entries below 0; put a rectifier before it.")
    if key is not None and mode == "sample":
        kept = drop(_ENTRIES, array, chance, key=key, window=where)
        return _windows(exact(kept), size, step).max(axis=-1).astype(array.dtype)
    weights = mean_weights(chance, size**2)
    order = np.sort(_windows(exact(array), size, step), axis=-1)[..., ::-1]
    return (order[..., : len(weights)] @ weights).astype(array.dtype)


def _windows(x: Array, size: int, stride: int) -> Array:
    views: Any = sliding_window_view(x, (size, size), axis=(2, 3))  # pyright: ignore[reportCallIssue, reportArgumentType]
    strided = views[:, :, ::stride, ::stride]
    return strided.reshape(*strided.shape[:4], size**2)


ROW = FunctionVariant(
    "MaxPoolDropout",
    "activation",
    _CITE,
    "Drops entries before the largest of a window is taken; inference weights all by their chances.",
    "its mean depends on the order within each window, and is not a multiple of x",
    (max_pool_dropout,),
    usual=0.5,
    helps="Convolutional networks with max-pooling; the weighted inference is its contribution.",
)
