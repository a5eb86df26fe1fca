"""What a dropout variant is: one row of the catalogue."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Literal, cast

from thinnet.errors import InputError
from thinnet.kernels import Pair
from thinnet.variants.law import Law, LawOfRate
from thinnet.variants.pattern import unfit

__all__ = ["Variant"]


@dataclass(frozen=True)
class Variant:
    """Join where, which, how and what: `y = gain * x + shift * other`.

    Parameters
    ----------
    name : str
        Its name in the literature.
    site : str
        Where it acts: activation, branch, weight, state, embedding, attention or input.
    pattern : str
        Which entries share one lane (`thinnet.variants.pattern`).
    law : function of a rate
        Returns the law of that rate (`thinnet.variants.law`).
    cite : str
        Where it was published.
    doc : str
        What it does, in one sentence.
    block : tuple of int
        How long a block is along each of the last axes, for variants that drop blocks; a lane then decides
        whether a block begins at its entry, and the rate is still that of an entry.
    other : str
        What stands in for what is dropped: zero, one, previous …
    inference : {"mean", "identity"}
        What the mean network applies: the law's expectation, or nothing at all.
    """

    name: str
    site: str
    pattern: str
    law: LawOfRate
    cite: str
    doc: str
    block: tuple[int, ...] = ()
    other: Literal["zero"] = "zero"
    inference: Literal["mean", "identity"] = "mean"

    def law_of(self, rate: Any) -> Law:
        """Return the law of a rate that has been checked at the door.

        Raises
        ------
        InputError
            An array of rates for a law that takes one number.
        """
        try:
            return self.law(rate, math.prod(self.block)) if self.block else self.law(rate)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name}: takes one rate, not an array of them.") from error

    def mean_of(self, rate: Any) -> Pair:
        """Return the (gain, shift) that the mean network applies at a rate."""
        return self.law_of(rate).mean if self.inference == "mean" else (1.0, 0.0)

    def sized(self, block: int | tuple[int, ...] | None) -> Variant:
        """Return this variant with blocks of another size; None leaves it as it is.

        Raises
        ------
        InputError
            It drops no blocks, or this is no size.

        Examples
        --------
        >>> from thinnet.variants import find
        >>> find("DropBlock2d").sized(3).block
        (3, 3)
        """
        return self if block is None else _sized(self, tuple(block) if isinstance(block, list) else block)

    def unfit(self, shape: tuple[int, ...]) -> str | None:
        """Say why an array of some shape cannot be dropped, or None if it can.

        Examples
        --------
        >>> from thinnet.variants import find
        >>> find("DropBlock2d").unfit((32, 8, 6, 6))
        'blocks of (7, 7) are larger than the array, of shape (32, 8, 6, 6)'
        """
        if (why := unfit(self.pattern, shape)) is not None:
            return why
        last = shape[len(shape) - len(self.block) :]
        if 0 not in shape and any(size > length for size, length in zip(self.block, last, strict=True)):
            return f"blocks of {self.block} are larger than the array, of shape {shape}"
        return None


@functools.lru_cache(maxsize=256)
def _sized(variant: Variant, block: Any) -> Variant:
    if not variant.block:
        raise InputError(f"{variant.name}: drops no blocks, got block={block!r}.")
    axes = len(variant.block)
    sizes: Any = cast("Any", block) if isinstance(block, tuple) else (block,) * axes
    whole = all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes)
    if len(sizes) != axes or not whole or min(sizes) < 1:
        raise InputError(
            f"{variant.name}: block must be a whole number of at least 1, or {axes} of them, got {block!r}."
        )
    return replace(variant, block=tuple(map(int, sizes)))
