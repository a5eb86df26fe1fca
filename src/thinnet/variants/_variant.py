"""What a dropout variant is: one row of the catalogue."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from thinnet._checks import check, check_choice, check_type, format_value
from thinnet._constraints import Number
from thinnet._core.kernels import Pair
from thinnet.errors import InputError
from thinnet.variants._law import Formula, Law, LawOfRate, Table, TwoPoint
from thinnet.variants._pattern import check_pattern, unfit
from thinnet.variants._rounding import FINE, warn_if_rounded

__all__ = ["MODES", "PASSED", "SITES", "Mode", "Other", "Variant"]

Other: TypeAlias = Literal["zero", "one", "lowest", "previous", "unknown", "null", "pretrained", "twin"]

Mode: TypeAlias = Literal["sample", "mean"]
"""Draw from the law, or apply its mean."""

MODES = ("sample", "mean")

PASSED = {
    "previous": "the previous state",
    "unknown": "the embedding of an unknown word",
    "null": "the null embedding",
    "pretrained": "the weights before fine-tuning",
    "twin": "the other branch",
}
"""The words of `Variant.other` for which the caller passes `other=`, and what it is."""

SITES = {
    "activation": "activations between layers",
    "branch": "branches of a network, and whole layers",
    "weight": "weights",
    "state": "states of recurrent cells",
    "embedding": "embeddings of tokens, and tokens",
    "attention": "attention weights and heads",
    "input": "inputs, groups of inputs, edges and nodes of graphs",
}
"""Every site, and what it is."""

# A pattern whose first axis has one of these names has no axis of samples: nodes, edges, words, weights.
_WITHOUT_SAMPLES = frozenset({"v", "e"})


@dataclass(frozen=True, repr=False)
class Variant:
    """A variant of dropout, `y = gain * x + shift * other`: its site, its pattern and its law.

    Parameters
    ----------
    name : str
        Its name in the literature.
    site : str
        Where it acts: activation, branch, weight, state, embedding, attention or input.
    pattern : str
        Which entries share one lane: one word for each axis, such as "n c 1 1" for one lane for each sample
        and channel, "..." for one for each entry.
    law : function of a rate
        Returns the law of that rate: a `TwoPoint` or a `Table`.
    cite : str
        Where it was published.
    doc : str
        What it does, in one sentence.
    block : tuple of int
        The size of a block along each of the last axes, for variants that drop blocks; a lane then decides
        whether a block begins at its entry, and the rate is still that of an entry.
    other : str
        The replacement of dropped entries: "zero" and "one", "lowest", the lowest finite number of the dtype,
        or a word for an array that the caller passes: "previous", "unknown", "null", "pretrained", "twin".
    inference : {"mean", "identity"}
        What the mean network applies: the law's expectation, or nothing at all.
    usual : float
        The rate that its paper, or practice, starts from.
    helps : str
        Where it is worth a try.
    differs : str
        How it differs from functions of that name elsewhere.

    Raises
    ------
    InputError
        A site, a pattern, a block or another field that is not as above.

    Examples
    --------
    >>> from thinnet.variants import find
    >>> find("Dropout").patterned("n 1")
    Variant('Dropout', 'n 1')
    """

    name: str
    site: str
    pattern: str
    law: LawOfRate
    cite: str
    doc: str
    _: KW_ONLY
    block: tuple[int, ...] = ()
    other: Other = "zero"
    inference: Literal["mean", "identity"] = "mean"
    usual: float = 0.5
    helps: str = ""
    differs: str = ""

    def __post_init__(self) -> None:
        if not check_type("Variant", "name", self.name, str):
            raise InputError("Variant: name must not be empty.")
        if not self.name.isprintable():
            raise InputError(f"Variant: name must be printable text, got {format_value(self.name)}.")
        check_choice(self.name, "site", self.site, tuple(SITES))
        check_choice(self.name, "other", self.other, ("zero", "one", "lowest", *PASSED))
        check_choice(self.name, "inference", self.inference, ("mean", "identity"))
        check(self.name, "usual", self.usual, Number(0, 1))
        check_pattern(self.name, self.pattern)
        if not callable(self.law):
            raise InputError(
                f"{self.name}: law must be a function of a rate that returns a TwoPoint or a Table, "
                f"got {format_value(self.law)}."
            )
        for text in ("cite", "doc", "helps", "differs"):
            check_type(self.name, text, getattr(self, text), str)
        self._check_block()

    def _check_block(self) -> None:
        block = cast("Any", self.block)
        if not isinstance(block, tuple) or not _sizes(cast("Any", block)):
            raise InputError(
                f"{self.name}: block must be a tuple of whole numbers of at least 1, "
                f"got {format_value(block)}."
            )
        words = self.pattern.split()[-len(self.block) :] if self.block else []
        if len(words) < len(self.block) or not all(word.isidentifier() for word in words):
            raise InputError(
                f"{self.name}: pattern must name the last {len(self.block)} axes, those of the blocks, "
                f"got {self.pattern!r}."
            )

    def __repr__(self) -> str:
        block = f", block={self.block}" if self.block else ""
        return f"Variant({self.name!r}, {self.pattern!r}{block})"

    @property
    def formula(self) -> Formula | None:
        """The formula of its law, None if the law has none."""
        return getattr(self.law, "formula", None)

    @property
    def needs_other(self) -> bool:
        """Whether the caller passes the replacement of dropped entries as `other=`."""
        return self.other in PASSED

    @property
    def mean_is_identity(self) -> bool:
        """Whether the mean network leaves x as it is, at every rate below 1."""
        return self.inference == "identity" or (self.formula is not None and self.formula.keeps_mean)

    @property
    def zeroes(self) -> bool:
        """Whether it sets dropped entries to 0 and multiplies the kept ones by one number."""
        return self.formula is not None and self.formula.zeroes

    @property
    def flows(self) -> bool:
        """Whether it can stand between two layers: it acts on rows of activations, and needs no `other`."""
        flowing = self.site in ("activation", "branch", "input")
        return flowing and self.has_samples and self.other in ("zero", "one")

    @property
    def has_samples(self) -> bool:
        """Whether the first axis of what it drops is an axis of samples."""
        return self.site != "weight" and self.pattern.split()[0] not in _WITHOUT_SAMPLES

    def law_of(self, rate: Any) -> Law:
        """Return the law of a rate that has been checked.

        Raises
        ------
        InputError
            An array of rates for a law that takes one number.
        """
        try:
            law = self.law(rate, math.prod(self.block)) if self.block else self.law(rate)
        except InputError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            if isinstance(rate, np.ndarray):
                raise InputError(f"{self.name}: takes one rate, not an array of them.") from error
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"{self.name}: law fails at rate {rate:g} with {reason}.") from error
        if not isinstance(law, TwoPoint | Table):
            got = f"{format_value(law)} at rate {format_value(rate)}"
            raise InputError(f"{self.name}: law must return a TwoPoint or a Table, got {got}.")
        if self.block and isinstance(law, TwoPoint):
            self._warn_if_coarse(rate, law.rate)
        elif type(rate) is float and not FINE <= rate <= 1 - FINE and isinstance(law, TwoPoint):
            warn_if_rounded(self.name, rate, law.threshold)
        return law

    def _warn_if_coarse(self, rate: Any, realised: Any) -> None:
        """Warn if the realised rate of blocks differs from the rate by more than 1 %.

        Seeds are drawn by lanes of 16 bits, and the rate of an entry changes in steps of about
        `block entries / 65536`.
        """
        wrong = abs(realised - rate) > 0.01 * rate
        if not np.any(wrong):
            return
        wanted, got = (float(np.extract(wrong, value)[0]) for value in (rate, realised))
        shape = " x ".join(map(str, self.block))
        # Two digits, so that a schedule does not warn at every step.
        warnings.warn(
            f"{self.name}: blocks of {shape} realise rate {got:.2g} instead of {wanted:.2g}; "
            "use a larger rate or smaller blocks.",
            UserWarning,
            stacklevel=5,
        )

    def mean_of(self, rate: Any) -> Pair:
        """Return the (gain, shift) that the mean network applies at a rate."""
        return self.law_of(rate).mean if self.inference == "mean" else Pair(1.0, 0.0)

    def sized(self, block: int | tuple[int, ...] | None) -> Variant:
        """Return this variant with blocks of another size; None returns it as it is.

        Raises
        ------
        InputError
            It drops no blocks, or the size is not a whole number of at least 1 for each axis.

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
            raise InputError(f"{self.name}: drops no blocks, got block={format_value(block)}.")
        sizes: Any = cast("Any", block) if isinstance(block, tuple | list) else (block,) * axes
        if len(sizes) != axes or not _sizes(sizes):
            raise InputError(
                f"{self.name}: block must be a whole number of at least 1, or {axes} of them, "
                f"got {format_value(block)}."
            )
        return _changed(self, tuple(map(int, sizes)), self.pattern)

    def patterned(self, pattern: str | None) -> Variant:
        """Return this variant with another pattern; None returns it as it is.

        Raises
        ------
        InputError
            No pattern, or one that shares lanes along the axes of blocks.

        Examples
        --------
        >>> import numpy as np, thinnet as tn
        >>> row = tn.variants.find("Dropout").patterned("n 1")
        >>> tn.drop(row, np.ones((3, 4)), 0.5, key=tn.Key(0))
        array([[2., 2., 2., 2.],
               [0., 0., 0., 0.],
               [2., 2., 2., 2.]])
        """
        if pattern is None:
            return self
        return _changed(self, self.block, check_pattern(self.name, pattern))

    def unfit(self, shape: tuple[int, ...]) -> str | None:
        """Return why an array of some shape cannot be dropped, None if it can.

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


def _sizes(values: Any) -> bool:
    """Return whether all values are whole numbers of at least 1."""
    return all(Number(1, whole=True).accepts(value) for value in values)


@functools.lru_cache(maxsize=256)
def _changed(variant: Variant, block: tuple[int, ...], pattern: str) -> Variant:
    return replace(variant, block=block, pattern=pattern)
