"""Checks at the door: rates, keys, and arrays of floating point."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet.errors import InputError
from thinnet.random import Key

__all__ = ["FLOATS", "check_key", "check_rate", "floating", "target_of"]

Array: TypeAlias = NDArray[Any]

FLOATS = frozenset({np.float16, np.float32, np.float64})
"""The types that NumPy itself computes in."""

# Typed loosely because NumPy's annotation leaves out the numbers between its two extremes.
_EXACT: Any = 10_000


def check_rate(owner: str, rate: ArrayLike, shape: tuple[int, ...] | None = None) -> Any:
    """Return `rate` as a float or a float64 array, or say what is wrong with it.

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
    try:
        value = np.asarray(rate, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{owner}: rate must be a number in [0, 1], got {rate!r}.") from None
    if not bool(np.all((value >= 0) & (value <= 1))):
        worst = value if value.ndim == 0 else value[~((value >= 0) & (value <= 1))][0]
        raise InputError(f"{owner}: rate must be in [0, 1], got {float(worst):g}.")
    if value.ndim == 0:
        return float(value)
    if shape is not None:
        try:
            fits = np.broadcast_shapes(value.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise InputError(
                f"{owner}: rates of shape {value.shape} do not broadcast against x of shape {shape}."
            )
    return value


def check_key(owner: str, key: Key) -> None:
    """Say what is wrong with what should be a key."""
    if not isinstance(key, Key):
        raise InputError(f"{owner}: key must be a thinnet.Key, got {key!r}; use thinnet.Key(0).")


def floating(owner: str, x: ArrayLike, name: str = "x") -> Array:
    """Return `x` as an array of floating point, or say what is wrong with it."""
    if type(x) is np.ndarray and x.dtype.type in FLOATS:
        return x
    if isinstance(x, np.ma.MaskedArray):
        raise InputError(f"{owner}: {name} is a masked array; fill it first: {name}.filled(0.0).")
    array = np.asarray(x)
    if array.dtype.type not in FLOATS and array.dtype.name != "bfloat16":
        raise InputError(
            f"{owner}: {name} must be float16, float32 or float64, got {array.dtype}; "
            f"use {name}.astype('float32')."
        )
    return array


def target_of(owner: str, x: Array, out: Array) -> Array:
    """Return `out` if an array like x can be written to it, or say why not."""
    if not isinstance(out, np.ndarray) or out.shape != x.shape or out.dtype != x.dtype:
        got = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"{owner}: out must be an array of {x.dtype} and shape {x.shape}, got {got}.")
    if not out.flags.writeable:
        raise InputError(f"{owner}: out is read-only.")
    if out is x or (out.base is None and x.base is None):
        return out  # two arrays that own their memory share none
    # The bounds of two arrays may cross where no entry is shared, so some work is spent on an exact answer.
    if np.may_share_memory(out, x, _EXACT):
        raise InputError(f"{owner}: out overlaps x without being x; pass out=x or an array of its own.")
    return out
