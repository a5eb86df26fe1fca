"""Dense, activation and dropout as one step: a matrix product, then one pass over its result.

The layers one after another are the definition; this is the same network with fewer passes over memory.
Nothing is saved for the way back but the output: no mask, and no argument of the activation but GELU's.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.kernels import NEEDS_INPUT, End, dense_backward, dense_forward
from thinnet._core.random import Key
from thinnet.net import _layers as kinds
from thinnet.net._dropout import Dropout
from thinnet.net._layers import Dense, Layer, Weights, product
from thinnet.variants._law import TwoPoint

__all__ = ["Fused", "available", "groups"]

Array: TypeAlias = NDArray[Any]

_NAMES: dict[type[Layer], str] = {
    kinds.ReLU: "relu",
    kinds.LeakyReLU: "leaky_relu",
    kinds.Sigmoid: "sigmoid",
    kinds.Tanh: "tanh",
    kinds.SELU: "selu",
    kinds.GELU: "gelu",
}


class Fused:
    """Two or three layers that are one step: dense, activation, and perhaps dropout.

    Parameters
    ----------
    layers : tuple of Layer
        Of a kind that `groups` puts together.
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self._name = _NAMES[type(layers[1])]
        self._keeps_input = self._name in NEEDS_INPUT
        self._slope = float(getattr(layers[1], "slope", 0.0))
        self._dropout = layers[2] if len(layers) > 2 and isinstance(layers[2], Dropout) else None
        self._still: End = self._name, self._slope, Key(0), 0, 1.0
        fixed = self._dropout is not None and not callable(self._dropout.rate)
        self._drawn = self._law(0) if fixed else None

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        """Return y and what `backward` needs; `key` is that of the dropout layer, at its step."""
        dropping = self._dropout is not None and key is not None
        end = self._end(key) if dropping else self._still
        z = product(x, weights["weight"])  # (n, d) @ (d, k)
        y = np.empty_like(z) if self._keeps_input else z
        dense_forward(z, weights["bias"], end, y)
        saved = x, z, end, dropping  # z is y, unless the activation needs its argument
        if self._dropout is not None and not dropping:
            y, _ = self._dropout.forward({}, y, None)
        return y, saved

    learn = forward

    def backward(self, saved: Any, dy: Array) -> tuple[Array, Array]:
        """Return what went into the dense layer and the gradient of its output, made of dy in place."""
        x, kept, end, dropping = saved
        if self._dropout is not None and not dropping:
            dy = self._dropout.backward({}, None, dy, {})
        dense_backward(kept, dy, end)
        return x, dy

    def _end(self, key: Any) -> End:
        threshold, gain = self._drawn or self._law(key.step)
        return self._name, self._slope, key, threshold, gain

    def _law(self, step: int) -> tuple[int, float]:
        dropout: Any = self._dropout
        law = dropout.row.law_of(dropout.rate_at(step))
        return law.threshold, law.kept[0]


def groups(layers: tuple[Layer, ...]) -> list[tuple[int, int, Fused | None]]:
    """Cut layers into steps, (first, behind the last, how they are fused)."""
    found: list[tuple[int, int, Fused | None]] = []
    at = 0
    while at < len(layers):
        end = at + 1
        if isinstance(layers[at], Dense) and end < len(layers) and _known(layers[end]):
            end += 1
            if end < len(layers) and _zeroes(layers[end]):
                end += 1
        found.append((at, end, Fused(layers[at:end]) if end - at > 1 else None))
        at = end
    return found


def available(x: Array, dtype: np.dtype[Any]) -> bool:
    """Say whether there are kernels for rows x and weights of a dtype."""
    return native.library is not None and x.dtype == dtype and x.ndim == 2


def _known(layer: Layer) -> bool:
    # the sign of a leaky rectifier's output tells that of its input only if its slope is not negative
    return type(layer) in _NAMES and getattr(layer, "slope", 0.0) >= 0


def _zeroes(layer: Layer) -> bool:
    """Say whether a layer zeroes entries one by one and multiplies the others by one number."""
    if not isinstance(layer, Dropout) or layer.row.pattern != "...":
        return False
    law = layer.row.law_of(0.5)
    return isinstance(law, TwoPoint) and law.dropped == (0.0, 0.0) and law.kept[1] == 0.0
