"""What a dropout variant is: one row of the catalogue."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Literal, TypeAlias, cast

from thinnet._core.kernels import Pair
from thinnet.errors import InputError
from thinnet.variants._law import Law, LawOfRate
from thinnet.variants._pattern import unfit

__all__ = ["HANDED", "Variant"]

Other: TypeAlias = Literal["zero", "one", "lowest", "previous", "unknown", "pretrained", "twin"]

HANDED = {
    "previous": "the state before",
    "unknown": "the embedding of an unknown word",
    "pretrained": "the weights before fine-tuning",
    "twin": "the other branch",
}
"""What has to be handed in as `other`, and what it is."""


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
        Which entries share one lane (`thinnet.variants._pattern`).
    law : function of a rate
        Returns the law of that rate (`thinnet.variants._law`).
    cite : str
        Where it was published.
    doc : str
        What it does, in one sentence.
    block : tuple of int
        How long a block is along each of the last axes, for variants that drop blocks; a lane then decides
        whether a block begins at its entry, and the rate is still that of an entry.
    other : str
        What stands in for what is dropped: "zero" and "one", "lowest", the lowest finite number of the dtype,
        or an array that is handed in (`HANDED`).
    inference : {"mean", "identity"}
        What the mean network applies: the law's expectation, or nothing at all.
    usual : float
        The rate that its paper, or practice, starts from.
    helps : str
        Where it is worth a try.
    differs : str
        From what goes by that name elsewhere.
    """

    name: str
    site: str
    pattern: str
    law: LawOfRate
    cite: str
    doc: str
    block: tuple[int, ...] = ()
    other: Other = "zero"
    inference: Literal["mean", "identity"] = "mean"
    usual: float = 0.5
    helps: str = ""
    differs: str = ""

    @property
    def flows(self) -> bool:
        """Whether it can stand between two layers: acts on rows of what flows there, and needs no more."""
        rows = self.pattern[0] in "n.1"
        return self.site in ("activation", "branch", "input") and rows and self.other in ("zero", "one")

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
        if block is None:
            return self
        axes = len(self.block)
        if not axes:
            raise InputError(f"{self.name}: drops no blocks, got block={block!r}.")
        sizes: Any = cast("Any", block) if isinstance(block, tuple | list) else (block,) * axes
        whole = all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes)
        if len(sizes) != axes or not whole or min(sizes) < 1:
            raise InputError(
                f"{self.name}: block must be a whole number of at least 1, or {axes} of them, got {block!r}."
            )
        return _sized(self, tuple(map(int, sizes)))

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
def _sized(variant: Variant, block: tuple[int, ...]) -> Variant:
    return replace(variant, block=block)
