"""scikit-learn's losses from outputs before their link: its values, and gradients that are `link(z) - y`.

Differs from `thinnet.net`'s: errors are halved, and several outputs of a row add up in the gradient, even
where their mean is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

from thinnet.net import BinaryCrossEntropy, Loss

__all__ = ["HalfPoisson", "HalfSquaredError", "Logistic"]

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
class Logistic(BinaryCrossEntropy):
    """Binary cross-entropy, summed over the outputs; small probabilities keep all their digits."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:  # noqa: D102
        each, gradient = super().rows(z, y)
        outputs = z.shape[1]
        return each * outputs, gradient * outputs

    def link(self, z: Array) -> Array:  # noqa: D102
        return expit(z)
