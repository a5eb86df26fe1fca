"""One training in a worker process: rows from disk, a network, curves.

A worker never reads the test set: its files hold the other rows alone.
"""

from __future__ import annotations

import time
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet.sklearn._base import fit_epochs
from thinnet.study._trainings.job import CURVES, TrainingJob, TrainingOutcome, six_digits
from thinnet.study._trainings.pruning import PruningMonitor
from thinnet.study._trainings.settings import estimator, estimator_arguments

__all__ = ["run_job"]

Array: TypeAlias = NDArray[Any]

# The loss of the training rows is measured on so many of them at most.
_MOST_MEASURED_ROWS = 2000


class _StopTraining(Exception):  # noqa: N818 - not an error
    def __init__(self, state: str) -> None:
        self.state = state


def run_job(job: TrainingJob) -> TrainingOutcome:
    """Train and measure; workers call this function alone."""
    started = time.perf_counter()
    x, y, fold = job.rows.read()
    if not job.folds:
        return _train_on_all(job, np.ascontiguousarray(x), np.asarray(y), started)
    curves: dict[str, list[list[float]]] = {name: [] for name in CURVES}
    monitor = PruningMonitor(job, curves["validation_loss"])
    state = "complete"
    for number in job.folds:
        try:
            _train_fold(job, (x, y, fold), number, curves, monitor)
        except _StopTraining as stop:
            state = stop.state
            break
        monitor.end_fold()
    losses, scores = _mean_curve(curves["validation_loss"]), _mean_curve(curves["validation_score"])
    best = int(np.argmin(losses)) if job.settings.patience else len(losses) - 1
    return TrainingOutcome(
        state,
        six_digits(losses[best]),
        best + 1,
        six_digits(scores[best]),
        curves,
        monitor.steps,
        time.perf_counter() - started,
    )


def _mean_curve(folds: list[list[float]]) -> list[float]:
    """Return the mean over folds, epoch by epoch; a fold that stopped early keeps its last value."""
    longest = max(len(values) for values in folds)
    return np.mean([values + values[-1:] * (longest - len(values)) for values in folds], axis=0).tolist()


def _train_on_all(job: TrainingJob, x: Array, y: Array, started: float) -> TrainingOutcome:
    arguments = estimator_arguments(job.settings, job.plan, len(x), job.epochs, job.random_state)
    mlp = estimator(job.rows.classification, arguments)
    fit_epochs(mlp, x, y, classes=job.rows.classes)
    if job.save_to is not None:
        mlp.network_.save(job.save_to)
    losses = [six_digits(value) for value in mlp.loss_curve_]
    seconds = time.perf_counter() - started
    return TrainingOutcome("complete", losses[-1], job.epochs, 0.0, {"train_loss": [losses]}, [], seconds)


def _train_fold(
    job: TrainingJob,
    data: tuple[Array, Array, Array],
    number: int,
    curves: dict[str, list[list[float]]],
    monitor: PruningMonitor,
) -> None:
    """Train without one fold and measure after each epoch; append the measures to `curves`."""
    x, y, fold = data
    inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
    x_train, y_train, x_out, y_out = x[inside], y[inside], x[outside], y[outside]
    random_state = (job.random_state + number) % 2**32
    arguments = estimator_arguments(job.settings, job.plan, len(x_train), job.epochs, random_state)
    mlp = estimator(job.rows.classification, arguments)
    for name in CURVES:
        curves[name].append([])
    fold_curves = {name: curves[name][-1] for name in CURVES}
    patience = job.settings.patience

    def measure() -> bool:
        """Append this epoch's measures; return whether patience is exhausted."""
        loss, score = job.rows.score(mlp.network_, x_out, y_out)
        first_rows = slice(_MOST_MEASURED_ROWS)
        train_loss, train_score = job.rows.score(mlp.network_, x_train[first_rows], y_train[first_rows])
        for name, value in zip(CURVES, (train_loss, loss, train_score, score), strict=True):
            fold_curves[name].append(six_digits(value))
        if job.deadline is not None and time.time() > job.deadline:
            raise _StopTraining("cut")
        if monitor.should_prune(mlp.n_iter_):
            raise _StopTraining("pruned")
        so_far = fold_curves["validation_loss"]
        return patience is not None and len(so_far) - 1 - int(np.argmin(so_far)) >= patience

    fit_epochs(mlp, x_train, y_train, measure, job.rows.classes)
