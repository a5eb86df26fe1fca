"""What an exhibit returns, how it is told and drawn, and the table of all of them."""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thinnet.errors import FileError, InputError, need
from thinnet.files import explain, write_bytes

__all__ = ["EXHIBITS", "Shown", "interval", "show", "table"]

EXHIBITS = {
    "xor": "the 15-line network with dropout, its gradient right and wrong",
    "scaling": "why inverted dropout divides by keep",
    "ensemble": "how many thinned networks make a mean network",
}
"""Name of each exhibit, and what it is about; `thinnet.gallery.NAME` holds it."""


@dataclass(frozen=True)
class Shown:
    """What an experiment came to.

    Parameters
    ----------
    lines : list of str
        Its figures, as they are printed.
    sentence : str
        What they show.
    draw : function of a matplotlib figure
        Draws the picture.
    size : (float, float)
        Of the picture, in inches.
    """

    lines: list[str]
    sentence: str
    draw: Callable[[Any], None]
    size: tuple[float, float] = (9.4, 4.2)


def show(name: str, out: Path, data: Sequence[Path] = ()) -> list[str]:
    """Run an exhibit, write its picture to `out`/NAME.png, and return what is to be printed.

    Raises
    ------
    InputError
        No such exhibit, or data that it does not take.
    FileError
        The data cannot be read, or the picture cannot be written.
    """
    if name not in EXHIBITS:
        raise InputError(f"gallery: there is no exhibit {name!r}; choose one of {', '.join(EXHIBITS)}.")
    need("matplotlib", extra="study", owner="thinnet gallery")
    shown: Shown = importlib.import_module(f"thinnet.gallery.{name}").run(tuple(data))
    path = out / f"{name}.png"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{out}: the folder cannot be made: {explain(error)}.") from error
    write_bytes(path, picture(shown))
    return [*shown.lines, "", shown.sentence, f"picture: {path}"]


def picture(shown: Shown) -> bytes:
    """Return the picture as PNG."""
    matplotlib = need("matplotlib", extra="study", owner="thinnet gallery")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from thinnet.study.figures import STYLE

    with matplotlib.rc_context(STYLE):
        figure: Any = Figure(figsize=shown.size, layout="constrained")
        FigureCanvasAgg(figure)
        shown.draw(figure)
        kept = io.BytesIO()
        figure.savefig(kept, format="png", dpi=150, metadata={"Software": None})
    return kept.getvalue()


def interval(values: Any) -> tuple[float, float, float]:
    """Return mean, low and high of a 95 % interval over seeds (Student's t)."""
    from scipy import stats

    student: Any = stats.t
    x = np.asarray(values, np.float64)
    half = float(student.ppf(0.975, len(x) - 1)) * x.std(ddof=1) / math.sqrt(len(x))
    return float(x.mean()), float(x.mean() - half), float(x.mean() + half)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines, the first column to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines: list[str] = []
    for row in rows:
        cells = zip(row[1:], widths[1:], strict=True)
        lines.append("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in cells)]))
    return lines
