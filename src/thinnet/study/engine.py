"""The engine: gets slots trained, whoever trains them, and keeps an eye on the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from thinnet.study.progress import Progress
from thinnet.study.store import Store
from thinnet.study.training import Job, Outcome
from thinnet.study.workers import Workers

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
        outcomes: dict[str, Outcome] = {}
        given_up: set[str] = set()
        # Finished elsewhere or in an earlier life, but the weights they left are not in this folder.
        weightless: set[str] = set()

        def keep(task: Task, outcome: Outcome) -> None:
            if outcome.state == "cut":
                given_up.add(task.slot)
                return
            outcomes[task.slot] = outcome
            self.progress.tick(best(task, outcome) if best else "")

        def done(task: Task, outcome: Outcome) -> None:
            if task.slot not in weightless:
                self.store.tell(task.stage, task.slot, outcome)
            keep(task, outcome)

        def still_open() -> list[Task]:
            return [task for task in tasks if task.slot not in outcomes and task.slot not in given_up]

        def look_up() -> None:
            finished = {stage: self.store.finished(stage) for stage in {task.stage for task in tasks}}
            for task in still_open():
                if task.slot in finished[task.stage]:
                    if task.job.save_to is None or task.job.save_to.exists():
                        keep(task, finished[task.stage][task.slot])
                    else:
                        weightless.add(task.slot)

        def claimed() -> Iterator[tuple[Task, Job]]:
            for task in still_open():
                if task.job.deadline is not None and time.time() > task.job.deadline:
                    given_up.add(task.slot)
                elif task.slot in weightless or self.store.claim(
                    task.stage, task.slot, task.choice, task.dimensions
                ):
                    yield task, task.job

        look_up()
        while still_open():
            self.workers.run(claimed(), done, self.store.beat)
            if still_open():
                time.sleep(_POLL)
                look_up()
        return outcomes
