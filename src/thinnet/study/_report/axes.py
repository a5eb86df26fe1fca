"""Tools of the panels: colours, lines over folds, ticks and legends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from thinnet._drawing import COLOURS
from thinnet.study._report.wording import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Line",
    "Panel",
    "band_over_entries",
    "band_over_folds",
    "draw_legend_above",
    "format_ticks",
    "note_no_data",
]

Panel: TypeAlias = Callable[[Any, dict[str, Any]], str]  # matplotlib's figures are only partly typed


@dataclass(frozen=True)
class Line:
    """The mean over folds, and the lowest and highest fold, point by point; NaN where it is unknown."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def end(self) -> float:
        """Last known mean, NaN if there is none."""
        known = self.mean[np.isfinite(self.mean)]
        return float(known[-1]) if len(known) else math.nan


def band_over_folds(folds: Sequence[Sequence[float | None]] | None) -> Line:
    """Return the band of some folds; a fold that stopped early keeps its last value."""
    rows = [np.array(fold, dtype=float) for fold in folds or () if len(fold)] or [np.array([math.nan])]
    length = max(map(len, rows))
    table = np.stack([np.pad(row, (0, length - len(row)), mode="edge") for row in rows])
    known = cast(Any, np.ma.masked_invalid(table))
    return Line(*(part.filled(np.nan) for part in (known.mean(axis=0), known.min(axis=0), known.max(axis=0))))


def band_over_entries(entries: Sequence[dict[str, Any]], name: str) -> Line:
    """Return the band of the folds of every width or rate."""
    lines = [band_over_folds([[score] for score in entry[name]] or [[None]]) for entry in entries]
    return Line(*(np.array([getattr(line, part)[0] for line in lines]) for part in ("mean", "low", "high")))


def note_no_data(axes: Any) -> None:
    """Write that no data were recorded."""
    muted = {"color": COLOURS["muted"], "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, **muted)
    axes.set_yticks([])


def format_ticks(axis: Any, metric: Metric | None, unit: str = " %") -> None:
    """Format ticks as plain numbers, errors in per cent; on a linear axis all have the same decimals."""
    error = metric is not None and metric.name == "error"

    def format_tick(value: float, _: int) -> str:
        factor = 100 if error else 1
        ticks = axis.get_majorticklocs() if axis.get_scale() == "linear" else [value]
        places = max(len(f"{factor * tick:.6g}".partition(".")[2]) for tick in ticks)
        return f"{factor * value:,.{places}f}{unit if error else ''}".replace("-", "−")

    axis.set_major_formatter(format_tick)


def draw_legend_above(axes: Any) -> None:
    """Put the legend above the axes, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda index: labels[index] not in ("validation", "training"))
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.02), "ncols": 5}
    axes.legend([handles[index] for index in order], [labels[index] for index in order], **above)
