"""`results.json`: all results of a study as plain JSON; the report is made from it alone."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from typing import Any

import thinnet
from thinnet.study._recipe.findings import StudyFindings, recommend
from thinnet.study._recipe.search import SearchTrial, best_of
from thinnet.study._recipe.space import starts
from thinnet.study._recipe.stages import Grown
from thinnet.study._report.code import make_code
from thinnet.study._report.wording import Metric, state_verdict
from thinnet.study._tables.problem import Problem
from thinnet.study._trainings.job import CURVES, TrainingOutcome
from thinnet.study._trainings.settings import PLAIN, SIDES, Side, TrainingPlan

__all__ = ["FORMAT", "assemble"]

FORMAT = "thinnet.study/1"


def assemble(
    problem: Problem,
    plan: TrainingPlan,
    findings: StudyFindings,
    options: dict[str, Any],
    seconds: dict[str, float],
) -> dict[str, Any]:
    """Return the results of a study as plain JSON.

    Parameters
    ----------
    problem, plan, findings
        The table, the settings of all trainings, the results of every stage.
    options : dict
        The study's options and its fingerprint, as JSON values.
    seconds : dict
        Duration of each stage.
    """
    variants = tuple(options["variants"])
    metric = Metric("error" if problem.classification else "rmse")
    dropout_trials = findings.trials["dropout"]
    return {
        "format": FORMAT,
        "verdict": findings.scores.difference.verdict,
        "sentence": state_verdict(metric, findings.scores.difference),
        "task": problem.target.task,
        "metric": metric.name,
        "classes": list(problem.target.classes),
        "chance": findings.scores.chance,
        "width": findings.grown.width,
        "depth": plan.depth,
        "recommended": _recommended(plan, findings),
        **{side: _side(problem, plan, findings, side) for side in SIDES},
        "difference": _difference(findings),
        "boosting": {"name": "HistGradientBoosting", "score": findings.scores.boosting},
        "where": _where(findings.where),
        "grow": _grow(findings.grown),
        "sweep": _sweep(dropout_trials, variants),
        "variants": _variants(dropout_trials, variants),
        "curves": _curves(findings),
        "trials": {side: [_trial(i, t) for i, t in enumerate(findings.trials[side])] for side in SIDES},
        "code": make_code(problem, plan, findings.winners[recommend(findings)[0]], options),
        "data": _data(problem, options),
        "preparation": problem.preparation.describe(),
        "options": options,
        "versions": _versions(),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _recommended(plan: TrainingPlan, findings: StudyFindings) -> dict[str, Any]:
    side, why = recommend(findings)
    winner = findings.winners[side]
    network = {**winner.settings.to_json(), "epochs": winner.outcome.epochs, "batch": plan.batch}
    return {"side": side, **network, "why": why}


def _side(problem: Problem, plan: TrainingPlan, findings: StudyFindings, side: Side) -> dict[str, Any]:
    winner, scores = findings.winners[side], findings.scores.seeds[side]
    widths = [problem.x.shape[1], *[winner.settings.width] * plan.depth, problem.outputs]
    return {
        "settings": winner.settings.to_json(),
        "network": "-".join(str(width) for width in widths),
        "validation_loss": winner.outcome.value,
        "epochs": winner.outcome.epochs,
        "scores": scores,
        "mean": sum(scores) / len(scores),
    }


def _difference(findings: StudyFindings) -> dict[str, Any]:
    difference = findings.scores.difference
    return {
        "mean": difference.mean,
        "low": difference.both.low,
        "high": difference.both.high,
        "seeds_only": vars(difference.seeds),
    }


def _where(compared: list[tuple[str, TrainingOutcome]]) -> list[dict[str, Any]]:
    return [
        {"site": site, "validation_loss": outcome.value, "validation_score": outcome.score}
        for site, outcome in compared
    ]


def _grow(grown: Grown) -> dict[str, Any]:
    widths = [{"width": width, **_last_scores(outcome)} for width, outcome in sorted(grown.outcomes.items())]
    return {"reached": grown.reached, "reason": grown.reason, "widths": widths}


def _last_scores(outcome: TrainingOutcome) -> dict[str, list[float]]:
    """Return the scores after the last epoch, fold by fold, for training and validation rows."""
    return {
        name: [values[-1] for values in outcome.curves[f"{name}_score"]] for name in ("train", "validation")
    }


def _sweep(trials: list[SearchTrial], variants: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the first trials that vary only the hidden rate of the first variant, sorted by rate."""
    rows: list[dict[str, Any]] = []
    for choice, trial in zip(starts("dropout", variants), trials, strict=False):
        if not choice["inputs"] and choice.get("variant", PLAIN) == variants[0]:
            rows.append({"rate": choice["hidden_rate"], **_last_scores(trial.outcome)})
    return sorted(rows, key=lambda row: row["rate"])


def _variants(trials: list[SearchTrial], variants: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the best trial of each variant, sorted by loss; an empty list if only one was searched."""
    rows: list[dict[str, Any]] = []
    for variant in variants if len(variants) > 1 else ():
        own = [trial for trial in trials if trial.choice["variant"] == variant]
        best = best_of("dropout", own)
        if best is not None:
            rates = {name: best.choice[name] for name in ("inputs", "input_rate", "hidden_rate")}
            measured = {"validation_loss": best.outcome.value, "validation_score": best.outcome.score}
            rows.append({"variant": variant, "trials": len(own), **rates, **measured})
    return sorted(rows, key=lambda row: row["validation_loss"])


def _curves(findings: StudyFindings) -> dict[str, Any]:
    grown = findings.grown
    winners = {side: findings.winners[side].outcome.curves for side in SIDES}
    return {
        "grown": grown.outcomes[grown.width].curves,
        **{side: {name: curves[name] for name in CURVES} for side, curves in winners.items()},
    }


def _trial(number: int, trial: SearchTrial) -> dict[str, Any]:
    return {
        "number": number,
        "state": trial.outcome.state,
        "settings": trial.choice,
        "validation_loss": trial.outcome.value,
        "validation_score": trial.outcome.score,
    }


def _data(problem: Problem, options: dict[str, Any]) -> dict[str, Any]:
    rows, columns = problem.shape
    return {
        "name": problem.table,
        "rows": rows,
        "columns": columns,
        "target": problem.target.name,
        "test_rows": len(problem.test),
        "group": options["group"],
        "fingerprint": options["fingerprint"],
    }


def _versions() -> dict[str, str]:
    packages = ("numpy", "scikit-learn", "optuna", "pandas")
    return {
        "python": platform.python_version(),
        "thinnet": thinnet.__version__,
        **{name: importlib.metadata.version(name) for name in packages},
    }
