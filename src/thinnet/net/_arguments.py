"""Checks of arguments that only networks have: sizes of windows, arrays of real numbers."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import format_value
from thinnet._constraints import Number
from thinnet.errors import InputError

__all__ = ["POSITIVE", "check_pair", "check_real", "shape_text"]

Array: TypeAlias = NDArray[Any]

POSITIVE = Number(0, ends="()")
"""A finite number greater than 0."""


def check_pair(owner: str, name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """Return (height, width), given one whole number for both or two of them."""
    both: Any = cast("Any", value) if isinstance(value, list | tuple) else (value, value)
    accepted = Number(least, whole=True)
    if len(both) != 2 or not all(accepted.accepts(each) for each in both):
        raise InputError(
            f"{owner}: {name} must be one or two whole numbers of at least {least}, "
            f"got {format_value(value)}."
        )
    return int(both[0]), int(both[1])


def check_real(owner: str, name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Return an array of real numbers in a dtype.

    Raises
    ------
    InputError
        Complex numbers, whose imaginary part would be lost; dates; text; rows of different lengths.
    """
    array: Array = np.empty(0, object)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "cmMSU":
            return array.astype(dtype, copy=False)
        found = str(array.dtype)
    except (TypeError, ValueError):
        found = "rows of different lengths"
    if array.dtype.kind in "OSU" and array.size:
        first: Any = array.astype(object).flat[0]
        found = found if isinstance(first, list | tuple) else format_value(first)
    raise InputError(f"{owner}: {name} must be an array of real numbers, got {found}.")


def shape_text(shape: tuple[int, ...]) -> str:
    """Return the shape of a row as an error shows it."""
    return ", ".join(map(str, shape)) if len(shape) == 1 else str(shape)
