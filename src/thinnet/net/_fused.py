"""Dense layer, activation and dropout as one step: a matrix product, then one pass over its result.

The separate layers are the definition; a fused step computes the same network with fewer passes over memory.
It saves its output for backward, and for GELU the input of the activation, but no mask.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.kernels import NEEDS_INPUT, End, dense_backward, dense_forward
from thinnet._core.random import Key
from thinnet.net._dropout import Dropout
from thinnet.net._layers import (
    GELU,
    SELU,
    Dense,
    Layer,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Tanh,
    Weights,
    product,
)

__all__ = ["Fused", "fuse", "kernels_available"]

Array: TypeAlias = NDArray[Any]

_NAMES: dict[type[Layer], str] = {
    ReLU: "relu",
    LeakyReLU: "leaky_relu",
    Sigmoid: "sigmoid",
    Tanh: "tanh",
    SELU: "selu",
    GELU: "gelu",
}


class Fused:
    """Two or three layers as one step: dense, activation, and optionally dropout.

    Parameters
    ----------
    layers : tuple of Layer
        Layers that `fuse` combines.
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self._name = _NAMES[type(layers[1])]
        self._keeps_input = self._name in NEEDS_INPUT
        self._slope = float(getattr(layers[1], "slope", 0.0))
        self._dropout = layers[2] if len(layers) > 2 and isinstance(layers[2], Dropout) else None
        self._without_dropout = End(self._name, self._slope, Key(0), 0, 1.0)
        fixed = self._dropout is not None and not callable(self._dropout.rate)
        self._fixed_law = self._law(0) if fixed else None

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        """Return y and the arrays saved for backward; `key` is that of the dropout layer, at its step."""
        dropping = self._dropout is not None and key is not None
        end = self._end(key) if dropping else self._without_dropout
        z = product(x, weights["weight"])  # (n, d) @ (d, k)
        y = np.empty_like(z) if self._keeps_input else z
        dense_forward(z, weights["bias"], end, y)
        saved = x, z, end, dropping  # z is y, unless the activation needs its input
        if self._dropout is not None and not dropping:
            y, _ = self._dropout.forward(y, {})
        return y, saved

    learn = forward

    def backward(self, dy: Array, saved: Any) -> tuple[Array, Array]:
        """Return the input of the dense layer and the gradient of its output, computed in place in dy."""
        x, kept, end, dropping = saved
        if self._dropout is not None and not dropping:
            dy = self._dropout.backward(dy, None, {}, {})
        dense_backward(kept, dy, end)
        return x, dy

    def _end(self, key: Any) -> End:
        threshold, gain = self._fixed_law or self._law(key.step)
        return End(self._name, self._slope, key, threshold, gain)

    def _law(self, step: int) -> tuple[int, float]:
        dropout: Any = self._dropout
        law = dropout.row.law_of(dropout.rate_at(step))
        return law.threshold, law.kept.gain


def fuse(layers: tuple[Layer, ...]) -> list[tuple[int, int, Fused | None]]:
    """Divide layers into steps: (first layer, end, the fused step or None for a single layer)."""
    found: list[tuple[int, int, Fused | None]] = []
    at = 0
    while at < len(layers):
        end = at + 1
        if isinstance(layers[at], Dense) and end < len(layers) and _is_activation(layers[end]):
            end += 1
            if end < len(layers) and _zeroes_entries(layers[end]):
                end += 1
        found.append((at, end, Fused(layers[at:end]) if end - at > 1 else None))
        at = end
    return found


def kernels_available(x: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether compiled kernels exist for rows x and weights of a dtype."""
    return native.library is not None and x.dtype == dtype and x.ndim == 2


def _is_activation(layer: Layer) -> bool:
    # The output of a leaky rectifier has the sign of its input only if its slope is at least 0.
    return type(layer) in _NAMES and getattr(layer, "slope", 0.0) >= 0


def _zeroes_entries(layer: Layer) -> bool:
    """Return whether a layer zeroes single entries and multiplies the others by one number."""
    return isinstance(layer, Dropout) and layer.row.pattern == "..." and layer.row.zeroes
