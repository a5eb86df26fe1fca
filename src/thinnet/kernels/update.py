"""Updates of weights in one pass over them: decay, moments, step and max-norm.

These exist in compiled form alone (`thinnet.native.library` is not None); the optimisers of `thinnet.net`
are their definition, to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from thinnet import native
from thinnet.native.threads import split

__all__ = ["Rule", "update"]

Array: TypeAlias = NDArray[Any]

_RULES = ("sgd", "momentum", "nesterov", "adam")
# Weights that are worth a thread of their own.
_WEIGHTS = 1 << 16


@dataclass(frozen=True)
class Rule:
    """The numbers of one update.

    Parameters
    ----------
    kind : {"sgd", "momentum", "nesterov", "adam"}
        Which rule.
    rate : float
        Size of the step; Adam's with `1 / (1 - beta1**t)` in it.
    betas : (float, float)
        Decay of the moments; the first is SGD's momentum.
    epsilon, correction : float
        Adam's denominator is `sqrt(v) * correction + epsilon`.
    l2 : float
        `l2 * w` is added to the gradient.
    shrink : float
        Weights are multiplied by it first; 1 leaves them.
    """

    kind: str
    rate: float
    betas: tuple[float, float] = (0.0, 0.0)
    epsilon: float = 0.0
    correction: float = 1.0
    l2: float = 0.0
    shrink: float = 1.0


def update(
    w: Array, g: Array, moments: tuple[Array, Array], rule: Rule, columns: int = 0, max_norm: float = math.inf
) -> None:
    """Change flat weights in place; g is only read.

    With `columns`, w is a matrix of so many columns, each of which is scaled down to the Euclidean length
    `max_norm` if it is longer.
    """
    numbers = (
        *(_RULES.index(rule.kind), rule.rate, rule.l2, rule.shrink),
        *(*rule.betas, rule.epsilon, rule.correction, columns, max_norm),
    )
    least = max(16, _WEIGHTS // (w.size // columns)) if columns and w.size else _WEIGHTS
    split(
        lambda begin, end: native.library.update(w, g, *moments, *numbers, begin, end),
        columns or w.size,
        least,
    )
