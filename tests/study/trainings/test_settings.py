from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet.sklearn import MLPRegressor
from thinnet.study._recipe.space import search_space, settings_from_choice, starts
from thinnet.study._trainings.settings import (
    SIDES,
    NetworkSettings,
    Side,
    TrainingPlan,
    estimator,
    estimator_arguments,
)

PLAN = TrainingPlan(depth=2, batch=32, epochs=100, folds=5, max_width=64)


def chosen(side: Side, **changes: Any) -> dict[str, Any]:
    return {**starts(side)[0], "times": 1, **changes}


# The plan


@pytest.mark.parametrize("rows", [16, 100, 399, 400, 2_500, 4_999, 5_000, 60_000, 1_000_000])
def test_a_plan_fits_the_number_of_rows(rows: int) -> None:
    plan = TrainingPlan.for_rows(rows, 128)
    assert (plan.depth, plan.max_width) == (2, 128)
    assert 1 <= plan.folds <= 5
    # A fifth of the rows each: at least 500 are validated where there are as many.
    assert plan.folds == 5 or plan.folds * rows / 5 >= 500
    assert plan.folds == 1 or (plan.folds - 1) * rows / 5 < 500
    assert 30 <= plan.epochs <= 300
    updates = plan.folds * plan.epochs * math.ceil(0.8 * rows / plan.batch)
    assert plan.epochs == 30 or updates <= 12_000 + plan.folds * math.ceil(0.8 * rows / plan.batch)


def test_more_rows_take_larger_batches_and_fewer_epochs_and_folds() -> None:
    plans = [TrainingPlan.for_rows(rows, 64) for rows in (100, 1_000, 10_000, 100_000, 1_000_000)]
    for fewer, more in itertools.pairwise(plans):
        assert fewer.batch <= more.batch
        assert fewer.epochs >= more.epochs
        assert fewer.folds >= more.folds
    assert plans[0] != plans[-1]


# What a choice stands for


@pytest.mark.parametrize(
    ("times", "hidden", "widened", "width"),
    [
        (1, 0.5, False, 8),
        (2, 0.5, False, 16),
        (4, 0.5, False, 32),
        (1, 0.5, True, 16),
        (2, 0.2, True, 20),
        (1, 0.3, True, 12),  # 8 / 0.7 = 11.4: as many kept as without dropout, never fewer
        (1, 0.0, True, 8),
        (4, 0.8, True, 64),  # 160 is more than the widest
    ],
)
def test_a_widened_network_has_width_over_keep_units(
    times: int, hidden: float, widened: bool, width: int
) -> None:
    choice = chosen("dropout", times=times, hidden_rate=hidden, widened=widened)
    assert settings_from_choice("dropout", choice, 8, PLAN).width == width


@pytest.mark.parametrize("side", SIDES)
def test_none_is_wider_than_the_widest_nor_narrower_than_the_grown(side: Side) -> None:
    assert settings_from_choice(side, chosen(side, times=4), 32, PLAN).width == 64
    assert settings_from_choice(side, chosen(side, times=4), 100, PLAN).width == 100


def test_unchosen_parts_of_a_choice_are_off() -> None:
    bare = settings_from_choice("dropout", chosen("dropout", inputs=False, constrained=False), 8, PLAN)
    assert (bare.input_rate, bare.max_norm) == (0.0, None)
    full = chosen("dropout", inputs=True, input_rate=0.25, constrained=True, max_norm=2.0)
    settings = settings_from_choice("dropout", full, 8, PLAN)
    assert (settings.input_rate, settings.max_norm) == (0.25, 2.0)
    assert settings_from_choice("baseline", chosen("baseline", patience=0), 8, PLAN).patience is None
    assert settings_from_choice("baseline", chosen("baseline", patience=5), 8, PLAN).patience == 5


@pytest.mark.parametrize("side", SIDES)
def test_a_training_has_its_part_of_the_plans_epochs(side: Side) -> None:
    assert settings_from_choice(side, chosen(side, length=1.0), 8, PLAN).epochs == 100
    assert settings_from_choice(side, chosen(side, length=0.25), 8, PLAN).epochs == 25
    assert settings_from_choice(side, chosen(side, length=0.1), 8, replace(PLAN, epochs=10)).epochs >= 1


@pytest.mark.parametrize("side", SIDES)
def test_starts_lie_in_the_space_and_differ(side: Side) -> None:
    dimensions = search_space(side)
    for choice in starts(side):
        assert choice.keys() == dimensions.keys()
        for name, value in choice.items():
            assert dimensions[name]._contains(dimensions[name].to_internal_repr(value)), (name, value)
    assert len({json.dumps(choice, sort_keys=True) for choice in starts(side)}) == len(starts(side))


def test_the_recipe_comes_first() -> None:
    first = settings_from_choice("dropout", starts("dropout")[0], 8, PLAN)
    assert (first.input_rate, first.hidden_rate) == (0.2, 0.5)
    assert not any("rate" in name and name != "learning_rate" for name in search_space("baseline"))


# The network


def test_an_estimator_of_the_settings() -> None:
    settings = NetworkSettings(8, 10, 1e-2, input_rate=0.2, hidden_rate=0.5, max_norm=3.0)
    x, y = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 3
    made = estimator(True, estimator_arguments(settings, PLAN, 40, 6, 11)).fit(x, y)
    assert made.network_.widths == [5, 5, 8, 8, 8, 8, 8, 8, 3]
    rates = [layer.rate for layer in made.network_.layers if isinstance(layer, net.Dropout)]
    assert rates == [0.2, 0.5, 0.5]
    norms = [layer.max_norm for layer in made.network_.layers if isinstance(layer, net.Dense)]
    assert norms == [3.0, 3.0, None]  # the outputs are free
    assert (made.n_iter_, made.network_.step) == (6, 12)  # two updates an epoch


def test_without_rates_there_is_no_dropout() -> None:
    told = estimator_arguments(NetworkSettings(8, 10), PLAN, 40, 10, 0)
    assert not {"dropout", "input_dropout", "max_norm"} & set(told)
    assert isinstance(estimator(False, told), MLPRegressor)


def test_the_learning_rate_falls_from_its_start_to_zero_over_the_settings_epochs() -> None:
    told = estimator_arguments(NetworkSettings(4, 5, learning_rate=0.1, weight_decay=0.5), PLAN, 64, 3, 0)
    rates = [told["learning_rate_init"](step) for step in range(11)]  # two updates an epoch
    assert (rates[0], rates[5], rates[10]) == pytest.approx((0.1, 0.05, 0.0))
    assert (told["solver"], told["alpha"], told["max_iter"]) == ("adamw", 0.5, 3)


@pytest.mark.parametrize("side", SIDES)
def test_numbers_of_a_choice_are_kept_to_four_digits(side: Side) -> None:
    settings = settings_from_choice(side, chosen(side, learning_rate=0.00123456789), 8, PLAN)
    assert settings.learning_rate == 0.001235
