"""One thinned network: every dropout layer replaced by the gains that a key draws for its units."""

from __future__ import annotations

from typing import Any

import numpy as np

from thinnet._core.random import Key
from thinnet.net._connect import DropConnect
from thinnet.net._dropout import Dropout, Gate, mask_key
from thinnet.net._layers import Layer, Shape, Weights
from thinnet.net._network import Network
from thinnet.net._residual import Residual, branch_key, part_of
from thinnet.variants._sample import sample

__all__ = ["thin"]


def thin(network: Network, key: Key) -> Network:
    """Return a network thinned at a key; see `Network.thinned`."""
    drawn = [
        _thinned(layer, network.shapes[i], mask_key(key, i).at(key.step), network, network.weights[i])
        for i, layer in enumerate(network.layers)
    ]
    layers = [layer for layer, _ in drawn]
    made: Any = {**network.__getstate__(), "layers": layers}
    del made["buffers"], made["step"]
    thin = Network(**made)
    thin.step = network.step
    for own, (_, gains), known in zip(thin.weights, drawn, network.weights, strict=True):
        for name in own:
            own[name][...] = gains[name] if name in gains else known[name]
    return thin


def _thinned(
    layer: Layer, shape: Shape, key: Key, network: Network, weights: Weights
) -> tuple[Layer, Weights]:
    if isinstance(layer, DropConnect):
        return layer.layer, {"weight": layer.dropped(weights, layer.rate_at(network.step), key)["weight"]}
    if isinstance(layer, Dropout):
        rate, zeros = layer.rate_at(network.step), np.zeros((1, *shape), network.dtype)
        shift = sample(layer.row, zeros, rate, key)[0]
        return Gate(shape), {"gain": sample(layer.row, zeros + 1, rate, key, other=0.0)[0], "shift": shift}
    if not isinstance(layer, Residual):
        return layer, {}
    branch: list[Layer] = []
    gains: Weights = {}
    for i, inner in enumerate(layer.branch):
        made, drawn = _thinned(inner, shape, branch_key(key, i), network, part_of(weights, i))
        branch.append(made)
        gains |= {f"{i}.{name}": value for name, value in drawn.items()}
        shape = inner.out(shape)
    return Residual(tuple(branch)), gains
