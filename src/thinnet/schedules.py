"""Schedules: plain functions from a step to a number, for rates and for learning rates.

Any function of one whole number will do. These are frozen dataclasses, so they print what they are
and a saved network can name them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import TypeAlias

from thinnet.errors import InputError

__all__ = [
    "Constant",
    "Cosine",
    "Curriculum",
    "Early",
    "Late",
    "Linear",
    "Schedule",
    "scheduled_drop_path",
]

Schedule: TypeAlias = Callable[[int], float]


def _at_least_one(owner: str, count: int, name: str = "steps") -> int:
    if not isinstance(count, Integral) or count < 1:
        raise InputError(f"{owner}: {name} must be a whole number of at least 1, got {count!r}.")
    return int(count)


@dataclass(frozen=True)
class Constant:
    """Always `value`.

    Examples
    --------
    >>> Constant(0.5)(1000)
    0.5
    """

    value: float

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        return self.value


@dataclass(frozen=True)
class Linear:
    """Go from `start` to `stop` in a straight line over `steps` steps, then stay.

    Examples
    --------
    >>> [Linear(0.0, 0.4, steps=4)(t) for t in (0, 2, 4, 9)]
    [0.0, 0.2, 0.4, 0.4]
    """

    start: float
    stop: float
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _at_least_one("Linear", self.steps))

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        return self.start + (self.stop - self.start) * min(step / self.steps, 1.0)


@dataclass(frozen=True)
class Cosine:
    """Go from `start` to `stop` along half a cosine over `steps` steps, then stay.

    `stop + (start - stop) * (1 + cos(pi * t / steps)) / 2`

    Examples
    --------
    >>> [round(Cosine(1.0, 0.0, steps=4)(t), 3) for t in (0, 2, 4)]
    [1.0, 0.5, 0.0]

    References
    ----------
    Loshchilov, Hutter: SGDR. ICLR 2017, equation 5.
    """

    start: float
    stop: float
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _at_least_one("Cosine", self.steps))

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        return (
            self.stop + (self.start - self.stop) * (1 + math.cos(math.pi * min(step / self.steps, 1.0))) / 2
        )


@dataclass(frozen=True)
class Curriculum:
    """Start without dropout and approach `rate`: `keep(t) = (1 - k) * exp(-gamma * t) + k`, `k = 1 - rate`.

    Examples
    --------
    >>> curriculum = Curriculum(0.5, gamma=1e-3)
    >>> curriculum(0), round(curriculum(10_000), 4)
    (0.0, 0.5)

    References
    ----------
    Morerio et al.: Curriculum dropout. ICCV 2017, equation 2.
    """

    rate: float
    gamma: float

    def __post_init__(self) -> None:
        if not self.gamma > 0:
            raise InputError(f"Curriculum: gamma must be greater than 0, got {self.gamma!r}.")

    def __call__(self, step: int) -> float:
        """Return the rate at a step."""
        return -self.rate * math.expm1(-self.gamma * step)


@dataclass(frozen=True)
class Early:
    """Go from `rate` down to 0 during the first `steps` steps, then stay: against underfitting.

    Examples
    --------
    >>> [Early(0.2, steps=4)(t) for t in (0, 2, 4, 5)]
    [0.2, 0.1, 0.0, 0.0]

    References
    ----------
    Liu et al.: Dropout reduces underfitting. ICML 2023, section 5.
    """

    rate: float
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _at_least_one("Early", self.steps))

    def __call__(self, step: int) -> float:
        """Return the rate at a step."""
        return self.rate * max(0.0, 1.0 - step / self.steps)


@dataclass(frozen=True)
class Late:
    """Drop nothing during the first `steps` steps, then `rate`: against overfitting.

    Examples
    --------
    >>> [Late(0.4, steps=4)(t) for t in (0, 3, 4)]
    [0.0, 0.0, 0.4]

    References
    ----------
    Liu et al.: Dropout reduces underfitting. ICML 2023, section 5.
    """

    rate: float
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _at_least_one("Late", self.steps))

    def __call__(self, step: int) -> float:
        """Return the rate at a step."""
        return self.rate if step >= self.steps else 0.0


def scheduled_drop_path(rate: float, cells: int, *, steps: int) -> list[Linear]:
    """Return one schedule a cell for DropPath: the rate grows with depth, and from 0 on over training.

    Cell i of L goes to `rate * (i + 1) / L` in a straight line over `steps` steps; what it comes to is the
    linear decay of stochastic depth (Huang et al., ECCV 2016, section 3).

    Examples
    --------
    >>> [round(at(50), 3) for at in scheduled_drop_path(0.3, 3, steps=100)]
    [0.05, 0.1, 0.15]

    References
    ----------
    Zoph et al.: Learning transferable architectures for scalable image recognition. CVPR 2018, appendix A.7.
    """
    cells = _at_least_one("scheduled_drop_path", cells, "cells")
    return [Linear(0.0, rate * (i + 1) / cells, steps) for i in range(cells)]
