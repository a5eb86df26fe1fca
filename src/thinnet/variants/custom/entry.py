"""What an entry outside the table is, and the checks that they share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet.errors import InputError
from thinnet.random import Key, Window, lanes
from thinnet.variants.checks import check_key, floating
from thinnet.variants.law import LANES

__all__ = ["Array", "Custom", "beside", "number", "opened", "part", "shares", "times", "whole"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Custom:
    """A variant that is no row of the catalogue, because its law is not `gain * x + shift * other`.

    Parameters
    ----------
    name, site, cite, doc, usual, helps, differs
        As of a row of the catalogue; `usual` is None where no rate is chosen.
    why : str
        What keeps it out of the table.
    functions : tuple of function
        What there is of it; the first one is what the name stands for.
    """

    name: str
    site: str
    cite: str
    doc: str
    why: str
    functions: tuple[Callable[..., Any], ...]
    usual: float | None
    helps: str
    differs: str = ""


def opened(owner: str, x: ArrayLike, key: Key, mode: str, axes: str = "") -> Array:
    """Return x as an array of floating point; say what is wrong with it, with the key or with the mode.

    Parameters
    ----------
    axes : str
        The names of the axes that x has to have, one word each; any if empty.
    """
    array = floating(owner, x)
    if array.dtype.name == "bfloat16":
        raise InputError(f"{owner}: x must be float16, float32 or float64, got bfloat16.")
    if axes and array.ndim != len(axes.split()):
        raise InputError(f"{owner}: x must have shape ({', '.join(axes.split())}), got {array.shape}.")
    check_key(owner, key)
    if mode not in ("sample", "mean"):
        raise InputError(f'{owner}: mode must be "sample" or "mean", got {mode!r}.')
    return array


def number(owner: str, name: str, value: Any, least: float, most: float = math.inf) -> float:
    """Return a finite number inside [least, most], or say what is wrong with it."""
    try:
        known = float(value)
    except (TypeError, ValueError):
        known = math.nan
    if isinstance(value, bool) or not least <= known <= most or math.isinf(known):
        bounds = f"of at least {least:g}" if most == math.inf else f"in [{least:g}, {most:g}]"
        raise InputError(f"{owner}: {name} must be a number {bounds}, got {value!r}.")
    return known


def whole(owner: str, name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number inside [least, most], or say what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        raise InputError(f"{owner}: {name} must be a whole number in [{least}, {most}], got {value!r}.")
    return int(value)


def beside(owner: str, name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers that broadcast against a shape, or say what is wrong with them."""
    try:
        array = np.asarray(value, np.float64)
        fits = np.broadcast_shapes(array.shape, shape) == shape
    except (TypeError, ValueError):
        array, fits = np.zeros(()), False
    if not fits:
        raise InputError(
            f"{owner}: {name} must be numbers that broadcast against {shape}, got {_shown(value)}."
        )
    if bool(np.isnan(array).any()):
        raise InputError(f"{owner}: {name} must not hold NaN.")
    return array


def _shown(value: Any) -> str:
    return f"shape {np.asarray(value).shape}" if hasattr(value, "__len__") else repr(value)


@np.errstate(over="ignore", invalid="ignore")
def times(gain: ArrayLike, x: Array) -> Array:
    """Return `gain * x` in the dtype of x; a gain of 0 gives +0 whatever it multiplies."""
    known = np.asarray(gain)
    return np.where(known == 0, 0, known * x).astype(x.dtype)


def part(owner: str, x: Array, window: Window | None) -> Window:
    """Return which part of which global array x is: all of it if no window is given."""
    if window is None:
        return Window.whole(x.shape)
    if not isinstance(window, Window):
        raise InputError(f"{owner}: window must be a thinnet.Window, got {window!r}.")
    if window.size != x.shape:
        raise InputError(f"{owner}: the window has size {window.size}, but x has shape {x.shape}.")
    return window


def shares(key: Key, shape: tuple[int, ...] | Window) -> NDArray[np.float64]:
    """Return numbers even on the open interval (0, 1), one a lane: (lane + 1/2) / 65536.

    Examples
    --------
    >>> shares(Key(0), (2,)).round(4).tolist()
    [0.9095, 0.399]
    """
    return (lanes(key, shape) + 0.5) / LANES
