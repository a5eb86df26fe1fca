"""Known networks for images: a three-layer one, and VGG."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from thinnet._checks import check, check_integer, check_type, format_value
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._arguments import POSITIVE
from thinnet.net._conv import Conv2d
from thinnet.net._dropout import Dropout
from thinnet.net._layers import Dense, Layer, ReLU, Shape
from thinnet.net._network import Network
from thinnet.net._pool import Flatten, MaxPool2d

__all__ = ["three_layer_convnet", "vgg"]

# Channels of the convolutions; 0 is a pool. Simonyan, Zisserman, table 1, columns A, B and D.
_VGG = {
    11: (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    13: (64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    16: (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0),
}
_DENSE = 4096


def three_layer_convnet(
    input_shape: Shape = (3, 32, 32),
    *,
    outputs: int = 10,
    filters: int = 32,
    kernel_size: int = 7,
    hidden: int = 100,
    dropout: Layer | None = None,
    key: Key,
    **options: Any,
) -> Network:
    """Return conv - relu - pool - affine - relu - affine.

    Parameters
    ----------
    input_shape : (channels, height, width)
        The shape of an image.
    outputs : int
        Number of classes, or of values.
    filters, kernel_size : int
        Number of filters of the convolution and their size, which is odd, so that height and width are kept.
    hidden : int
        Number of units of the hidden affine layer.
    dropout : Layer, optional
        Placed after the pool: `Dropout(0.25)`, or any variant that takes images.
    key : Key
        The address of all randomness.
    options
        Passed to `Network`: loss, dtype.

    Examples
    --------
    >>> three_layer_convnet((1, 8, 8), filters=4, kernel_size=3, hidden=16, key=Key(0))
    Network 64 -> 10, 1,250 weights, float32
      0  Conv2d(1, 4, 3, padding=1)   (n, 1, 8, 8) -> (n, 4, 8, 8)   40
      1  ReLU()                       (n, 4, 8, 8)
      2  MaxPool2d(2)                 (n, 4, 8, 8) -> (n, 4, 4, 4)
      3  Flatten()                    (n, 4, 4, 4) -> (n, 64)
      4  Dense(64, 16)                (n, 64) -> (n, 16)             1,040
      5  ReLU()                       (n, 16)
      6  Dense(16, 10)                (n, 16) -> (n, 10)             170

    References
    ----------
    Stanford CS231n, assignment 2: Convolutional networks.
    """
    owner = "three_layer_convnet"
    channels, height, width = _check_image(owner, input_shape)
    for name, value in (("filters", filters), ("hidden", hidden), ("outputs", outputs)):
        check_integer(owner, name, value, 1)
    if check_integer(owner, "kernel_size", kernel_size, 1) % 2 == 0:
        raise InputError(f"{owner}: kernel_size must be odd, got {kernel_size}.")
    if dropout is not None:
        check_type(owner, "dropout", dropout, Layer, "pass a layer such as thinnet.net.Dropout(0.25)")
    front = [Conv2d(channels, filters, kernel_size, padding=kernel_size // 2), ReLU(), MaxPool2d(2)]
    features = filters * (height // 2) * (width // 2)
    back = [Flatten(), Dense(features, hidden), ReLU(), Dense(hidden, outputs)]
    layers = [*front, *([dropout] if dropout else []), *back]
    return Network(layers, key=key, input_shape=input_shape, **options)


def vgg(
    depth: int = 11,
    *,
    input_shape: Shape = (3, 32, 32),
    outputs: int = 10,
    width: float = 1.0,
    dropout: float = 0.5,
    pools: Layer | None = None,
    key: Key,
    **options: Any,
) -> Network:
    """Return a VGG: 3 x 3 convolutions, pools, two dense layers with dropout, one for the outputs.

    Parameters
    ----------
    depth : {11, 13, 16}
        Number of layers with weights.
    input_shape : (channels, height, width)
        The shape of an image, at least 32 high and wide.
    outputs : int
        Number of classes, or of values.
    width : float
        Factor of the paper's 64 to 512 channels and 4096 units.
    dropout : float
        Rate after the two dense layers; 0.5 in the paper.
    pools : Layer, optional
        A layer after each pool: `Dropout(0.1, variant="DropBlock2d")`. Its blocks are reduced to the size of
        small maps.
    key : Key
        The address of all randomness.
    options
        Passed to `Network`: loss, dtype.

    Raises
    ------
    InputError
        Another depth, or images that are too small.

    References
    ----------
    Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition. ICLR 2015,
    table 1 and section 3.1 (dropout).
    """
    if check_integer("vgg", "depth", depth, 1) not in _VGG:
        raise InputError(f"vgg: depth must be 11, 13 or 16, got {depth!r}.")
    check("vgg", "width", width, POSITIVE)
    if pools is not None:
        check_type("vgg", "pools", pools, Layer, "pass a layer such as thinnet.net.Dropout(0.1)")
    channels, height, across = _check_image("vgg", input_shape)
    layers: list[Layer] = []
    for plan in _VGG[depth]:
        if not plan:
            height, across = height // 2, across // 2
            layers += [MaxPool2d(2), *([_fit_blocks(pools, height, across)] if pools else [])]
            continue
        out = max(1, round(plan * width))
        layers += [Conv2d(channels, out, 3, padding=1), ReLU()]
        channels = out
    if not height or not across:
        raise InputError(f"vgg: images must be at least 32 high and wide, got {input_shape}.")
    dense = max(1, round(_DENSE * width))
    layers += [Flatten(), Dense(channels * height * across, dense), ReLU(), Dropout(dropout)]
    layers += [Dense(dense, dense), ReLU(), Dropout(dropout), Dense(dense, outputs)]
    return Network(layers, key=key, input_shape=input_shape, **options)


def _check_image(owner: str, shape: Any) -> tuple[int, int, int]:
    sizes = cast("tuple[Any, ...]", shape) if isinstance(shape, tuple | list) else ()
    if len(sizes) != 3:
        raise InputError(
            f"{owner}: input_shape must be (channels, height, width), got {format_value(shape)}."
        )
    channels, height, width = (check_integer(owner, "input_shape", each, 1) for each in sizes)
    return channels, height, width


def _fit_blocks(layer: Layer, *lengths: int) -> Layer:
    """Return a dropout layer whose blocks are at most as large as a map."""
    if not isinstance(layer, Dropout) or not layer.row.block:
        return layer
    return replace(
        layer, block=tuple(max(1, min(pair)) for pair in zip(layer.row.block, lengths, strict=True))
    )
