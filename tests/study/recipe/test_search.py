from __future__ import annotations

import time
from typing import Any

import pytest

from thinnet.study._recipe.search import GENERATION, SearchTrial, best_of, propose
from thinnet.study._recipe.space import search_space, starts
from thinnet.study._trainings.settings import SIDES, Side

from ..helpers import outcome


def generations(
    side: Side, count: int, seed: int = 0, seconds: float = 0.25, tilt: float = 1.0
) -> list[SearchTrial]:
    """Search a bowl whose bottom is at a learning rate of 0.003."""
    trials: list[SearchTrial] = []
    while len(trials) < count:
        for choice in propose(side, seed, trials, GENERATION):
            value = tilt * (1e3 * choice["learning_rate"] - 3) ** 2 + 0.1
            state = "pruned" if len(trials) % 5 == 4 else "complete"
            trials.append(SearchTrial(choice, outcome(value, state, seconds=seconds)))
            seconds *= 1.5
    return trials


def choices(trials: list[SearchTrial]) -> list[dict[str, Any]]:
    return [trial.choice for trial in trials]


@pytest.mark.parametrize("side", SIDES)
def test_the_starts_come_first(side: Side) -> None:
    first = starts(side)
    for done in range(len(first)):
        trials = [SearchTrial(choice, outcome()) for choice in first[:done]]
        proposed = propose(side, 0, trials, 2)
        assert len(proposed) == 2
        assert proposed[: len(first) - done] == first[done : done + 2]


@pytest.mark.parametrize("count", [1, 3, GENERATION])
def test_as_many_as_asked_for_are_proposed(count: int) -> None:
    assert len(propose("baseline", 0, generations("baseline", 4), count)) == count


@pytest.mark.parametrize("side", SIDES)
def test_everything_proposed_lies_in_the_space_and_differs(side: Side) -> None:
    dimensions = search_space(side)
    proposed = choices(generations(side, 20))
    for choice in proposed:
        assert choice.keys() == dimensions.keys()
        for name, value in choice.items():
            assert dimensions[name]._contains(dimensions[name].to_internal_repr(value)), (name, value)
    assert len({str(sorted(choice.items())) for choice in proposed}) == len(proposed)


@pytest.mark.parametrize("side", SIDES)
def test_the_same_past_is_continued_alike_at_any_time(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    once = choices(generations(side, 16))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    assert choices(generations(side, 16, seconds=7.0)) == once


def test_seed_side_and_past_matter() -> None:
    once = choices(generations("baseline", 16))
    assert choices(generations("baseline", 16, seed=1)) != once
    assert choices(generations("baseline", 16, tilt=-1.0)) != once
    rates = [choice["learning_rate"] for choice in choices(generations("dropout", 16))[-4:]]
    assert rates != [choice["learning_rate"] for choice in once[-4:]]


def test_proposing_leaves_the_past_alone() -> None:
    trials = generations("baseline", 8)
    before = repr(trials)
    assert propose("baseline", 0, trials, 4) == propose("baseline", 0, trials, 4)
    assert repr(trials) == before


def test_the_best_is_complete_and_the_earliest_of_equals() -> None:
    choice = starts("baseline")
    trials = [
        SearchTrial(choice[0], outcome(0.5)),
        SearchTrial(choice[1], outcome(0.3)),
        SearchTrial(choice[2], outcome(0.3)),
        SearchTrial(choice[3], outcome(0.1, "pruned")),
    ]
    assert best_of("baseline", trials) is trials[1]
    assert best_of("baseline", trials[3:]) is None
    assert best_of("baseline", []) is None


def test_a_dropout_trial_without_dropout_is_never_the_best() -> None:
    recipe = starts("dropout")[0]
    none = SearchTrial({**recipe, "inputs": False, "hidden_rate": 0.0}, outcome(0.1))
    some = SearchTrial({**recipe, "inputs": False, "hidden_rate": 0.1}, outcome(0.4))
    inputs = SearchTrial({**recipe, "inputs": True, "hidden_rate": 0.0}, outcome(0.3))
    assert best_of("dropout", [none, some, inputs]) is inputs
    assert best_of("dropout", [none, some]) is some
    assert best_of("dropout", [none]) is None
