"""The look of every chart: colours, and settings of matplotlib, which is not imported here."""

from __future__ import annotations

from typing import Any

__all__ = ["COLOURS", "STYLE"]

# Each colour has one meaning, so that a page can replace it by a CSS variable of that name.
COLOURS = {
    "dropout": "#0072b2",
    "without": "#d55e00",
    "ink": "#1c2127",
    "muted": "#5d6570",
    "rule": "#d4d8dd",
    "paper": "#ffffff",
}

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": COLOURS["muted"],
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": COLOURS["muted"],
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.facecolor": COLOURS["paper"],
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": COLOURS["rule"],
    "grid.linewidth": 0.6,
    "legend.borderaxespad": 0.2,
    "legend.borderpad": 0,
    "legend.columnspacing": 1.1,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 1.7,
    "legend.handletextpad": 0.5,
    "legend.labelcolor": COLOURS["ink"],
    "lines.linewidth": 1.7,
    "lines.markersize": 5,
    "savefig.facecolor": COLOURS["paper"],
    "svg.fonttype": "none",
    "svg.hashsalt": "thinnet",
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "xtick.color": COLOURS["muted"],
    "xtick.labelsize": 8.5,
    "xtick.major.size": 3,
    "xtick.major.width": 0.7,
    "ytick.color": COLOURS["muted"],
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
}
