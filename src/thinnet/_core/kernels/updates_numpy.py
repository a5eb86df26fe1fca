"""The NumPy definition of updates of weights: decay, moments, step and max-norm."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rule", "shorten", "update"]

Array: TypeAlias = NDArray[Any]

# Entries updated at once: weights, gradients, moments and scratch stay in the second-level cache.
_CHUNK = 1 << 15


class Rule(NamedTuple):
    """The numbers of one update.

    Parameters
    ----------
    kind : {"sgd", "momentum", "nesterov", "adam"}
        The update rule.
    rate : float
        The step size; for Adam divided by `1 - beta1**t`.
    l2 : float
        `l2 * w` is added to the gradient of a weight that decays.
    shrink : float
        A weight that decays is first multiplied by it.
    beta1, beta2 : float
        The decay of the moments; beta1 is the momentum of SGD.
    epsilon, correction : float
        The denominator of Adam is `sqrt(v) * correction + epsilon`.
    """

    kind: str
    rate: float
    l2: float = 0.0
    shrink: float = 1.0
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    correction: float = 1.0


def update(arrays: tuple[Array, ...], rule: Rule, decayed: int, columns: int, max_norm: float) -> None:
    """Change flat weights in place; the gradients are scratch memory afterwards.

    The compiled kernel, which leaves the gradients as they are, equals this to the bit.
    """
    weights = arrays[0]
    buffer = np.empty(min(_CHUNK, weights.size), weights.dtype)
    for first in range(0, weights.size, _CHUNK):
        w, g, *moments = (array[first : first + _CHUNK] for array in arrays)
        scratch, matrices = buffer[: w.size], max(0, min(decayed - first, w.size))
        if rule.l2:
            np.multiply(w[:matrices], rule.l2, out=scratch[:matrices])
            g[:matrices] += scratch[:matrices]
        if rule.shrink != 1:
            w[:matrices] *= rule.shrink
        (_adam if rule.kind == "adam" else _sgd)(w, g, moments, scratch, rule)
    if columns:
        shorten(weights.reshape(-1, columns), max_norm)


def _sgd(w: Array, g: Array, moments: list[Array], scratch: Array, rule: Rule) -> None:
    """Apply `v = beta1 * v + g` and `w -= rate * v`; Nesterov's rule steps along `g + beta1 * v`."""
    if rule.kind != "sgd":
        velocity = moments[0]
        velocity *= rule.beta1
        velocity += g
        if rule.kind == "nesterov":
            np.multiply(velocity, rule.beta1, out=scratch)
            g += scratch
        else:
            g = velocity
    np.multiply(g, rule.rate, out=scratch)
    w -= scratch


def _adam(w: Array, g: Array, moments: list[Array], scratch: Array, rule: Rule) -> None:
    """Apply `w -= rate * m / (sqrt(v) * correction + epsilon)`, m and v running means of g and g**2."""
    m, v = moments
    np.multiply(g, g, out=scratch)
    scratch *= 1 - rule.beta2
    v *= rule.beta2
    v += scratch
    g *= 1 - rule.beta1
    m *= rule.beta1
    m += g
    np.sqrt(v, out=scratch)
    scratch *= rule.correction
    scratch += rule.epsilon
    np.divide(m, scratch, out=scratch)
    scratch *= rule.rate
    w -= scratch


def shorten(w: Array, max_norm: float) -> None:
    """Scale the columns of w, shape (d, k), down to `max_norm` where they are longer."""
    squares = np.square(w)
    # Rows are added in sequence; NumPy would add a single column pairwise.
    total = np.add.accumulate(squares)[-1] if w.shape[1] == 1 else np.add.reduce(squares)
    length = np.sqrt(total)
    w *= np.minimum(1, max_norm / np.maximum(length, np.finfo(w.dtype).tiny))
