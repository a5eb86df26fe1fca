"""The engine: gets slots trained, whoever trains them, and keeps an eye on the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from thinnet.study._trainings.progress import Progress
from thinnet.study._trainings.store import Store
from thinnet.study._trainings.training import Job, Outcome
from thinnet.study._trainings.workers import Workers

__all__ = ["Clock", "Engine", "Task"]

_POLL = 1.0


@dataclass(frozen=True)
class Task:
    """A slot of a stage, and the job that fills it."""

    stage: str
    slot: str
    job: Job
    choice: dict[str, Any] = field(default_factory=dict[str, Any])
    dimensions: dict[str, Any] = field(default_factory=dict[str, Any])


class Clock:
    """What is left of the time budget, if there is one."""

    def __init__(self, budget: float | None) -> None:
        self.budget = budget
        self._end = None if budget is None else time.time() + budget

    def left(self) -> float:
        """Return the seconds left; infinite without a budget."""
        return float("inf") if self._end is None else self._end - time.time()

    def deadline(self, reserve: float) -> float | None:
        """Return the time at which `reserve` seconds are left, or None without a budget."""
        return None if self._end is None else self._end - reserve


class Engine:
    """Run tasks on workers, and keep what comes of them."""

    def __init__(self, store: Store, workers: Workers, progress: Progress) -> None:
        self.store = store
        self.workers = workers
        self.progress = progress

    def run(
        self, tasks: list[Task], best: Callable[[Task, Outcome], str] | None = None
    ) -> dict[str, Outcome]:
        """Return the outcome of every task by slot; those cut at their deadline are absent.

        Tasks that another machine has claimed are waited for.
        """
        batch = _Batch(self, tasks, best or (lambda _task, _outcome: ""))
        batch.look_up()
        while batch.open():
            self.workers.run(batch.claimed(), batch.done, self.store.beat)
            if batch.open():
                time.sleep(_POLL)
                batch.look_up()
        return batch.outcomes


class _Batch:
    """Tasks that are run together, and which of them are still open."""

    def __init__(self, engine: Engine, tasks: list[Task], best: Callable[[Task, Outcome], str]) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._engine = engine
        self._tasks = tasks
        self._best = best
        self._given_up: set[str] = set()
        # Finished in an earlier life or elsewhere, but the weights they left are not in this folder.
        self._weightless: set[str] = set()

    def open(self) -> list[Task]:
        """Return the tasks that nobody has finished or given up."""
        return [
            task for task in self._tasks if task.slot not in self.outcomes and task.slot not in self._given_up
        ]

    def look_up(self) -> None:
        """Take over what is finished in the store."""
        finished = {
            stage: self._engine.store.finished(stage) for stage in {task.stage for task in self._tasks}
        }
        for task in self.open():
            outcome = finished[task.stage].get(task.slot)
            if outcome is None:
                continue
            if task.job.save_to is None or task.job.save_to.exists():
                self._keep(task, outcome)
            else:
                self._weightless.add(task.slot)

    def claimed(self) -> Iterator[tuple[Task, Job]]:
        """Yield tasks one by one as they are claimed; past its deadline a task is given up instead."""
        for task in self.open():
            if task.job.deadline is not None and time.time() > task.job.deadline:
                self._given_up.add(task.slot)
            elif task.slot in self._weightless or self._claim(task):
                yield task, task.job

    def _claim(self, task: Task) -> bool:
        return self._engine.store.claim(task.stage, task.slot, task.choice, task.dimensions)

    def done(self, task: Task, outcome: Outcome) -> None:
        """Store what a worker has finished."""
        if task.slot not in self._weightless:
            self._engine.store.tell(task.stage, task.slot, outcome)
        if outcome.state == "cut":
            self._given_up.add(task.slot)
        else:
            self._keep(task, outcome)

    def _keep(self, task: Task, outcome: Outcome) -> None:
        self.outcomes[task.slot] = outcome
        self._engine.progress.tick(self._best(task, outcome))
