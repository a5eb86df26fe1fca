"""Philox4x32-10, the counter-based generator under everything (Salmon et al., SC 2011, section 3.3).

`philox4x32` is the definition: it works alike on Python integers, arrays of uint64 and tensors of int64.
`blocks.py` applies it to the blocks of a key.
"""

from __future__ import annotations

from typing import Any

__all__ = ["BLOCK", "MULTIPLIERS", "ROUNDS", "WEYL", "philox4x32"]

# Lanes in one block: 128 bits are eight lanes of 16.
BLOCK = 8

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF


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
    for _ in range(ROUNDS):
        p0, p1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        high0, high1 = p0 >> 32 & _LOW, p1 >> 32 & _LOW  # signed integers bring their sign along
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, p1 & _LOW, high0 ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + WEYL[0]) & _LOW, (k1 + WEYL[1]) & _LOW
    return c0, c1, c2, c3
