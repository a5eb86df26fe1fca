"""Checks of arguments, one definition each: numbers, words, rates, arrays.

A `Constraint` accepts a value or not, states its requirement in words and lists bad values, so that
refusals, documentation and tests come from one place. Every function raises `InputError` in one line: owner,
name, requirement, value. A check of a type of ours stands beside that type (`check_key`, `check_window`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet.errors import InputError

__all__ = [
    "FLOATS",
    "AnyOf",
    "Boolean",
    "Choice",
    "Constraint",
    "Exactly",
    "Number",
    "RandomState",
    "ScheduleOf",
    "SequenceOf",
    "check",
    "check_array",
    "check_boolean",
    "check_broadcast",
    "check_choice",
    "check_integer",
    "check_number",
    "check_numbers",
    "check_out",
    "check_rate",
    "check_shape",
    "check_type",
    "format_value",
]

Array: TypeAlias = NDArray[Any]
Kind = TypeVar("Kind")

FLOATS = frozenset({np.float16, np.float32, np.float64})
"""The types of floating point that NumPy itself computes in."""

# Effort of an exact test for overlap. Typed loosely: NumPy's annotation allows its two extremes alone.
_EXACT: Any = 10_000


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
        try:
            if not self.whole and not math.isfinite(number):
                return False
        except OverflowError:  # a whole number with hundreds of digits
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


def check(owner: str, name: str, value: Any, constraint: Constraint) -> None:
    """Raise InputError unless a value satisfies a constraint.

    Examples
    --------
    >>> check("Dense", "units", 0, Number(1, whole=True))
    Traceback (most recent call last):
    thinnet.errors.InputError: Dense: units must be a whole number of at least 1, got 0.
    """
    if not constraint.accepts(value):
        raise InputError(f"{owner}: {name} must be {constraint.requirement}, got {format_value(value)}.")


def check_integer(owner: str, name: str, value: Any, least: float, most: float = math.inf) -> int:
    """Return a whole number of [least, most] as an int."""
    if type(value) is not int or not least <= value <= most:
        check(owner, name, value, Number(least, most, whole=True))
    return int(value)


def check_number(
    owner: str, name: str, value: Any, least: float = -math.inf, most: float = math.inf
) -> float:
    """Return a finite number of [least, most] as a float."""
    check(owner, name, value, Number(least, most))
    return float(value)


def check_choice(owner: str, name: str, value: Any, words: tuple[str, ...]) -> Any:
    """Return a value that is one of a few words."""
    if not isinstance(value, str) or value not in words:
        check(owner, name, value, Choice(words))
    return value


def check_boolean(owner: str, name: str, value: Any) -> bool:
    """Return True or False."""
    check(owner, name, value, Boolean())
    return bool(value)


def check_type(owner: str, name: str, value: Any, kind: type[Kind], remedy: str = "") -> Kind:
    """Return a value of a class; `remedy` states how to make one.

    Examples
    --------
    >>> check_type("fit", "network", 3, str, "use str(network)")
    Traceback (most recent call last):
    thinnet.errors.InputError: fit: network must be a str, got 3; use str(network).
    """
    if not isinstance(value, kind):
        full = (
            kind.__name__
            if kind.__module__ == "builtins"
            else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
        )
        article = "an" if full[0] in "aeiouAEIOU" else "a"
        end = f"; {remedy}." if remedy else "."
        raise InputError(f"{owner}: {name} must be {article} {full}, got {format_value(value)}{end}")
    return value


def check_rate(owner: str, rate: ArrayLike, shape: tuple[int, ...] | None = None, name: str = "rate") -> Any:
    """Return a rate as a float, or rates as an array of float64.

    Raises
    ------
    InputError
        Not a number, NaN, outside [0, 1], or an array that does not broadcast against `shape`.

    Examples
    --------
    >>> check_rate("Dropout", 0.5)
    0.5
    """
    if type(rate) is float and 0 <= rate <= 1:
        return rate
    if isinstance(rate, np.ma.MaskedArray):
        raise InputError(f"{owner}: {name} is a masked array; fill it first: {name}.filled(0.0).")
    try:
        known = np.asarray(rate)
        if known.dtype.kind not in "fiu" and known.dtype.name != "bfloat16" and known.size:
            raise TypeError
        value = known.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        if isinstance(rate, int) and not isinstance(rate, bool):  # with hundreds of digits
            raise InputError(f"{owner}: {name} must be in [0, 1], got {format_value(rate)}.") from None
        raise InputError(f"{owner}: {name} must be a number in [0, 1], got {format_value(rate)}.") from None
    if not bool(np.all((value >= 0) & (value <= 1))):
        worst = value if value.ndim == 0 else value[~((value >= 0) & (value <= 1))][0]
        raise InputError(f"{owner}: {name} must be in [0, 1], got {float(worst):g}.")
    if value.ndim == 0:
        return float(value)
    if shape is not None and not _broadcasts(value.shape, shape):
        raise InputError(
            f"{owner}: {name}s of shape {value.shape} do not broadcast against x of shape {shape}."
        )
    return value


def check_shape(owner: str, name: str, value: Any) -> tuple[int, ...]:
    """Return a shape as a tuple of Python ints, each of at least 0.

    Examples
    --------
    >>> check_shape("lanes", "shape", [np.int8(3), 4])
    (3, 4)
    """
    sizes: Any = value
    if isinstance(sizes, tuple | list) and all(
        Number(0, whole=True).accepts(size) for size in cast("Any", sizes)
    ):
        return tuple(map(int, cast("Any", sizes)))
    hint = f"; use ({value},)." if type(value) is int and value >= 0 else "."
    raise InputError(
        f"{owner}: {name} must be a tuple of whole numbers of at least 0, got {format_value(value)}{hint}"
    )


def check_array(owner: str, x: ArrayLike, name: str = "x", axes: str = "") -> Array:
    """Return an array of floating point: float16, float32, float64, or bfloat16 of ml_dtypes.

    Parameters
    ----------
    axes : str
        The names of the axes that x must have, one word each; empty for any number of axes.
    """
    if type(x) is np.ndarray and x.dtype.type in FLOATS:
        array: Array = x
    else:
        if isinstance(x, np.ma.MaskedArray):
            raise InputError(f"{owner}: {name} is a masked array; fill it first: {name}.filled(0.0).")
        try:
            array: Array = np.asarray(x)
        except (TypeError, ValueError):  # a list of lists of several lengths
            raise InputError(f"{owner}: {name} must be an array, got {format_value(x)}.") from None
        if array.dtype.type not in FLOATS and array.dtype.name != "bfloat16":
            raise InputError(
                f"{owner}: {name} must be float16, float32 or float64, got {array.dtype}; "
                f"use {name}.astype('float32')."
            )
    if axes and array.ndim != len(axes.split()):
        raise InputError(f"{owner}: {name} must have shape ({', '.join(axes.split())}), got {array.shape}.")
    return array


def check_numbers(owner: str, name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return real numbers as an array of float64."""
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(f"{owner}: {name} is a masked array; fill it first: {name}.filled(0.0).")
    try:
        array = np.asarray(value)
        if array.dtype.kind in "fiu" or array.dtype.name == "bfloat16" or not array.size:
            return array.astype(np.float64)
    except (TypeError, ValueError):  # a list of lists of several lengths
        pass
    raise InputError(f"{owner}: {name} must be real numbers, got {format_value(value)}.")


def check_broadcast(owner: str, name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers without NaN that broadcast against a shape, as float64."""
    array = check_numbers(owner, name, value)
    if not _broadcasts(array.shape, shape):
        raise InputError(
            f"{owner}: {name} must be numbers that broadcast against {shape}, got shape {array.shape}."
        )
    if bool(np.isnan(array).any()):
        raise InputError(f"{owner}: {name} must not hold NaN.")
    return array


def check_out(owner: str, x: Array, out: Array, name: str = "x") -> Array:
    """Return `out` if an array like x can be written to it; it may be x, but not overlap x otherwise."""
    if not isinstance(out, np.ndarray) or out.shape != x.shape or out.dtype != x.dtype:
        got = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"{owner}: out must be an array of {x.dtype} and shape {x.shape}, got {got}.")
    if not out.flags.writeable:
        raise InputError(f"{owner}: out is read-only.")
    check_overlap(owner, x, out, name)
    return out


def check_overlap(owner: str, x: Array, out: Array, name: str) -> None:
    """Raise InputError if `out` shares memory with an operand without being that operand."""
    if out is x or (out.base is None and x.base is None):
        return  # two arrays that own their memory share none
    # The bounds of two arrays may cross where no entry is shared, so some work is spent on an exact answer.
    if np.may_share_memory(out, x, _EXACT):
        raise InputError(
            f"{owner}: out overlaps {name} without being {name}; pass out={name} or an array of its own."
        )


def format_value(value: Any) -> str:
    """Return a value as an error shows it: its repr, shortened."""
    try:
        text = repr(value)
    except Exception:  # an object whose repr fails, an int with more digits than Python prints
        text = f"a value of type {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:60]}…{text[-16:]}"


def _broadcasts(shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, onto) == onto
    except ValueError:
        return False
