"""One training, in a process of its own: rows from disk, a network, curves.

A worker never sees the test set: the files it reads hold the other rows alone.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from thinnet import net
from thinnet.sklearn._base import fit_epochs
from thinnet.study._trainings.settings import Plan, Settings, Side, estimator, options, space

__all__ = ["CURVES", "Job", "Outcome", "Past", "Rows", "run_job"]

Array: TypeAlias = NDArray[Any]

CURVES = ("train_loss", "validation_loss", "train_score", "validation_score")

_RAN_AWAY = 1e30
_CHECKPOINTS = 10

# The training set's own loss is measured on so many rows at most.
_MEASURED = 2000


@dataclass(frozen=True)
class Rows:
    """The prepared rows outside the test set, kept as .npy files in a folder.

    Parameters
    ----------
    folder : Path
        Holds x.npy (n, d) float32, y.npy (n,) and fold.npy (n,), numbers 0 … 4.
    outputs : int
        Of a network; see `thinnet.study._tables.table.outputs_of`.
    classification : bool
        What y holds: classes as int64, or standardised values as float32.
    scale : float
        One standard deviation of the target, in its own unit.
    """

    folder: Path
    outputs: int
    classification: bool
    scale: float = 1.0

    def read(self) -> tuple[Array, Array, Array]:
        """Return (x, y, fold), mapped from disk."""

        def mapped(name: str) -> Array:
            return cast("Array", np.load(self.folder / f"{name}.npy", mmap_mode="r"))

        return mapped("x"), mapped("y"), mapped("fold")

    def score(self, network: net.Network, x: Array, y: Array) -> tuple[float, float]:
        """Return loss and score (fraction of errors, or RMSE in the target's unit) of the mean network."""
        z = network.compute_logits(x)
        plain = network.loss.plain  # the estimators' own halves squares
        rows, _ = plain.rows(z, y if self.outputs > 1 else y[:, None].astype(z.dtype))
        loss = float(rows.mean(dtype=np.float64))
        if self.classification:
            answers = z.argmax(axis=1) if self.outputs > 1 else z[:, 0] > 0
            return loss, float(np.mean(np.asarray(answers != y)))
        return loss, self.scale * loss**0.5

    @property
    def classes(self) -> Array | None:
        """Every class there is."""
        return np.arange(max(2, self.outputs)) if self.classification else None


@dataclass(frozen=True)
class Past:
    """What the pruner may know: the trials of earlier generations, as (choice, validation loss, steps)."""

    side: Side
    variants: tuple[str, ...]
    choice: dict[str, Any]
    trials: tuple[tuple[dict[str, Any], float, list[float]], ...]


@dataclass(frozen=True)
class Job:
    """One training or, over folds, a few.

    Parameters
    ----------
    rows, plan, settings
        What to train on and how.
    random_state : int
        Where first weights, orders of rows and masks come from; a fold adds its number.
    folds : tuple of int
        Validation folds to go through; empty: train on all rows and measure nothing.
    epochs : int
        How many passes; the learning rate's cosine spans the settings' epochs all the same.
    past : Past, optional
        Lets Optuna's pruner end a hopeless trial.
    save_to : Path, optional
        Where the weights go.
    deadline : float, optional
        `time.time()` after which the training is given up.
    """

    rows: Rows
    plan: Plan
    settings: Settings
    random_state: int
    folds: tuple[int, ...]
    epochs: int
    past: Past | None = None
    save_to: Path | None = None
    deadline: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job; plain JSON inside, rounded to six digits, so that storing it loses nothing.

    Parameters
    ----------
    state : str
        "complete", "pruned" or "cut" (given up at the deadline).
    value : float
        Validation loss, mean over folds, after `epochs`; the training loss where nothing is validated.
    epochs : int
        The last epoch; with early stopping the one at which the folds' mean loss was least.
    score : float
        Validation score, mean over folds, after `epochs`.
    curves : dict
        Name of the measure → one list per fold, epoch by epoch.
    steps : list of float
        What the pruner compares: the best loss so far at ten checkpoints a fold, mean over the folds so far.
    seconds : float
        How long it took.
    """

    state: str
    value: float
    epochs: int
    score: float
    curves: dict[str, list[list[float]]]
    steps: list[float]
    seconds: float


class _StopTraining(Exception):  # noqa: N818 - not an error
    def __init__(self, state: str) -> None:
        self.state = state


def run_job(job: Job) -> Outcome:
    """Train and measure; the one function that workers run."""
    begun = time.perf_counter()
    x, y, fold = job.rows.read()
    if not job.folds:
        return _train_on_all(job, np.ascontiguousarray(x), np.asarray(y), begun)
    curves: dict[str, list[list[float]]] = {name: [] for name in CURVES}
    watch = _Watch(job, curves["validation_loss"])
    state = "complete"
    for number in job.folds:
        try:
            _train_fold(job, (x, y, fold), number, curves, watch)
        except _StopTraining as stop:
            state = stop.state
            break
        watch.end_fold()
    losses, scores = _mean(curves["validation_loss"]), _mean(curves["validation_score"])
    best = int(np.argmin(losses)) if job.settings.patience else len(losses) - 1
    seconds = time.perf_counter() - begun
    return Outcome(state, _short(losses[best]), best + 1, _short(scores[best]), curves, watch.steps, seconds)


def _mean(folds: list[list[float]]) -> list[float]:
    """Return the mean over folds, epoch by epoch; a fold that stopped early keeps its last value."""
    most = max(len(values) for values in folds)
    return np.mean([values + values[-1:] * (most - len(values)) for values in folds], axis=0).tolist()


def _train_on_all(job: Job, x: Array, y: Array, begun: float) -> Outcome:
    told = options(job.settings, job.plan, len(x), job.epochs, job.random_state)
    mlp = estimator(job.rows.classification, told)
    fit_epochs(mlp, x, y, classes=job.rows.classes)
    if job.save_to is not None:
        mlp.network_.save(job.save_to)
    losses = [_short(value) for value in mlp.loss_curve_]
    seconds = time.perf_counter() - begun
    return Outcome("complete", losses[-1], job.epochs, 0.0, {"train_loss": [losses]}, [], seconds)


def _train_fold(
    job: Job,
    data: tuple[Array, Array, Array],
    number: int,
    curves: dict[str, list[list[float]]],
    watch: _Watch,
) -> None:
    """Train without one fold, and measure after each epoch; append to `curves` as it goes."""
    x, y, fold = data
    inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
    x_train, y_train, x_out, y_out = x[inside], y[inside], x[outside], y[outside]
    told = options(job.settings, job.plan, len(x_train), job.epochs, (job.random_state + number) % 2**32)
    mlp = estimator(job.rows.classification, told)
    for name in CURVES:
        curves[name].append([])
    here = {name: curves[name][-1] for name in CURVES}
    patience = job.settings.patience

    def measure() -> bool:
        loss, score = job.rows.score(mlp.network_, x_out, y_out)
        inner = job.rows.score(mlp.network_, x_train[:_MEASURED], y_train[:_MEASURED])
        for name, value in zip(CURVES, (inner[0], loss, inner[1], score), strict=True):
            here[name].append(_short(value))
        if job.deadline is not None and time.time() > job.deadline:
            raise _StopTraining("cut")
        if watch.hopeless(mlp.n_iter_):
            raise _StopTraining("pruned")
        so_far = here["validation_loss"]
        return patience is not None and len(so_far) - 1 - int(np.argmin(so_far)) >= patience

    fit_epochs(mlp, x_train, y_train, measure, job.rows.classes)


class _Watch:
    """Ten times a fold, keep the best loss so far and ask Optuna's median pruner whether to go on."""

    def __init__(self, job: Job, losses: list[list[float]]) -> None:
        self.steps: list[float] = []
        self._epochs = job.settings.epochs
        self._losses = losses
        self._ended: list[float] = []
        self._trial = None if job.past is None else _optuna_trial(job.past)

    def hopeless(self, epoch: int) -> bool:
        """Say whether the trial is worse than half of those before it were at this point."""
        due = len(self._ended) * _CHECKPOINTS + _CHECKPOINTS * epoch // self._epochs
        if due <= len(self.steps):
            return False
        self._fill(due)
        return self._trial is not None and bool(self._trial.should_prune())

    def end_fold(self) -> None:
        """Close a fold, whether it went all the way or stopped early."""
        self._fill((len(self._ended) + 1) * _CHECKPOINTS)
        self._ended.append(min(self._losses[-1]))

    def _fill(self, due: int) -> None:
        value = _short(float(np.mean([*self._ended, min(self._losses[-1])])))
        while len(self.steps) < due:
            if self._trial is not None:
                self._trial.report(value, len(self.steps))
            self.steps.append(value)


def _optuna_trial(past: Past) -> Any:
    """Return the running trial of an Optuna study that holds the trials of earlier generations."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    dimensions = space(past.side, past.variants)
    study = optuna.create_study(
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=_CHECKPOINTS // 2)
    )
    for choice, value, steps in past.trials:
        study.add_trial(
            optuna.trial.create_trial(
                params=choice,
                distributions=dimensions,
                value=value,
                intermediate_values=dict(enumerate(steps)),
            )
        )
    study.enqueue_trial(past.choice)
    return study.ask(dimensions)


def _short(value: float) -> float:
    # A training that ran away counts as very bad; JSON has no word for infinity.
    return float(f"{value:.6g}") if math.isfinite(value) else _RAN_AWAY


def on_all_rows(job: Job, epochs: int, save_to: Path) -> Job:
    """Return the job that trains the same settings on every row, for `epochs` passes."""
    return replace(job, folds=(), epochs=epochs, save_to=save_to, past=None)
