"""Convolution: the loop that defines it, the fast version, and the layer.

x has shape (n, c, h, w): rows, channels, height, width; weights (k, c / groups, kh, kw); y (n, k, ho, wo).
`ho = 1 + (h + 2 * padding - dilation * (kh - 1) - 1) // stride`, and wo likewise. As in every library,
convolution means cross-correlation.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check_array, check_integer
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._arguments import check_pair
from thinnet.net._layers import Layer, Shape, Weights, uniform_weights

__all__ = ["Conv2d", "Grid", "conv2d", "conv2d_naive", "convolve", "convolve_backward", "pad"]

Array: TypeAlias = NDArray[Any]

# Number of entries of the unfolded windows in one matrix product: they fit into the cache.
_UNFOLDED = 1 << 20


class Grid(NamedTuple):
    """The positions of windows on an image, height before width."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def windows(self, owner: str, image: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
        """Return the number of windows along each axis."""
        found = tuple(
            1 + (n + 2 * p - d * (k - 1) - 1) // s
            for n, k, s, p, d in zip(image, kernel, self.stride, self.padding, self.dilation, strict=True)
        )
        if min(found) < 1:
            raise InputError(
                f"{owner}: a kernel of {kernel} with dilation {self.dilation} does not fit images of {image} "
                f"with padding {self.padding}; choose a smaller kernel or more padding."
            )
        return found[0], found[1]


def conv2d_naive(x: Array, w: Array, *, b: Array | None = None, stride: int = 1, padding: int = 0) -> Array:
    """Convolve images, one output at a time: the definition, written to be read.

    `y[i, o, r, s] = b[o] + sum(x[i, :, R : R + kh, S : S + kw] * w[o])`, R = r * stride, S = s * stride, on x
    with `padding` zeros around it; `ho = 1 + (h + 2 * padding - kh) // stride`, and wo likewise.

    Parameters
    ----------
    x : ndarray, shape (n, c, h, w)
        Images.
    w : ndarray, shape (k, c, kh, kw)
        Kernels.
    b : ndarray, shape (k,), optional
        Bias of each kernel.
    stride, padding : int
        Steps between windows; zeros around an image.

    Returns
    -------
    ndarray, shape (n, k, ho, wo)

    Raises
    ------
    InputError
        Arrays of another shape; kernels that do not fit the images.

    Examples
    --------
    >>> conv2d_naive(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))).tolist()
    [[[[8.0, 12.0], [20.0, 24.0]]]]
    """
    stride = check_integer("conv2d_naive", "stride", stride, 1)
    padding = check_integer("conv2d_naive", "padding", padding, 0)
    _check_arrays("conv2d_naive", (x, w, b), Grid((stride, stride), (padding, padding)))
    n, _, height, width = x.shape
    k, _, kh, kw = w.shape
    rows, columns = 1 + (height + 2 * padding - kh) // stride, 1 + (width + 2 * padding - kw) // stride
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    y = np.empty((n, k, rows, columns), np.result_type(x, w))
    for i in range(n):
        for o in range(k):
            for r in range(rows):
                for s in range(columns):
                    window = x[i, :, r * stride : r * stride + kh, s * stride : s * stride + kw]
                    y[i, o, r, s] = np.sum(window * w[o]) + (0 if b is None else b[o])
    return y


def conv2d(
    x: Array,
    w: Array,
    *,
    b: Array | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Array:
    """Convolve images: windows are unfolded into columns, then multiplied as matrices.

    Parameters
    ----------
    x : ndarray, shape (n, c, h, w)
        Images.
    w : ndarray, shape (k, c / groups, kh, kw)
        Kernels.
    b : ndarray, shape (k,), optional
        Bias of each kernel.
    stride, padding, dilation : int or (int, int)
        Steps between windows, zeros around an image, steps between the entries of a kernel.
    groups : int
        Number of groups of channels that are convolved separately.

    Returns
    -------
    ndarray, shape (n, k, ho, wo)

    Raises
    ------
    InputError
        Arrays of another shape; kernels that do not fit the images; groups that do not divide the channels.

    Examples
    --------
    >>> conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)), stride=2).tolist()
    [[[[8.0]]]]
    """
    grid = Grid(
        check_pair("conv2d", "stride", stride),
        check_pair("conv2d", "padding", padding, 0),
        check_pair("conv2d", "dilation", dilation),
        check_integer("conv2d", "groups", groups, 1),
    )
    _check_arrays("conv2d", (x, w, b), grid)
    return convolve(x, w, b, grid)


def _check_arrays(owner: str, arrays: tuple[Array, Array, Array | None], grid: Grid) -> None:
    x, w, b = arrays
    check_array(owner, x, "x", axes="n c h w")
    check_array(owner, w, "w", axes="k c kh kw")
    if x.shape[1] != w.shape[1] * grid.groups or w.shape[0] % grid.groups:
        raise InputError(
            f"{owner}: w must have shape (k, {x.shape[1]} / groups, kh, kw) with groups that divide k, got "
            f"{w.shape} and groups={grid.groups}."
        )
    if b is not None and check_array(owner, b, "b").shape != w.shape[:1]:
        raise InputError(f"{owner}: b must have shape {w.shape[:1]}, got {b.shape}.")
    grid.windows(owner, (x.shape[2], x.shape[3]), (w.shape[2], w.shape[3]))


def convolve(x: Array, w: Array, b: Array | None, grid: Grid) -> Array:
    """Return `conv2d` of checked arrays."""
    n, k, kernel = len(x), len(w), (w.shape[2], w.shape[3])
    image = (x.shape[2], x.shape[3])
    out = grid.windows("conv2d", image, kernel)
    y = np.empty((n, k, *out), np.result_type(x, w))
    matrix = w.reshape(grid.groups, k // grid.groups, -1)  # (g, k / g, c / g * kh * kw)
    windows = _windows(pad(x, grid.padding), kernel, out, grid)
    for piece in _pieces(n, windows):
        z = matrix @ _unfolded(windows[piece], grid.groups)  # (g, k / g, ckk) @ (g, ckk, m * ho * wo)
        y[piece] = z.reshape(k, -1, *out).swapaxes(0, 1)
    if b is not None:
        y += b[:, None, None]
    return y


def convolve_backward(
    dy: Array, x: Array, w: Array, grid: Grid, *, input_gradient: bool = True
) -> tuple[Array | None, Array, Array]:
    """Return the gradients (dx or None, dw, db) of `convolve` for dy, shape (n, k, ho, wo)."""
    n, k, kernel = len(x), len(w), (w.shape[2], w.shape[3])
    out = (dy.shape[2], dy.shape[3])
    matrix = w.reshape(grid.groups, k // grid.groups, -1)
    windows = _windows(pad(x, grid.padding), kernel, out, grid)
    dw = np.zeros(matrix.shape, w.dtype)
    (ph, pw), (height, width) = grid.padding, x.shape[2:]
    folded = np.zeros((n, x.shape[1], height + 2 * ph, width + 2 * pw), dy.dtype) if input_gradient else None
    for piece in _pieces(n, windows):
        gradient = (
            dy[piece].swapaxes(0, 1).reshape(grid.groups, k // grid.groups, -1)
        )  # (g, k / g, m * ho * wo)
        columns = _unfolded(windows[piece], grid.groups)
        dw += gradient @ columns.swapaxes(1, 2)
        if folded is not None:
            _fold(matrix.swapaxes(1, 2) @ gradient, folded[piece], kernel, out, grid)
    dx = None if folded is None else folded[:, :, ph : ph + height, pw : pw + width]
    return dx, dw.reshape(w.shape), dy.sum(axis=(0, 2, 3))


def pad(x: Array, padding: tuple[int, int], fill: float = 0.0) -> Array:
    """Return images with `fill` around them, (height, width) entries on each side."""
    if padding == (0, 0):
        return x
    (ph, pw), (n, c, height, width) = padding, x.shape
    y = np.full((n, c, height + 2 * ph, width + 2 * pw), fill, x.dtype)
    y[:, :, ph : ph + height, pw : pw + width] = x
    return y


def _windows(x: Array, kernel: tuple[int, int], out: tuple[int, int], grid: Grid) -> Array:
    """Return every window of padded images as a view, (n, c, kh, kw, ho, wo)."""
    rows, channels, down, across = x.strides
    (sh, sw), (dh, dw) = grid.stride, grid.dilation
    shape = (len(x), x.shape[1], *kernel, *out)
    strides = (rows, channels, dh * down, dw * across, sh * down, sw * across)
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def _pieces(n: int, windows: Array) -> list[slice]:
    step = max(1, _UNFOLDED // max(1, math.prod(windows.shape[1:])))
    return [slice(first, first + step) for first in range(0, n, step)]


def _unfolded(windows: Array, groups: int) -> Array:
    """Copy windows, (m, c, kh, kw, ho, wo), into columns, (g, c / g * kh * kw, m * ho * wo)."""
    m, c, kh, kw, ho, wo = windows.shape
    return windows.transpose(1, 2, 3, 0, 4, 5).reshape(groups, c // groups * kh * kw, m * ho * wo)


def _fold(columns: Array, into: Array, kernel: tuple[int, int], out: tuple[int, int], grid: Grid) -> None:
    """Add columns, (g, c / g * kh * kw, m * ho * wo), to their positions in padded images."""
    (kh, kw), (ho, wo), (sh, sw), (dh, dw) = kernel, out, grid.stride, grid.dilation
    places = columns.reshape(into.shape[1], kh, kw, len(into), ho, wo)
    images = into.swapaxes(0, 1)  # (c, m, h, w)
    for i in range(kh):
        for j in range(kw):
            down = slice(i * dh, i * dh + (ho - 1) * sh + 1, sh)
            images[:, :, down, j * dw : j * dw + (wo - 1) * sw + 1 : sw] += places[:, i, j]


@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolve images: (n, inputs, h, w) → (n, outputs, ho, wo); see `conv2d_naive`.

    Parameters
    ----------
    inputs, outputs : int
        Number of input and output channels.
    kernel_size : int or (int, int)
        Height and width of a kernel.
    stride, padding, dilation : int or (int, int)
        Steps between windows, zeros around an image, steps between the entries of a kernel.
    groups : int
        Number of groups of channels that are convolved separately.

    Raises
    ------
    InputError
        Numbers that are not whole or too small; groups that do not divide the channels.

    Examples
    --------
    >>> Conv2d(3, 16, 3, padding=1).output_shape((3, 32, 32))
    (16, 32, 32)

    Differs from `torch.nn.Conv2d`: biases begin at 0, and weights are uniform with the variance of He et al.

    References
    ----------
    Dumoulin, Visin: A guide to convolution arithmetic for deep learning. arXiv:1603.07285, section 2.
    """

    inputs: int
    outputs: int
    kernel_size: int | tuple[int, int]
    _: KW_ONLY
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1

    trainable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "groups"):
            object.__setattr__(self, name, check_integer("Conv2d", name, getattr(self, name), 1))
        for name, least in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            two = check_pair("Conv2d", name, getattr(self, name), least)
            object.__setattr__(self, name, two[0] if two[0] == two[1] else two)
        for name, value in (("inputs", self.inputs), ("outputs", self.outputs)):
            if value % self.groups:
                raise InputError(f"Conv2d: groups must divide {name}, got {self.groups} for {value}.")

    @property
    def grid(self) -> Grid:
        """The positions of its windows on an image."""
        stride, padding, dilation = (
            check_pair("Conv2d", name, getattr(self, name), 0) for name in ("stride", "padding", "dilation")
        )
        return Grid(stride, padding, dilation, self.groups)

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of a kernel."""
        return check_pair("Conv2d", "kernel_size", self.kernel_size)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3 or shape[0] != self.inputs:
            raise InputError(f"takes rows of shape ({self.inputs}, height, width), but gets {shape}")
        return (self.outputs, *self.grid.windows("Conv2d", (shape[1], shape[2]), self.kernel))

    def shapes(self) -> dict[str, Shape]:
        return {"weight": (self.outputs, self.inputs // self.groups, *self.kernel), "bias": (self.outputs,)}

    def initial(self, *, key: Key, initializer: str) -> Weights:
        window = math.prod(self.kernel)
        fan_in, fan_out = (channels // self.groups * window for channels in (self.inputs, self.outputs))
        return uniform_weights(self.shapes()["weight"], initializer, fan_in, fan_out, key=key)

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        return convolve(x, weights["weight"], weights["bias"], self.grid), x

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        dx, grads["weight"][:], grads["bias"][:] = convolve_backward(dy, saved, weights["weight"], self.grid)
        assert dx is not None
        return dx

    def gradients(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> None:
        _, grads["weight"][:], grads["bias"][:] = convolve_backward(
            dy, saved, weights["weight"], self.grid, input_gradient=False
        )
