from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from thinnet.errors import FileError, RunError
from thinnet.study._tables.problem import Problem
from thinnet.study._trainings import workers
from thinnet.study._trainings.job import TrainingJob, TrainingOutcome
from thinnet.study._trainings.settings import NetworkSettings, TrainingPlan
from thinnet.study._trainings.training import run_job
from thinnet.study._trainings.workers import Workers

from ..helpers import wait_for

PLAN = TrainingPlan(depth=2, batch=8, epochs=20, folds=2, max_width=8)


@pytest.fixture(scope="module")
def job(priced: Problem, tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    rows = priced.write(tmp_path_factory.mktemp("work"))
    return TrainingJob(rows, PLAN, NetworkSettings(4, 5), 0, (0, 1), 5)


def told(outcome: TrainingOutcome) -> dict[str, Any]:
    return {name: value for name, value in asdict(outcome).items() if name != "seconds"}


def nothing(*_: Any) -> None:
    """Do nothing."""


def test_workers_train_as_this_process_does_and_take_jobs_as_they_are_free(job: TrainingJob) -> None:
    found: dict[int, TrainingOutcome] = {}
    taken: list[int] = []

    def jobs() -> Iterator[tuple[int, TrainingJob]]:
        for number in range(5):
            taken.append(number - len(found))
            yield number, replace(job, random_state=10 * number)

    with Workers(2) as workers:
        workers.run(jobs(), found.__setitem__, nothing)
        # Never more are taken than there are processes: another machine may want the rest.
        assert max(taken) <= 2
        workers.run(iter([]), found.__setitem__, nothing)
        more: dict[int, TrainingOutcome] = {}
        workers.run(iter([(7, job)]), more.__setitem__, nothing)
    assert {number: told(outcome) for number, outcome in found.items()} == {
        number: told(run_job(replace(job, random_state=10 * number))) for number in range(5)
    }
    assert told(more[7]) == told(found[0])
    assert not multiprocessing.active_children()


def test_what_is_wrong_in_a_worker_is_said_here(job: TrainingJob, tmp_path: Path, refusal: Any) -> None:
    nowhere = job.on_all_rows(1, tmp_path / "no folder" / "a.safetensors")
    with Workers(1) as workers:
        message = refusal(FileError, workers.run, iter([(0, nowhere)]), nothing, nothing)
    assert message.startswith(str(nowhere.save_to))
    assert not multiprocessing.active_children()


def test_a_worker_that_is_killed_is_one_line(job: TrainingJob, refusal: Any) -> None:
    long = replace(job, plan=replace(PLAN, epochs=10**6), settings=NetworkSettings(4, 10**6), epochs=10**6)

    def kill() -> None:
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGKILL)

    with Workers(1) as workers:
        message = refusal(RunError, workers.run, iter([(0, long)]), nothing, kill)
    assert message.startswith("study: a worker process died")
    assert message.endswith("run it again with fewer jobs.")


def test_an_error_ends_what_still_runs(job: TrainingJob) -> None:
    long = replace(job, plan=replace(PLAN, epochs=10**6), settings=NetworkSettings(4, 10**6), epochs=10**6)

    def stop() -> None:
        raise KeyboardInterrupt

    def train() -> None:
        with Workers(1) as workers:
            workers.run(iter([(0, long)]), nothing, stop)

    with pytest.raises(KeyboardInterrupt):
        train()
    assert wait_for(lambda: not multiprocessing.active_children(), 20)


def test_ctrl_c_while_processes_are_prepared_waits_for_the_first_job(
    job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def prepare(*args: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        made.append(pool(*args, **options))
        return made[0]

    pool = workers.ProcessPoolExecutor
    monkeypatch.setattr(workers, "ProcessPoolExecutor", prepare)

    def train() -> None:
        with Workers(1) as crew:
            crew.run(iter([(0, job)]), nothing, lambda: None)

    # A process in the background inherits that Ctrl-C is ignored; workers respect that.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train()
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert made
