"""Schedules: plain functions from a step to a number, for rates and for learning rates.

Any function of one whole number is a schedule. These are frozen dataclasses, so that they print their
arguments and a saved network can name them. Each has a `last` value, the one that it ends at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias

from thinnet._checks import check, check_integer, check_number, format_value
from thinnet._constraints import Number
from thinnet.errors import InputError

__all__ = [
    "Constant",
    "Cosine",
    "Curriculum",
    "Early",
    "FlatCosine",
    "Late",
    "Linear",
    "Schedule",
    "final",
    "scheduled_drop_path",
]

Schedule: TypeAlias = Callable[[int], float]
"""A function from a step to a number."""

_LAST_STEP = 2**32 - 1


def _check(schedule: Any, *names: str) -> None:
    """Raise InputError unless these fields of a schedule are finite numbers, and its steps at least 1."""
    owner = type(schedule).__name__
    for name in names:
        check(owner, name, getattr(schedule, name), Number(-math.inf))
    if hasattr(schedule, "steps"):
        object.__setattr__(schedule, "steps", check_integer(owner, "steps", schedule.steps, 1))


def final(schedule: Schedule) -> float:
    """Return the value that a schedule ends at: the rate of the trained network, in evaluation.

    It is `schedule.last` and, for a function without that attribute, its value at the last step of a key,
    2**32 - 1.

    Examples
    --------
    >>> final(Linear(0.0, 0.4, steps=4)), final(lambda step: 0.5 if step > 100 else 0.0)
    (0.4, 0.5)
    """
    if not callable(schedule):
        raise InputError(
            f"final: schedule must be a function of the step, got {format_value(schedule)}; "
            "use thinnet.schedules.Constant."
        )
    last: float | None = getattr(schedule, "last", None)
    return schedule(_LAST_STEP) if last is None else last


@dataclass(frozen=True)
class Constant:
    """Always `value`.

    Examples
    --------
    >>> Constant(0.5)(1000)
    0.5
    """

    value: float

    def __post_init__(self) -> None:
        _check(self, "value")

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        return self.value

    @property
    def last(self) -> float:
        """The value."""
        return self.value


class _Ending:
    """A schedule that stays at one value from step `steps` on."""

    steps: int

    def __call__(self, step: int) -> float:
        raise NotImplementedError

    @property
    def last(self) -> float:
        """The value from step `steps` on."""
        return self(self.steps)


@dataclass(frozen=True)
class Linear(_Ending):
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
        _check(self, "start", "stop")

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        return self.start + (self.stop - self.start) * min(step / self.steps, 1.0)


@dataclass(frozen=True)
class Cosine(_Ending):
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
        _check(self, "start", "stop")

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        return (
            self.stop + (self.start - self.stop) * (1 + math.cos(math.pi * min(step / self.steps, 1.0))) / 2
        )


@dataclass(frozen=True)
class FlatCosine(_Ending):
    """Stay at `start` for a share `flat` of the steps, then go to `stop` along half a cosine, then stay.

    `flat = 0` is `Cosine`, `flat = 1` goes to `stop` at once at the end.

    Examples
    --------
    >>> [round(FlatCosine(1.0, 0.0, steps=8)(t), 3) for t in (0, 6, 7, 8)]
    [1.0, 1.0, 0.5, 0.0]

    References
    ----------
    Howard, Gugger: fastai: a layered API for deep learning. Information 11, 2020 (`fit_flat_cos`, whose
    share is 0.75).
    """

    start: float
    stop: float
    steps: int
    _: KW_ONLY
    flat: float = 0.75

    def __post_init__(self) -> None:
        _check(self, "start", "stop")
        check("FlatCosine", "flat", self.flat, Number(0, 1))

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        if step >= self.steps:
            return self.stop
        level = self.flat * self.steps
        if step <= level:
            return self.start
        way = (step - level) / (self.steps - level)
        return self.stop + (self.start - self.stop) * (1 + math.cos(math.pi * way)) / 2


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
        _check(self, "rate")
        check("Curriculum", "gamma", self.gamma, Number(0, ends="()"))

    def __call__(self, step: int) -> float:
        """Return the rate at a step."""
        return -self.rate * math.expm1(-self.gamma * step)

    @property
    def last(self) -> float:
        """The rate that it approaches."""
        return self.rate


@dataclass(frozen=True)
class Early(_Ending):
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
        _check(self, "rate")

    def __call__(self, step: int) -> float:
        """Return the rate at a step."""
        return self.rate * max(0.0, 1.0 - step / self.steps)


@dataclass(frozen=True)
class Late(_Ending):
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
        _check(self, "rate")

    def __call__(self, step: int) -> float:
        """Return the rate at a step."""
        return self.rate if step >= self.steps else 0.0


def scheduled_drop_path(rate: float, cells: int, *, steps: int) -> list[Linear]:
    """Return one schedule for each cell with DropPath: the rate grows with depth and, from 0, over training.

    Cell i of L goes to `rate * (i + 1) / L` in a straight line over `steps` steps; the last rates are those
    of stochastic depth with linear decay (Huang et al., ECCV 2016, section 3).

    Examples
    --------
    >>> [round(at(50), 3) for at in scheduled_drop_path(0.3, 3, steps=100)]
    [0.05, 0.1, 0.15]

    References
    ----------
    Zoph et al.: Learning transferable architectures for scalable image recognition. CVPR 2018, appendix A.7.
    """
    rate = check_number("scheduled_drop_path", "rate", rate, 0, 1)
    cells = check_integer("scheduled_drop_path", "cells", cells, 1, 1 << 20)
    return [Linear(0.0, rate * (i + 1) / cells, steps) for i in range(cells)]
