"""The four charts of a study: each as an SVG and a PNG file, and panel by panel for the page."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any

from thinnet._drawing import COLOURS, STYLE
from thinnet.errors import need
from thinnet.study._report.axes import Panel
from thinnet.study._report.panels import (
    curves_panel,
    difference_panel,
    rates_panel,
    seeds_panel,
    widths_panel,
)

__all__ = ["Picture", "draw_figures", "draw_panels"]

_WIDTH = 4.7  # of a panel, in inches: the width of a telephone, so that text stays legible there

# Height in inches and panels of every chart.
_CHARTS: dict[str, tuple[float, list[Panel]]] = {
    "curves": (4.4, [curves_panel("grown"), curves_panel("dropout")]),
    "rates": (3.4, [rates_panel]),
    "widths": (3.4, [widths_panel]),
    "scores": (3.2, [seeds_panel, difference_panel]),
}


@dataclass(frozen=True)
class Picture:
    """One chart: as SVG and PNG files, and each panel as an ``<svg>`` element for HTML."""

    svg: bytes
    png: bytes
    panels: tuple[str, ...]


def draw_figures(results: dict[str, Any]) -> dict[str, Picture]:
    """Draw the four charts of a study: "curves", "rates", "widths" and "scores".

    The same results give the same bytes, whatever the user's own matplotlib settings are.

    Parameters
    ----------
    results : dict
        The content of results.json.

    Raises
    ------
    MissingPackage
        matplotlib is not installed.
    """
    return {name: Picture(*_draw_files(name, results), draw_panels(name, results)) for name in _CHARTS}


def draw_panels(name: str, results: dict[str, Any]) -> tuple[str, ...]:
    """Draw the panels of one chart, each as an ``<svg>`` element for HTML.

    Parameters
    ----------
    name : {"curves", "rates", "widths", "scores"}
        The chart.
    results : dict
        The content of results.json.
    """
    height, panels = _CHARTS[name]
    elements: list[str] = []
    with _style():
        from matplotlib.figure import Figure

        for number, draw in enumerate(panels):
            panel = Figure(figsize=(_WIDTH, height), layout="constrained")
            label = draw(panel, results)
            elements.append(_to_element(_render(panel, "svg"), f"{name}-{number}-", label))
    return tuple(elements)


def _draw_files(name: str, results: dict[str, Any]) -> tuple[bytes, bytes]:
    """Draw a chart with all its panels, as SVG and PNG."""
    height, panels = _CHARTS[name]
    with _style():
        from matplotlib.figure import Figure

        chart: Any = Figure(figsize=(_WIDTH * len(panels), height), layout="constrained")
        for draw, subfigure in zip(panels, chart.subfigures(1, len(panels), squeeze=False)[0], strict=True):
            draw(subfigure, results)
        return _render(chart, "svg"), _render(chart, "png")


def _style() -> Any:
    """Return a context with the settings of every chart, whatever the user's own are."""
    need("matplotlib", extra="study", owner="thinnet study")
    from matplotlib import style

    return style.context(["default", STYLE])


def _render(figure: Any, kind: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def _to_element(svg: bytes, prefix: str, label: str) -> str:
    """Turn an SVG file into an element for HTML: ids get a prefix, colours become CSS variables."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):  # a `*` rule would apply to the whole page
                parent.remove(child)
        parent.tag = parent.tag.rpartition("}")[2]
        for key in list(parent.attrib):
            value = re.sub(r"url\(#", f"url(#{prefix}", parent.attrib.pop(key))
            name = key.rpartition("}")[2]
            if name == "id":
                value = prefix + value
            elif name == "href":
                value = re.sub("^#", f"#{prefix}", value)
            elif name == "d":
                value = re.sub(r"(\.\d\d)\d+", r"\1", value)  # a hundredth of a point is precise enough
            parent.set(name, value)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": label, "class": "chart"}
    text = ElementTree.tostring(root, encoding="unicode")
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    return text
