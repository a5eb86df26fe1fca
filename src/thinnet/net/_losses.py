"""Losses of logits: the value, its gradient, and the link from a logit to a prediction.

z has shape (n, k). A row's loss is the mean over its outputs (the sum over classes for
cross-entropy), the loss is the weighted mean over rows.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check
from thinnet.errors import InputError
from thinnet.net._arguments import POSITIVE, check_real

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "Huber",
    "Loss",
    "PoissonDeviance",
    "SoftmaxCrossEntropy",
    "SquaredError",
]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Loss:
    """A distance of logits from targets."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        """Return each row's loss, shape (n,), and its gradient with respect to z, shape (n, k)."""
        raise NotImplementedError

    def targets(self, y: Any, outputs: int, dtype: np.dtype[Any]) -> Array:
        """Return checked targets, in the form that `rows` takes.

        Raises
        ------
        InputError
            Targets that are not numbers, or outside the range of the loss.
        """
        array = check_real(type(self).__name__, "targets", y, dtype)
        return array[:, None] if array.ndim == 1 else array

    def __call__(self, z: Array, y: Array, *, sample_weight: Array | None = None) -> tuple[float, Array]:
        """Return the loss and its gradient.

        Parameters
        ----------
        z : ndarray, shape (n, k)
            Logits.
        y : ndarray
            Targets, as returned by `targets`.
        sample_weight : ndarray, shape (n,), optional
            Weight of each row; the loss is `sum(w * rows) / sum(w)`.

        Returns
        -------
        float, ndarray of shape (n, k)

        Examples
        --------
        >>> loss, gradient = SquaredError()(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
        >>> loss, gradient.ravel().tolist()
        (2.0, [0.0, 2.0])
        """
        rows, gradient = self.rows(z, y)
        if sample_weight is None:
            count = len(rows)
            gradient *= 1 / count
            return float(np.add.reduce(rows, dtype=np.float64)) / count, gradient
        # All rows of a mini-batch may have weight 0; its loss and gradient are 0.
        total = float(sample_weight.sum(dtype=np.float64)) or 1.0
        gradient *= (sample_weight / total).astype(z.dtype)[:, None]
        return float(np.dot(rows.astype(np.float64), sample_weight) / total), gradient

    def link(self, z: Array) -> Array:
        """Return predictions from logits: probabilities or values."""
        return z

    @property
    def plain(self) -> Loss:
        """The loss of `thinnet.net` with the same predictions, which is named in a saved network."""
        return self


def _mean(each: Array) -> Array:
    """Return the mean of each row, shape (n, k) → (n,); for one output there is no sum."""
    return each[:, 0] if each.shape[1] == 1 else np.add.reduce(each, axis=1) / each.shape[1]


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """`-log softmax(z)[y]` for classes y, or `-sum(y * log softmax(z))` for probabilities y."""

    def targets(self, y: Any, outputs: int, dtype: np.dtype[Any]) -> Array:
        array = np.asarray(y)
        if array.ndim == 2:
            return super().targets(y, outputs, dtype)
        if array.dtype == np.bool_:
            array = array.astype(np.intp)
        if not np.issubdtype(array.dtype, np.integer):
            raise InputError(f"SoftmaxCrossEntropy: classes must be whole numbers, got {array.dtype}.")
        if array.size and not 0 <= array.min() <= array.max() < outputs:
            wrong = array.max() if array.min() >= 0 else array.min()
            raise InputError(f"SoftmaxCrossEntropy: classes must be in [0, {outputs}), got {wrong}.")
        return array

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        shifted = z - z.max(axis=1, keepdims=True)
        gradient = np.exp(shifted)
        total = gradient.sum(axis=1, keepdims=True)
        gradient /= total
        log_total = np.log(total[:, 0])
        if y.ndim == 1:
            each = np.arange(len(y))
            rows = log_total - shifted[each, y]
            gradient[each, y] -= 1
            return rows, gradient
        mass = y.sum(axis=1)
        rows = mass * log_total - np.einsum("nk,nk->n", y, shifted)
        return rows, gradient * mass[:, None] - y

    def link(self, z: Array) -> Array:
        p = np.exp(z - z.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """`-y * log s(z) - (1 - y) * log(1 - s(z))`, s the sigmoid, computed as `log(1 + exp(z)) - z * y`."""

    def targets(self, y: Any, outputs: int, dtype: np.dtype[Any]) -> Array:
        array = super().targets(y, outputs, dtype)
        fits = (array >= 0) & (array <= 1)
        if not bool(np.all(fits)):
            raise InputError(f"BinaryCrossEntropy: targets must be in [0, 1], got {array[~fits][0]:g}.")
        return array

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        # One call is faster for few entries, five vectorised ones are faster for many.
        softplus = np.logaddexp(0, z) if z.size < 256 else np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
        each = softplus - z * y
        gradient = self.link(z)
        gradient -= y
        return _mean(each), gradient if z.shape[1] == 1 else gradient / z.shape[1]

    def link(self, z: Array) -> Array:
        p = np.tanh(0.5 * z)
        p += 1
        p *= 0.5
        return p


@dataclass(frozen=True)
class SquaredError(Loss):
    """`(z - y)**2`."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        error = z - y
        return _mean(error * error), error * (2 / z.shape[1])


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """`|z - y|`; its gradient at 0 is 0."""

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        error = z - y
        return _mean(np.abs(error)), np.sign(error) / z.shape[1]


@dataclass(frozen=True)
class PoissonDeviance(Loss):
    """`2 * (y * log(y / m) - y + m)` for targets of at least 0, m = exp(z)."""

    def targets(self, y: Any, outputs: int, dtype: np.dtype[Any]) -> Array:
        array = super().targets(y, outputs, dtype)
        if array.size and not array.min() >= 0:
            raise InputError(f"PoissonDeviance: targets must be at least 0, got {array.min():g}.")
        return array

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        error = self.link(z) - y
        log = np.log(np.where(y > 0, y, 1))
        return _mean(2 * (y * (log - z) + error)), error * (2 / z.shape[1])

    def link(self, z: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(z)


@dataclass(frozen=True)
class Huber(Loss):
    """`e**2 / 2` where |e| <= delta, else `delta * (|e| - delta / 2)`, e = z - y.

    References
    ----------
    Huber: Robust estimation of a location parameter. Ann. Math. Statist. 35, 1964.
    """

    _: KW_ONLY
    delta: float = 1.0

    def __post_init__(self) -> None:
        check("Huber", "delta", self.delta, POSITIVE)
        object.__setattr__(self, "delta", float(self.delta))

    def rows(self, z: Array, y: Array) -> tuple[Array, Array]:
        error = z - y
        clipped = np.clip(error, -self.delta, self.delta)
        return _mean(clipped * (error - 0.5 * clipped)), clipped / z.shape[1]


def loss_for(targets: Any, outputs: int) -> Loss:
    """Return the loss that suits some targets; see `Network`."""
    try:
        y = np.asarray(targets)
    except ValueError:
        raise InputError("fit: Y must be an array of numbers, got rows of different lengths.") from None
    if np.issubdtype(y.dtype, np.integer) or y.dtype == np.bool_:
        return BinaryCrossEntropy() if outputs == 1 or y.ndim == 2 else SoftmaxCrossEntropy()
    return SquaredError()
