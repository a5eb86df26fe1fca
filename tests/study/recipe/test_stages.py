"""The stages on an engine that trains nothing: how far they go, and that they end in their time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from thinnet.study._recipe import stages
from thinnet.study._recipe.search import SearchTrial
from thinnet.study._recipe.space import starts
from thinnet.study._recipe.stages import Recipe, ablate, confirm, grow, search, select_winners
from thinnet.study._tables.rows import TrainingRows
from thinnet.study._trainings.engine import Clock, Engine, StageTask
from thinnet.study._trainings.job import TrainingOutcome
from thinnet.study._trainings.progress import Progress
from thinnet.study._trainings.settings import SIDES, Side, TrainingPlan

from ..helpers import outcome

REPORT = 12.0  # seconds that a study keeps for its report


@dataclass
class Trainer:
    """An engine with one worker and its own clock; a training takes `seconds` and has the loss `value`."""

    now: float = 1e6
    seconds: Callable[[StageTask], float] = lambda _: 1.0
    value: Callable[[StageTask], float] = lambda _: 0.5
    slots: list[str] = field(default_factory=list[str])
    progress: Progress = field(default_factory=Progress)
    workers: Any = field(default_factory=lambda: SimpleNamespace(count=1))

    def run(self, tasks: list[StageTask], describe: Any = None) -> dict[str, TrainingOutcome]:
        finished: dict[str, TrainingOutcome] = {}
        for task in tasks:
            if task.job.deadline is not None and self.now > task.job.deadline:
                continue
            self.now += self.seconds(task)
            self.slots.append(task.slot)
            finished[task.slot] = outcome(self.value(task), seconds=self.seconds(task))
            if describe is not None:
                assert isinstance(describe(task, finished[task.slot]), str)
        return finished


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    def propose(side: Side, seed: int, trials: list[SearchTrial], count: int, variants: Any) -> list[Any]:
        return [starts(side)[0]] * count

    made = Trainer()
    monkeypatch.setattr(time, "time", lambda: made.now)
    monkeypatch.setattr(stages, "propose", propose)  # Optuna's sampler takes long after hundreds of trials
    return made


def recipe_of(budget: float | None = None, trials: int = 6, widest: int = 256) -> Recipe:
    plan = TrainingPlan(depth=2, batch=8, epochs=5, folds=1, max_width=widest)
    rows = TrainingRows(Path(), 1, False)
    return Recipe(rows, plan, Path("work"), 0, trials, 3, ("Dropout",), Clock(budget))


def run_all(trainer: Trainer, recipe: Recipe) -> dict[str, int]:
    """Run every stage; return the number of trials of each side."""
    engine = cast(Engine, trainer)
    grown = grow(engine, recipe)
    trials = search(engine, recipe, grown.width)
    winners = select_winners(recipe, trials, grown.width)
    ablate(engine, recipe, winners["dropout"])
    files = confirm(engine, recipe, winners)
    assert {side: len(files[side]) for side in SIDES} == dict.fromkeys(SIDES, recipe.seeds)
    return {side: len(trials[side]) for side in SIDES}


def test_without_a_budget_every_trial_is_run(trainer: Trainer) -> None:
    trainer.seconds = lambda _: 1e5
    assert run_all(trainer, recipe_of(trials=9)) == dict.fromkeys(SIDES, 9)
    assert len(trainer.slots) == len(set(trainer.slots))


@pytest.mark.parametrize(
    ("budget", "seconds"), [(60.0, 0.2), (60.0, 1.0), (200.0, 1.0), (200.0, 3.0), (1000.0, 5.0)]
)
def test_with_a_budget_a_study_ends_in_its_time(trainer: Trainer, budget: float, seconds: float) -> None:
    trainer.seconds = lambda _: seconds
    started = trainer.now
    counts = run_all(trainer, recipe_of(budget, trials=4000))
    assert 0 <= counts["dropout"] - counts["baseline"] <= 1
    assert 1 <= counts["baseline"] < 4000
    assert trainer.now - started <= budget
    # The search uses the time: a generation more would not have fitted.
    assert trainer.now - started > 0.55 * budget - REPORT - 16 * seconds


def test_a_budget_that_is_far_too_short_still_gives_each_side_a_trial(trainer: Trainer) -> None:
    trainer.seconds = lambda _: 30.0
    counts = run_all(trainer, recipe_of(10.0, trials=400))
    assert min(counts.values()) >= 1
    assert max(counts.values()) <= 4


def test_growth_ends_at_the_first_width_that_fits(trainer: Trainer) -> None:
    trainer.value = lambda task: 0.01 if int(task.slot) >= 64 else 0.5
    grown = grow(cast(Engine, trainer), recipe_of())
    assert (grown.width, grown.reached, sorted(grown.outcomes)) == (64, True, [32, 64])


def test_growth_ends_where_a_wider_one_is_no_better(trainer: Trainer) -> None:
    trainer.value = lambda task: {32: 0.9, 64: 0.5, 128: 0.3, 256: 0.299}[int(task.slot)]
    grown = grow(cast(Engine, trainer), recipe_of())
    assert (grown.width, grown.reached) == (128, False)
    assert "no more progress" in grown.reason


def test_growth_ends_at_the_widest(trainer: Trainer) -> None:
    trainer.value = lambda task: 10.0 / int(task.slot)
    grown = grow(cast(Engine, trainer), recipe_of(widest=128))
    assert (grown.width, grown.reached, sorted(grown.outcomes)) == (128, False, [32, 64, 128])
    assert grown.reason.startswith("--max-width 128 ")


def test_growth_leaves_time_for_the_search(trainer: Trainer) -> None:
    trainer.value = lambda task: 100.0 / int(task.slot)
    trainer.seconds = lambda task: int(task.slot) / 64
    grown = grow(cast(Engine, trainer), recipe_of(budget=100.0, widest=1024))
    # A training may take a fortieth of the budget, 2.5 seconds: 128 units take 2, 256 take 4.
    assert (grown.width, grown.reached, sorted(grown.outcomes)) == (128, False, [32, 64, 128, 256])
    assert "would not fit the time budget" in grown.reason


def test_an_ablation_takes_off_what_the_winner_has(trainer: Trainer) -> None:
    recipe = recipe_of()
    winners = select_winners(recipe, search(cast(Engine, trainer), recipe, 32), 32)
    winner = winners["dropout"]
    assert (winner.settings.input_rate, winner.settings.hidden_rate) == (0.2, 0.5)
    compared = ablate(cast(Engine, trainer), recipe, winner)
    assert [site for site, _ in compared] == ["input and hidden", "neither", "hidden only", "input only"]
