"""Batch normalisation, of features or of channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._layers import Buffers, Layer, Shape, Weights, real, shown, size

__all__ = ["BatchNorm"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class BatchNorm(Layer):
    """`y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, by feature or by channel.

    In training mean and variance are those of the mini-batch, and running means of them are kept; everywhere
    else these are taken: in predictions, in Monte-Carlo samples, in thinned networks.

    Parameters
    ----------
    features : int
        Features, or channels.
    momentum : float
        How much a mini-batch changes the running means, in (0, 1].
    epsilon : float
        Keeps the root away from 0.

    Rows have the shape (n, features) or (n, features, h, w). Differs from `torch.nn.BatchNorm1d` and
    `BatchNorm2d` only in being one class; the running variance is of unbiased variances, as there.

    References
    ----------
    Ioffe, Szegedy: Batch normalization. ICML 2015, algorithms 1 and 2.
    """

    features: int
    momentum: float = 0.1
    epsilon: float = 1e-5

    trainable: ClassVar[bool] = True
    wants: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", size("BatchNorm", "features", self.features))
        for name in ("momentum", "epsilon"):
            object.__setattr__(self, name, real("BatchNorm", name, getattr(self, name)))
        if not 0 < self.momentum <= 1:
            raise InputError(f"BatchNorm: momentum must be in (0, 1], got {self.momentum!r}.")
        if not 0 < self.epsilon < 1:
            raise InputError(f"BatchNorm: epsilon must be in (0, 1), got {self.epsilon!r}.")

    def out(self, shape: Shape) -> Shape:
        if shape[0] != self.features:
            raise InputError(f"takes {self.features} features, but gets {shown(shape)}")
        return shape

    def shapes(self) -> dict[str, Shape]:
        return {"gamma": (self.features,), "beta": (self.features,)}

    def initial(self, key: Key, wants: str) -> Weights:
        return {"gamma": np.ones(self.features), "beta": np.zeros(self.features)}

    def buffers(self) -> Buffers:
        return {"mean": ((self.features,), 0.0), "variance": ((self.features,), 1.0)}

    def learn(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        axes, entries = _axes(x), x.size // x.shape[1]
        if entries < 2:
            raise InputError("BatchNorm: one row has no variance; choose a batch that leaves no single row.")
        mean = x.mean(axis=axes)
        centred = x - _along(mean, x)
        variance = np.square(centred).mean(axis=axes)
        weights["mean"] += self.momentum * (mean - weights["mean"])
        weights["variance"] += self.momentum * (variance * entries / (entries - 1) - weights["variance"])
        scale = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        centred *= _along(scale, x)
        y = centred * _along(weights["gamma"], x)
        y += _along(weights["beta"], x)
        return y, (centred, scale, True)

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        scale = 1 / np.sqrt(weights["variance"] + x.dtype.type(self.epsilon))
        centred = (x - _along(weights["mean"], x)) * _along(scale, x)
        return centred * _along(weights["gamma"], x) + _along(weights["beta"], x), (centred, scale, False)

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        centred, scale, learned = saved
        axes, entries = _axes(dy), dy.size // dy.shape[1]
        grads["beta"][:] = dbeta = dy.sum(axis=axes)
        grads["gamma"][:] = dgamma = (dy * centred).sum(axis=axes)
        slope = weights["gamma"] * scale
        if not learned:
            return dy * _along(slope, dy)
        # what the mean and the variance of the mini-batch pass on
        dx = dy - _along(dbeta / entries, dy) - centred * _along(dgamma / entries, dy)
        dx *= _along(slope, dy)
        return dx


def _axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _along(each: Array, x: Array) -> Array:
    """Return one number for each feature, shaped to go along x."""
    return each.reshape(-1, *(1,) * (x.ndim - 2))
