"""scikit-learn's losses from outputs before their link: its values, and gradients that are `link(z) - y`.

They differ from `thinnet.net`'s: errors are halved, several outputs of a row add up in the gradient, even
where their mean is reported, and the loss of a class is bounded, which L-BFGS notices on a long step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

from thinnet.net import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy

__all__ = ["CrossEntropy", "HalfPoisson", "HalfSquaredError", "Logistic"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """`(z - y)**2 / 2`, mean over the outputs."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:  # noqa: D102
        error = z - y
        return np.square(error).mean(axis=1) / 2, error


@dataclass(frozen=True)
class HalfPoisson(Loss):
    """`y * log(y / m) - y + m` with m = exp(z), summed over the outputs."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:  # noqa: D102
        m = self.link(z)
        return (xlogy(y, y) - y * z - y + m).sum(axis=1), m - y

    def link(self, z: Array) -> Array:  # noqa: D102
        return np.exp(z)


@dataclass(frozen=True)
class CrossEntropy(SoftmaxCrossEntropy):
    """`-log softmax(z)[y]`, at most that of the least probability that the dtype tells from 0."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:  # noqa: D102
        rows, gradient = super().rows(z, y)
        return _clipped(rows), gradient


@dataclass(frozen=True)
class Logistic(BinaryCrossEntropy):
    """Binary cross-entropy, at most that much for an output, summed over the outputs."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:  # noqa: D102
        each = np.logaddexp(0, z) - z * y
        return _clipped(each).sum(axis=1), self.link(z) - y

    def link(self, z: Array) -> Array:  # noqa: D102
        return expit(z)


def _clipped(loss: Array) -> Array:
    """Bound -log(p) as if p were in [eps, 1 - eps]."""
    least = np.finfo(loss.dtype).eps
    return np.clip(loss, -np.log1p(-least), -np.log(least))
