"""Layers that reduce images: maxima and means of windows, and images as flat rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._arguments import check_pair, shape_text
from thinnet.net._conv import Grid, pad
from thinnet.net._layers import Layer, Shape, Weights

__all__ = ["AvgPool2d", "Flatten", "GlobalAvgPool2d", "MaxPool2d"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Pool2d(Layer):
    """Base of the pools over windows; each documents its arguments."""

    kernel_size: int | tuple[int, int]
    _: KW_ONLY
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0

    initializer: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if self.stride is None:
            object.__setattr__(self, "stride", self.kernel_size)
        for name, least in (("kernel_size", 1), ("stride", 1), ("padding", 0)):
            two = check_pair(owner, name, getattr(self, name), least)
            object.__setattr__(self, name, two[0] if two[0] == two[1] else two)
        if any(2 * p > k for p, k in zip(self.grid.padding, self.kernel, strict=True)):
            raise InputError(f"{owner}: padding must be at most half of kernel_size, got {self.padding!r}.")

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of a window."""
        return check_pair(type(self).__name__, "kernel_size", self.kernel_size)

    @property
    def grid(self) -> Grid:
        """The positions of its windows on an image."""
        owner = type(self).__name__
        return Grid(check_pair(owner, "stride", self.stride), check_pair(owner, "padding", self.padding, 0))

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise InputError(f"takes rows of shape (channels, height, width), but gets {shape_text(shape)}")
        return (shape[0], *self.grid.windows(type(self).__name__, (shape[1], shape[2]), self.kernel))

    def _window_entries(self, x: Array) -> Iterator[Array]:
        """Yield each entry of all windows of padded images, as views (n, c, ho, wo)."""
        (kh, kw), (sh, sw) = self.kernel, self.grid.stride
        rows, columns = 1 + (x.shape[2] - kh) // sh, 1 + (x.shape[3] - kw) // sw
        for i in range(kh):
            for j in range(kw):
                yield x[:, :, i : i + (rows - 1) * sh + 1 : sh, j : j + (columns - 1) * sw + 1 : sw]

    def _padded_zeros(self, shape: Shape, dtype: Any) -> tuple[Array, Array]:
        """Return padded images of zeros, and a view without the padding."""
        (ph, pw), (n, c, height, width) = self.grid.padding, shape
        zeros = np.zeros((n, c, height + 2 * ph, width + 2 * pw), dtype)
        return zeros, zeros[:, :, ph : ph + height, pw : pw + width]


@dataclass(frozen=True)
class MaxPool2d(Pool2d):
    """The largest entry of each window, (n, c, h, w) → (n, c, ho, wo); the first of equals has the gradient.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of a window.
    stride : int or (int, int), optional
        Steps between windows; the kernel size if not given.
    padding : int or (int, int)
        How far windows extend beyond the edge, at most half of their size.

    Examples
    --------
    >>> MaxPool2d(2).output_shape((8, 28, 28))
    (8, 14, 14)
    """

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        places = self._window_entries(pad(x, self.grid.padding, -np.inf))
        y = next(places).copy()
        first = np.zeros(y.shape, np.min_scalar_type(math.prod(self.kernel) - 1))
        for number, place in enumerate(places, 1):
            np.copyto(first, number, where=place > y)
            np.maximum(y, place, out=y)
        return y, (x.shape, first)

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        shape, first = saved
        padded, dx = self._padded_zeros(shape, dy.dtype)
        for number, place in enumerate(self._window_entries(padded)):
            np.add(place, dy * (first == number), out=place)
        return dx


@dataclass(frozen=True)
class AvgPool2d(Pool2d):
    """The mean of each window, which counts zeros beyond the edge, (n, c, h, w) → (n, c, ho, wo).

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of a window.
    stride : int or (int, int), optional
        Steps between windows; the kernel size if not given.
    padding : int or (int, int)
        How far windows extend beyond the edge, at most half of their size.
    """

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        places = self._window_entries(pad(x, self.grid.padding))
        y = next(places).copy()
        for place in places:
            y += place
        y *= 1 / math.prod(self.kernel)
        return y, x.shape

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        padded, dx = self._padded_zeros(saved, dy.dtype)
        each = dy * (1 / math.prod(self.kernel))
        for place in self._window_entries(padded):
            np.add(place, each, out=place)
        return dx


@dataclass(frozen=True)
class GlobalAvgPool2d(Layer):
    """The mean of each channel, (n, c, h, w) → (n, c)."""

    initializer: ClassVar[str | None] = None

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise InputError(f"takes rows of shape (channels, height, width), but gets {shape_text(shape)}")
        return shape[:1]

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        return x.mean(axis=(2, 3)), x.shape

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        each = dy * (1 / (saved[2] * saved[3]))
        return np.broadcast_to(each[:, :, None, None], saved)


@dataclass(frozen=True)
class Flatten(Layer):
    """Images as flat rows, (n, c, h, w) → (n, c * h * w)."""

    initializer: ClassVar[str | None] = None

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return dy.reshape(saved)
