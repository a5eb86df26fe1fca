"""Optimisers: one pass over all weights of a network, which lie in one flat array.

The first `decayed` entries are weight matrices, the rest biases; decay acts on the matrices alone. An
optimiser states the numbers of an update (`Rule`); `thinnet._core.kernels` applies them to the weights.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check, check_boolean, check_number, format_value
from thinnet._constraints import Number, ScheduleOf
from thinnet._core.kernels import Rule, update
from thinnet.errors import InputError
from thinnet.net._arguments import POSITIVE
from thinnet.schedules import Schedule

__all__ = ["SGD", "Adam", "AdamW", "Limit", "Optimizer"]

Array: TypeAlias = NDArray[Any]


class Limit(NamedTuple):
    """A weight matrix whose columns have a largest length; `first` is the number of its first entry."""

    first: int
    rows: int
    columns: int
    max_norm: float


class _Part(NamedTuple):
    """Consecutive weights that are updated in one call: `[start, stop)`; 0 columns stand for no limit."""

    start: int
    stop: int
    columns: int = 0
    max_norm: float = math.inf


class Optimizer:
    """An update rule of weights from gradients, with its state.

    Parameters
    ----------
    learning_rate : float or function of a step
        Step size; a schedule is called with the number of the update.
    l2 : float
        Adds `l2 * w` to the gradient of the weight matrices (not the biases).
    """

    def __init__(self, learning_rate: float | Schedule, *, l2: float = 0.0) -> None:
        owner = type(self).__name__
        if callable(learning_rate):
            check(owner, "learning_rate", learning_rate, ScheduleOf(Number(0)))
        else:
            check(owner, "learning_rate", learning_rate, POSITIVE)
            learning_rate = float(learning_rate)
        self.learning_rate = learning_rate
        # A NumPy scalar would promote float32 weights to float64, so plain floats are kept.
        self.l2 = check_number(owner, "l2", l2, 0)
        self.step = 0
        self.state: list[Array] = []

    # Number of state arrays, each of the size of the weights.
    moments = 0

    def rate_now(self) -> float:
        """Return the learning rate of the next update."""
        if not callable(self.learning_rate):
            return float(self.learning_rate)
        rate: Any = self.learning_rate(self.step)
        if not Number(0).accepts(rate):
            raise InputError(
                f"{type(self).__name__}: a schedule of learning_rate must return numbers of at least 0, "
                f"got {format_value(rate)} at step {self.step}."
            )
        return float(rate)

    def update(self, weights: Array, grads: Array, decayed: int, limits: tuple[Limit, ...] = ()) -> None:
        """Update `weights` in place.

        Parameters
        ----------
        weights, grads : ndarray, shape (m,)
            All weights and their gradients; `grads` is scratch memory afterwards.
        decayed : int
            Number of entries, the first ones, that belong to weight matrices.
        limits : tuple of Limit
            Matrices with a max-norm, in the order of the weights.
        """
        if not self.state or self.state[0].shape != weights.shape or self.state[0].dtype != weights.dtype:
            self.state = [np.zeros_like(weights) for _ in range(max(1, self.moments))]
            self.step = 0
        rate = self.rate_now()
        self.step += 1
        for part in _parts(weights.size, limits):
            self._update_part(weights, grads, part, decayed, rate)

    def _update_part(self, weights: Array, grads: Array, part: _Part, decayed: int, rate: float) -> None:
        start, stop, columns, max_norm = part
        arrays = (weights, grads, self.state[0], self.state[-1])
        if stop - start < weights.size:
            arrays = tuple(array[start:stop] for array in arrays)
        update(arrays, self.rule(rate), min(max(0, decayed - start), stop - start), columns, max_norm)

    def rule(self, rate: float) -> Rule:
        """Return the numbers of the next update."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(learning_rate={self.learning_rate!r}, l2={self.l2!r})"


@functools.lru_cache(maxsize=64)
def _parts(size: int, limits: tuple[Limit, ...]) -> tuple[_Part, ...]:
    """Divide the weights into matrices with a max-norm and the stretches between them."""
    parts: list[_Part] = []
    at = 0
    for first, rows, columns, max_norm in limits:
        stop = first + rows * columns
        parts += [_Part(at, first), _Part(first, stop, columns, max_norm)]
        at = stop
    return tuple(part for part in [*parts, _Part(at, size)] if part.start < part.stop)


class SGD(Optimizer):
    """Stochastic gradient descent: `v = momentum * v + g`, `w -= rate * v` (Nesterov: `g + momentum * v`).

    References
    ----------
    Sutskever et al.: On the importance of initialization and momentum. ICML 2013.
    """

    moments = 1

    def __init__(
        self,
        learning_rate: float | Schedule = 0.1,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        l2: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, l2=l2)
        self.momentum = check_number("SGD", "momentum", momentum, 0, 1)
        self.nesterov = check_boolean("SGD", "nesterov", nesterov)
        if self.nesterov and not self.momentum:
            raise InputError("SGD: nesterov needs a momentum greater than 0, got 0.")

    def rule(self, rate: float) -> Rule:
        kind = "nesterov" if self.nesterov else "momentum" if self.momentum else "sgd"
        return Rule(kind, rate, self.l2, 1.0, self.momentum)


class Adam(Optimizer):
    """Adaptive moments: `m` and `v` are running means of g and g**2, `w -= rate * m' / (sqrt(v') + epsilon)`.

    m' = m / (1 - beta1**t) and v' = v / (1 - beta2**t) correct the bias of the start from zero.

    References
    ----------
    Kingma, Ba: Adam. ICLR 2015, algorithm 1.
    """

    moments = 2

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        l2: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, l2=l2)
        owner, decay = type(self).__name__, Number(0, 1, "[)")
        if not isinstance(betas, tuple | list) or len(betas) != 2 or not all(map(decay.accepts, betas)):
            raise InputError(f"{owner}: betas must be two numbers in [0, 1), got {format_value(betas)}.")
        self.betas = (float(betas[0]), float(betas[1]))
        check(owner, "epsilon", epsilon, POSITIVE)
        self.epsilon = float(epsilon)

    def rule(self, rate: float) -> Rule:
        beta1, beta2 = self.betas
        return Rule(
            "adam",
            rate / (1 - beta1**self.step),
            self.l2,
            beta1=beta1,
            beta2=beta2,
            epsilon=self.epsilon,
            correction=1 / math.sqrt(1 - beta2**self.step),
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: `w -= rate * weight_decay * w` before each update.

    References
    ----------
    Loshchilov, Hutter: Decoupled weight decay regularization. ICLR 2019, algorithm 2.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, betas=betas, epsilon=epsilon)
        self.weight_decay = check_number("AdamW", "weight_decay", weight_decay, 0)

    def rule(self, rate: float) -> Rule:
        return super().rule(rate)._replace(shrink=1 - rate * self.weight_decay)

    def __repr__(self) -> str:
        return f"AdamW(learning_rate={self.learning_rate!r}, weight_decay={self.weight_decay!r})"
