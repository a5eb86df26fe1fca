"""What a variant outside the table is, and the checks and draws that these variants share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import FLOATS, check_array, check_choice
from thinnet._core.apply import apply
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.key import check_key
from thinnet.variants._law import LANES
from thinnet.variants._variant import MODES, Mode

__all__ = [
    "Array",
    "FunctionVariant",
    "Gains",
    "add",
    "check_call",
    "exact",
    "log_odds_table",
    "multiply",
    "uniform_table",
    "uniforms",
]

Array: TypeAlias = NDArray[Any]
Gains: TypeAlias = NDArray[np.float64]
"""Gains in float64, of a shape that broadcasts against x."""


@dataclass(frozen=True)
class FunctionVariant:
    """A variant with functions of its own, because a law of the rate alone does not describe it.

    Parameters
    ----------
    name, site, cite, doc, usual, helps, differs
        As of a row of the catalogue; `usual` is None where no rate is chosen.
    why : str
        The reason why it is not a row.
    functions : tuple of function
        Its functions; the name stands for the first one.
    """

    name: str
    site: str
    cite: str
    doc: str
    why: str
    functions: tuple[Callable[..., Any], ...]
    _: KW_ONLY
    usual: float | None
    helps: str
    differs: str = ""

    def __repr__(self) -> str:
        return f"FunctionVariant({self.name!r})"


def check_call(
    owner: str, x: ArrayLike, key: Key | None, mode: Mode, axes: str = "", name: str = "x"
) -> Array:
    """Return x as an array of floating point; raise InputError if it, the key or the mode is wrong.

    Parameters
    ----------
    key : Key or None
        None is accepted where nothing is drawn, in mode "mean".
    axes : str
        The names of the axes that x must have, one word each; empty for any number of axes.
    """
    array = check_array(owner, x, name, axes)
    check_choice(owner, "mode", mode, MODES)
    if mode == "sample" or key is not None:
        check_key(owner, key)  # pyright: ignore[reportArgumentType]
    return array


def exact(x: Array) -> Array:
    """Return x in a type that NumPy can sort and add: float32 for bfloat16."""
    return x if x.dtype.type in FLOATS else x.astype(np.float32)


def multiply(gain: Any, x: Array) -> Array:
    """Return `gain * x` in the dtype of x, by the one law of NumPy, `thinnet._core.apply`.

    Examples
    --------
    >>> multiply(np.array([0.0, 2.0]), np.array([np.inf, -1.0]))
    array([ 0., -2.])
    """
    if x.dtype.type in FLOATS:
        return apply(gain, 0.0, x)
    return apply(gain, 0.0, x.view(np.uint16)).view(x.dtype)  # bfloat16, by its bits


def add(shift: Any, x: Array) -> Array:
    """Return `x + shift` in the dtype of x, by the same law with a gain of 1.

    Examples
    --------
    >>> add(np.array([0.5, 0.0]), np.array([1.0, -0.0]))
    array([ 1.5, -0. ])
    """
    if x.dtype.type in FLOATS:
        return apply(1.0, shift, x, 1.0)
    return apply(1.0, shift, x.view(np.uint16), 1.0).view(x.dtype)


def uniforms(key: Key, shape: tuple[int, ...] | Window) -> NDArray[np.float64]:
    """Return uniform numbers in the open interval (0, 1), one for each lane: (lane + 1/2) / 65536.

    Examples
    --------
    >>> uniforms(Key(0), (2,)).round(4).tolist()
    [0.9095, 0.399]
    """
    return (lanes(key, shape) + 0.5) / LANES


@functools.cache
def uniform_table() -> NDArray[np.float64]:
    """Return the uniform number of each lane: what a lane decides alone is computed once for each lane."""
    return (np.arange(LANES) + 0.5) / LANES


@functools.cache
def log_odds_table() -> NDArray[np.float64]:
    """Return `log((1 - u) / u)` for the uniform number u of each lane."""
    u = uniform_table()
    return np.log((1 - u) / u)
