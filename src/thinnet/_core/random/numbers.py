"""Uniform numbers and permutations from a key, for initial weights and for shuffling."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thinnet._core.random.blocks import words
from thinnet._core.random.key import Key

__all__ = ["permutation", "uniform"]


def uniform(key: Key, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers uniform on the open interval (0, 1): (word + ½) / 2**32.

    Examples
    --------
    >>> uniform(Key(0), (2,)).round(4).tolist()
    [0.399, 0.8805]
    """
    count = math.prod(shape)
    drawn = words(key, 0, -(-count // 4)).reshape(-1)[:count]
    return ((drawn.astype(np.float64) + 0.5) * 2.0**-32).reshape(shape)


def permutation(key: Key, count: int) -> NDArray[np.intp]:
    """Return 0 … count - 1 in random order: the order that sorts 64-bit words.

    Examples
    --------
    >>> permutation(Key(0), 5).tolist()
    [3, 4, 2, 1, 0]
    """
    drawn = words(key, 0, -(-count // 2)).reshape(-1).view("<u8")[:count]
    return np.argsort(drawn, kind="stable")
