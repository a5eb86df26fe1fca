"""scikit-learn's losses of logits: its values, and gradients that equal `link(z) - y`.

They differ from the losses of `thinnet.net`: errors are halved; the gradients of several outputs of a row are
summed, even where the reported loss is their mean; the loss of a class is bounded, which matters in long
steps of L-BFGS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from thinnet.net import BinaryCrossEntropy, PoissonDeviance, SoftmaxCrossEntropy, SquaredError

__all__ = ["CrossEntropy", "HalfPoissonDeviance", "HalfSquaredError", "Logistic"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class HalfSquaredError(SquaredError):
    """`(z - y)**2 / 2`, mean over the outputs."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        rows, gradient = super().rows(z, y)
        return rows / 2, gradient * (z.shape[1] / 2)

    @property
    def plain(self) -> SquaredError:
        return SquaredError()


@dataclass(frozen=True)
class HalfPoissonDeviance(PoissonDeviance):
    """`y * log(y / m) - y + m` with m = exp(z), summed over the outputs."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        rows, gradient = super().rows(z, y)
        half = z.shape[1] / 2
        return rows * half, gradient * half

    @property
    def plain(self) -> PoissonDeviance:
        return PoissonDeviance()


@dataclass(frozen=True)
class CrossEntropy(SoftmaxCrossEntropy):
    """`-log softmax(z)[y]`, bounded by the loss of the smallest probability, the epsilon of the dtype."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        rows, gradient = super().rows(z, y)
        return _clipped(rows), gradient

    @property
    def plain(self) -> SoftmaxCrossEntropy:
        return SoftmaxCrossEntropy()


@dataclass(frozen=True)
class Logistic(BinaryCrossEntropy):
    """Binary cross-entropy with the same bound for each output, summed over the outputs."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        each = np.logaddexp(0, z) - z * y
        return _clipped(each).sum(axis=1), self.link(z) - y

    def link(self, z: Array) -> Array:
        return expit(z)

    @property
    def plain(self) -> BinaryCrossEntropy:
        return BinaryCrossEntropy()


def _clipped(loss: Array) -> Array:
    """Bound -log(p) as if p were in [eps, 1 - eps]."""
    least = np.finfo(loss.dtype).eps
    return np.clip(loss, -np.log1p(-least), -np.log(least))
