"""Networks of images that taught people: a small one, and VGG."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._conv import Conv2d
from thinnet.net._dropout import Dropout
from thinnet.net._layers import Dense, Layer, ReLU, Shape, positive
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
    inputs: Shape = (3, 32, 32),
    outputs: int = 10,
    *,
    filters: int = 32,
    kernel_size: int = 7,
    hidden: int = 100,
    dropout: Layer | None = None,
    key: Key | None = None,
    **options: Any,
) -> Network:
    """Return conv - relu - pool - affine - relu - affine.

    Parameters
    ----------
    inputs : (channels, height, width)
        The shape of an image.
    outputs : int
        Classes, or values.
    filters, kernel_size : int
        Of the convolution, which keeps height and width; an odd kernel size.
    hidden : int
        Units of the hidden affine layer.
    dropout : Layer, optional
        Put behind the pool: `Dropout(0.25)`, or any variant that takes images.
    key : Key, optional
        The address of all randomness.
    options
        Passed to `Network`: loss, dtype.

    Examples
    --------
    >>> three_layer_convnet((1, 8, 8), filters=4, kernel_size=3, hidden=16)
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
    if kernel_size % 2 == 0:
        raise InputError(f"three_layer_convnet: kernel_size must be odd, got {kernel_size}.")
    front = [Conv2d(inputs[0], filters, kernel_size, padding=kernel_size // 2), ReLU(), MaxPool2d(2)]
    features = filters * (inputs[1] // 2) * (inputs[2] // 2)
    back = [Flatten(), Dense(features, hidden), ReLU(), Dense(hidden, outputs)]
    return Network([*front, *([dropout] if dropout else []), *back], key=key, inputs=inputs, **options)


def vgg(
    depth: int = 11,
    inputs: Shape = (3, 32, 32),
    outputs: int = 10,
    *,
    width: float = 1.0,
    dropout: float = 0.5,
    pools: Layer | None = None,
    key: Key | None = None,
    **options: Any,
) -> Network:
    """Return a VGG: 3 x 3 convolutions, pools, two dense layers with dropout, one for the outputs.

    Parameters
    ----------
    depth : {11, 13, 16}
        Layers with weights.
    inputs : (channels, height, width)
        The shape of an image, at least 32 high and wide.
    outputs : int
        Classes, or values.
    width : float
        Times the paper's 64 to 512 channels and 4096 units.
    dropout : float
        Rate behind the two dense layers; the paper's 0.5.
    pools : Layer, optional
        A layer behind each pool: `Dropout(0.1, "DropBlock2d")`. Blocks are cut to the size of small maps.
    key : Key, optional
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
    if depth not in _VGG:
        raise InputError(f"vgg: depth must be 11, 13 or 16, got {depth!r}.")
    width = positive("vgg", "width", width)
    layers: list[Layer] = []
    channels, height, across = inputs
    for plan in _VGG[depth]:
        if not plan:
            height, across = height // 2, across // 2
            layers += [MaxPool2d(2), *([_cut(pools, height, across)] if pools else [])]
            continue
        out = max(1, round(plan * width))
        layers += [Conv2d(channels, out, 3, padding=1), ReLU()]
        channels = out
    if not height or not across:
        raise InputError(f"vgg: images must be at least 32 high and wide, got {inputs}.")
    dense = max(1, round(_DENSE * width))
    layers += [Flatten(), Dense(channels * height * across, dense), ReLU(), Dropout(dropout)]
    layers += [Dense(dense, dense), ReLU(), Dropout(dropout), Dense(dense, outputs)]
    return Network(layers, key=key, inputs=inputs, **options)


def _cut(layer: Layer, *lengths: int) -> Layer:
    """Return a dropout layer whose blocks are no larger than a map."""
    if not isinstance(layer, Dropout) or not layer.row.block:
        return layer
    return replace(
        layer, block=tuple(max(1, min(pair)) for pair in zip(layer.row.block, lengths, strict=True))
    )
