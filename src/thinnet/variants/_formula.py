"""The formulas of a variant, line by line, as the documentation and the command line print them."""

from __future__ import annotations

from thinnet.variants._law import TwoPoint
from thinnet.variants._variant import PASSED, Variant

__all__ = ["lines"]


def lines(row: Variant) -> list[str]:
    """Return the formulas of a row, one for each line.

    A law without a formula is shown by its numbers at the usual rate.

    Examples
    --------
    >>> from thinnet.variants import find
    >>> for line in lines(find("Zoneout")):
    ...     print(line)
    y = x        with chance keep = 1 - rate
    y = other    with chance rate
    mean network: y = keep * x + rate * other
    where other is the previous state
    """
    known = row.formula
    if known is None:
        return _at_the_usual_rate(row)
    text = _cases(known.kept, known.dropped)
    mean = known.mean if row.inference == "mean" else "x"
    text.append(f"mean network: y = {mean}")
    if known.where:
        text.append(f"where {known.where}")
    if "other" in f"{known.kept}{known.dropped}":
        text.append(f"where other is {_other(row)}")
    return text + _block(row)


def _cases(kept: str, dropped: str) -> list[str]:
    if not dropped:
        return [f"y = {kept}"]
    width = max(len(kept), len(dropped))
    return [
        f"y = {kept:<{width}}    with chance keep = 1 - rate",
        f"y = {dropped:<{width}}    with chance rate",
    ]


def _at_the_usual_rate(row: Variant) -> list[str]:
    law, (gain, shift) = row.law_of(row.usual), row.mean_of(row.usual)
    cases = ["y = gain * x + shift * other, both from a table"]
    if isinstance(law, TwoPoint):
        sides = [f"{float(a):g} * x + {float(b):g} * other" for a, b in (law.kept, law.dropped)]
        cases = _cases(*sides)
    mean = f"mean network: y = {float(gain):g} * x + {float(shift):g} * other"
    return [f"at rate {row.usual:g}:", *cases, mean, f"where other is {_other(row)}", *_block(row)]


def _other(row: Variant) -> str:
    return {"lowest": "the lowest finite number of the dtype", **PASSED}.get(row.other, row.other)


def _block(row: Variant) -> list[str]:
    if not row.block:
        return []
    sides = " x ".join(map(str, row.block))
    return [
        f"an entry is dropped if a block of {sides} covers it; a block begins at each place with chance "
        "1 - keep**(1 / entries)"
    ]
