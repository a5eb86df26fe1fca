"""The images of the exhibits: scikit-learn's digits, or a file of the user."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from thinnet._files import explain
from thinnet.errors import FileError, InputError

__all__ = ["Images", "digits", "load", "read"]

Array: TypeAlias = NDArray[Any]

_PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Images:
    """Images for training and test.

    Parameters
    ----------
    name : str
        Name of the data set.
    x, x_test : ndarray of float32, shape (n, channels, height, width)
        In [0, 1].
    y, y_test : ndarray of int, shape (n,)
        Classes 0, 1 and so on.
    """

    name: str
    x: Array
    y: Array
    x_test: Array
    y_test: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image."""
        channels, height, width = self.x.shape[1:]
        return channels, height, width

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(max(self.y.max(), self.y_test.max())) + 1

    def flat(self) -> Images:
        """Return the images as flat rows."""
        return Images(self.name, self.x.reshape(len(self.x), -1), self.y, _rows(self.x_test), self.y_test)

    def some(self, train: int, test: int) -> Images:
        """Return the first images for training and for test."""
        return Images(self.name, self.x[:train], self.y[:train], self.x_test[:test], self.y_test[:test])


def _rows(x: Array) -> Array:
    return x.reshape(len(x), -1)


def load(owner: str, data: tuple[Path, ...], train: int = 898, seed: int = 0) -> Images:
    """Return the images of a data file, or digits, of which `train` are for training, split by a seed."""
    if len(data) > 1:
        raise InputError(f"gallery {owner}: data must be one file or folder of images, got {len(data)}.")
    return read(data[0]) if data else digits(train, seed)


def digits(train: int = 898, seed: int = 0) -> Images:
    """Return scikit-learn's 1,797 digits of 8 x 8, `train` for training and the others for test."""
    from sklearn import datasets, model_selection

    table, splitter = cast("Any", datasets), cast("Any", model_selection)  # they have no type hints
    x, y = table.load_digits(return_X_y=True)
    images = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    parts = splitter.train_test_split(images, y, train_size=train, stratify=y, random_state=seed)
    return Images("digits", parts[0], parts[2], parts[1], parts[3])


def read(path: Path) -> Images:
    """Read MNIST's folder of four idx files, or an .npz with x_train, y_train, x_test and y_test.

    The idx files may be compressed; `train10k` may stand for `train`. An .npz holds uint8 images, (n, height,
    width) or (n, height, width, channels). No code in a file is executed.

    Raises
    ------
    FileError
        The file cannot be read, or is truncated.
    InputError
        The content is not such images.
    """
    try:
        found = _mnist(path) if path.is_dir() else _archive(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {explain(error)}.") from error
    except InputError:
        raise
    except Exception as error:  # errors of damaged archives have no common base
        raise FileError(f"{path}: truncated or damaged ({error}); use a complete file.") from None
    x, y, x_test, y_test = found
    for images, classes in ((x, y), (x_test, y_test)):
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
            raise InputError(
                f"{path}: images must be uint8 of shape (n, height, width) or (n, height, width, channels), "
                f"got {images.dtype} of shape {images.shape}."
            )
        if classes.shape != images.shape[:1] or classes.dtype.kind not in "iu" or classes.min() < 0:
            raise InputError(
                f"{path}: classes must be whole numbers from 0 on, one for each of {len(images)} images, "
                f"got {classes.dtype} of shape {classes.shape}."
            )
    classes = np.unique(y)
    if len(classes) < 2 or classes[0] != 0 or classes[-1] != len(classes) - 1 or y_test.max() > classes[-1]:
        raise InputError(
            f"{path}: classes must be 0, 1 and so on without a gap, two of them at least, got "
            f"{len(classes)} from {classes[0]} to {max(classes[-1], y_test.max())}."
        )
    if x.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"{path}: training images have shape {x.shape[1:]}, but test images have {x_test.shape[1:]}."
        )
    name = "MNIST" if path.is_dir() else path.stem
    return Images(name, _scaled(x), y.astype(np.intp), _scaled(x_test), y_test.astype(np.intp))


def _scaled(x: Array) -> Array:
    x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
    return x.astype(np.float32) / 255


def _archive(path: Path) -> list[Array]:
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise InputError(f"{path}: not an .npz of arrays {', '.join(_PARTS)}.")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        missing = [part for part in _PARTS if part not in arrays]
        if missing:
            raise InputError(f"{path}: holds no {', '.join(missing)}.")
        try:
            return [arrays[part] for part in _PARTS]
        except ValueError as error:
            raise InputError(f"{path}: an array cannot be read ({error}).") from None


def _mnist(folder: Path) -> list[Array]:
    found: list[Array] = []
    for names in (("train", "train10k"), ("t10k",)):
        for kind, axes in (("images-idx3", 3), ("labels-idx1", 1)):
            several = [folder / f"{name}-{kind}-ubyte{end}" for name in names for end in (".gz", "")]
            path = next((path for path in several if path.exists()), None)
            if path is None:
                raise InputError(f"{folder}: has no {several[0].name}; name MNIST's folder of idx files.")
            found.append(_idx(path, axes))
    return found


def _idx(path: Path, axes: int) -> Array:
    """Return the array of an idx file: 0 0 8 axes, a size an axis (4 bytes, big end first), then bytes."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    sizes = [int.from_bytes(data[at : at + 4]) for at in range(4, 4 + 4 * axes, 4)]
    if data[:4] != bytes([0, 0, 8, axes]) or len(data) - 4 - 4 * axes != math.prod(sizes):
        raise InputError(f"{path}: not an idx file of {axes} axes of bytes, or truncated.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(sizes)
