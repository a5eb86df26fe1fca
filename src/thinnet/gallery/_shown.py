"""What an exhibit returns, how it is told and drawn, and the table of all of them."""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from thinnet._files import explain, write_bytes
from thinnet.errors import FileError, InputError, need
from thinnet.gallery import _film as film
from thinnet.gallery._backend import NUMPY, choose

__all__ = ["EXHIBITS", "Shown", "interval", "show", "spread", "table"]

EXHIBITS = {
    "xor": "the 15-line network with dropout, its gradient right and wrong",
    "scaling": "why inverted dropout divides by keep",
    "layer": "the layer of the books, and all thinned networks of a small one",
    "overfit": "a curve through twenty noisy points, as it is learned",
    "convnet": "dropout on images, by entry, channel and block; in VGG",
    "ensemble": "how many thinned networks make a mean network",
}
"""Name of each exhibit, and what it is about; `thinnet.gallery.NAME` holds it."""

_FILM = (7.2, 4.0)  # inches of an animation


Film: TypeAlias = tuple[Callable[[int], Any], int]


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
    film : function of a matplotlib figure, optional
        Prepares an animation: returns a function that draws frame i, and how many frames there are.
    """

    lines: list[str]
    sentence: str
    draw: Callable[[Any], None]
    size: tuple[float, float] = (9.4, 4.2)
    film: Callable[[Any], Film] | None = None


def show(name: str, out: Path, data: Sequence[Path] = (), backend: str = "numpy") -> list[str]:
    """Run an exhibit, write its picture to `out`/NAME.png, and return what is to be printed.

    Raises
    ------
    InputError
        No such exhibit, data that it does not take, or a backend other than "numpy" and "torch", or than
        "numpy" where it has no twin in PyTorch.
    FileError
        The data cannot be read, or the picture cannot be written.
    MissingPackage
        Matplotlib, or PyTorch where it is asked for, is not installed.
    """
    if name not in EXHIBITS:
        raise InputError(f"gallery: there is no exhibit {name!r}; choose one of {', '.join(EXHIBITS)}.")
    chosen = choose(backend, name)
    need("matplotlib", extra="study", owner="thinnet gallery")
    try:  # before the work, not behind it
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"{out}: the folder cannot be made: {explain(error)}; name another with --out."
        ) from error
    options = {} if chosen is NUMPY else {"backend": chosen}
    shown: Shown = importlib.import_module(f"thinnet.gallery._{name}").run(tuple(data), **options)
    files = {"picture": (out / f"{name}.png", picture(shown))}
    if shown.film is not None:
        made = frames(shown.film)
        files["animation"] = out / f"{name}.gif", film.gif(made)
        files["with a slider"] = out / f"{name}.html", film.page(EXHIBITS[name], made)
    for path, content in files.values():
        write_bytes(path, content)
    return [*shown.lines, "", shown.sentence, *(f"{what}: {path}" for what, (path, _) in files.items())]


def picture(shown: Shown) -> bytes:
    """Return the picture as PNG."""
    with _figure(shown.size) as figure:
        shown.draw(figure)
        kept = io.BytesIO()
        figure.savefig(kept, format="png", dpi=150, metadata={"Software": None})
    return kept.getvalue()


def frames(film: Callable[[Any], Film]) -> list[Any]:
    """Return the frames of an animation as Pillow images."""
    from PIL import Image

    with _figure(_FILM) as figure:
        draw, count = film(figure)
        made: list[Any] = []
        for i in range(count):
            draw(i)
            figure.canvas.draw()
            made.append(Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB"))
    return made


@contextmanager
def _figure(size: tuple[float, float]) -> Generator[Any]:
    matplotlib = need("matplotlib", extra="study", owner="thinnet gallery")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from thinnet.study._report.figures import STYLE

    with matplotlib.rc_context(STYLE):
        figure: Any = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def interval(values: Any) -> tuple[float, float, float]:
    """Return mean, low and high of a 95 % interval over seeds (Student's t)."""
    from scipy import stats

    student: Any = stats.t
    x = np.asarray(values, np.float64)
    half = float(student.ppf(0.975, len(x) - 1)) * x.std(ddof=1) / math.sqrt(len(x))
    return float(x.mean()), float(x.mean() - half), float(x.mean() + half)


def spread(values: Any, form: str, factor: float = 1, unit: str = "") -> str:
    """Return mean and interval as a cell shows them.

    Examples
    --------
    >>> spread([0.1, 0.2, 0.3], ".1f", 100, " %")
    '20.0 % (-4.8 to 44.8)'
    """
    mean, low, high = (factor * value for value in interval(values))
    return f"{mean:{form}}{unit} ({low:{form}} to {high:{form}})"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines, the first column to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines: list[str] = []
    for row in rows:
        cells = zip(row[1:], widths[1:], strict=True)
        lines.append("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in cells)]))
    return lines
