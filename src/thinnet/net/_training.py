"""The training loop: shuffled mini-batches, and the weights of the best epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check_integer, check_type, format_value
from thinnet._core.random import Key, permutation
from thinnet.errors import InputError
from thinnet.net._arguments import check_real
from thinnet.net._losses import Loss
from thinnet.net._optimizers import Adam, Limit, Optimizer

__all__ = [
    "Epoch",
    "FitOptions",
    "History",
    "OnEpoch",
    "Step",
    "Trainable",
    "run_epoch",
    "shuffled_order",
    "train",
    "update",
]

Array: TypeAlias = NDArray[Any]
Data: TypeAlias = tuple[Any, Array, Array | None]
Step: TypeAlias = Callable[[Any, Array, Array | None], float]


class Epoch(NamedTuple):
    """The losses of one pass over the training rows.

    Parameters
    ----------
    number : int
        1 for the first.
    loss : float
        Mean loss of the thinned networks of the mini-batches.
    validation_loss : float or None
        Loss of the mean network on the validation rows after this epoch.
    """

    number: int
    loss: float
    validation_loss: float | None = None


OnEpoch: TypeAlias = Callable[[Epoch], bool | None]


@dataclass(frozen=True)
class History:
    """The losses of a training: every epoch, and the epoch that the weights are from."""

    epochs: tuple[Epoch, ...]
    best: int

    @property
    def loss(self) -> list[float]:
        """The training loss of each epoch."""
        return [epoch.loss for epoch in self.epochs]

    @property
    def validation_loss(self) -> list[float | None]:
        """The validation loss of each epoch."""
        return [epoch.validation_loss for epoch in self.epochs]


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """The keyword arguments of `Network.fit`, checked."""

    epochs: int = 10
    batch: int = 128
    optimizer: Optimizer | None = None
    validation: tuple[Any, Any] | None = None
    sample_weight: Any = None
    patience: int | None = None
    on_epoch: OnEpoch | None = None

    def __post_init__(self) -> None:
        check_integer("fit", "epochs", self.epochs, 1)
        check_integer("fit", "batch", self.batch, 1)
        if self.patience is not None:
            check_integer("fit", "patience", self.patience, 1)
        if self.optimizer is not None:
            check_type("fit", "optimizer", self.optimizer, Optimizer, "use thinnet.net.Adam()")
        if self.validation is not None and not _is_pair(self.validation):
            raise InputError(
                f"fit: validation must be a tuple (X, Y), got {format_value(self.validation)}; "
                "pass validation=(X, Y)."
            )
        if self.on_epoch is not None and not callable(self.on_epoch):
            raise InputError(
                f"fit: on_epoch must be a function of an Epoch, got {format_value(self.on_epoch)}; "
                "pass a function such as print."
            )
        if self.patience is not None and self.validation is None:
            raise InputError("fit: patience needs a validation loss; pass validation=(X, Y).")


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(cast("tuple[Any, ...]", value)) == 2


class Trainable(Protocol):
    """The part of a network that training uses; see `thinnet.net.Network`."""

    key: Key
    step: int
    flat: Array
    flat_grads: Array
    decayed: int
    limits: tuple[Limit, ...]

    @property
    def loss(self) -> Loss:
        """The loss that is minimised."""
        ...

    def check_data(self, x: Any, y: Any, owner: str) -> tuple[Array, Array]:
        """Return checked rows and targets."""
        ...

    def forward(self, x: Any, *, key: Key | None = None, training: bool = False) -> Array:
        """Return logits."""
        ...

    def backward(self, gradient: Array, *, input_gradient: bool = False) -> Array | None:
        """Write the gradients of the weights."""
        ...

    def mean_loss(self, x: Array, y: Array) -> float:
        """Return the loss of the mean network."""
        ...

    def buffers(self) -> list[Array]:
        """Return the untrained state of the layers."""
        ...


def train(network: Trainable, x: Any, y: Any, options: FitOptions) -> History:
    """Train `network` in place and return the history; `Network.fit` documents the arguments."""
    x, y = network.check_data(x, y, "fit")
    weight = None if options.sample_weight is None else _row_weights(options.sample_weight, len(x))
    validation = (
        None if options.validation is None else network.check_data(*options.validation, "fit: validation")
    )
    optimizer = options.optimizer or Adam()
    epochs: list[Epoch] = []
    best, best_loss, best_state = 0, np.inf, None
    state = [network.flat, *network.buffers()]
    for number in range(1, options.epochs + 1):
        order = shuffled_order(network.key, network.step, len(x), options.batch)
        loss = run_epoch((x, y, weight), order, options.batch, partial(update, network, optimizer))
        validated = None if validation is None else network.mean_loss(*validation)
        epochs.append(Epoch(number, loss, validated))
        if validated is not None and validated < best_loss:
            best, best_loss = number, validated
            # Without patience the last weights stay, so no copy is needed.
            best_state = [array.copy() for array in state] if options.patience else None
        stalled = options.patience is not None and number - best >= options.patience
        if (options.on_epoch is not None and options.on_epoch(epochs[-1])) or stalled:
            break
    if best_state is None:
        return History(tuple(epochs), len(epochs))
    for array, best_value in zip(state, best_state, strict=True):
        array[...] = best_value
    return History(tuple(epochs), best)


def shuffled_order(key: Key, step: int, rows: int, batch: int) -> Array | None:
    """Return the order of rows in the epoch that begins at a step; None if one batch holds all rows."""
    return permutation(key.fold("shuffle").at(step), rows) if batch < rows else None


def run_epoch(data: Data, order: Array | None, batch: int, step: Step) -> float:
    """Call `step` on every mini-batch once, and return the mean of its results over the rows.

    Parameters
    ----------
    data : (x, y, weight or None)
        Rows, targets and weights of rows; x may be a sparse matrix by rows.
    order : ndarray of int, shape (n,), or None
        The order of the rows; the given order if None.
    batch : int
        Rows of a mini-batch.
    step : function of (x, y, weight)
        Updates the weights and returns the loss before the update.
    """
    count, total = data[0].shape[0], 0.0
    for first in range(0, count, batch):
        one_batch = order is None and batch >= count
        x, y, weight = data if one_batch else _mini_batch(data, order, first, batch)
        total += step(x, y, weight) * x.shape[0]
    return total / count


def update(network: Trainable, optimizer: Optimizer, x: Any, y: Array, weight: Array | None) -> float:
    """Update the weights on one mini-batch, and return the loss of the thinned network before the update."""
    z = network.forward(x, key=network.key.at(network.step), training=True)
    loss, gradient = network.loss(z, y, sample_weight=weight)
    network.backward(gradient)
    optimizer.update(network.flat, network.flat_grads, network.decayed, network.limits)
    network.step += 1
    return loss


def _mini_batch(data: Data, order: Array | None, first: int, batch: int) -> Data:
    x, y, weight = data
    rows: Any = slice(first, first + batch) if order is None else order[first : first + batch]
    chosen = x[rows] if order is None or not hasattr(x, "take") else x.take(rows, axis=0)
    return chosen, y[rows], None if weight is None else weight[rows]


def _row_weights(sample_weight: Any, rows: int) -> Array:
    weight = check_real("fit", "sample_weight", sample_weight, np.dtype(np.float64))
    if weight.shape != (rows,):
        raise InputError(f"fit: sample_weight must have shape ({rows},), got {weight.shape}.")
    if not bool(np.all(np.isfinite(weight) & (weight >= 0))) or not weight.sum() > 0:
        raise InputError("fit: sample_weight must be finite and at least 0, with a sum greater than 0.")
    return weight
