"""Pruning: a trial that is worse than half of the earlier ones is stopped."""

from __future__ import annotations

from typing import Any

import numpy as np

from thinnet.study._trainings.job import EarlierTrials, TrainingJob, six_digits

__all__ = ["PruningMonitor"]

_CHECKPOINTS = 10


class PruningMonitor:
    """Ten checkpoints a fold, at which the best loss so far is recorded and Optuna's median pruner decides.

    Parameters
    ----------
    job : TrainingJob
        The job that is run; without earlier trials it is never pruned.
    losses : list of list
        The validation losses, one list for each fold, to which the training appends.
    """

    def __init__(self, job: TrainingJob, losses: list[list[float]]) -> None:
        self.steps: list[float] = []
        self._epochs = job.settings.epochs
        self._losses = losses
        self._finished_folds: list[float] = []
        self._trial = None if job.earlier is None else _optuna_trial(job.earlier)

    def should_prune(self, epoch: int) -> bool:
        """Return whether the trial is worse than half of the earlier ones at this point."""
        due = len(self._finished_folds) * _CHECKPOINTS + _CHECKPOINTS * epoch // self._epochs
        if due <= len(self.steps):
            return False
        self._record(due)
        return self._trial is not None and bool(self._trial.should_prune())

    def end_fold(self) -> None:
        """Close a fold, whether it ran all epochs or stopped early."""
        self._record((len(self._finished_folds) + 1) * _CHECKPOINTS)
        self._finished_folds.append(min(self._losses[-1]))

    def _record(self, due: int) -> None:
        value = six_digits(float(np.mean([*self._finished_folds, min(self._losses[-1])])))
        while len(self.steps) < due:
            if self._trial is not None:
                self._trial.report(value, len(self.steps))
            self.steps.append(value)


def _optuna_trial(earlier: EarlierTrials) -> Any:
    """Return the running trial of an Optuna study that holds the earlier trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=_CHECKPOINTS // 2)
    )
    for choice, value, steps in earlier.trials:
        study.add_trial(
            optuna.trial.create_trial(
                params=choice,
                distributions=earlier.dimensions,
                value=value,
                intermediate_values=dict(enumerate(steps)),
            )
        )
    study.enqueue_trial(earlier.choice)
    return study.ask(earlier.dimensions)
