"""Write what a study found for people: one HTML page, and its charts as files."""

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
from thinnet.study._tables.metric import Metric, number, significant

__all__ = ["render_report", "write_report"]

_MOST_ROWS = 500  # of one table; the rest is in results.json
_SIDES = {"dropout": "Dropout", "baseline": "No dropout"}
_COPY = """
const button = document.getElementById("copy"), code = document.getElementById("code");
const say = (word) => {
  button.textContent = word;
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
};
const select = () => { getSelection().selectAllChildren(code); say("Selected"); };
button.hidden = false;
button.addEventListener("click", () => {
  if (!navigator.clipboard) return select();
  navigator.clipboard.writeText(code.textContent).then(() => say("Copied"), select);
});
"""


def write_report(results: dict[str, Any], folder: str | Path) -> None:
    """Write report.html and figures/NAME.svg and .png into `folder`, each whole or not at all.

    Parameters
    ----------
    results : dict
        What the study wrote to results.json.
    folder : path
        The run's folder; made if it does not exist.

    Raises
    ------
    FileError
        A file cannot be written.
    MissingPackage
        jinja2 or matplotlib is not installed.
    """
    pictures = draw_figures(results)
    page = render_report(results, pictures)
    figures = Path(folder) / "figures"
    try:
        figures.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{figures}: the folder cannot be made: {explain(error)}.") from error
    for name, picture in pictures.items():
        write_bytes(figures / f"{name}.svg", picture.svg)
        write_bytes(figures / f"{name}.png", picture.png)
    write_bytes(Path(folder) / "report.html", page.encode("utf-8", "replace"))


def render_report(results: dict[str, Any], pictures: dict[str, Picture]) -> str:
    """Render the page: one file that asks for no other."""
    jinja2 = need("jinja2", extra="study", owner="thinnet study")
    metric = Metric(results["metric"])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= _filters(metric)
    # Markup: the panels come from matplotlib and hold no word of the user's; all else is escaped.
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
    """Gather what the page shows and what is not in the results word for word."""
    found: dict[str, Any] = results["difference"]
    alone: dict[str, Any] = found.get("seeds_only") or {}
    curves: list[dict[str, Any]] = [curve or {} for curve in results["curves"].values()]
    mean, low, high = (number(found.get(part)) for part in ("mean", "low", "high"))
    known = _known(results["where"])
    return {
        "answers": [
            ("Does it help?", _help(results["verdict"], low, high)),
            ("How much?", _how_much(results, metric)),
            ("Where?", _where(known)),
        ],
        "change": ("+" if mean > 0 else "") + metric.change(mean, (high - low) / 2) + metric.unit,
        "interval": metric.interval(low, high),
        "mean_change": metric.subtract(*(number(results[side]["mean"]) for side in _SIDES)),
        "seeds_only": metric.interval(number(alone.get("low")), number(alone.get("high"))),
        "pairs": _pairs(results, metric),
        "compared": _compared(results),
        "preparation": _preparation(results["preparation"]),
        "trials": {side: _trials(results["trials"][side]) for side in _SIDES},
        "sides": _SIDES,
        "folds": max([len(curve.get("validation_loss") or "") for curve in curves], default=0),
        "best_site": min(known, key=_loss)["site"] if known else None,
    }


# --- the three answers --------------------------------------------------------------------------


def _help(verdict: str, low: float, high: float) -> str:
    """Say what the verdict says and no more."""
    verdict = {"dropout helps": "Yes: ", "dropout hurts": "No: "}.get(verdict, "") + verdict
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{verdict[0].upper()}{verdict[1:]}. There is no interval to judge it by."
    place = "includes zero" if low <= 0 <= high else f"lies {'below' if high < 0 else 'above'} zero"
    return f"{verdict[0].upper()}{verdict[1:]}. The 95 % interval of the difference {place}."


def _how_much(results: dict[str, Any], metric: Metric) -> str:
    """Give both test scores and how far they can be trusted."""
    dropout, baseline = (metric.score(number(results[side]["mean"])) for side in ("dropout", "baseline"))
    seeds, rows = len(results["dropout"]["scores"]), results["data"]["test_rows"]
    tail = f"mean of {seeds} seeds" if seeds != 1 else "one seed"
    text = f"Test {metric.title} {dropout} with dropout, {baseline} without: {tail} on {rows:,} test rows."
    boosting: dict[str, Any] = results.get("boosting") or {}
    score = number(boosting.get("score"))
    return text + (f" Boosted trees reach {metric.score(score)}." if math.isfinite(score) else "")


_SITES = {
    "input and hidden": "dropout on the input and the hidden layers",
    "hidden only": "dropout on the hidden layers only",
    "input only": "dropout on the input only",
    "neither": "no dropout at all",
}


def _where(known: list[dict[str, Any]]) -> str:
    """Name the site with the lowest validation loss, as the hint that it is."""
    if len(known) < 2:
        return "This run did not compare where dropout acts."
    best = min(known, key=_loss)
    site = _SITES.get(best["site"], best["site"])
    return f"Lowest validation loss: {site}. This was not put to the test; take it as a hint."


def _loss(entry: dict[str, Any]) -> float:
    return number(entry["validation_loss"])


def _rank(entry: dict[str, Any]) -> float:
    return _loss(entry) if math.isfinite(_loss(entry)) else math.inf


def _known(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if math.isfinite(_loss(entry))]


# --- tables -------------------------------------------------------------------------------------


def _pairs(results: dict[str, Any], metric: Metric) -> list[dict[str, str]]:
    """Put the scores of one seed side by side."""
    scores = zip_longest(results["dropout"]["scores"], results["baseline"]["scores"])
    return [
        {
            "dropout": metric.score(number(dropout)),
            "baseline": metric.score(number(baseline)),
            "change": metric.subtract(number(dropout), number(baseline)),
        }
        for dropout, baseline in scores
    ]


def _compared(results: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """List the settings of both sides, each in one line."""
    sides = [results[side] for side in _SIDES]
    names = list(dict.fromkeys(name for side in sides for name in side["settings"]))
    rows = [("network", [str(side["network"]) for side in sides])]
    rows += [(_label(name), [_setting(side["settings"].get(name, "–")) for side in sides]) for name in names]
    rows += [("epochs trained", [f"{side['epochs']:,}" for side in sides])]
    return [*rows, ("validation loss", [_plain(number(side["validation_loss"])) for side in sides])]


def _preparation(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List what was done to each column; where there are many, one line for all that were treated alike."""
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


def _trials(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Sort trials, the best first; list the settings that any of them has."""
    names = list(dict.fromkeys(name for trial in trials for name in trial["settings"]))
    ranked = sorted(trials, key=lambda trial: (trial["state"] != "complete", _rank(trial)))
    pruned = sum(trial["state"] == "pruned" for trial in trials)
    return {"names": names, "rows": ranked[:_MOST_ROWS], "count": len(trials), "pruned": pruned}


# --- words for values ---------------------------------------------------------------------------


def _filters(metric: Metric) -> dict[str, Callable[[Any], str]]:
    """Name the filters of the template."""

    def score(value: Any) -> str:
        return metric.score(number(value))

    def loss(value: Any) -> str:
        return _plain(number(value))

    def count(value: int) -> str:
        return f"{value:,}"

    return {
        "score": score,
        "loss": loss,
        "count": count,
        "setting": _setting,
        "label": _label,
        "duration": _duration,
    }


def _label(name: str) -> str:
    """Turn the name of a setting into words."""
    return {"max_norm": "max-norm"}.get(name, name.replace("_", " "))


def _setting(value: Any) -> str:
    """Write a setting, short."""
    if value is None:
        return "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _plain(value: float) -> str:
    return significant(value, 3) if math.isfinite(value) else "–"


def _duration(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
