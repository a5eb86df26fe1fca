"""Numbers as the tables of the gallery print them."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from thinnet._statistics import mean_interval

__all__ = ["interval_text", "table_lines"]


def interval_text(values: ArrayLike, form: str, factor: float = 1, unit: str = "") -> str:
    """Return the mean of a sample and its 95 % interval as one cell.

    Examples
    --------
    >>> interval_text([0.1, 0.2, 0.3], ".1f", 100, " %")
    '20.0 % (-4.8 to 44.8)'
    """
    mean, low, high = (factor * value for value in mean_interval(values))
    return f"{mean:{form}}{unit} ({low:{form}} to {high:{form}})"


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines: the first column aligned left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines: list[str] = []
    for row in rows:
        cells = zip(row[1:], widths[1:], strict=True)
        lines.append("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in cells)]))
    return lines
