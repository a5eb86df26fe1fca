"""Updates of weights in one pass over them: decay, moments, step and max-norm.

These exist in compiled form alone (`thinnet._core.native.compiled` is not None); the optimisers of `thinnet.net`
are their definition, to the bit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.threads import split

__all__ = ["Rule", "update"]

Array: TypeAlias = NDArray[Any]

_RULES = {"sgd": 0, "momentum": 1, "nesterov": 2, "adam": 3}
# Weights that are worth a thread of their own.
_WEIGHTS = 1 << 18


class Rule(NamedTuple):
    """The numbers of one update.

    Parameters
    ----------
    kind : {"sgd", "momentum", "nesterov", "adam"}
        Which rule.
    rate : float
        Size of the step; Adam's with `1 / (1 - beta1**t)` in it.
    l2 : float
        `l2 * w` is added to the gradient of a weight that decays.
    shrink : float
        A weight that decays is multiplied by it first; 1 leaves it.
    beta1, beta2 : float
        Decay of the moments; the first is SGD's momentum.
    epsilon, correction : float
        Adam's denominator is `sqrt(v) * correction + epsilon`.
    """

    kind: str
    rate: float
    l2: float = 0.0
    shrink: float = 1.0
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    correction: float = 1.0


def update(
    arrays: tuple[Array, ...], rule: Rule, decayed: int, columns: int = 0, max_norm: float = math.inf
) -> None:
    """Change flat weights in place.

    Parameters
    ----------
    arrays : four ndarrays of float32 or float64, shape (m,)
        Weights, gradients (only read), and two moments; a rule with one moment takes it twice.
    rule : Rule
        What to do.
    decayed : int
        How many of the first weights decay.
    columns, max_norm : int, float
        The weights are a matrix of so many columns, each of which is scaled down to the Euclidean length
        `max_norm` if it is longer; 0: they are not.
    """
    work = native.compiled.update
    size = arrays[0].size
    if size < 2 * _WEIGHTS:
        work(*arrays, _RULES[rule[0]], *rule[1:], decayed, columns, max_norm, 0, -1)
        return
    numbers = (*arrays, _RULES[rule[0]], *rule[1:], decayed, columns, max_norm)
    least = max(16, _WEIGHTS // (size // columns)) if columns else _WEIGHTS
    split(lambda begin, end: work(*numbers, begin, end), columns or size, least)
