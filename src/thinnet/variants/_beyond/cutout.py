"""Cutout: one square of each image is erased."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from thinnet._checks import check_integer
from thinnet._core.random import Key, Window, lanes
from thinnet.errors import InputError
from thinnet.variants._beyond.entry import Array, FunctionVariant, opened, part

__all__ = ["ROW", "cutout"]


def cutout(
    x: ArrayLike, size: int | tuple[int, int], *, key: Key, mode: str = "sample", window: Window | None = None
) -> Array:
    """Erase one box of each image, the same in all channels; its centre is any pixel, so it may hang over.

    A box of side s covers pixels `centre - s // 2` to `centre - s // 2 + s - 1`. Nothing is scaled, and
    inference erases nothing. Pixels near a corner are erased less often than those in the middle.

    Parameters
    ----------
    x : array_like of float16, float32 or float64, shape (n, channels, height, width)
        Images of mean 0, so that what is erased says nothing.
    size : int or (int, int)
        Height and width of the box, in pixels; even and odd ones, and larger ones than the image.
    key : Key
        The address of the randomness.
    mode : {"sample", "mean"}
        Erase, or not.
    window : Window, optional
        Which part of which global array x is.

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
    array = opened("Cutout", x, key, mode, "n channels height width")
    sides = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2:
        raise InputError(f"Cutout: size must be one whole number, or two, got {size!r}.")
    sides = tuple(check_integer("Cutout", "size", side, 0, 1 << 31) for side in sides)
    where = part("Cutout", array, window)
    if mode == "mean":
        return array.copy()
    numbers = lanes(key, Window((where.shape[0], 2, 2), (where.start[0], 0, 0), (where.size[0], 2, 2)))
    erased = np.ones((len(array), 1, 1, 1), bool)
    for axis, side in enumerate(sides):
        length, start, count = where.shape[2 + axis], where.start[2 + axis], where.size[2 + axis]
        # Two lanes make one number of 32 bits, whose share of the range is the centre.
        drawn = numbers[:, axis].astype(np.uint64) @ np.array([65536, 1], np.uint64)
        first = (drawn * np.uint64(length) >> np.uint64(32)).astype(np.int64) - side // 2
        place = np.arange(start, start + count)
        inside = (place >= first[:, None]) & (place < first[:, None] + side)
        erased = erased & inside.reshape(len(array), 1, *((count, 1) if axis == 0 else (1, count)))
    return np.where(erased, array.dtype.type(0), array)


ROW = FunctionVariant(
    "Cutout",
    "input",
    "DeVries, Taylor: Improved regularization of convolutional neural networks with cutout. "
    "arXiv:1708.04552, "
    "2017, section 3.2",
    "Erases one box of each image, at a random place.",
    "every image loses exactly one box, and entries near the border are in fewer of them",
    (cutout,),
    usual=None,
    helps="Small images, as in CIFAR: boxes of half the side; beside flips and crops.",
    differs="torchvision's RandomErasing keeps the box inside the image and draws its size.",
)
