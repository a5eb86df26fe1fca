from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from thinnet.study._tables.rows import TrainingRows
from thinnet.study._trainings import engine as module
from thinnet.study._trainings.engine import Clock, Engine, StageTask
from thinnet.study._trainings.job import TrainingJob, TrainingOutcome
from thinnet.study._trainings.progress import Progress
from thinnet.study._trainings.settings import NetworkSettings, TrainingPlan
from thinnet.study._trainings.store import Store
from thinnet.study._trainings.workers import Workers

from ..helpers import outcome

PLAN = TrainingPlan(2, 8, 5, 2, 8)


@dataclass
class Hands:
    """Workers that train nothing: the outcome is in the job's number of epochs."""

    count: int = 1
    trained: list[int] = field(default_factory=list[int])
    state: str = "complete"

    def run(
        self,
        jobs: Iterator[tuple[StageTask, TrainingJob]],
        done: Callable[[StageTask, TrainingOutcome], None],
        beat: Callable[[], None],
    ) -> None:
        for task, job in jobs:
            self.trained.append(job.epochs)
            if job.save_to:
                job.save_to.write_text("weights")
            done(task, outcome(float(job.epochs), self.state))
            beat()


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.ticks: list[str] = []

    def advance(self, best: str = "") -> None:
        self.ticks.append(best)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trainings.sqlite"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL", 0.01)


def engine_of(path: Path, hands: Hands) -> Engine:
    return Engine(Store(path, "s"), cast(Workers, hands), Heard())


def task_of(number: int, **changes: Any) -> StageTask:
    job = TrainingJob(TrainingRows(Path(), 1, False), PLAN, NetworkSettings(4, 5), 0, (0,), number, **changes)
    return StageTask("grow", f"slot {number}", job)


def test_every_task_is_trained_and_told_of(path: Path) -> None:
    hands = Hands()
    engine = engine_of(path, hands)
    found = engine.run([task_of(3), task_of(4)], lambda task, outcome: f"{task.slot}: {outcome.value}")
    assert {slot: outcome.value for slot, outcome in found.items()} == {"slot 3": 3.0, "slot 4": 4.0}
    assert cast(Heard, engine.progress).ticks == ["slot 3: 3.0", "slot 4: 4.0"]


def test_what_is_finished_is_not_trained_again(path: Path) -> None:
    first, hands = engine_of(path, Hands()).run([task_of(1), task_of(2)]), Hands()
    engine = engine_of(path, hands)
    assert engine.run([task_of(1), task_of(2), task_of(3)]).items() >= first.items()
    assert hands.trained == [3]
    assert len(cast(Heard, engine.progress).ticks) == 3


def test_lost_weights_are_trained_again(path: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    task = task_of(1, save_to=weights)
    engine_of(path, Hands()).run([task])
    kept, lost = Hands(), Hands()
    engine_of(path, kept).run([task])
    weights.unlink()
    engine_of(path, lost).run([task])
    assert (kept.trained, lost.trained) == ([], [1])
    assert weights.exists()


def test_a_task_past_its_deadline_is_not_begun(path: Path) -> None:
    hands = Hands()
    found = engine_of(path, hands).run([task_of(1), task_of(2, deadline=time.time() - 1)])
    assert list(found) == ["slot 1"]
    assert hands.trained == [1]


def test_a_task_that_was_cut_is_absent_and_open_to_later_lives(path: Path) -> None:
    assert engine_of(path, Hands(state="cut")).run([task_of(1)]) == {}
    assert list(engine_of(path, Hands()).run([task_of(1)])) == ["slot 1"]


def test_what_another_trains_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", os.getppid)
        other = Store(path, "s")
    assert other.claim("grow", "slot 1", {}, {})
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            other.record("grow", "slot 1", outcome(9.0))

    hands = Hands()
    engine = engine_of(path, hands)
    monkeypatch.setattr(time, "sleep", nap)
    found = engine.run([task_of(1), task_of(2)])
    assert {slot: outcome.value for slot, outcome in found.items()} == {"slot 1": 9.0, "slot 2": 2.0}
    assert hands.trained == [2]
    assert len(naps) == 3


def test_a_clock_counts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    clock, endless = Clock(60.0), Clock(None)
    monkeypatch.setattr(time, "time", lambda: now + 20)
    assert clock.seconds_left() == pytest.approx(40)
    assert clock.deadline(15) == pytest.approx(now + 45)
    assert (endless.seconds_left(), endless.deadline(15)) == (float("inf"), None)
