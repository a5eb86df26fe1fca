"""A training as a record: the job that a worker receives and the outcome that it returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thinnet.study._tables.rows import TrainingRows
from thinnet.study._trainings.settings import NetworkSettings, TrainingPlan

__all__ = ["CURVES", "EarlierTrials", "TrainingJob", "TrainingOutcome", "six_digits"]

CURVES = ("train_loss", "validation_loss", "train_score", "validation_score")

_DIVERGED = 1e30


@dataclass(frozen=True)
class EarlierTrials:
    """The trials that Optuna's pruner compares a trial with, and the trial's own choice.

    Parameters
    ----------
    choice : dict
        The choice of the trial that is run.
    dimensions : dict
        Optuna's distributions, by the names of the choice.
    trials : tuple of (choice, validation loss, steps)
        The trials of earlier generations.
    """

    choice: dict[str, Any]
    dimensions: dict[str, Any]
    trials: tuple[tuple[dict[str, Any], float, list[float]], ...]


@dataclass(frozen=True)
class TrainingJob:
    """One training, or one for each of a few folds.

    Parameters
    ----------
    rows, plan, settings
        The data, the study's plan and the network's settings.
    random_state : int
        Seed of initial weights, orders of rows and masks; a fold adds its number.
    folds : tuple of int
        Validation folds; empty to train on all rows without validation.
    epochs : int
        Number of passes; the learning rate's cosine spans the settings' epochs all the same.
    earlier : EarlierTrials, optional
        Lets Optuna's pruner stop a trial that is worse than these.
    save_to : Path, optional
        File for the weights.
    deadline : float, optional
        `time.time()` after which the training is given up.
    """

    rows: TrainingRows
    plan: TrainingPlan
    settings: NetworkSettings
    random_state: int
    folds: tuple[int, ...]
    epochs: int
    earlier: EarlierTrials | None = None
    save_to: Path | None = None
    deadline: float | None = None

    def on_all_rows(self, epochs: int, save_to: Path) -> TrainingJob:
        """Return the job that trains the same settings on every row, for `epochs` passes."""
        return replace(self, folds=(), epochs=epochs, save_to=save_to, earlier=None)


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of a job: plain JSON values, rounded to six digits, so that storing them loses nothing.

    Parameters
    ----------
    state : str
        "complete", "pruned" or "cut" (given up at the deadline).
    value : float
        Validation loss, mean over folds, after `epochs`; the training loss without validation.
    epochs : int
        The last epoch; with early stopping the epoch of the least mean loss over folds.
    score : float
        Validation score, mean over folds, after `epochs`.
    curves : dict
        Name of the measure → one list for each fold, epoch by epoch.
    steps : list of float
        The pruner's values: the best loss so far at ten checkpoints a fold, mean over the folds so far.
    seconds : float
        Duration.
    """

    state: str
    value: float
    epochs: int
    score: float
    curves: dict[str, list[list[float]]]
    steps: list[float]
    seconds: float


def six_digits(value: float) -> float:
    """Round to six significant digits; a diverged training counts as 1e30, since JSON has no infinity."""
    return float(f"{value:.6g}") if math.isfinite(value) else _DIVERGED
