"""The test set's one use: every confirmed network scored on it, both sides, all seeds, at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet import net
from thinnet.study._recipe.verdict import Difference, difference, row_scores
from thinnet.study._tables.problem import Problem
from thinnet.study._trainings.settings import SIDES, Side

__all__ = ["Scores", "score"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Scores:
    """What the test set said.

    Parameters
    ----------
    seeds : dict of side to list
        Error (fraction) or RMSE, one a seed.
    difference : Difference
        Dropout minus the rival.
    boosting, chance : float
        Of scikit-learn's HistGradientBoosting with its defaults, and of the constant guess.
    """

    seeds: dict[Side, list[float]]
    difference: Difference
    boosting: float
    chance: float


def score(problem: Problem, weights: dict[Side, list[Path]]) -> Scores:
    """Score everything on the test set."""
    truth = problem.target.y[problem.test]
    table: dict[Side, Array] = {}
    for side in SIDES:
        networks = [net.Network.load(path) for path in weights[side]]
        missed = np.stack([_missed(problem, answers(problem, network), truth) for network in networks])
        table[side] = missed if problem.classification else row_scores(missed)
    groups = None if problem.groups is None else problem.groups[problem.test]
    return Scores(
        {side: table[side].mean(axis=1).tolist() for side in SIDES},
        difference(table["dropout"], table["baseline"], groups),
        _summary(problem, _missed(problem, _boosted(problem), truth)),
        _summary(problem, _missed(problem, _constant(problem), truth)),
    )


def answers(problem: Problem, network: net.Network) -> Array:
    """Return a network's answers for the test rows: classes, or values in the target's unit."""
    predicted = network.predict(problem.x_test)
    return (
        predicted if problem.classification else predicted.astype(np.float64) * problem.scale + problem.center
    )


def _missed(problem: Problem, predicted: Array, truth: Array) -> Array:
    return (predicted != truth).astype(np.float64) if problem.classification else predicted - truth


def _summary(problem: Problem, missed: Array) -> float:
    return float(missed.mean()) if problem.classification else float(np.sqrt(np.mean(missed**2)))


def _boosted(problem: Problem) -> Array:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind: Any = HistGradientBoostingClassifier if problem.classification else HistGradientBoostingRegressor
    # One thread: sums then have one order on every machine.
    with threadpool_limits(1):
        return kind(random_state=0).fit(problem.x, problem.target.y[problem.rows]).predict(problem.x_test)


def _constant(problem: Problem) -> Array:
    y = problem.target.y[problem.rows]
    guess = np.bincount(y.astype(np.intp)).argmax() if problem.classification else y.mean()
    return np.full(len(problem.test), guess)
