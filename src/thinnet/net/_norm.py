"""Batch normalisation of features or channels."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check, check_integer
from thinnet._constraints import Number
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._arguments import shape_text
from thinnet.net._layers import Buffers, Layer, Shape, Weights

__all__ = ["BatchNorm"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class BatchNorm(Layer):
    """`y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, for each feature or channel.

    Training uses the mean and variance of the mini-batch and updates their running means; predictions,
    Monte-Carlo samples and thinned networks use the running means.

    Parameters
    ----------
    features : int
        Number of features, or of channels.
    momentum : float
        Weight of a mini-batch in the running means, in (0, 1].
    epsilon : float
        Added to the variance before the square root, in (0, 1).

    Rows have the shape (n, features) or (n, features, h, w). As in
    `torch.nn.BatchNorm1d` and `BatchNorm2d`, the running variance is a mean of unbiased variances.

    References
    ----------
    Ioffe, Szegedy: Batch normalization. ICML 2015, algorithms 1 and 2.
    """

    features: int
    _: KW_ONLY
    momentum: float = 0.1
    epsilon: float = 1e-5

    trainable: ClassVar[bool] = True
    initializer: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", check_integer("BatchNorm", "features", self.features, 1))
        check("BatchNorm", "momentum", self.momentum, Number(0, 1, "(]"))
        check("BatchNorm", "epsilon", self.epsilon, Number(0, 1, "()"))
        for name in ("momentum", "epsilon"):
            object.__setattr__(self, name, float(getattr(self, name)))

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] != self.features:
            raise InputError(f"takes {self.features} features, but gets {shape_text(shape)}")
        return shape

    def shapes(self) -> dict[str, Shape]:
        return {"gamma": (self.features,), "beta": (self.features,)}

    def initial(self, *, key: Key, initializer: str) -> Weights:
        return {"gamma": np.ones(self.features), "beta": np.zeros(self.features)}

    def buffers(self) -> Buffers:
        return {"mean": ((self.features,), 0.0), "variance": ((self.features,), 1.0)}

    def learn(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        axes, entries = _axes(x), x.size // x.shape[1]
        if entries < 2:
            raise InputError(
                "BatchNorm: a batch of one row has no variance; choose a batch size that does not leave one "
                "row over."
            )
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

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        scale = 1 / np.sqrt(weights["variance"] + x.dtype.type(self.epsilon))
        centred = (x - _along(weights["mean"], x)) * _along(scale, x)
        return centred * _along(weights["gamma"], x) + _along(weights["beta"], x), (centred, scale, False)

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        centred, scale, training = saved
        axes, entries = _axes(dy), dy.size // dy.shape[1]
        grads["beta"][:] = dbeta = dy.sum(axis=axes)
        grads["gamma"][:] = dgamma = (dy * centred).sum(axis=axes)
        factor = weights["gamma"] * scale
        if not training:
            return dy * _along(factor, dy)
        # The second and third terms go through the mean and the variance of the mini-batch.
        dx = dy - _along(dbeta / entries, dy) - centred * _along(dgamma / entries, dy)
        dx *= _along(factor, dy)
        return dx


def _axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _along(each: Array, x: Array) -> Array:
    """Return one number for each feature, reshaped to broadcast against x."""
    return each.reshape(-1, *(1,) * (x.ndim - 2))
