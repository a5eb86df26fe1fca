"""Philox4x32-10, the counter-based generator under everything (Salmon et al., SC 2011, section 3.3).

`philox4x32` is the definition: it works alike on Python integers, arrays of uint64 and tensors of int64.
`words` is the same thing for the blocks of a key, laid out so that NumPy makes five passes a round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thinnet._core import native

if TYPE_CHECKING:
    from thinnet._core.random.key import Key

__all__ = ["BLOCK", "philox4x32", "words", "words_at"]

# Lanes in one block: 128 bits are eight lanes of 16.
BLOCK = 8

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF
# Blocks computed at once: their state stays in a core's second-level cache.
_CHUNK = 4096

# The two multipliers as a column: one multiplication serves both halves of the state.
_M = np.array([[_MULTIPLIERS[0]], [_MULTIPLIERS[1]]], np.uint64)


def philox4x32(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Return the four words of one block.

    A round maps (c0, c1, c2, c3) to (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)),
    then the key words grow by the Weyl constants; ten rounds make a block.

    Parameters
    ----------
    counter : four ints, or arrays or tensors of 64-bit integers
        Words in [0, 2**32), low word first.
    key : two ints
        Words in [0, 2**32), low word first.

    Returns
    -------
    tuple
        Four words of the counter's type, in [0, 2**32).

    Examples
    --------
    >>> [f"{word:08x}" for word in philox4x32((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']

    References
    ----------
    Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011, section 3.3.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        high0, high1 = p0 >> 32 & _LOW, p1 >> 32 & _LOW  # signed integers bring their sign along
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, p1 & _LOW, high0 ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


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
    >>> from thinnet._core.random import Key
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
    for _ in range(_ROUNDS):
        np.multiply(multiplied, _M, out=product)
        np.right_shift(product, 32, out=multiplied)
        # c0 takes the high half of M1 c2 and c2 that of M0 c0: the rows change places.
        np.bitwise_xor(multiplied[::-1], mixed, out=mixed)
        np.bitwise_xor(mixed, np.array([[k0], [k1]], np.uint64), out=multiplied)
        np.bitwise_and(product[::-1], _LOW, out=mixed)
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    out[:, 0::2] = multiplied.T
    out[:, 1::2] = mixed.T
