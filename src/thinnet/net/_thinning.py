"""One thinned network: every dropout layer replaced by the gains that a key draws for its units."""

from __future__ import annotations

from typing import Any

import numpy as np

from thinnet._core.random import Key
from thinnet.net._connect import DropConnect
from thinnet.net._dropout import Dropout, Gate, mask_key
from thinnet.net._layers import Layer, Shape, Weights
from thinnet.net._residual import Residual, branch_key, branch_weights
from thinnet.net._stack import LayerStack
from thinnet.variants._sample import sample

__all__ = ["thin_layers"]


def thin_layers(stack: LayerStack, key: Key) -> list[tuple[Layer, Weights]]:
    """Return each layer thinned at a key, and the weights and buffers drawn for it."""
    return [
        _thinned(layer, stack.shapes[i], mask_key(key, i).at(key.step), stack, stack.weights[i])
        for i, layer in enumerate(stack.layers)
    ]


def _thinned(
    layer: Layer, shape: Shape, key: Key, stack: LayerStack, weights: Weights
) -> tuple[Layer, Weights]:
    if isinstance(layer, DropConnect):
        drawn = layer.dropped(weights, layer.rate_at(stack.step), key=key)
        return layer.layer, {"weight": drawn["weight"]}
    if isinstance(layer, Dropout):
        rate, zeros = layer.rate_at(stack.step), np.zeros((1, *shape), stack.dtype)
        shift = sample(layer.row, zeros, rate, key)[0]
        return Gate(shape), {"gain": sample(layer.row, zeros + 1, rate, key, other=0.0)[0], "shift": shift}
    if not isinstance(layer, Residual):
        return layer, {}
    branch: list[Layer] = []
    gains: dict[str, Any] = {}
    for i, inner in enumerate(layer.branch):
        made, drawn = _thinned(inner, shape, branch_key(key, i), stack, branch_weights(weights, i))
        branch.append(made)
        gains |= {f"{i}.{name}": value for name, value in drawn.items()}
        shape = inner.output_shape(shape)
    return Residual(tuple(branch)), gains
