"""Cutout: one square of each image is erased."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_integer
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.windows import check_window
from thinnet.errors import InputError
from thinnet.variants._beyond.function import (
    Array,
    FunctionVariant,
    Gains,
    check_call,
    multiply,
)
from thinnet.variants._variant import Mode

__all__ = ["ROW", "cutout", "gains"]


def gains(key: Key, window: Window, *, height: int, width: int) -> Gains:
    """Return 0 inside the box of each image and 1 outside, shape (n, 1, height, width).

    Examples
    --------
    >>> gains(Key(0), Window.whole((1, 1, 4, 4)), height=2, width=2).astype(int)[0, 0, 2].tolist()
    [1, 1, 0, 0]
    """
    count = window.size[0]
    numbers = lanes(key, Window((window.shape[0], 2, 2), (window.start[0], 0, 0), (count, 2, 2)))
    erased = np.ones((count, 1, 1, 1), bool)
    for axis, side in enumerate((height, width)):
        length, start, size = window.shape[2 + axis], window.start[2 + axis], window.size[2 + axis]
        # Two lanes make one number of 32 bits, whose share of the range is the centre.
        drawn = numbers[:, axis].astype(np.uint64) @ np.array([65536, 1], np.uint64)
        first = (drawn * np.uint64(length) >> np.uint64(32)).astype(np.int64) - side // 2
        place = np.arange(start, start + size)
        inside = (place >= first[:, None]) & (place < first[:, None] + side)
        erased = erased & inside.reshape(count, 1, *((size, 1) if axis == 0 else (1, size)))
    return np.where(erased, 0.0, 1.0)


def cutout(
    x: ArrayLike,
    size: int | tuple[int, int],
    *,
    key: Key | None = None,
    mode: Mode = "sample",
    window: Window | None = None,
) -> Array:
    """Erase one box of each image, the same in all channels; its centre is any pixel.

    A box of side s covers pixels `centre - s // 2` to `centre - s // 2 + s - 1`, and may reach over the
    border, so pixels near a corner are erased less often than those in the middle. Nothing is scaled, and
    inference erases nothing.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64, shape (n, channels, height, width)
        Images of mean 0, so that an erased pixel carries no information.
    size : int or (int, int)
        Height and width of the box, in pixels; any size, larger than the image too.
    key : Key
        The address of the randomness; the mode "mean" needs none.
    mode : {"sample", "mean"}
        Erase a box, or return x.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    ndarray
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x of other axes, a size that is not whole numbers of at least 0.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> cutout(np.ones((1, 1, 4, 4)), 2, key=tn.Key(0)).astype(int)[0, 0]
    array([[1, 1, 1, 1],
           [1, 1, 1, 1],
           [1, 1, 0, 0],
           [1, 1, 0, 0]])

    References
    ----------
    DeVries, Taylor: Improved regularization of convolutional neural networks with cutout. arXiv:1708.04552,
    2017, section 3.2.
    """
    array = check_call("Cutout", x, key, mode, "n channels height width")
    sides = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2:
        raise InputError(f"Cutout: size must be one whole number, or two, got {size!r}.")
    height, width = (check_integer("Cutout", "size", side, 0, 1 << 31) for side in sides)
    where = check_window("Cutout", window, array.shape)
    if key is None or mode == "mean":
        return array.copy()
    return multiply(gains(key, where, height=height, width=width), array)


ROW = FunctionVariant(
    "Cutout",
    "input",
    "DeVries, Taylor: Improved regularization of convolutional neural networks with cutout. "
    "arXiv:1708.04552, 2017, section 3.2",
    "Erases one box of each image, at a random place.",
    "every image loses exactly one box, and entries near the border are in fewer of them",
    (cutout,),
    usual=None,
    helps="Small images, as in CIFAR: boxes of half the side, together with flips and crops.",
    differs="torchvision's RandomErasing keeps the box inside the image and draws its size.",
)
