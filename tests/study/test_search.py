"""Proposals are a pure function of the seed and the finished generations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thinnet.study.search import Trial, best_of, propose
from thinnet.study.settings import SIDES, Plan, Side, settings_of, space, starts
from thinnet.study.training import Outcome

PLAN = Plan.for_rows(1000, max_width=512)


def finished(choice: dict[str, object], value: float, state: str = "complete") -> Trial:
    return Trial(choice, Outcome(state, value, 5, value, {}, [value] * 10, 1.0))


def history(side: Side, generations: int) -> list[Trial]:
    trials: list[Trial] = []
    for _ in range(generations):
        for choice in propose(side, 0, trials, 4):
            value = 1 + (math.log10(choice["learning_rate"]) + 2.5) ** 2
            trials.append(finished(choice, value, "pruned" if len(trials) % 5 == 4 else "complete"))
    return trials


@pytest.mark.parametrize("side", SIDES)
def test_same_past_same_proposals(side: Side) -> None:
    assert [trial.choice for trial in history(side, 5)] == [trial.choice for trial in history(side, 5)]


@pytest.mark.parametrize("side", SIDES)
def test_proposals_lie_in_the_space_and_begin_with_the_starts(side: Side) -> None:
    trials, dimensions = history(side, 5), space(side)
    assert len(trials) == 20
    assert [trial.choice for trial in trials[: len(starts(side))]] == starts(side)
    for trial in trials:
        assert set(trial.choice) == set(dimensions)
        for name, value in trial.choice.items():
            assert dimensions[name]._contains(dimensions[name].to_internal_repr(value))


def test_another_seed_asks_otherwise() -> None:
    trials = history("baseline", 2)
    assert propose("baseline", 0, trials, 4) != propose("baseline", 1, trials, 4)


def test_the_best_went_all_the_way_and_drops_something() -> None:
    on, off = starts("dropout")[0], {**starts("dropout")[0], "inputs": False, "hidden_rate": 0.0}
    trials = [finished(on, 3.0), finished(off, 1.0), finished(on, 2.0), finished(on, 0.5, "pruned")]
    assert best_of("dropout", trials) is trials[2]
    assert best_of("baseline", trials) is trials[1]
    assert best_of("dropout", [trials[1]]) is None


def test_widths_follow_the_rule() -> None:
    choice = {**starts("dropout")[0], "times": 2, "hidden_rate": 0.75, "widened": True}
    assert settings_of("dropout", choice, 32, PLAN).width == 256  # 32 * 2 / 0.25
    assert settings_of("dropout", {**choice, "times": 4}, 64, PLAN).width == 512  # not above the most
    assert settings_of("dropout", {**choice, "widened": False}, 32, PLAN).width == 64
    assert settings_of("dropout", choice, 1024, PLAN).width == 1024  # never below the grown width
    assert settings_of("dropout", {**choice, "inputs": False}, 32, PLAN).input_rate == 0
    assert settings_of("baseline", starts("baseline")[0], 32, PLAN).patience is None


@pytest.mark.parametrize("rows", [16, 150, 400, 1437, 4_999, 5_000, 40_000, 10**6])
def test_the_plan_fits_the_table(rows: int) -> None:
    plan = Plan.for_rows(rows, 512)
    assert 1 <= plan.folds <= 5
    assert plan.folds == 5 or plan.folds * rows / 5 >= 500 - 1e-9
    assert 30 <= plan.epochs <= 300
    assert np.log2(plan.batch) % 1 == 0
