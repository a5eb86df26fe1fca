"""Dropped weights: a layer whose weights, not activations, go through a variant of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check_rate
from thinnet._core.random import Key, Window
from thinnet.errors import InputError
from thinnet.net._conv import Conv2d
from thinnet.net._layers import Buffers, Dense, Layer, Shape, Weights
from thinnet.schedules import Schedule
from thinnet.variants import Variant, find
from thinnet.variants._sample import mean, sample

__all__ = ["DropConnect"]

Array: TypeAlias = NDArray[Any]

# Weights of single samples that are drawn at once.
_ENTRIES = 1 << 22


@dataclass(frozen=True)
class DropConnect(Layer):
    """A layer with dropped weights; its biases stay.

    Each forward pass draws one mask for the weights or, with `per_sample`, one for every row. Backward knows
    the weights that forward drew; with `per_sample` it draws them again, piece by piece. A thinned network
    (`Network.thinned`) holds the layer with the weights of its key, those of the first row with `per_sample`.

    Parameters
    ----------
    layer : Dense or Conv2d
        Whose weights are dropped.
    rate : float or function of a step
        Chance that a weight is dropped, in [0, 1].
    variant : str
        A row of the catalogue whose site is the weight. "Mixout" puts the buffer `pretrained` in place of
        weights: zeros, until `network.weights[i]["pretrained"][:] = …` says otherwise.
    per_sample : bool
        Whether each row has weights of its own, as in the paper; for `Dense` alone, and as slow as it sounds.

    Examples
    --------
    >>> from thinnet import net
    >>> net.Network([DropConnect(net.Dense(2, 3), 0.5), net.ReLU(), net.Dense(3, 2)])
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
    variant: str = "DropConnect"
    per_sample: bool = False

    trainable: ClassVar[bool] = True
    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Dense | Conv2d):
            raise InputError(f"DropConnect: layer must be Dense or Conv2d, got {type(self.layer).__name__}.")
        if self.row.site != "weight":
            raise InputError(f"DropConnect: {self.variant} drops no weights; its site is: {self.row.site}.")
        if not isinstance(self.per_sample, bool | np.bool_):
            raise InputError(f"DropConnect: per_sample must be True or False, got {self.per_sample!r}.")
        object.__setattr__(self, "per_sample", bool(self.per_sample))
        if self.per_sample and not (isinstance(self.layer, Dense) and self.row.other == "zero"):
            raise InputError("DropConnect: per_sample takes a Dense layer, and a variant without other.")
        rate = check_rate("DropConnect", self.rate(0) if callable(self.rate) else self.rate, ())
        if not callable(self.rate):
            object.__setattr__(self, "rate", rate)

    @property
    def row(self) -> Variant:
        """The variant's row in the catalogue."""
        return find(self.variant)

    @property
    def max_norm(self) -> float | None:
        """The layer's own."""
        return getattr(self.layer, "max_norm", None)

    def out(self, shape: Shape) -> Shape:
        return self.layer.out(shape)

    def shapes(self) -> dict[str, Shape]:
        return self.layer.shapes()

    def initial(self, key: Key, wants: str) -> Weights:
        return self.layer.initial(key, wants)

    def buffers(self) -> Buffers:
        return {"pretrained": (self.shapes()["weight"], 0.0)} if self.row.other == "pretrained" else {}

    def rate_at(self, step: int) -> float:
        """Return the rate at a training step."""
        return check_rate("DropConnect", self.rate(step), ()) if callable(self.rate) else self.rate

    def dropped(self, weights: Weights, rate: float, key: Key | None) -> Weights:
        """Return the weights that a key draws at a rate, or their mean."""
        weight, other = weights["weight"], weights.get("pretrained")
        if key is None:
            return {**weights, "weight": mean(self.row, weight, rate, other=other)}
        return {**weights, "weight": sample(self.row, weight, rate, key, other=other)}

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        if self.per_sample and key is not None:
            x = x if isinstance(x, np.ndarray) else x.toarray()
            y = np.empty((len(x), *self.out(x.shape[1:])), x.dtype)
            for rows, window in self._pieces(x):
                y[rows] = (x[rows, None] @ self._own(weights, key, window))[:, 0]
            return y + weights["bias"], (x, None, key)
        # Where the mean is the weights at every rate, a schedule need not be asked.
        drawn = weights if key is None and self._plain else self.dropped(weights, self._rate(key), key)
        y, inner = self.layer.forward(drawn, x, None)
        return y, (inner, drawn, key)

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        inner, drawn, key = saved
        if drawn is None:
            dx = np.empty_like(inner)
            for rows, window in self._pieces(inner):
                own = self._own(weights, key, window)
                dx[rows] = (own @ dy[rows, :, None])[:, :, 0]
            self.gradients(weights, saved, dy, grads)
            return dx
        dx = self.layer.backward(drawn, inner, dy, grads)
        self._through(grads, key)
        return dx

    def gradients(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> None:
        inner, drawn, key = saved
        if drawn is not None:
            self.layer.gradients(drawn, inner, dy, grads)
            self._through(grads, key)
            return
        grads["weight"][...] = 0
        for rows, window in self._pieces(inner):
            outer = inner[rows, :, None] * dy[rows, None, :]
            own = sample(self.row, outer, self.rate_at(key.step), key, other=0.0, window=window)
            grads["weight"] += own.sum(axis=0)
        np.sum(dy, axis=0, out=grads["bias"])

    @property
    def _plain(self) -> bool:
        return self.row.mean_of(0.5) == (1.0, 0.0)

    def _rate(self, key: Key | None) -> float:
        # A schedule's last word is what the trained network means; it is asked far behind its end.
        return self.rate_at(2**31 if key is None else key.step)

    def _through(self, grads: Weights, key: Key | None) -> None:
        """Take the gradient of the weights back through what was drawn of them, in place."""
        slope = grads["weight"]
        if key is not None:
            sample(self.row, slope, self._rate(key), key, other=0.0, out=slope)
        elif not self._plain:
            mean(self.row, slope, self._rate(key), other=0.0, out=slope)

    def _own(self, weights: Weights, key: Key, window: Window) -> Array:
        """Return the weights of some rows, (rows, inputs, outputs)."""
        every = np.broadcast_to(weights["weight"], window.size)
        return sample(self.row, every, self.rate_at(key.step), key, window=window)

    def _pieces(self, x: Array) -> Iterator[tuple[slice, Window]]:
        """Yield which rows are worked on at once, and which part of all their weights that is."""
        shape = (len(x), *self.shapes()["weight"])
        most = max(1, _ENTRIES // (shape[1] * shape[2]))
        for first in range(0, len(x), most):
            count = min(most, len(x) - first)
            yield slice(first, first + count), Window(shape, (first, 0, 0), (count, *shape[1:]))
