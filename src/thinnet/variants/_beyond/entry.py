"""What an entry outside the table is, and the checks that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_array
from thinnet._core.random import Key, Window, lanes
from thinnet._core.random.key import check_key
from thinnet.errors import InputError
from thinnet.variants._law import LANES

__all__ = ["Array", "FunctionVariant", "opened", "part", "shares", "times"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class FunctionVariant:
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
    array = check_array(owner, x)
    if array.dtype.name == "bfloat16":
        raise InputError(f"{owner}: x must be float16, float32 or float64, got bfloat16.")
    if axes and array.ndim != len(axes.split()):
        raise InputError(f"{owner}: x must have shape ({', '.join(axes.split())}), got {array.shape}.")
    check_key(owner, key)
    if mode not in ("sample", "mean"):
        raise InputError(f'{owner}: mode must be "sample" or "mean", got {mode!r}.')
    return array


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
