"""The only use of the test set: all confirmed networks, both sides, all seeds, are scored on it at once."""

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

__all__ = ["FinalScores", "predict_test_rows", "score"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class FinalScores:
    """The scores on the test set.

    Parameters
    ----------
    seeds : dict of side to list
        Error (fraction) or RMSE, one for each seed.
    difference : Difference
        Dropout minus the rival.
    boosting, chance : float
        Scores of scikit-learn's HistGradientBoosting with its defaults, and of the constant guess.
    """

    seeds: dict[Side, list[float]]
    difference: Difference
    boosting: float
    chance: float


def score(problem: Problem, weights: dict[Side, list[Path]]) -> FinalScores:
    """Score both sides, boosted trees and the constant guess on the test set."""
    truth = problem.target.y[problem.test]
    table: dict[Side, Array] = {}
    for side in SIDES:
        networks = [net.Network.load(path) for path in weights[side]]
        errors = np.stack(
            [_errors_by_row(problem, predict_test_rows(problem, network), truth) for network in networks]
        )
        table[side] = errors if problem.classification else row_scores(errors)
    groups = None if problem.groups is None else problem.groups[problem.test]
    return FinalScores(
        {side: table[side].mean(axis=1).tolist() for side in SIDES},
        difference(table["dropout"], table["baseline"], groups),
        _score(problem, _errors_by_row(problem, _predict_with_trees(problem), truth)),
        _score(problem, _errors_by_row(problem, _predict_constant(problem), truth)),
    )


def predict_test_rows(problem: Problem, network: net.Network) -> Array:
    """Return a network's predictions for the test rows: classes, or values in the target's unit."""
    predicted = network.predict(problem.x_test)
    return (
        predicted if problem.classification else predicted.astype(np.float64) * problem.scale + problem.center
    )


def _errors_by_row(problem: Problem, predicted: Array, truth: Array) -> Array:
    return (predicted != truth).astype(np.float64) if problem.classification else predicted - truth


def _score(problem: Problem, errors: Array) -> float:
    return float(errors.mean()) if problem.classification else float(np.sqrt(np.mean(errors**2)))


def _predict_with_trees(problem: Problem) -> Array:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind: Any = HistGradientBoostingClassifier if problem.classification else HistGradientBoostingRegressor
    # One thread, so that sums have the same order on every machine.
    with threadpool_limits(1):
        return kind(random_state=0).fit(problem.x, problem.target.y[problem.rows]).predict(problem.x_test)


def _predict_constant(problem: Problem) -> Array:
    y = problem.target.y[problem.rows]
    guess = np.bincount(y.astype(np.intp)).argmax() if problem.classification else y.mean()
    return np.full(len(problem.test), guess)
