"""Dense, activation and dropout as one step: a matrix product, then one pass over its result.

The layers one after another are the definition; this is the same network with fewer passes over memory. Nothing
is saved for the way back but the output: no mask, and no argument of the activation unless that is GELU's.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet import native
from thinnet.kernels import NEEDS_INPUT, End, dense_backward, dense_forward
from thinnet.net import layers as kinds
from thinnet.net.layers import Dense, Dropout, Layer, Weights
from thinnet.random import Key
from thinnet.variants.law import TwoPoint

__all__ = ["backward", "forward", "groups"]

Array: TypeAlias = NDArray[Any]

_NAMES: dict[type[Layer], str] = {
    kinds.ReLU: "relu",
    kinds.LeakyReLU: "leaky_relu",
    kinds.Sigmoid: "sigmoid",
    kinds.Tanh: "tanh",
    kinds.SELU: "selu",
    kinds.GELU: "gelu",
}


def groups(layers: tuple[Layer, ...]) -> list[tuple[int, int]]:
    """Cut layers into steps, (first, behind the last): three or two that can be fused, or one."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(layers):
        end = at + 1
        if isinstance(layers[at], Dense) and end < len(layers) and _known(layers[end]):
            end += 1
            if end < len(layers) and _zeroes(layers[end]):
                end += 1
        found.append((at, end))
        at = end
    return found


def forward(layers: tuple[Layer, ...], weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
    """Return y and what `backward` needs; `key` is that of the dropout layer, at its step."""
    activation, dropout = layers[1], layers[2] if len(layers) > 2 else None
    end, dropping = _end(activation, dropout, key)
    z = x @ weights["weight"]  # (n, d) @ (d, k)
    y = np.empty_like(z) if end[0] in NEEDS_INPUT else z
    dense_forward(z, weights["bias"], end, y)
    kept = z if end[0] in NEEDS_INPUT else y
    if isinstance(dropout, Dropout) and not dropping:
        y, _ = dropout.forward({}, y, None)
    return y, (x, kept, end, dropping)


def backward(layers: tuple[Layer, ...], saved: Any, dy: Array) -> tuple[Array, Array]:
    """Return what went into the dense layer and the gradient of its output, made of dy in place."""
    x, kept, end, dropping = saved
    if len(layers) > 2 and not dropping:
        dy = layers[2].backward({}, None, dy, {})
    dense_backward(kept, dy, end)
    return x, dy


def available() -> bool:
    """Say whether there are kernels for it."""
    return native.library is not None


def _end(activation: Layer, dropout: Layer | None, key: Key | None) -> tuple[End, bool]:
    name, slope = _NAMES[type(activation)], getattr(activation, "slope", 0.0)
    if not isinstance(dropout, Dropout) or key is None:
        return (name, slope, Key(0), 0, 1.0), False
    law = dropout.row.law_of(dropout.rate_at(key.step))
    assert isinstance(law, TwoPoint)
    return (name, slope, key, law.threshold, law.kept[0]), True


def _known(layer: Layer) -> bool:
    # the sign of a leaky rectifier's output tells that of its input only if its slope is not negative
    return type(layer) in _NAMES and getattr(layer, "slope", 0.0) >= 0


def _zeroes(layer: Layer) -> bool:
    """Say whether a layer zeroes entries one by one and multiplies the others by one number."""
    if not isinstance(layer, Dropout) or layer.row.pattern != "...":
        return False
    law = layer.row.law_of(0.5)
    return isinstance(law, TwoPoint) and law.dropped == (0.0, 0.0) and law.kept[1] == 0.0
