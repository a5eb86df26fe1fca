"""Schedules: known values, and where they end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinnet.errors import InputError
from thinnet.schedules import Constant, Cosine, Curriculum, Early, FlatCosine, Late, Linear, final

RATES, STEPS, TIMES = st.floats(0, 1), st.integers(1, 10_000), st.integers(0, 2**32 - 1)


@given(RATES, RATES, STEPS, TIMES)
def test_lines_and_cosines_stay_between_their_ends(start: float, stop: float, steps: int, time: int) -> None:
    for schedule in (
        Linear(start, stop, steps),
        Cosine(start, stop, steps),
        FlatCosine(start, stop, steps),
        FlatCosine(start, stop, steps, flat=1.0),
    ):
        assert schedule(0) == pytest.approx(start)
        assert schedule(steps + time) == pytest.approx(stop)
        assert min(start, stop) - 1e-12 <= schedule(time) <= max(start, stop) + 1e-12
        assert schedule(time) == Constant(schedule(time))(time)


def test_half_way() -> None:
    assert Linear(1.0, 0.0, 10)(5) == 0.5
    assert Cosine(1.0, 0.2, 10)(5) == pytest.approx(0.6)
    assert Cosine(1.0, 0.0, 3)(1) == pytest.approx(0.75)


@given(RATES, RATES, STEPS, st.floats(0, 0.99), TIMES)
def test_flat_then_cosine(start: float, stop: float, steps: int, flat: float, time: int) -> None:
    schedule = FlatCosine(start, stop, steps, flat=flat)
    if time <= flat * steps and time < steps:
        assert schedule(time) == start
    elif time < steps:
        share = (time - flat * steps) / (steps - flat * steps)
        assert schedule(time) == pytest.approx(stop + (start - stop) * math.cos(math.pi / 2 * share) ** 2)
    assert FlatCosine(start, stop, steps, flat=0)(time) == pytest.approx(Cosine(start, stop, steps)(time))


@given(RATES, RATES, STEPS)
def test_the_last_value_is_that_of_the_last_step(start: float, stop: float, steps: int) -> None:
    schedules: tuple[Any, ...] = (
        Constant(start),
        Linear(start, stop, steps),
        Cosine(start, stop, steps),
        FlatCosine(start, stop, steps),
        Curriculum(start, 1e-3),
        Early(start, steps),
        Late(start, steps),
    )
    for schedule in schedules:
        assert final(schedule) == schedule.last == schedule(2**31) == schedule(2**32 - 1)


def test_a_function_without_a_last_value_is_called_at_the_last_step() -> None:
    steps: list[int] = []
    assert final(lambda step: steps.append(step) or 0.25) == 0.25
    assert steps == [2**32 - 1]


@given(RATES, st.floats(1e-6, 1), st.integers(0, 10**6))
def test_the_keep_of_a_curriculum_is_the_papers(rate: float, gamma: float, time: int) -> None:
    k = 1 - rate
    keep = 1 - Curriculum(rate, gamma)(time)
    assert keep == pytest.approx((1 - k) * math.exp(-gamma * time) + k, abs=1e-12)
    assert Curriculum(rate, gamma)(time) <= Curriculum(rate, gamma)(time + 1) <= rate


@given(RATES, STEPS, TIMES)
def test_early_ends_where_late_begins(rate: float, steps: int, time: int) -> None:
    early, late = Early(rate, steps), Late(rate, steps)
    assert early(0) == rate
    assert early(steps) == early(steps + time) == 0
    assert late(0) == late(steps - 1) == 0
    assert late(steps) == late(steps + time) == rate
    assert early(time + 1) <= early(time) <= rate


@pytest.mark.parametrize("steps", [0, -1, 2.5, "9"])
@pytest.mark.parametrize("kind", [Early, Late, Linear, Cosine, FlatCosine])
def test_steps_are_whole_numbers(kind: Any, steps: Any, refusal: Callable[..., str]) -> None:
    numbers: Any = (0.1,) if kind in (Early, Late) else (0.1, 0.2)
    line = refusal(InputError, kind, *numbers, steps)
    assert line == f"{kind.__name__}: steps must be a whole number of at least 1, got {steps!r}."
    assert type(kind(*numbers, np.int64(3)).steps) is int


@pytest.mark.parametrize("value", ["a", None, math.nan, math.inf, True])
@pytest.mark.parametrize("kind", [Constant, Early, Late, Linear, Cosine, FlatCosine, Curriculum])
def test_values_are_finite_numbers(kind: Any, value: Any, refusal: Callable[..., str]) -> None:
    rest: Any = {Constant: (), Curriculum: (0.1,), Early: (9,), Late: (9,)}.get(kind, (0.1, 9))
    line = refusal(InputError, kind, value, *rest)
    assert line.startswith(f"{kind.__name__}: ")
    assert line.endswith(f"must be a finite number, got {value!r}.")


@pytest.mark.parametrize("flat", [-0.1, 1.1, "a"])
def test_the_flat_share_is_in_the_unit_interval(flat: Any, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, FlatCosine, 0.1, 0.2, 9, flat=flat)
    assert line == f"FlatCosine: flat must be a number in [0, 1], got {flat!r}."


def test_a_curriculum_goes_forwards(refusal: Callable[..., str]) -> None:
    for gamma in (0, -1e-3, math.nan):
        line = refusal(InputError, Curriculum, 0.5, gamma)
        assert line == f"Curriculum: gamma must be a number greater than 0, got {gamma!r}."


@pytest.mark.parametrize("wrong", [3, None, "Linear"])
def test_the_last_value_is_that_of_a_function(wrong: Any, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, final, wrong)
    assert line.startswith(f"final: schedule must be a function of the step, got {wrong!r}; use ")
