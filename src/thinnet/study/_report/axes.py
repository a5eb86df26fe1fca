"""What the panels share: colours, lines over folds, ticks and legends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from thinnet._drawing import COLOURS
from thinnet.study._tables.metric import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Line",
    "Panel",
    "legend_above",
    "over_entries",
    "over_folds",
    "say_nothing",
    "write_ticks",
]

Panel: TypeAlias = Callable[[Any, dict[str, Any]], str]  # matplotlib's figures are only partly typed


@dataclass(frozen=True)
class Line:
    """The mean over folds, and the lowest and highest fold, point by point; NaN where nothing is known."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def end(self) -> float:
        """Last known mean, NaN if there is none."""
        known = self.mean[np.isfinite(self.mean)]
        return float(known[-1]) if len(known) else math.nan


def over_folds(folds: Sequence[Sequence[float | None]] | None) -> Line:
    """Lay folds over each other; one that stopped early keeps its last value."""
    rows = [np.array(fold, dtype=float) for fold in folds or () if len(fold)] or [np.array([math.nan])]
    length = max(map(len, rows))
    table = np.stack([np.pad(row, (0, length - len(row)), mode="edge") for row in rows])
    known = cast(Any, np.ma.masked_invalid(table))
    return Line(*(part.filled(np.nan) for part in (known.mean(axis=0), known.min(axis=0), known.max(axis=0))))


def over_entries(entries: Sequence[dict[str, Any]], name: str) -> Line:
    """Lay the folds of every width or rate over each other."""
    lines = [over_folds([[score] for score in entry[name]] or [[None]]) for entry in entries]
    return Line(*(np.array([getattr(line, part)[0] for line in lines]) for part in ("mean", "low", "high")))


def say_nothing(axes: Any) -> None:
    """Say that there is nothing to draw."""
    muted = {"color": COLOURS["muted"], "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, **muted)
    axes.set_yticks([])


def write_ticks(axis: Any, metric: Metric | None, unit: str = " %") -> None:
    """Write ticks as plain numbers, errors in per cent, all with the same decimals on a linear axis."""
    error = metric is not None and metric.name == "error"

    def write(value: float, _: int) -> str:
        factor = 100 if error else 1
        alike = axis.get_majorticklocs() if axis.get_scale() == "linear" else [value]
        places = max(len(f"{factor * tick:.6g}".partition(".")[2]) for tick in alike)
        return f"{factor * value:,.{places}f}{unit if error else ''}".replace("-", "−")

    axis.set_major_formatter(write)


def legend_above(axes: Any) -> None:
    """Put the legend above the axes, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda index: labels[index] not in ("validation", "training"))
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.02), "ncols": 5}
    axes.legend([handles[index] for index in order], [labels[index] for index in order], **above)
