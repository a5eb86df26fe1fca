"""The one training loop: shuffled mini-batches, best weights kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.random import Key, permutation
from thinnet.errors import InputError
from thinnet.net._optimizers import Adam, Optimizer

if TYPE_CHECKING:
    from thinnet.net._network import Network

__all__ = ["Epoch", "Fit", "History", "OnEpoch", "Step", "descend", "one_epoch", "shuffled", "train"]

Array: TypeAlias = NDArray[Any]
Data: TypeAlias = tuple[Any, Array, Array | None]
Step: TypeAlias = Callable[[Any, Array, Array | None], float]


class Epoch(NamedTuple):
    """What one pass over the training rows came to.

    Parameters
    ----------
    number : int
        1 for the first.
    loss : float
        Mean loss of the thinned networks that were trained, mini-batch by mini-batch.
    validation_loss : float or None
        Loss of the mean network on the validation rows after this epoch.
    """

    number: int
    loss: float
    validation_loss: float | None = None


OnEpoch: TypeAlias = Callable[[Epoch], bool | None]


@dataclass(frozen=True)
class History:
    """What training came to: every epoch, and which one the weights are from."""

    epochs: tuple[Epoch, ...]
    best: int

    @property
    def loss(self) -> list[float]:
        """The training loss, epoch by epoch."""
        return [epoch.loss for epoch in self.epochs]

    @property
    def validation_loss(self) -> list[float | None]:
        """The validation loss, epoch by epoch."""
        return [epoch.validation_loss for epoch in self.epochs]


@dataclass(frozen=True)
class Fit:
    """How to train: the keyword arguments of `Network.fit`, checked."""

    epochs: int = 10
    batch: int = 128
    optimizer: Optimizer | None = None
    validation: tuple[Any, Any] | None = None
    sample_weight: Any = None
    patience: int | None = None
    on_epoch: OnEpoch | None = None

    def __post_init__(self) -> None:
        for name, value in (("epochs", self.epochs), ("batch", self.batch), ("patience", self.patience)):
            if value is not None and (not isinstance(value, Integral) or value < 1):
                raise InputError(f"fit: {name} must be a whole number of at least 1, got {value!r}.")
        if not isinstance(self.optimizer, Optimizer | None):
            raise InputError(f"fit: optimizer must be one like thinnet.net.Adam(), got {self.optimizer!r}.")
        if self.patience is not None and self.validation is None:
            raise InputError("fit: patience needs validation=(X, Y) to watch.")


def train(network: Network, x: Any, y: Any, how: Fit) -> History:
    """Train `network` in place and return what happened; `Network.fit` documents the arguments."""
    x, y = network.check(x, y, "fit")
    weight = None if how.sample_weight is None else _weights(how.sample_weight, len(x))
    validation = None if how.validation is None else network.check(*how.validation, "fit: validation")
    optimizer = how.optimizer or Adam()
    seen: list[Epoch] = []
    best, best_loss, kept = 0, np.inf, None
    state = [network.flat, *network.buffers()]
    for number in range(1, how.epochs + 1):
        order = shuffled(network.key, network.step, len(x), how.batch)
        loss = one_epoch((x, y, weight), order, how.batch, partial(descend, network, optimizer))
        tested = None if validation is None else network.loss_of(*validation)
        seen.append(Epoch(number, loss, tested))
        if tested is not None and tested < best_loss:
            best, best_loss = number, tested
            # Without patience the last weights stay, so none need be kept.
            kept = [array.copy() for array in state] if how.patience else None
        enough = how.patience is not None and number - best >= how.patience
        if (how.on_epoch is not None and how.on_epoch(seen[-1])) or enough:
            break
    if kept is None:
        return History(tuple(seen), len(seen))
    for array, best_value in zip(state, kept, strict=True):
        array[...] = best_value
    return History(tuple(seen), best)


def shuffled(key: Key, step: int, rows: int, batch: int) -> Array | None:
    """Return the order of rows in the epoch that a network of this key begins at a step.

    One batch of all rows has none.
    """
    return permutation(key.fold("shuffle").at(step), rows) if batch < rows else None


def one_epoch(data: Data, order: Array | None, batch: int, step: Step) -> float:
    """Go once over the rows, `batch` at a time, and return the mean of what `step` returns, row by row.

    Parameters
    ----------
    data : (x, y, weight or None)
        Rows, targets and weights of rows; x may be a sparse matrix by rows.
    order : ndarray of int, shape (n,), or None
        The order of the rows; as they are if None.
    batch : int
        Rows of a step.
    step : function of (x, y, weight)
        Updates weights and returns the loss before.
    """
    count, total = data[0].shape[0], 0.0
    for first in range(0, count, batch):
        x, y, weight = data if order is None and batch >= count else _taken(data, order, first, batch)
        total += step(x, y, weight) * x.shape[0]
    return total / count


def descend(network: Network, optimizer: Optimizer, x: Any, y: Array, weight: Array | None) -> float:
    """Make one update of the network thinned at its step, and return its loss before."""
    z = network.forward(x, key=network.key.at(network.step), training=True)
    loss, gradient = network.loss(z, y, weight)
    network.backward(gradient)
    optimizer.update(network.flat, network.flat_grads, network.decayed, network.limits)
    network.step += 1
    return loss


def _taken(data: Data, order: Array | None, first: int, batch: int) -> Data:
    x, y, weight = data
    rows: Any = slice(first, first + batch) if order is None else order[first : first + batch]
    some = x[rows] if order is None or not hasattr(x, "take") else x.take(rows, axis=0)
    return some, y[rows], None if weight is None else weight[rows]


def _weights(sample_weight: Any, rows: int) -> Array:
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (rows,):
        raise InputError(f"fit: sample_weight must have shape ({rows},), got {weight.shape}.")
    if not bool(np.all(np.isfinite(weight) & (weight >= 0))) or not weight.sum() > 0:
        raise InputError("fit: sample_weight must be finite, not negative, and greater than 0 somewhere.")
    return weight
