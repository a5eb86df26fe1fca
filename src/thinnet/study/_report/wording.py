"""The wording of a study: every number and sentence, once for results.json, the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from thinnet.study._recipe.verdict import Difference
from thinnet.study._tables.problem import Problem
from thinnet.study._trainings.settings import PLAIN

__all__ = [
    "Metric",
    "answer_questions",
    "describe_problem",
    "format_count",
    "format_duration",
    "format_label",
    "format_loss",
    "format_setting",
    "significant",
    "state_verdict",
    "summarise",
    "to_number",
]

# --- numbers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    r"""The format of scores and their differences: errors in per cent, RMSE in the target's unit.

    Examples
    --------
    >>> Metric("error").score(0.01667), Metric("rmse").score(48213.4)
    ('1.67\xa0%', '48,213')
    >>> Metric("error").interval(-0.0091, -0.0017)
    '−0.91 to −0.17 points'
    """

    name: str

    @property
    def title(self) -> str:
        """The metric's name within a sentence."""
        return "error" if self.name == "error" else "RMSE"

    @property
    def headline(self) -> str:
        """The metric's name at the beginning of a sentence."""
        return self.title[0].upper() + self.title[1:]

    @property
    def unit(self) -> str:
        """Unit of a difference, with a space before it."""
        return " points" if self.name == "error" else ""

    @property
    def factor(self) -> float:
        """Factor of a score before it is formatted."""
        return 100.0 if self.name == "error" else 1.0

    def score(self, value: float | None) -> str:
        """Format a score."""
        if value is None or not math.isfinite(value):
            return "–"
        if self.name == "error":
            return f"{100 * value:.{1 if value >= 0.0995 else 2}f}\xa0%"
        return significant(value, 4)

    def change(self, value: float | None, spread: float | None = None) -> str:
        """Format a difference of two scores with its sign, to the digits that `spread` justifies."""
        if value is None or not math.isfinite(value):
            return "–"
        value *= self.factor
        scale = abs(value) if spread is None or not math.isfinite(spread) else spread * self.factor
        places = _decimals(scale, 2)
        while value and places < 12 and round(value, places) == 0:
            places += 1  # a bound that is not zero must not read as zero
        return _typeset(f"{round(value, places):,.{max(0, places)}f}")

    def subtract(self, score: float, other: float) -> str:
        """Format the difference of two scores with as many decimals as the scores have."""
        if not (math.isfinite(score) and math.isfinite(other)):
            return "–"
        larger = max(abs(score), abs(other))
        places = max(0, _decimals(larger, 4)) if self.name != "error" else 1 if larger >= 0.0995 else 2
        return _typeset(f"{self.factor * (score - other):+,.{places}f}")

    def interval(self, low: float | None, high: float | None) -> str:
        """Format an interval of differences."""
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
            return "unknown"
        half = (high - low) / 2
        return f"{self.change(low, half)} to {self.change(high, half)}{self.unit}"


def to_number(value: Any) -> float:
    """Return a value of results.json as a number; None and other values become NaN."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def significant(value: float, digits: int) -> str:
    """Format a number with so many digits, and an exponent only if it is very large or small."""
    if value and not 1e-6 <= abs(value) < 1e12:
        return _typeset(f"{value:.{digits - 1}e}")
    return _typeset(f"{value:,.{max(0, _decimals(abs(value), digits))}f}")


def format_loss(value: float) -> str:
    """Format a loss."""
    return significant(value, 3) if math.isfinite(value) else "–"


def format_count(value: int) -> str:
    """Format a count."""
    return f"{value:,}"


def format_setting(value: Any) -> str:
    """Format a setting in three digits at most."""
    if value is None:
        return "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def format_label(name: str) -> str:
    """Return the name of a setting in words."""
    return {"max_norm": "max-norm"}.get(name, name.replace("_", " "))


def format_duration(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def _decimals(scale: float, digits: int) -> int:
    """Return the decimals that give a number of size `scale` so many digits; negative: round to tens."""
    return min(12, digits - 1 - math.floor(math.log10(scale))) if 0 < scale < math.inf else 0


def _typeset(text: str) -> str:
    return text.replace("-", "−")


def _to_ascii(text: str) -> str:
    """Return a formatted number for a terminal that may have ASCII letters alone."""
    return text.replace("−", "-").replace("–", "-").replace("\xa0", " ")


# --- before the first training ------------------------------------------------------------------


def describe_problem(problem: Problem) -> Iterator[str]:
    """Yield lines about the data, the task and the treatment of each column."""
    rows, columns = problem.shape
    yield f"{problem.table}: {rows:,} rows, {columns:,} columns, target {problem.target.name}"
    yield f"task: {problem.target.task} ({problem.target.why})"
    columns_by_treatment: dict[tuple[str, str], list[str]] = {}
    for row in problem.preparation.describe():
        columns_by_treatment.setdefault((row["kind"], row["treatment"]), []).append(row["column"])
    for (kind, treatment), names in columns_by_treatment.items():
        few = len(names) <= 6
        listed = ", ".join(names) if few else f"{', '.join(names[:5])} … {names[-1]} ({len(names)})"
        yield f"  {kind:<9} {listed}: {treatment.removeprefix('dropped: ')}"


# --- the verdict --------------------------------------------------------------------------------


def state_verdict(metric: Metric, difference: Difference) -> str:
    """Return the verdict in a sentence with its difference and interval: `sentence` of results.json."""
    error = metric.name == "error"
    unit, digits = ("points of test error", ".2f") if error else ("of test RMSE", ".4g")
    values = difference.both.low, difference.both.high, difference.mean
    low, high, mean = (f"{metric.factor * value:+{digits}}" for value in values)
    start = difference.verdict[0].upper() + difference.verdict[1:]
    return (
        f"{start}: {mean} {unit} against the tuned network without dropout (95 % interval {low} to {high})."
    )


def summarise(results: dict[str, Any]) -> list[str]:
    """Return the lines that the command prints at the end of a study."""
    metric = Metric(results["metric"])
    means = {side: metric.score(results[side]["mean"]) for side in ("dropout", "baseline")}
    trees, guess = metric.score(results["boosting"]["score"]), metric.score(results["chance"])
    scores = (
        f"  test {metric.title}, mean over {len(results['dropout']['scores'])} seeds: with dropout "
        f"{means['dropout']}, without {means['baseline']}, boosted trees {trees}, constant guess {guess}"
    )
    variants = [
        f"{row['variant']} {row['validation_loss']:.4g} ({row['trials']} trials)"
        for row in results.get("variants", ())
    ]
    recommended = results["recommended"]
    with_or_without = "with" if recommended["side"] == "dropout" else "without"
    return [
        "",
        results["sentence"],
        _to_ascii(scores),
        f"  best with dropout: {_describe_winner(results, several_variants=bool(variants))}",
        *([f"  least validation loss of each variant: {', '.join(variants)}"] if variants else []),
        f"  recommended: {with_or_without} dropout, since {recommended['why']}",
    ]


def _describe_winner(results: dict[str, Any], *, several_variants: bool) -> str:
    settings = results["dropout"]["settings"]
    norm = "no max-norm" if settings["max_norm"] is None else f"max-norm {settings['max_norm']:.2f}"
    plain = settings["variant"] in (PLAIN, None) and not several_variants
    return (
        f"{results['dropout']['network']}, input {settings['input_rate']:.2f}, "
        f"hidden {settings['hidden_rate']:.2f}, {norm}{'' if plain else ', ' + str(settings['variant'])}"
    )


# --- the three answers of the page --------------------------------------------------------------


def answer_questions(results: dict[str, Any], metric: Metric) -> list[tuple[str, str]]:
    """Return the three questions of a study with their answers."""
    low, high = (to_number(results["difference"].get(part)) for part in ("low", "high"))
    return [
        ("Does it help?", _does_it_help(results["verdict"], low, high)),
        ("How much?", _how_much(results, metric)),
        ("Where?", _where_does_it_act(results["where"])),
    ]


def _does_it_help(verdict: str, low: float, high: float) -> str:
    """Return the verdict and the interval's position, and no more."""
    verdict = {"dropout helps": "Yes: ", "dropout hurts": "No: "}.get(verdict, "") + verdict
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{verdict[0].upper()}{verdict[1:]}. There is no interval to judge it by."
    place = "includes zero" if low <= 0 <= high else f"lies {'below' if high < 0 else 'above'} zero"
    return f"{verdict[0].upper()}{verdict[1:]}. The 95 % interval of the difference {place}."


def _how_much(results: dict[str, Any], metric: Metric) -> str:
    """Return both test scores with the numbers of seeds and rows that they are means of."""
    dropout, baseline = (metric.score(to_number(results[side]["mean"])) for side in ("dropout", "baseline"))
    seeds, rows = len(results["dropout"]["scores"]), results["data"]["test_rows"]
    tail = f"mean of {seeds} seeds" if seeds != 1 else "one seed"
    text = f"Test {metric.title} {dropout} with dropout, {baseline} without: {tail} on {rows:,} test rows."
    boosting: dict[str, Any] = results.get("boosting") or {}
    score = to_number(boosting.get("score"))
    return text + (f" Boosted trees reach {metric.score(score)}." if math.isfinite(score) else "")


_SITES = {
    "input and hidden": "dropout on the input and the hidden layers",
    "hidden only": "dropout on the hidden layers only",
    "input only": "dropout on the input only",
    "neither": "no dropout at all",
}


def _where_does_it_act(entries: list[dict[str, Any]]) -> str:
    """Return the site of the least validation loss, called what it is: a hint."""
    losses = {entry["site"]: to_number(entry["validation_loss"]) for entry in entries}
    known = {site: loss for site, loss in losses.items() if math.isfinite(loss)}
    if len(known) < 2:
        return "This run did not compare where dropout acts."
    best = min(known, key=lambda site: known[site])
    return (
        f"Lowest validation loss: {_SITES.get(best, best)}. The test set did not confirm this; it is a hint."
    )
