"""What a parameter may be: each kind takes a value or not, says its law in words, and knows bad values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast

import numpy as np

__all__ = ["Boolean", "Either", "Legal", "Nothing", "Number", "RandomState", "Row", "Schedule", "Word"]


@dataclass(frozen=True)
class Legal:
    """A kind of value."""

    def takes(self, value: Any) -> bool:
        """Say whether a value is legal."""
        raise NotImplementedError

    @property
    def law(self) -> str:
        """What is legal, as it stands behind "must be"."""
        raise NotImplementedError

    @property
    def bad(self) -> tuple[Any, ...]:
        """Values that are not legal, one for each way to be wrong."""
        return (object(),)


@dataclass(frozen=True)
class Number(Legal):
    """A number between bounds; whole if asked.

    Parameters
    ----------
    low, high : float
        Bounds; an infinite one is no bound, and infinity itself is not legal.
    ends : str
        `"[]"` if the bounds are legal themselves, `"()"` if they are not, `"[)"`, `"(]"`.
    whole : bool
        Whole numbers alone.
    """

    low: float
    high: float = math.inf
    ends: str = "[]"
    whole: bool = False

    def takes(self, value: Any) -> bool:
        if isinstance(value, bool | np.bool_) or not isinstance(value, Integral if self.whole else Real):
            return False
        try:
            number = float(cast("Any", value))
        except OverflowError:  # a whole number with hundreds of digits
            return False
        above = number >= self.low if self.ends[0] == "[" else number > self.low
        below = number <= self.high if self.ends[1] == "]" else number < self.high
        return above and below and math.isfinite(number)

    @property
    def law(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if math.isfinite(self.high):
            return f"{kind} in {self.ends[0]}{self.low:g}, {self.high:g}{self.ends[1]}"
        return f"{kind} {'of at least' if self.ends[0] == '[' else 'greater than'} {self.low:g}"

    @property
    def bad(self) -> tuple[Any, ...]:
        below = self.low - 1 if self.ends[0] == "[" else self.low
        above = self.high + 1 if self.ends[1] == "]" else self.high
        kind = int if self.whole else float
        beyond = (kind(above),) if math.isfinite(above) else ()
        fraction = (self.low + 0.5,) if self.whole else ()
        return (kind(below), *beyond, *fraction, math.nan, math.inf, "1", True, None, object())


@dataclass(frozen=True)
class Word(Legal):
    """One of a few words."""

    words: tuple[str, ...]

    def takes(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.words

    @property
    def law(self) -> str:
        quoted = [f'"{word}"' for word in self.words]
        return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"

    @property
    def bad(self) -> tuple[Any, ...]:
        return (self.words[0].upper() + "?", "", 0, None, object())


@dataclass(frozen=True)
class Boolean(Legal):
    """True or False, of Python or NumPy."""

    def takes(self, value: Any) -> bool:
        return isinstance(value, bool | np.bool_)

    @property
    def law(self) -> str:
        return "True or False"

    @property
    def bad(self) -> tuple[Any, ...]:
        return ("yes", -1, None, object())


@dataclass(frozen=True)
class Nothing(Legal):
    """None, or infinity where that is how one says "never"."""

    value: float | None = None

    def takes(self, value: Any) -> bool:
        return value is None if self.value is None else isinstance(value, Real) and value == self.value

    @property
    def law(self) -> str:
        return repr(self.value)


@dataclass(frozen=True)
class RandomState(Legal):
    """What `sklearn.utils.check_random_state` takes."""

    def takes(self, value: Any) -> bool:
        if isinstance(value, np.random.RandomState) or value is None:
            return True
        return Number(0, 2**32 - 1, whole=True).takes(value)

    @property
    def law(self) -> str:
        return "a whole number in [0, 2**32), a numpy.random.RandomState or None"

    @property
    def bad(self) -> tuple[Any, ...]:
        return (-1, 2**32, 0.5, "0", np.random.default_rng(0))


@dataclass(frozen=True)
class Schedule(Legal):
    """A function of the update's number that returns a legal number.

    It is asked for the first update's; what it returns later is checked when it is used.
    """

    result: Number

    def takes(self, value: Any) -> bool:
        if not callable(value) or isinstance(value, type):
            return False
        try:
            return self.result.takes(value(0))
        except Exception:
            return False

    @property
    def law(self) -> str:
        return f"a schedule (a function of the update's number that returns {self.result.law})"

    @property
    def bad(self) -> tuple[Any, ...]:
        beyond = self.result.bad[0]

        def without_a_step() -> float:
            return 0.5

        def beyond_bounds(step: int) -> Any:
            return beyond

        return (without_a_step, beyond_bounds, float)


@dataclass(frozen=True)
class Row(Legal):
    """Several legal values in a row: a list, a tuple, a one-dimensional array."""

    each: Legal
    of: str

    def takes(self, value: Any) -> bool:
        if isinstance(value, str | bytes | dict | set) or not isinstance(value, Iterable):
            return False
        if isinstance(value, np.ndarray) and value.ndim != 1:
            return False
        items = cast("Iterable[Any]", value)
        # An iterator would be used up by looking.
        return hasattr(items, "__len__") and all(self.each.takes(item) for item in items)

    @property
    def law(self) -> str:
        return f"a list of such, one for each {self.of}"

    @property
    def bad(self) -> tuple[Any, ...]:
        return ([self.each.bad[0]], "12", [[1, 2]], {1: 2}, np.ones((2, 2)))


@dataclass(frozen=True)
class Either(Legal):
    """Any of several kinds."""

    kinds: tuple[Legal, ...]

    def __init__(self, *kinds: Legal) -> None:
        object.__setattr__(self, "kinds", kinds)

    def takes(self, value: Any) -> bool:
        return any(kind.takes(value) for kind in self.kinds)

    @property
    def law(self) -> str:
        laws = [kind.law for kind in self.kinds]
        return f"{', '.join(laws[:-1])}, or {laws[-1]}"

    @property
    def bad(self) -> tuple[Any, ...]:
        return tuple(value for kind in self.kinds for value in kind.bad if not self.takes(value))
