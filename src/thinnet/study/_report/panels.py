"""The panels of a study's charts; each function draws one and returns its description in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thinnet._drawing import COLOURS
from thinnet.study._report.axes import (
    Line,
    Panel,
    band_over_entries,
    band_over_folds,
    draw_legend_above,
    format_ticks,
    note_no_data,
)
from thinnet.study._report.wording import Metric, significant, to_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["curves_panel", "difference_panel", "rates_panel", "seeds_panel", "widths_panel"]

_MOST_POINTS = 240  # of a line; more would only enlarge the page


# --- curves -------------------------------------------------------------------------------------


def curves_panel(side: str) -> Panel:
    """Return the panel of one side, "grown" or "dropout": loss above, score below, the gap shaded."""
    colour, title = {
        "grown": (COLOURS["without"], "without dropout"),
        "dropout": (COLOURS["dropout"], "with dropout"),
    }[side]

    def draw(figure: Any, results: dict[str, Any]) -> str:
        metric = Metric(results["metric"])
        upper, lower = figure.subplots(2, 1, height_ratios=[3, 2])
        words: list[str] = []
        for axes, name, label in ((upper, "loss", "loss"), (lower, "score", metric.title)):
            lines = _read_curves(results, name)
            _set_curve_axes(axes, lines, side, None if name == "loss" else metric)
            axes.set_ylabel(label)
            gap = _draw_gap(axes, *lines[side], colour, None if name == "loss" else metric)
            if side == "dropout":
                _draw_rival(axes, lines)
            words.append(f"the gap between training and validation {label} ends at {gap}")
        draw_legend_above(upper)
        upper.set_title(title, color=colour, pad=20)
        lower.set_xlabel("epoch")
        return f"{title.capitalize()}: {'; '.join(words)}."

    return draw


def _read_curves(results: dict[str, Any], name: str) -> dict[str, tuple[Line, Line]]:
    """Read the training and validation curves of the loss or the score, of every network."""
    curves: dict[str, dict[str, Any]] = {part: results["curves"].get(part) or {} for part in _NETWORKS}
    return {
        part: (band_over_folds(curve.get(f"train_{name}")), band_over_folds(curve.get(f"validation_{name}")))
        for part, curve in curves.items()
    }


_NETWORKS = ("grown", "dropout", "baseline")


def _set_curve_axes(axes: Any, lines: dict[str, tuple[Line, Line]], side: str, metric: Metric | None) -> None:
    """Choose axes that show the ends of the curves; the first epochs and diverged folds may exceed them."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    bands = [line for part in ("grown", "dropout") for line in lines[part]]
    late = np.concatenate([line.high[len(line.high) // 8 :] for line in bands])
    top = float(np.max(late[np.isfinite(late)], initial=1e-9))
    ends = [end for part in ("grown", "dropout") if math.isfinite(end := lines[part][1].end)]
    if ends and max(ends) > 12 * min(ends) > 0:
        axes.set_yscale("log")
        axes.set_ylim(min(ends) / 8, 1.3 * min(top, 20 * max(ends)))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 1.06 * min(top, 4 * max(ends, default=top) or top))
        axes.yaxis.set_major_locator(MaxNLocator(5))
    format_ticks(axes.yaxis, metric)
    last = max([len(line.mean) for line in lines[side]] + [1])
    span = max(last - 1, 1)
    axes.set_xlim(1 - 0.03 * span, last + 0.42 * span)
    ticks = MaxNLocator(5, integer=True).tick_values(1, last)
    axes.set_xticks([tick for tick in ticks if 1 <= tick <= last])
    axes.spines["bottom"].set_bounds(1 - 0.03 * span, last)


def _draw_gap(axes: Any, train: Line, validation: Line, colour: str, metric: Metric | None) -> str:
    """Draw both curves and the area between them; return the gap at the end in words."""
    if not (math.isfinite(train.end) and math.isfinite(validation.end)):
        note_no_data(axes)
        return "an unknown value"
    length = min(len(train.mean), len(validation.mean))
    at = _select_points(length)
    axes.fill_between(at + 1, train.mean[at], validation.mean[at], color=colour, alpha=0.13, linewidth=0)
    for line, dash, label in ((validation, "-", "validation"), (train, (0, (3, 1.5)), "training")):
        axes.fill_between(at + 1, line.low[at], line.high[at], color=colour, alpha=0.22, linewidth=0)
        marker = "o" if length < 3 else None
        axes.plot(at + 1, line.mean[at], color=colour, linestyle=dash, label=label, marker=marker)
    difference = float(validation.mean[-1] - train.mean[-1])
    if not math.isfinite(difference):
        return "an unknown value"
    text = significant(difference, 2) if metric is None else metric.change(difference) + metric.unit
    ends = np.clip([train.end, validation.end], *axes.get_ylim())
    middle = math.sqrt(ends[0] * ends[1]) if axes.get_yscale() == "log" else ends.mean()
    left, right = axes.get_xlim()
    x = length + 0.03 * (right - left)
    axes.plot([x, x], ends, color=colour, linewidth=3, solid_capstyle="butt")
    background = {"facecolor": COLOURS["paper"], "edgecolor": "none", "pad": 1.5}
    bold: dict[str, Any] = {"color": colour, "va": "center", "weight": "bold", "bbox": background}
    axes.text(x + 0.015 * (right - left), middle, f"gap {text}", **bold)
    return text


def _draw_rival(axes: Any, lines: dict[str, tuple[Line, Line]]) -> None:
    """Draw the tuned network without dropout as a thin line, up to the panel's last epoch."""
    rival = lines["baseline"][1].mean[: len(lines["dropout"][1].mean)]
    if np.isfinite(rival).any():
        at = _select_points(len(rival))
        style: dict[str, Any] = {"color": COLOURS["ink"], "linewidth": 0.9, "zorder": 3}
        axes.plot(at + 1, rival[at], label="validation, tuned rival", **style)


def _select_points(length: int) -> NDArray[np.int64]:
    """Return the points of a line that are drawn, including the first and the last."""
    return np.unique(np.linspace(0, length - 1, min(length, _MOST_POINTS)).round().astype(np.int64))


# --- rates and widths ---------------------------------------------------------------------------


def rates_panel(figure: Any, results: dict[str, Any]) -> str:
    """Draw the score over the hidden rate: the sweep as lines, every trial as a dot."""
    axes, metric = figure.subplots(), Metric(results["metric"])
    sweep = results["sweep"]
    rates = np.array([entry["rate"] for entry in sweep], dtype=float)
    train, validation = band_over_entries(sweep, "train"), band_over_entries(sweep, "validation")
    _draw_with_bars(axes, rates, validation, train, "dropout")
    trials = [
        (float(trial["settings"]["hidden_rate"]), to_number(trial["validation_score"]), trial["state"])
        for trial in results["trials"]["dropout"]
        if trial["settings"].get("hidden_rate") is not None
    ]
    trials = [trial for trial in trials if math.isfinite(trial[1])]
    complete = [score for _, score, state in trials if state == "complete"]
    bottom, highest, top = _score_limits(train, validation, complete)
    _draw_trials(axes, trials, highest)
    axes.set_ylim(bottom, top)
    axes.set_xlim(-0.03, max(0.0, 0.83, *rates, *(rate for rate, _, _ in trials)) + 0.03)
    chosen = results["dropout"]["settings"].get("hidden_rate")
    best = "recommended" if results["recommended"]["side"] == "dropout" else "best"
    words = f"{best} rate {chosen:.2g}" if chosen is not None else ""
    _finish(axes, metric, "hidden rate", chosen, words)
    if not trials and not np.isfinite(validation.mean).any():
        note_no_data(axes)
    counts = f"{len(rates)} rates and {len(trials)} trials"
    return f"{metric.headline} over the hidden rate, {counts}; {words}."


def _draw_trials(axes: Any, trials: Sequence[tuple[float, float, str]], highest: float) -> None:
    """Draw a dot for each trial, hollow if pruned, and an arrow for a score above the axis."""
    ink, paper, muted = COLOURS["ink"], COLOURS["paper"], COLOURS["muted"]
    for done, face, label in ((True, ink, "trial"), (False, paper, "pruned")):
        dots = [(rate, score) for rate, score, state in trials if (state == "complete") is done]
        within = [dot for dot in dots if dot[1] <= highest]
        if within:
            style: dict[str, Any] = {"facecolor": face, "edgecolor": ink, "linewidth": 0.8, "s": 13}
            axes.scatter(*zip(*within, strict=True), label=label, zorder=2, **style)
    above = [rate for rate, score, _ in trials if score > highest]
    if above:
        at_top: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.scatter(above, [1] * len(above), marker="^", s=16, color=muted, label="off scale", **at_top)


def widths_panel(figure: Any, results: dict[str, Any]) -> str:
    """Draw the score over the width, without dropout, with the width chosen."""
    axes, metric = figure.subplots(), Metric(results["metric"])
    entries = results["grow"]["widths"]
    widths = np.array([entry["width"] for entry in entries], dtype=float)
    train, validation = band_over_entries(entries, "train"), band_over_entries(entries, "validation")
    axes.set_xscale("log", base=2)
    _draw_with_bars(axes, widths, validation, train, "without")
    bottom, _, top = _score_limits(train, validation, [])
    axes.set_ylim(bottom, top)
    known = sorted({*widths, float(results["width"])})
    axes.set_xlim(min(known) / 1.35, max(known) * 1.35)
    axes.set_xticks(known, [f"{width:g}" for width in known])
    axes.minorticks_off()
    _finish(axes, metric, "width of the hidden layers", results["width"], f"chosen {results['width']}")
    return f"{metric.headline} over {len(widths)} widths without dropout; chosen {results['width']}."


def _draw_with_bars(axes: Any, at: NDArray[np.float64], validation: Line, train: Line, colour: str) -> None:
    """Draw validation and training scores with bars from the lowest to the highest fold."""
    signs = ((validation, "-", "validation", colour), (train, (0, (3, 1.5)), "training", "paper"))
    for line, dash, label, face in signs:
        if np.isfinite(line.mean).any():
            bars = np.array([line.mean - line.low, line.high - line.mean])
            style: dict[str, Any] = {"color": COLOURS[colour], "markerfacecolor": COLOURS[face]}
            style |= {"linestyle": dash, "marker": "o", "markersize": 4, "elinewidth": 1, "zorder": 4}
            axes.errorbar(at, line.mean, bars, label=label, **style)


def _finish(axes: Any, metric: Metric, label: str, chosen: float | None, words: str) -> None:
    """Label the axes, mark the chosen value and draw the legend."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5))
    format_ticks(axes.yaxis, metric)
    axes.set_xlabel(label)
    axes.set_ylabel(metric.title)
    if chosen is not None:
        axes.axvline(chosen, color=COLOURS["ink"], linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1)
        late = axes.transAxes.inverted().transform(axes.transData.transform((chosen, 0)))[0] > 0.6
        axes.annotate(
            words,
            (chosen, 1),
            (-4 if late else 4, -5),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
        )
    draw_legend_above(axes)


def _score_limits(train: Line, validation: Line, trials: Sequence[float]) -> tuple[float, float, float]:
    """Return limits for the sweep and most trials: bottom, highest score drawn, top with room for text."""
    swept = np.concatenate([train.low, train.high, validation.low, validation.high])
    swept = swept[np.isfinite(swept)]
    usual = np.quantile(trials, 0.75) if trials else -math.inf
    top = float(max(np.max(swept, initial=0.0), usual)) or 1.0
    bottom = float(np.min(swept, initial=min(trials, default=top)))
    room = 0.12 * (top - bottom) or 0.1 * abs(top) or 0.1
    return max(bottom - room / 2, 0.0), top + 0.2 * room, top + 1.5 * room


# --- scores -------------------------------------------------------------------------------------


def seeds_panel(figure: Any, results: dict[str, Any]) -> str:
    """Draw the test scores of both sides, the two of one seed joined."""
    axes, metric = figure.subplots(), Metric(results["metric"])
    sides = [[to_number(score) for score in results[side]["scores"]] for side in ("baseline", "dropout")]
    for pair in zip(*sides, strict=False):
        axes.plot([0, 1], pair, color=COLOURS["muted"], linewidth=0.7, alpha=0.7, zorder=1)
    signs = ((-1, "without", "s", "no dropout"), (1, "dropout", "o", "dropout"))
    for x, (scores, (outward, colour, marker, _)) in enumerate(zip(sides, signs, strict=True)):
        style: dict[str, Any] = {"marker": marker, "s": 26, "edgecolor": COLOURS["paper"], "linewidth": 0.8}
        axes.scatter([x] * len(scores), scores, color=COLOURS[colour], zorder=3, **style)
        mean = to_number(results["baseline" if x == 0 else "dropout"]["mean"])
        if math.isfinite(mean):
            ends = [x + 0.08 * outward, x + 0.3 * outward]
            axes.plot(ends, [mean, mean], color=COLOURS[colour], linewidth=2.6, solid_capstyle="butt")
            words = {"ha": "right" if x == 0 else "left", "va": "center", "weight": "bold"}
            axes.text(x + 0.33 * outward, mean, metric.score(mean), color=COLOURS[colour], **words)
    _draw_references(
        axes, results, metric, [score for side in sides for score in side if math.isfinite(score)]
    )
    axes.set_xlim(-0.85, 1.85)
    axes.set_xticks([0, 1], [label for _, _, _, label in signs])
    axes.set_ylabel(f"test {metric.title}")
    format_ticks(axes.yaxis, metric)
    means = [metric.score(to_number(results[side]["mean"])) for side in ("dropout", "baseline")]
    return f"Test {metric.title} of {len(sides[1])} seeds: mean {means[0]} with dropout, {means[1]} without."


def _draw_references(axes: Any, results: dict[str, Any], metric: Metric, scores: list[float]) -> None:
    """Draw boosted trees and the constant guess as thin lines, unless that would flatten the rest."""
    if not scores:
        return
    low, high = min(scores), max(scores)
    span = (high - low) or 0.1 * abs(high) or 0.1
    boosting: dict[str, Any] = results.get("boosting") or {}
    trees = (to_number(boosting.get("score")), "boosted trees", (0, (5, 2)))
    guess = (to_number(results["chance"]), "constant guess", ":")
    for value, label, dash in (trees, guess):
        if low - 1.2 * span <= value <= high + 1.2 * span:
            text = f"{label} {metric.score(value)}"
            axes.axhline(value, color=COLOURS["ink"], linewidth=0.9, linestyle=dash, label=text)
            low, high = min(low, value), max(high, value)
    axes.set_ylim(max(low - 0.15 * span, 0), high + 0.15 * span)
    if axes.get_legend_handles_labels()[0]:
        draw_legend_above(axes)


def difference_panel(figure: Any, results: dict[str, Any]) -> str:
    """Draw the difference of the test scores and its intervals against zero."""
    from matplotlib.ticker import MaxNLocator

    axes, metric = figure.subplots(), Metric(results["metric"])
    found: dict[str, Any] = results["difference"]
    alone: dict[str, Any] = found.get("seeds_only") or {}
    pairs = zip(results["dropout"]["scores"], results["baseline"]["scores"], strict=False)
    each = [difference for a, b in pairs if math.isfinite(difference := to_number(a) - to_number(b))]
    mean = to_number(found["mean"])
    bars = [(to_number(part.get("low")), to_number(part.get("high"))) for part in (found, alone)]
    for y, width, (low, high) in zip((2, 1), (4.5, 1.8), bars, strict=True):
        axes.plot([low, high], [y, y], color=COLOURS["ink"], linewidth=width, solid_capstyle="butt")
    axes.plot([mean], [2], "o", color=COLOURS["ink"], markersize=9, markeredgecolor=COLOURS["paper"])
    axes.plot([mean], [1], "o", color=COLOURS["ink"], markersize=5)
    axes.plot(each, [0] * len(each), "o", color=COLOURS["muted"], markersize=4.5, alpha=0.7)
    known = [value for value in (0.0, mean, *each, *bars[0], *bars[1]) if math.isfinite(value)]
    span = (max(known) - min(known)) or 1.0
    axes.set_xlim(min(known) - 0.4 * span, max(known) + 0.4 * span)
    axes.axvline(0, color=COLOURS["muted"], linewidth=1, zorder=1)
    axes.set_yticks([2, 1, 0], ["95 % interval", "seeds alone", "each seed"])
    axes.set_ylim(-0.6, 2.6)
    axes.grid(False)
    for x, align, words in ((0, "left", "← dropout better"), (1, "right", "dropout worse →")):
        axes.text(x, 1.02, words, transform=axes.transAxes, ha=align, va="bottom", color=COLOURS["muted"])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    format_ticks(axes.xaxis, metric, unit="")
    axes.set_xlabel(f"test {metric.title}, dropout minus no dropout{' (points)' if metric.unit else ''}")
    interval = metric.interval(found.get("low"), found.get("high"))
    return f"Difference of test {metric.title}: {metric.change(mean)}{metric.unit}; 95 % interval {interval}."
