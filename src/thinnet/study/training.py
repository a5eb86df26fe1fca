"""One training, in a process of its own: rows from disk, a network, curves.

A worker never sees the test set: the files it reads hold the other rows alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from thinnet import net
from thinnet.random import Key
from thinnet.study.settings import Plan, Settings, Side, build, optimizer, space

__all__ = ["CURVES", "Job", "Outcome", "Past", "Rows", "run_job"]

Array: TypeAlias = NDArray[Any]

CURVES = ("train_loss", "validation_loss", "train_score", "validation_score")

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
        Classes, or 1.
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
        z = network.logits(x)
        rows, _ = network.loss.rows(z, y if self.classification else y[:, None])
        loss = float(rows.mean(dtype=np.float64))
        if self.classification:
            return loss, float(np.mean(np.asarray(z.argmax(axis=1) != y)))
        return loss, self.scale * loss**0.5


@dataclass(frozen=True)
class Past:
    """What the pruner may know: the trials of earlier generations, as (choice, validation loss, steps)."""

    side: Side
    choice: dict[str, Any]
    trials: tuple[tuple[dict[str, Any], float, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Job:
    """One training or, over folds, a few.

    Parameters
    ----------
    rows, plan, settings
        What to train on and how.
    key : Key
        Its randomness; fold and seed are folded in already or by fold number.
    folds : tuple of int
        Validation folds to go through; empty: train on all rows and measure nothing.
    epochs : int
        How many passes; the learning rate's cosine always spans `plan.epochs`.
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
    key: Key
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
        Mean over folds of the best validation loss; the training loss where nothing is validated.
    epochs : int
        Mean over folds of the best epoch.
    score : float
        Mean over folds of the validation score at the best epoch.
    curves : dict
        Name of the measure → one list per fold, epoch by epoch.
    seconds : float
        How long it took.
    """

    state: str
    value: float
    epochs: int
    score: float
    curves: dict[str, list[list[float]]]
    seconds: float

    def steps(self, epochs: int) -> tuple[float, ...]:
        """Return what the pruner compares: step by step, the best loss so far, mean over the folds so far."""
        values: list[float] = []
        ended = 0.0
        for fold, losses in enumerate(self.curves["validation_loss"]):
            best = np.minimum.accumulate(losses)
            best = np.concatenate([best, np.full(epochs - len(best), best[-1])])
            values += ((ended + best) / (fold + 1)).tolist()
            ended += float(best[-1])
        return tuple(values)


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
    prune = _pruner(job) if job.past else None
    state = "complete"
    for number in job.folds:
        try:
            _train_fold(job, (x, y, fold), number, curves, prune)
        except _StopTraining as stop:
            state = stop.state
            break
    best = [int(np.argmin(losses)) for losses in curves["validation_loss"] if losses]
    losses = [values[i] for values, i in zip(curves["validation_loss"], best, strict=False)]
    scores = [values[i] for values, i in zip(curves["validation_score"], best, strict=False)]
    return Outcome(
        state,
        _short(float(np.mean(losses))) if losses else float("inf"),
        round(float(np.mean(best))) + 1 if best else 1,
        _short(float(np.mean(scores))) if scores else float("inf"),
        curves,
        time.perf_counter() - begun,
    )


def _train_on_all(job: Job, x: Array, y: Array, begun: float) -> Outcome:
    network = build(job.settings, job.plan, x.shape[1], job.rows.outputs, job.key)
    updates = -(-len(x) // job.plan.batch)
    history = network.fit(
        x,
        y,
        epochs=job.epochs,
        batch=job.plan.batch,
        optimizer=optimizer(job.settings, job.plan.epochs * updates),
        on_epoch=lambda _: job.deadline is not None and time.time() > job.deadline,
    )
    if job.save_to is not None:
        network.save(job.save_to)
    curves: dict[str, list[list[float]]] = {"train_loss": [[_short(v) for v in history.loss]]}
    return Outcome("complete", _short(history.loss[-1]), job.epochs, 0.0, curves, time.perf_counter() - begun)


def _train_fold(
    job: Job,
    data: tuple[Array, Array, Array],
    number: int,
    curves: dict[str, list[list[float]]],
    prune: Callable[[int, float], bool] | None,
) -> None:
    """Train without one fold, and measure after each epoch; append to `curves` as it goes."""
    x, y, fold = data
    inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
    x_train, y_train, x_out, y_out = x[inside], y[inside], x[outside], y[outside]
    network = build(job.settings, job.plan, x.shape[1], job.rows.outputs, job.key.fold(number))
    for name in CURVES:
        curves[name].append([])
    here = {name: curves[name][-1] for name in CURVES}
    done = [min(losses) for losses in curves["validation_loss"][:-1]]
    patience = job.settings.patience

    def measure(epoch: net.Epoch) -> bool:
        loss, score = job.rows.score(network, x_out, y_out)
        inner = job.rows.score(network, x_train[:_MEASURED], y_train[:_MEASURED])
        for name, value in zip(CURVES, (inner[0], loss, inner[1], score), strict=True):
            here[name].append(_short(value))
        if job.deadline is not None and time.time() > job.deadline:
            raise _StopTraining("cut")
        so_far = here["validation_loss"]
        if prune is not None and prune(
            len(done) * job.plan.epochs + epoch.number - 1, float(np.mean([*done, min(so_far)]))
        ):
            raise _StopTraining("pruned")
        return patience is not None and len(so_far) - 1 - int(np.argmin(so_far)) >= patience

    updates = -(-len(x_train) // job.plan.batch)
    network.fit(
        x_train,
        y_train,
        epochs=job.epochs,
        batch=job.plan.batch,
        optimizer=optimizer(job.settings, job.plan.epochs * updates),
        on_epoch=measure,
    )


def _pruner(job: Job) -> Callable[[int, float], bool]:
    """Return Optuna's median pruner over the trials of earlier generations."""
    import optuna

    assert job.past is not None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    dimensions = space(job.past.side)
    study = optuna.create_study(
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=job.plan.epochs // 3)
    )
    for choice, value, steps in job.past.trials:
        study.add_trial(
            optuna.trial.create_trial(
                params=choice,
                distributions=dimensions,
                value=value,
                intermediate_values=dict(enumerate(steps)),
            )
        )
    study.enqueue_trial(job.past.choice)
    trial = study.ask(dimensions)

    def prune(step: int, value: float) -> bool:
        trial.report(value, step)
        return trial.should_prune()

    return prune


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def on_all_rows(job: Job, epochs: int, save_to: Path) -> Job:
    """Return the job that trains the same settings on every row, for `epochs` passes."""
    return replace(job, folds=(), epochs=epochs, save_to=save_to, past=None)
