"""What each law does to an entry, in words that can be computed: the formulas of the documentation."""

from __future__ import annotations

from dataclasses import dataclass

from thinnet.variants._variant import HANDED, Variant

__all__ = ["FORMULAS", "Formula", "lines"]


@dataclass(frozen=True)
class Formula:
    """The formulas of a law of `variants/law.py` or `variants/tables.py`.

    Parameters
    ----------
    kept, dropped : str
        What becomes of an entry; for a table both are one, and `dropped` is empty.
    mean : str
        What is expected of it.
    where : str
        What the letters stand for.
    """

    kept: str
    dropped: str
    mean: str
    where: str = ""


FORMULAS = {
    "inverted": Formula("x / keep", "0", "x"),
    "unscaled": Formula("x", "0", "keep * x"),
    "hold": Formula("x", "other", "keep * x + rate * other"),
    "mixed": Formula("(x - rate * other) / keep", "other", "x"),
    "alpha": Formula(
        "a * x + b",
        "a * A + b",
        "keep * a * x",
        "A = -1.7580993, a = (keep + keep * rate * A**2)**-0.5, b = -a * A * rate",
    ),
    "gaussian": Formula("g * x", "", "x", "g from N(1, rate / keep)"),
    "uniform": Formula("g * x", "", "x", "g even on (1 - s, 1 + s), s = (3 * rate / keep)**0.5"),
    "log_normal": Formula("g * x", "", "x", "g = exp(h), h from N(-v / 2, v), v = -log(keep)"),
    "shake": Formula(
        "g * x + (1 - g) * other",
        "",
        "(x + other) / 2",
        "g even on ((1 - rate) / 2, (1 + rate) / 2)",
    ),
}
"""The formulas by the name of the law."""


def lines(row: Variant) -> list[str]:
    """Return a row's formulas, one a line.

    Examples
    --------
    >>> from thinnet.variants import find
    >>> for line in lines(find("Zoneout")):
    ...     print(line)
    y = x        with chance keep = 1 - rate
    y = other    with chance rate
    mean network: y = keep * x + rate * other
    where other is the state before
    """
    known = FORMULAS[row.law.__name__]
    told = [f"y = {known.kept}"]
    if known.dropped:
        width = max(len(known.kept), len(known.dropped))
        told = [
            f"y = {known.kept:<{width}}    with chance keep = 1 - rate",
            f"y = {known.dropped:<{width}}    with chance rate",
        ]
    mean = known.mean if row.inference == "mean" else "x"
    told.append(f"mean network: y = {mean}")
    if known.where:
        told.append(f"where {known.where}")
    if "other" in f"{known.kept}{known.dropped}":
        stands = {"lowest": "the lowest finite number of the dtype", **HANDED}
        told.append(f"where other is {stands[row.other]}")
    if row.block:
        sides = " x ".join(map(str, row.block))
        told.append(
            f"dropped = in a block of {sides} that began; each begins with chance 1 - keep**(1 / entries)"
        )
    return told
