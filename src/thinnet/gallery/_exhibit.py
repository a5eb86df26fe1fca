"""The result of an exhibit, and its picture and animation as matplotlib draws them."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from thinnet._drawing import STYLE
from thinnet.errors import need

__all__ = ["Animation", "Exhibit", "frames", "picture"]

_FRAME_SIZE = (7.2, 4.0)  # of an animation, in inches

Animation: TypeAlias = tuple[Callable[[int], Any], int]
"""A function that draws frame i, and the number of frames."""


@dataclass(frozen=True)
class Exhibit:
    """The result of an experiment.

    Parameters
    ----------
    lines : list of str
        The printed figures.
    sentence : str
        The conclusion.
    draw : function of a matplotlib figure
        Draws the picture.
    size : (float, float)
        Width and height of the picture, in inches.
    animate : function of a matplotlib figure, optional
        Prepares an animation.
    """

    lines: list[str]
    sentence: str
    draw: Callable[[Any], None]
    size: tuple[float, float] = (9.4, 4.2)
    animate: Callable[[Any], Animation] | None = None


def picture(exhibit: Exhibit) -> bytes:
    """Return the picture as PNG."""
    with _figure(exhibit.size) as figure:
        exhibit.draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    return file.getvalue()


def frames(animate: Callable[[Any], Animation]) -> list[Any]:
    """Return the frames of an animation as Pillow images."""
    from PIL import Image

    with _figure(_FRAME_SIZE) as figure:
        draw, count = animate(figure)
        images: list[Any] = []
        for i in range(count):
            draw(i)
            figure.canvas.draw()
            images.append(Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB"))
    return images


@contextmanager
def _figure(size: tuple[float, float]) -> Generator[Any]:
    matplotlib = need("matplotlib", extra="study", owner="thinnet gallery")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure: Any = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
