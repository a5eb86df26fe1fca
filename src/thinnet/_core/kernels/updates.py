"""Updates of weights in one pass: decay, moments, step and max-norm; `updates_numpy.py` defines them."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.kernels import updates_numpy as by_numpy
from thinnet._core.kernels.updates_numpy import Rule
from thinnet._core.threads import split

__all__ = ["Rule", "update"]

Array: TypeAlias = NDArray[Any]

_RULES = {"sgd": 0, "momentum": 1, "nesterov": 2, "adam": 3}
# The least number of weights for which a thread of their own pays off.
_WEIGHTS = 1 << 18


def update(
    arrays: tuple[Array, ...], rule: Rule, decayed: int, columns: int = 0, max_norm: float = math.inf
) -> None:
    """Change flat weights in place.

    Parameters
    ----------
    arrays : four ndarrays of float32 or float64, shape (m,)
        Weights, gradients, and two moments; a rule with one moment takes the same array twice. The gradients
        may be used as scratch memory.
    rule : Rule
        The numbers of the update.
    decayed : int
        The number of leading weights that decay.
    columns, max_norm : int, float
        With columns, the weights are a matrix, and each of its columns is scaled down to the Euclidean length
        `max_norm` if it is longer.
    """
    if native.library is None:
        by_numpy.update(arrays, rule, decayed, columns, max_norm)
        return
    w, g, first, second = arrays
    work, size = native.library.update, w.size
    numbers = (_RULES[rule[0]], *rule[1:], decayed, columns, max_norm)
    if size < 2 * _WEIGHTS:
        work(w, g, first, second, *numbers, 0, -1)
        return
    least = max(16, _WEIGHTS // (size // columns)) if columns else _WEIGHTS
    split(lambda begin, end: work(w, g, first, second, *numbers, begin, end), columns or size, least)
