"""The report: one HTML page, and its charts as files."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any

from thinnet._drawing import COLOURS
from thinnet._files import explain, write_bytes
from thinnet.errors import FileError, need
from thinnet.study._report.figures import Picture, draw_figures
from thinnet.study._report.wording import (
    Metric,
    answer_questions,
    format_count,
    format_duration,
    format_label,
    format_loss,
    format_setting,
    to_number,
)

__all__ = ["render_report", "write_report"]

_MOST_ROWS = 500  # of one table; the rest is in results.json
_SIDES = {"dropout": "Dropout", "baseline": "No dropout"}
_COPY = """
const button = document.getElementById("copy"), code = document.getElementById("code");
const label = (word) => {
  button.textContent = word;
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
};
const select = () => { getSelection().selectAllChildren(code); label("Selected"); };
button.hidden = false;
button.addEventListener("click", () => {
  if (!navigator.clipboard) return select();
  navigator.clipboard.writeText(code.textContent).then(() => label("Copied"), select);
});
"""


def write_report(results: dict[str, Any], folder: str | Path) -> None:
    """Write report.html and figures/NAME.svg and .png into `folder`, each complete or not at all.

    Parameters
    ----------
    results : dict
        The content of results.json.
    folder : path
        The run's folder; created if it does not exist.

    Raises
    ------
    FileError
        A file cannot be written.
    MissingPackage
        jinja2 or matplotlib is not installed.
    """
    figures = Path(folder) / "figures"
    try:
        figures.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{figures}: the folder cannot be created: {explain(error)}.") from error
    pictures = draw_figures(results)
    page = render_report(results, pictures)
    for name, picture in pictures.items():
        write_bytes(figures / f"{name}.svg", picture.svg)
        write_bytes(figures / f"{name}.png", picture.png)
    write_bytes(Path(folder) / "report.html", page.encode("utf-8", "replace"))


def render_report(results: dict[str, Any], pictures: dict[str, Picture]) -> str:
    """Return the page: one file that needs no other."""
    jinja2 = need("jinja2", extra="study", owner="thinnet study")
    metric = Metric(results["metric"])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= _filters(metric)
    # Markup: the panels come from matplotlib and hold no text of the user; everything else is escaped.
    markup = need("markupsafe", extra="study", owner="thinnet study").Markup
    source = (
        resources.files("thinnet.study._report").joinpath("report.html.jinja").read_text(encoding="utf-8")
    )
    return environment.from_string(source).render(
        r=results,
        metric=metric,
        colours=COLOURS,
        charts={name: [markup(panel) for panel in picture.panels] for name, picture in pictures.items()},
        script=markup(_COPY),
        script_hash=base64.b64encode(hashlib.sha256(_COPY.encode()).digest()).decode(),
        **_views(results, metric),
    )


def _views(results: dict[str, Any], metric: Metric) -> dict[str, Any]:
    """Return the values of the page that results.json does not hold literally."""
    difference: dict[str, Any] = results["difference"]
    seeds_only: dict[str, Any] = difference.get("seeds_only") or {}
    curves: list[dict[str, Any]] = [curve or {} for curve in results["curves"].values()]
    mean, low, high = (to_number(difference.get(name)) for name in ("mean", "low", "high"))
    known = [entry for entry in results["where"] if math.isfinite(_loss(entry))]
    return {
        "answers": answer_questions(results, metric),
        "change": ("+" if mean > 0 else "") + metric.change(mean, (high - low) / 2) + metric.unit,
        "interval": metric.interval(low, high),
        "mean_change": metric.subtract(*(to_number(results[side]["mean"]) for side in _SIDES)),
        "seeds_only": metric.interval(to_number(seeds_only.get("low")), to_number(seeds_only.get("high"))),
        "pairs": _pair_scores(results, metric),
        "compared": _compare_settings(results),
        "preparation": _group_columns(results["preparation"]),
        "trials": {side: _rank_trials(results["trials"][side]) for side in _SIDES},
        "sides": _SIDES,
        "folds": max([len(curve.get("validation_loss") or "") for curve in curves], default=0),
        "best_site": min(known, key=_loss)["site"] if known else None,
    }


def _loss(entry: dict[str, Any]) -> float:
    return to_number(entry["validation_loss"])


# --- tables -------------------------------------------------------------------------------------


def _pair_scores(results: dict[str, Any], metric: Metric) -> list[dict[str, str]]:
    """Return the scores of both sides and their difference, seed by seed."""
    scores = zip_longest(results["dropout"]["scores"], results["baseline"]["scores"])
    return [
        {
            "dropout": metric.score(to_number(dropout)),
            "baseline": metric.score(to_number(baseline)),
            "change": metric.subtract(to_number(dropout), to_number(baseline)),
        }
        for dropout, baseline in scores
    ]


def _compare_settings(results: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the settings of both sides, one line for each setting."""
    sides = [results[side] for side in _SIDES]
    names = list(dict.fromkeys(name for side in sides for name in side["settings"]))
    rows = [("network", [str(side["network"]) for side in sides])]
    for name in names:
        rows.append((format_label(name), [format_setting(side["settings"].get(name, "–")) for side in sides]))
    rows.append(("epochs trained", [format_count(side["epochs"]) for side in sides]))
    return [*rows, ("validation loss", [format_loss(_loss(side)) for side in sides])]


def _group_columns(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one line for each column, or for each treatment if there are many columns."""
    if len(columns) <= 40:
        return [{**column, "names": [column["column"]], "more": 0} for column in columns]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for column in columns:
        groups.setdefault((column["kind"], column["treatment"]), []).append(column)
    return [
        {
            "kind": kind,
            "treatment": treatment,
            "names": [column["column"] for column in group[:3]],
            "more": max(0, len(group) - 3),
            "features": sum(column["features"] for column in group),
        }
        for (kind, treatment), group in groups.items()
    ]


def _rank_trials(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Sort trials, complete ones first, by loss; collect the names of their settings."""

    def rank(trial: dict[str, Any]) -> tuple[bool, float]:
        loss = _loss(trial)
        return trial["state"] != "complete", loss if math.isfinite(loss) else math.inf

    names = list(dict.fromkeys(name for trial in trials for name in trial["settings"]))
    pruned = sum(trial["state"] == "pruned" for trial in trials)
    rows = sorted(trials, key=rank)[:_MOST_ROWS]
    return {"names": names, "rows": rows, "count": len(trials), "pruned": pruned}


def _filters(metric: Metric) -> dict[str, Callable[[Any], str]]:
    """Return the filters of the template, by name."""
    return {
        "score": lambda value: metric.score(to_number(value)),
        "loss": lambda value: format_loss(to_number(value)),
        "count": format_count,
        "setting": format_setting,
        "label": format_label,
        "duration": format_duration,
    }
