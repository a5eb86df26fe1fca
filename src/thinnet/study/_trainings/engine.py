"""The engine: runs tasks on this machine's workers, and takes over what other machines have finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from thinnet.study._trainings.job import TrainingJob, TrainingOutcome
from thinnet.study._trainings.progress import Progress
from thinnet.study._trainings.store import Store
from thinnet.study._trainings.workers import Workers

__all__ = ["Clock", "Engine", "StageTask"]

_POLL = 1.0


@dataclass(frozen=True)
class StageTask:
    """A slot of a stage, the job that fills it, and its point in the search space."""

    stage: str
    slot: str
    job: TrainingJob
    choice: dict[str, Any] = field(default_factory=dict[str, Any])
    dimensions: dict[str, Any] = field(default_factory=dict[str, Any])


class Clock:
    """The time budget in seconds, if there is one; it starts when the clock is made."""

    def __init__(self, budget: float | None) -> None:
        self.budget = budget
        self._end = None if budget is None else time.time() + budget

    def seconds_left(self) -> float:
        """Return the remaining seconds; infinite without a budget."""
        return float("inf") if self._end is None else self._end - time.time()

    def deadline(self, reserve: float) -> float | None:
        """Return the time at which `reserve` seconds remain, or None without a budget."""
        return None if self._end is None else self._end - reserve


class Engine:
    """Run tasks on workers, and store their outcomes."""

    def __init__(self, store: Store, workers: Workers, progress: Progress) -> None:
        self.store = store
        self.workers = workers
        self.progress = progress

    def run(
        self, tasks: list[StageTask], describe: Callable[[StageTask, TrainingOutcome], str] | None = None
    ) -> dict[str, TrainingOutcome]:
        """Return the outcome of every task by slot, without tasks cut at their deadline.

        The engine waits for tasks that another machine has claimed. `describe` returns the text that
        progress shows after a task.
        """
        batch = _Batch(self, tasks, describe or (lambda _task, _outcome: ""))
        batch.collect_finished()
        while batch.open_tasks():
            self.workers.run(batch.claim_jobs(), batch.record, self.store.renew_claims)
            if batch.open_tasks():
                time.sleep(_POLL)
                batch.collect_finished()
        return batch.outcomes


class _Batch:
    """Tasks that run together, and their outcomes so far."""

    def __init__(
        self, engine: Engine, tasks: list[StageTask], describe: Callable[[StageTask, TrainingOutcome], str]
    ) -> None:
        self.outcomes: dict[str, TrainingOutcome] = {}
        self._engine = engine
        self._tasks = tasks
        self._describe = describe
        self._given_up: set[str] = set()
        # Finished by an earlier process or on another machine, but their weights are not in this folder.
        self._without_weights: set[str] = set()

    def open_tasks(self) -> list[StageTask]:
        """Return the tasks that are neither finished nor given up."""
        return [
            task for task in self._tasks if task.slot not in self.outcomes and task.slot not in self._given_up
        ]

    def collect_finished(self) -> None:
        """Take over the outcomes that the store has."""
        finished = {
            stage: self._engine.store.finished(stage) for stage in {task.stage for task in self._tasks}
        }
        for task in self.open_tasks():
            outcome = finished[task.stage].get(task.slot)
            if outcome is None:
                continue
            if task.job.save_to is None or task.job.save_to.exists():
                self._finish(task, outcome)
            else:
                self._without_weights.add(task.slot)

    def claim_jobs(self) -> Iterator[tuple[StageTask, TrainingJob]]:
        """Claim and yield tasks one by one; a task past its deadline is given up instead."""
        for task in self.open_tasks():
            if task.job.deadline is not None and time.time() > task.job.deadline:
                self._given_up.add(task.slot)
            elif task.slot in self._without_weights or self._claim(task):
                yield task, task.job

    def _claim(self, task: StageTask) -> bool:
        return self._engine.store.claim(task.stage, task.slot, task.choice, task.dimensions)

    def record(self, task: StageTask, outcome: TrainingOutcome) -> None:
        """Store a worker's outcome."""
        if task.slot not in self._without_weights:
            self._engine.store.record(task.stage, task.slot, outcome)
        if outcome.state == "cut":
            self._given_up.add(task.slot)
        else:
            self._finish(task, outcome)

    def _finish(self, task: StageTask, outcome: TrainingOutcome) -> None:
        self.outcomes[task.slot] = outcome
        self._engine.progress.advance(self._describe(task, outcome))
