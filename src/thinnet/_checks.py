"""Checks of arguments, one definition each: numbers, words, rates, arrays.

A `Constraint` accepts a value or not, states its requirement in words and lists bad values, so that
refusals, documentation and tests come from one place. Every function raises `InputError` in one line: owner,
name, requirement, value. A check of a type of ours stands beside that type (`check_key`, `check_window`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._constraints import Boolean, Choice, Constraint, Number
from thinnet.errors import InputError

__all__ = [
    "FLOATS",
    "broadcasts",
    "check",
    "check_array",
    "check_boolean",
    "check_broadcast",
    "check_choice",
    "check_integer",
    "check_number",
    "check_numbers",
    "check_out",
    "check_path",
    "check_rate",
    "check_shape",
    "check_texts",
    "check_type",
    "format_value",
]

Array: TypeAlias = NDArray[Any]
Kind = TypeVar("Kind")

FLOATS = frozenset({np.float16, np.float32, np.float64})
"""The types of floating point that NumPy itself computes in."""

# Effort of an exact test for overlap. Typed loosely: NumPy's annotation allows its two extremes alone.
_EXACT: Any = 10_000


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


def check_path(owner: str, name: str, value: Any) -> Path:
    """Return the path of a file or a folder."""
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{owner}: {name} must be a path, got {format_value(value)}.")
    return Path(cast("Any", value))


def check_texts(owner: str, name: str, value: Any) -> tuple[str, ...]:
    """Return a list of texts as a tuple; one text is no list."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        texts = tuple(cast("Iterable[Any]", value))
        if all(isinstance(each, str) for each in texts):
            return texts
    raise InputError(f"{owner}: {name} must be a list of texts, got {format_value(value)}.")


def check_type(owner: str, name: str, value: Any, kind: type[Kind], remedy: str = "") -> Kind:
    """Return a value of a class; `remedy` states how to make one.

    Examples
    --------
    >>> check_type("fit", "network", 3, str, "use str(network)")
    Traceback (most recent call last):
    thinnet.errors.InputError: fit: network must be a str, got 3; use str(network).
    """
    if not isinstance(value, kind):
        # The public namespace: thinnet.variants of thinnet.variants._variant.
        public = kind.__module__.partition("._")[0]
        full = kind.__name__ if public == "builtins" else f"{public}.{kind.__name__}"
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
    _check_unmasked(owner, name, rate)
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
    if shape == ():
        raise InputError(
            f"{owner}: {name} must be one number in [0, 1], got an array of shape {value.shape}."
        )
    if shape is not None and not broadcasts(value.shape, shape):
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
        _check_unmasked(owner, name, x)
        try:
            array: Array = np.asarray(x)
        except (TypeError, ValueError):  # a list of lists of several lengths
            raise InputError(f"{owner}: {name} must be an array, got {format_value(x)}.") from None
        if array.dtype.type not in FLOATS and array.dtype.name != "bfloat16":
            remedy = (
                f"{name}.real and {name}.imag" if array.dtype.kind == "c" else f"{name}.astype('float32')"
            )
            raise InputError(
                f"{owner}: {name} must be float16, float32 or float64, got {array.dtype}; use {remedy}."
            )
    if axes and array.ndim != len(axes.split()):
        raise InputError(f"{owner}: {name} must have shape ({', '.join(axes.split())}), got {array.shape}.")
    return array


def check_numbers(owner: str, name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return real numbers as an array of float64."""
    _check_unmasked(owner, name, value)
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
    if not broadcasts(array.shape, shape):
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


def broadcasts(shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    """Return whether an array of a shape broadcasts against another, whose shape stays as it is."""
    try:
        return np.broadcast_shapes(shape, onto) == onto
    except ValueError:
        return False


def _check_unmasked(owner: str, name: str, value: Any) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(f"{owner}: {name} is a masked array; fill it first: {name}.filled(0.0).")
