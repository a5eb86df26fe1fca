"""`results.json`: everything the report shows, as plain JSON."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from dataclasses import dataclass
from typing import Any

import thinnet
from thinnet.study._recipe.scoring import Scores
from thinnet.study._recipe.search import Trial, best_of
from thinnet.study._recipe.stages import Grown, Winner
from thinnet.study._report.code import code
from thinnet.study._tables.problem import Problem
from thinnet.study._trainings.settings import PLAIN, SIDES, Plan, Side, starts
from thinnet.study._trainings.training import CURVES, Outcome

__all__ = ["FORMAT", "Findings", "assemble"]

FORMAT = "thinnet.study/1"


@dataclass(frozen=True)
class Findings:
    """What the stages came to."""

    grown: Grown
    trials: dict[Side, list[Trial]]
    winners: dict[Side, Winner]
    where: list[tuple[str, Outcome]]
    scores: Scores


def assemble(
    problem: Problem, plan: Plan, found: Findings, given: dict[str, Any], seconds: dict[str, float]
) -> dict[str, Any]:
    """Return the results of a study as plain JSON."""
    side, why = recommend(found)
    grown, variants = found.grown, tuple(given["variants"])
    return {
        "format": FORMAT,
        "verdict": found.scores.difference.verdict,
        "sentence": _sentence(problem, found),
        "task": problem.target.task,
        "metric": "error" if problem.classification else "rmse",
        "classes": list(problem.target.classes),
        "chance": found.scores.chance,
        "width": grown.width,
        "depth": plan.depth,
        "recommended": {
            "side": side,
            **found.winners[side].settings.to_json(),
            "epochs": found.winners[side].outcome.epochs,
            "batch": plan.batch,
            "why": why,
        },
        **{side: _side(problem, plan, found, side) for side in SIDES},
        "difference": {
            "mean": found.scores.difference.mean,
            "low": found.scores.difference.both.low,
            "high": found.scores.difference.both.high,
            "seeds_only": vars(found.scores.difference.seeds),
        },
        "boosting": {"name": "HistGradientBoosting", "score": found.scores.boosting},
        "where": [
            {"site": site, "validation_loss": outcome.value, "validation_score": outcome.score}
            for site, outcome in found.where
        ],
        "grow": {
            "reached": grown.reached,
            "reason": grown.reason,
            "widths": [
                {
                    "width": width,
                    "train": [values[-1] for values in outcome.curves["train_score"]],
                    "validation": [values[-1] for values in outcome.curves["validation_score"]],
                }
                for width, outcome in sorted(grown.outcomes.items())
            ],
        },
        "sweep": _sweep(found.trials["dropout"], variants),
        "variants": _variants(found.trials["dropout"], variants),
        "curves": {
            "grown": grown.outcomes[grown.width].curves,
            **{side: {name: found.winners[side].outcome.curves[name] for name in CURVES} for side in SIDES},
        },
        "trials": {side: [_trial(i, trial) for i, trial in enumerate(found.trials[side])] for side in SIDES},
        "code": code(problem, plan, found.winners[side], given),
        "data": {
            "name": problem.table,
            "rows": problem.shape[0],
            "columns": problem.shape[1],
            "target": problem.target.name,
            "test_rows": len(problem.test),
            "group": given["group"],
            "fingerprint": given["fingerprint"],
        },
        "preparation": problem.preparation.describe(),
        "options": given,
        "versions": _versions(),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def recommend(found: Findings) -> tuple[Side, str]:
    """Return which side's settings to use, and why."""
    verdict = found.scores.difference.verdict
    if verdict == "dropout helps":
        return "dropout", "its test score is better than the rival's beyond chance"
    if verdict == "dropout hurts":
        return "baseline", "its test score is better than dropout's beyond chance"
    side = min(SIDES, key=lambda side: found.winners[side].outcome.value)
    return side, "the test set cannot tell the two apart; its validation loss is lower"


def _side(problem: Problem, plan: Plan, found: Findings, side: Side) -> dict[str, Any]:
    winner, scores = found.winners[side], found.scores.seeds[side]
    widths = [problem.x.shape[1], *[winner.settings.width] * plan.depth, problem.outputs]
    return {
        "settings": winner.settings.to_json(),
        "network": "-".join(str(width) for width in widths),
        "validation_loss": winner.outcome.value,
        "epochs": winner.outcome.epochs,
        "scores": scores,
        "mean": sum(scores) / len(scores),
    }


def _sentence(problem: Problem, found: Findings) -> str:
    gap = found.scores.difference
    factor, unit = (100, "points of test error") if problem.classification else (1, "of test RMSE")
    digits = ".2f" if problem.classification else ".4g"
    low, high, mean = (f"{factor * value:+{digits}}" for value in (gap.both.low, gap.both.high, gap.mean))
    start = gap.verdict[0].upper() + gap.verdict[1:]
    return f"{start}: {mean} {unit} against the tuned network without it (95 % interval {low} to {high})."


def _sweep(trials: list[Trial], variants: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return those of the first trials that vary the hidden rate of the first variant alone, by rate."""
    rows: list[dict[str, Any]] = []
    for choice, trial in zip(starts("dropout", variants), trials, strict=False):
        if choice["inputs"] or choice.get("variant", PLAIN) != variants[0]:
            continue
        measured = {
            name: [values[-1] for values in trial.outcome.curves[f"{name}_score"]]
            for name in ("train", "validation")
        }
        rows.append({"rate": choice["hidden_rate"], **measured})
    return sorted(rows, key=lambda row: row["rate"])


def _variants(trials: list[Trial], variants: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return each variant's best trial, the best first; nothing where only one was searched."""
    rows: list[dict[str, Any]] = []
    for variant in variants if len(variants) > 1 else ():
        own = [trial for trial in trials if trial.choice["variant"] == variant]
        best = best_of("dropout", own)
        if best is not None:
            rates = {name: best.choice[name] for name in ("inputs", "input_rate", "hidden_rate")}
            measured = {"validation_loss": best.outcome.value, "validation_score": best.outcome.score}
            rows.append({"variant": variant, "trials": len(own), **rates, **measured})
    return sorted(rows, key=lambda row: row["validation_loss"])


def _trial(number: int, trial: Trial) -> dict[str, Any]:
    return {
        "number": number,
        "state": trial.outcome.state,
        "settings": trial.choice,
        "validation_loss": trial.outcome.value,
        "validation_score": trial.outcome.score,
    }


def _versions() -> dict[str, str]:
    packages = ("numpy", "scikit-learn", "optuna", "pandas")
    return {
        "python": platform.python_version(),
        "thinnet": thinnet.__version__,
        **{name: importlib.metadata.version(name) for name in packages},
    }
