"""What a dropout variant is: one row of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from thinnet.errors import InputError
from thinnet.kernels import Pair
from thinnet.variants.law import Law, LawOfRate

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
            return self.law(rate)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name}: takes one rate, not an array of them.") from error

    def mean_of(self, rate: Any) -> Pair:
        """Return the (gain, shift) that the mean network applies at a rate."""
        return self.law_of(rate).mean if self.inference == "mean" else (1.0, 0.0)
