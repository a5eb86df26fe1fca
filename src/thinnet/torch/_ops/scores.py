"""The lanes of scores of attention, one at a time, in operations that a kernel of flex_attention can hold.

A kernel computes the lane of a score from its place alone. torch writes the operations of a score_mod into
its kernel as one expression, in which every value is written as often as it is used. So all that does not
depend on the place is computed before, and each of the twenty products of Philox is used twice at most.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from thinnet._core.random.philox import MULTIPLIERS, ROUNDS, WEYL

__all__ = ["THRESHOLD", "lane", "table"]

Tensor: TypeAlias = torch.Tensor

_LOW = (1 << 32) - 1
THRESHOLD = 2 * ROUNDS
"""The place of the threshold in a table: lanes below it are dropped."""


def lane(table: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """Return lane `((b * 2**10 + h) * 2**18 + q) * 2**18 + k` of the key of a table.

    With `p(r) = M1 * c2(r - 1)` and `q(r) = M0 * c0(r - 1)`, the products of round r, the words of
    the counter are `c0(r) = high(p(r)) ^ low(p(r - 1)) ^ k0(r)`, `c1(r) = low(p(r))`, and the same for c2 and
    c3 with q and k1. The first product p(1) is that of the step.

    Parameters
    ----------
    table : Tensor of int64, shape (21,)
        The constants of a key, from `table`.
    b, h, q, k : Tensor of integers
        The batch, the head, the query and the key position, of 16, 10, 18 and 18 bits.

    Returns
    -------
    Tensor of int64
        In [0, 2**16).
    """
    b, h, q, k = (place.to(torch.int64) for place in (b, h, q, k))
    # The block is the number of the lane divided by 8; its low word is c0, its high word c1.
    low, high = (q & 0x1FFFF) << 15 | k >> 3, b << 11 | h << 1 | q >> 17
    m0, m1 = MULTIPLIERS
    before_p: Any = 0  # p(1) is part of the table
    # The product m0 * low may leave int64, which C++ leaves undefined: 2**32 * low is subtracted. Later
    # products may leave it too, but they are merged with words that no compiler knows before they are masked.
    before_q = (m0 - (1 << 32)) * low
    p, q = m1 * ((before_q >> 32) + low & _LOW ^ table[ROUNDS]), m0 * (high ^ table[0])
    for r in range(1, ROUNDS - 1):
        c0, c2 = p >> 32 ^ before_p ^ table[r], q >> 32 ^ before_q ^ table[ROUNDS + r]
        before_p, before_q, p, q = p, q, m1 * (c2 & _LOW), m0 * (c0 & _LOW)
    last, before = p, before_p ^ table[ROUNDS - 1]  # lanes 0 to 3 are c0 and c1, the others c2 and c3
    upper = k & 4 != 0
    last = torch.where(upper, q, last)
    before = torch.where(upper, before_q ^ table[2 * ROUNDS - 1], before)
    words = last ^ before << 32  # c1 or c3, then c0 or c2
    return words >> ((k & 3 ^ 2) << 4) & 0xFFFF


def table(key: Tensor, threshold: Tensor, device: Any) -> Tensor:
    """Return what `lane` needs of a key: the words of ten rounds, and a threshold.

    A kernel of flex_attention reads it, so it is an operator: a compiler would write the operations of a
    function into the kernel too, and refuses that for the CPU.

    Parameters
    ----------
    key : Tensor of int64, shape (1,) or (2,)
        The 64 bits as a signed number, and the step.
    threshold : Tensor of int64, shape ()
        Lanes below it are dropped.
    device : device
        Of the result.

    Returns
    -------
    Tensor of int64, shape (21,)
    """
    return torch.ops.thinnet.score_table.default(key, threshold, torch.device(device))


def _draw_table(key: Tensor, threshold: Tensor, device: torch.device) -> Tensor:
    key, threshold = key.to(device), threshold.to(device)
    rounds = torch.arange(ROUNDS, device=device)
    step = key[1] if len(key) > 1 else torch.zeros_like(key[0])
    words0, words1 = (
        (word + rounds * weyl) & _LOW for word, weyl in zip((key[0], key[0] >> 32), WEYL, strict=True)
    )
    first = MULTIPLIERS[1] * step
    words0[0] ^= first >> 32 & _LOW
    words0[1] ^= first & _LOW
    return torch.cat((words0, words1, threshold.reshape(1)))


def _on_meta(key: Tensor, threshold: Tensor, device: torch.device) -> Tensor:
    return key.new_empty(THRESHOLD + 1, device=device)


_LIBRARY: Any = torch.library.Library("thinnet", "FRAGMENT")
_LIBRARY.define(
    "score_table(Tensor key, Tensor threshold, Device device) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,)
)
_LIBRARY.impl("score_table", _draw_table, "CompositeExplicitAutograd")
_library: Any = torch.library
_library.register_fake("thinnet::score_table", _on_meta, lib=_LIBRARY)
