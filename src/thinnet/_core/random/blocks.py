"""The words of a key: Philox4x32-10 on many blocks, laid out so that NumPy makes five passes a round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.random.key import Key
from thinnet._core.random.philox import MULTIPLIERS, ROUNDS, WEYL

__all__ = ["words", "words_at"]

_LOW = 0xFFFFFFFF
# Blocks computed at once: their state stays in a core's second-level cache.
_CHUNK = 4096

# The two multipliers as a column: one multiplication serves both halves of the state.
_M = np.array([[MULTIPLIERS[0]], [MULTIPLIERS[1]]], np.uint64)


def words(key: Key, start: int, count: int) -> NDArray[np.uint32]:
    """Return the words of `count` consecutive blocks of a key.

    Parameters
    ----------
    key : Key
        The address, its step included.
    start : int
        Number of the first block, in [0, 2**64).
    count : int
        How many blocks.

    Returns
    -------
    ndarray of uint32, shape (count, 4)
        Row b holds the words at counter (b low, b high, step, 0), `b = start + row`.

    Examples
    --------
    >>> words(Key(0), 0, 1).view("<u2")
    array([[59605, 26151, 50573, 57705, 44108, 48215, 56280, 39680]],
          dtype=uint16)
    """
    out = np.empty((count, 4), "<u4")
    if native.library is not None:
        native.library.words(key.value, key.step, start, out)
        return out
    for first in range(0, count, _CHUNK):
        last = min(first + _CHUNK, count)
        _fill(key, np.arange(first, last, dtype=np.uint64) + np.uint64(start), out[first:last])
    return out


def words_at(key: Key, blocks: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the words of the named blocks, shape (..., 4) for `blocks` of shape (...)."""
    out = np.empty((blocks.size, 4), "<u4")
    flat = blocks.reshape(-1)
    for first in range(0, flat.size, _CHUNK):
        _fill(key, flat[first : first + _CHUNK], out[first : first + _CHUNK])
    return out.reshape(*blocks.shape, 4)


def _fill(key: Key, blocks: NDArray[np.uint64], out: NDArray[np.uint32]) -> None:
    """Write the words of `blocks` to `out`: rows (c0, c2) are multiplied, rows (c1, c3) are mixed in."""
    multiplied = np.empty((2, blocks.size), np.uint64)
    mixed = np.empty_like(multiplied)
    product = np.empty_like(multiplied)
    np.bitwise_and(blocks, _LOW, out=multiplied[0])
    multiplied[1] = key.step
    np.right_shift(blocks, 32, out=mixed[0])
    mixed[1] = 0
    k0, k1 = key.words
    for _ in range(ROUNDS):
        np.multiply(multiplied, _M, out=product)
        np.right_shift(product, 32, out=multiplied)
        # c0 takes the high half of M1 c2 and c2 that of M0 c0: the rows change places.
        np.bitwise_xor(multiplied[::-1], mixed, out=mixed)
        np.bitwise_xor(mixed, np.array([[k0], [k1]], np.uint64), out=multiplied)
        np.bitwise_and(product[::-1], _LOW, out=mixed)
        k0, k1 = (k0 + WEYL[0]) & _LOW, (k1 + WEYL[1]) & _LOW
    out[:, 0::2] = multiplied.T
    out[:, 1::2] = mixed.T
