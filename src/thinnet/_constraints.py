"""Constraints: requirements on a value, which accept or refuse it and state themselves in words."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast

import numpy as np

__all__ = [
    "AnyOf",
    "Boolean",
    "Choice",
    "Constraint",
    "Exactly",
    "Number",
    "RandomState",
    "ScheduleOf",
    "SequenceOf",
]

_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Constraint:
    """A requirement on a value."""

    def accepts(self, value: Any) -> bool:
        """Return whether a value satisfies the constraint."""
        raise NotImplementedError

    @property
    def requirement(self) -> str:
        """The constraint in words, as they follow "must be"."""
        raise NotImplementedError

    @property
    def bad(self) -> tuple[Any, ...]:
        """Values that are refused, one for each way to be wrong; for tests."""
        return (object(),)


@dataclass(frozen=True)
class Number(Constraint):
    """A finite number between bounds.

    Parameters
    ----------
    low, high : float
        Bounds; an infinite one is no bound, and infinity itself is refused.
    ends : str
        `"[]"` if the bounds are accepted themselves, `"()"` if they are not, `"[)"`, `"(]"`.
    whole : bool
        Accept whole numbers alone.
    """

    low: float
    high: float = math.inf
    ends: str = "[]"
    whole: bool = False

    def accepts(self, value: Any) -> bool:
        if isinstance(value, bool | np.bool_) or not isinstance(value, Integral if self.whole else Real):
            return False
        number = cast("Any", value)
        # math.isfinite raises for a whole number with hundreds of digits, and torch.compile cannot trace it.
        most = _LARGEST if isinstance(value, int) else math.inf
        if not self.whole and not -most < number < most:
            return False
        above = number >= self.low if self.ends[0] == "[" else number > self.low
        below = number <= self.high if self.ends[1] == "]" else number < self.high
        return bool(above and below)

    @property
    def requirement(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if math.isfinite(self.high) and math.isfinite(self.low):
            return f"{kind} in {self.ends[0]}{_bound(self.low)}, {_bound(self.high)}{self.ends[1]}"
        if math.isfinite(self.low):
            return f"{kind} {'of at least' if self.ends[0] == '[' else 'greater than'} {_bound(self.low)}"
        return kind if self.whole else "a finite number"

    @property
    def bad(self) -> tuple[Any, ...]:
        below = self.low - 1 if self.ends[0] == "[" else self.low
        above = self.high + 1 if self.ends[1] == "]" else self.high
        kind = int if self.whole else float
        beyond = (kind(above),) if math.isfinite(above) else ()
        fraction = (self.low + 0.5,) if self.whole else ()
        return (kind(below), *beyond, *fraction, math.nan, math.inf, "1", True, None, object())


def _bound(value: float) -> str:
    power = value.bit_length() - 1 if isinstance(value, int) and value > 10_000 else 0
    return f"2**{power}" if power and value == 1 << power else f"{value:g}"


@dataclass(frozen=True)
class Choice(Constraint):
    """One of a few words."""

    words: tuple[str, ...]

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.words

    @property
    def requirement(self) -> str:
        quoted = [f'"{word}"' for word in self.words]
        return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"

    @property
    def bad(self) -> tuple[Any, ...]:
        return (self.words[0].upper() + "?", "", 0, None, object())


@dataclass(frozen=True)
class Boolean(Constraint):
    """True or False, of Python or NumPy."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool | np.bool_)

    @property
    def requirement(self) -> str:
        return "True or False"

    @property
    def bad(self) -> tuple[Any, ...]:
        return ("yes", -1, None, object())


@dataclass(frozen=True)
class Exactly(Constraint):
    """None, or one number, such as infinity for "never"."""

    value: float | None = None

    def accepts(self, value: Any) -> bool:
        return value is None if self.value is None else isinstance(value, Real) and value == self.value

    @property
    def requirement(self) -> str:
        return repr(self.value)


@dataclass(frozen=True)
class RandomState(Constraint):
    """A seed or a generator, as `sklearn.utils.check_random_state` accepts it."""

    def accepts(self, value: Any) -> bool:
        if isinstance(value, np.random.RandomState) or value is None:
            return True
        return Number(0, 2**32 - 1, whole=True).accepts(value)

    @property
    def requirement(self) -> str:
        return "a whole number in [0, 2**32), a numpy.random.RandomState or None"

    @property
    def bad(self) -> tuple[Any, ...]:
        return (-1, 2**32, 0.5, "0", np.random.default_rng(0))


@dataclass(frozen=True)
class ScheduleOf(Constraint):
    """A function of the step whose results satisfy a constraint.

    The check calls it at step 0; what it returns later is checked when it is used.
    """

    result: Number

    def accepts(self, value: Any) -> bool:
        if not callable(value) or isinstance(value, type):
            return False
        try:
            return self.result.accepts(value(0))
        except Exception:
            return False

    @property
    def requirement(self) -> str:
        return f"a schedule (a function of the update's number that returns {self.result.requirement})"

    @property
    def bad(self) -> tuple[Any, ...]:
        beyond = self.result.bad[0]

        def without_a_step() -> float:
            return 0.5

        def beyond_bounds(step: int) -> Any:
            return beyond

        return (without_a_step, beyond_bounds, float)


@dataclass(frozen=True)
class SequenceOf(Constraint):
    """A list, a tuple or a one-dimensional array of values that satisfy a constraint."""

    each: Constraint
    of: str

    def accepts(self, value: Any) -> bool:
        if isinstance(value, str | bytes | dict | set) or not isinstance(value, Iterable):
            return False
        if isinstance(value, np.ndarray) and value.ndim != 1:
            return False
        items = cast("Iterable[Any]", value)
        # Iterating over an iterator would exhaust it.
        return hasattr(items, "__len__") and all(self.each.accepts(item) for item in items)

    @property
    def requirement(self) -> str:
        return f"a list of such, one for each {self.of}"

    @property
    def bad(self) -> tuple[Any, ...]:
        return ([self.each.bad[0]], "12", [[1, 2]], {1: 2}, np.ones((2, 2)))


@dataclass(frozen=True)
class AnyOf(Constraint):
    """Any of several constraints."""

    kinds: tuple[Constraint, ...]

    def __init__(self, *kinds: Constraint) -> None:
        object.__setattr__(self, "kinds", kinds)

    def accepts(self, value: Any) -> bool:
        return any(kind.accepts(value) for kind in self.kinds)

    @property
    def requirement(self) -> str:
        stated = [kind.requirement for kind in self.kinds]
        return f"{', '.join(stated[:-1])}, or {stated[-1]}"

    @property
    def bad(self) -> tuple[Any, ...]:
        return tuple(value for kind in self.kinds for value in kind.bad if not self.accepts(value))
