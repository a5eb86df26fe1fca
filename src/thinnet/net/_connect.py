"""Dropped weights: a layer whose weights, not activations, are drawn from a variant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check_boolean
from thinnet._core.random import Key, Window
from thinnet.errors import InputError
from thinnet.net._conv import Conv2d
from thinnet.net._dropout import RatedLayer, adapted
from thinnet.net._layers import Buffers, Dense, Shape, Weights
from thinnet.schedules import Schedule
from thinnet.variants import Variant, find
from thinnet.variants._sample import mean, sample

__all__ = ["DropConnect"]

Array: TypeAlias = NDArray[Any]

# Number of per-sample weights that are drawn at once.
_ENTRIES = 1 << 22


@dataclass(frozen=True)
class DropConnect(RatedLayer):
    """A layer with dropped weights; its biases are kept.

    Each forward pass draws one mask of the weights or, with `per_sample`, one for each row. The drawn weights
    are saved for backward; with `per_sample` they are drawn again, piece by piece. In a thinned network the
    layer has the weights drawn at that key, those of the first row with `per_sample`.

    Parameters
    ----------
    layer : Dense or Conv2d
        The layer whose weights are dropped.
    rate : float or function of a step
        Chance that a weight is dropped, in [0, 1].
    variant : str or Variant
        The name of a row of the catalogue whose site is the weight, or a row. "Mixout" replaces weights by
        the buffer `pretrained`, zero until it is set by `network.weights[i]["pretrained"][:] = …`.
    per_sample : bool
        Whether each row has its own mask, as in the paper; for `Dense` alone, and slow, since the weights are
        drawn once for every row.
    pattern : str, optional
        The weights that share a mask, as in `thinnet.drop`; the variant's own if not given.

    Raises
    ------
    InputError
        A rate outside [0, 1]; another kind of layer; a variant that does not act on weights.

    Examples
    --------
    >>> import thinnet as tn
    >>> layers = [DropConnect(tn.net.Dense(2, 3), 0.5), tn.net.ReLU(), tn.net.Dense(3, 2)]
    >>> tn.net.Network(layers, key=tn.Key(0))
    Network 2 -> 2, 17 weights, float32
      0  DropConnect(Dense(2, 3), 0.5)   (n, 2) -> (n, 3)   9
      1  ReLU()                          (n, 3)
      2  Dense(3, 2)                     (n, 3) -> (n, 2)   8

    References
    ----------
    Wan et al.: Regularization of neural networks using DropConnect. ICML 2013, section 3.
    """

    layer: Dense | Conv2d
    rate: float | Schedule
    _: KW_ONLY
    variant: str | Variant = "DropConnect"
    per_sample: bool = False
    pattern: str | None = None

    trainable: ClassVar[bool] = True
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Dense | Conv2d):
            raise InputError(f"DropConnect: layer must be Dense or Conv2d, got {type(self.layer).__name__}.")
        row = find(self.variant).patterned(self.pattern)
        if row.site != "weight":
            raise InputError(f"DropConnect: {row.name} does not act on weights; its site is {row.site}.")
        if (reason := row.unfit(self.layer.shapes()["weight"])) is not None:
            raise InputError(f"DropConnect: {reason}.")
        object.__setattr__(self, "per_sample", check_boolean("DropConnect", "per_sample", self.per_sample))
        simple = isinstance(self.layer, Dense) and row.other == "zero" and row.pattern == "..."
        if self.per_sample and not simple:
            raise InputError(
                'DropConnect: per_sample needs a Dense layer, a variant without other and the pattern "...".'
            )
        self._check_rate()

    @property
    def row(self) -> Variant:
        """The variant, with the pattern of this layer."""
        return adapted(find(self.variant), None, self.pattern)

    @property
    def max_norm(self) -> float | None:
        """The max-norm of the layer."""
        return getattr(self.layer, "max_norm", None)

    def output_shape(self, shape: Shape) -> Shape:
        return self.layer.output_shape(shape)

    def shapes(self) -> dict[str, Shape]:
        return self.layer.shapes()

    def initial(self, *, key: Key, initializer: str) -> Weights:
        return self.layer.initial(key=key, initializer=initializer)

    def buffers(self) -> Buffers:
        return {"pretrained": (self.shapes()["weight"], 0.0)} if self.row.other == "pretrained" else {}

    def dropped(self, weights: Weights, rate: float, *, key: Key | None) -> Weights:
        """Return the weights that a key draws at a rate, or their mean."""
        weight, other = weights["weight"], weights.get("pretrained")
        if key is None:
            return {**weights, "weight": mean(self.row, weight, rate, other=other)}
        return {**weights, "weight": sample(self.row, weight, rate, key, other=other)}

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        if self.per_sample and key is not None:
            x = x if isinstance(x, np.ndarray) else x.toarray()
            y = np.empty((len(x), *self.output_shape(x.shape[1:])), x.dtype)
            for rows, window in self._pieces(x):
                y[rows] = (x[rows, None] @ self._row_weights(weights, key, window))[:, 0]
            return y + weights["bias"], (x, None, key)
        unchanged = key is None and self.row.mean_is_identity
        drawn = weights if unchanged else self.dropped(weights, self._rate(key), key=key)
        y, inner = self.layer.forward(x, drawn)
        return y, (inner, drawn, key)

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        inner, drawn, key = saved
        if drawn is None:
            dx = np.empty_like(inner)
            for rows, window in self._pieces(inner):
                own = self._row_weights(weights, key, window)
                dx[rows] = (own @ dy[rows, :, None])[:, :, 0]
            self.gradients(dy, saved, weights, grads)
            return dx
        dx = self.layer.backward(dy, inner, drawn, grads)
        self._drop_gradient(grads, key)
        return dx

    def gradients(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> None:
        inner, drawn, key = saved
        if drawn is not None:
            self.layer.gradients(dy, inner, drawn, grads)
            self._drop_gradient(grads, key)
            return
        grads["weight"][...] = 0
        for rows, window in self._pieces(inner):
            outer = inner[rows, :, None] * dy[rows, None, :]
            own = sample(self.row, outer, self.rate_at(key.step), key, other=0.0, window=window)
            grads["weight"] += own.sum(axis=0)
        np.sum(dy, axis=0, out=grads["bias"])

    def _rate(self, key: Key | None) -> float:
        return self.final_rate if key is None else self.rate_at(key.step)

    def _drop_gradient(self, grads: Weights, key: Key | None) -> None:
        """Turn the gradient of the drawn weights into that of the weights, in place."""
        dw = grads["weight"]
        if key is not None:
            sample(self.row, dw, self._rate(key), key, other=0.0, out=dw)
        elif not self.row.mean_is_identity:
            mean(self.row, dw, self._rate(key), other=0.0, out=dw)

    def _row_weights(self, weights: Weights, key: Key, window: Window) -> Array:
        """Return the drawn weights of the rows of a window, (rows, inputs, outputs)."""
        repeated = np.broadcast_to(weights["weight"], window.size)
        return sample(self.row, repeated, self.rate_at(key.step), key, window=window)

    def _pieces(self, x: Array) -> Iterator[tuple[slice, Window]]:
        """Yield the rows that are processed at once, and the window of their weights."""
        shape = (len(x), *self.shapes()["weight"])
        most = max(1, _ENTRIES // (shape[1] * shape[2]))
        for first in range(0, len(x), most):
            count = min(most, len(x) - first)
            yield slice(first, first + count), Window(shape, (first, 0, 0), (count, *shape[1:]))
