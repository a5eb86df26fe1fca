from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from thinnet._constraints import (
    AnyOf,
    Boolean,
    Choice,
    Constraint,
    Exactly,
    Number,
    RandomState,
    ScheduleOf,
    SequenceOf,
)

UNIT = Number(0, 1)
GOOD: list[tuple[Constraint, list[Any]]] = [
    (UNIT, [0, 1, 0.5, np.float32(0.25), np.int64(1)]),
    (Number(0, 1, "[)"), [0, 0.999]),
    (Number(0, ends="()"), [1e-300, 1e300]),
    (Number(1, whole=True), [1, np.int32(7), 10**9]),
    (Choice(("auto", "all")), ["auto", "all", np.str_("all")]),
    (Boolean(), [True, False, np.True_]),
    (Exactly(), [None]),
    (Exactly(math.inf), [math.inf, np.inf, np.float64("inf")]),
    (RandomState(), [None, 0, 2**32 - 1, np.int64(3), np.random.RandomState(0), np.random.mtrand._rand]),
    (ScheduleOf(UNIT), [lambda step: 0.5, lambda step: 0]),
    (SequenceOf(Number(1, whole=True), "layer"), [[], (3,), [1, 2], np.array([4, 5]), range(1, 3)]),
    (AnyOf(UNIT, Choice(("auto",))), [0.5, "auto"]),
]


@pytest.mark.parametrize(("constraint", "values"), GOOD, ids=lambda value: getattr(value, "requirement", ""))
def test_kinds_take_what_they_say(constraint: Constraint, values: list[Any]) -> None:
    assert all(constraint.accepts(value) for value in values)
    assert not any(constraint.accepts(value) for value in constraint.bad)
    assert constraint.bad


def test_bounds() -> None:
    assert not Number(0, 1, "[)").accepts(1)
    assert not Number(0, 1, "(]").accepts(0)
    assert Number(0, 1, "(]").accepts(1)
    assert not UNIT.accepts(np.nextafter(1, 2))
    assert not UNIT.accepts(math.nan)
    assert not Number(0).accepts(math.inf)
    assert not Number(1, whole=True).accepts(1.0)


def test_requirements_read_as_words() -> None:
    assert Number(0, 1, "[)").requirement == "a number in [0, 1)"
    assert Number(0, ends="()").requirement == "a number greater than 0"
    assert Number(1, whole=True).requirement == "a whole number of at least 1"
    assert Choice(("sgd", "adam", "lbfgs")).requirement == '"sgd", "adam" or "lbfgs"'
    assert AnyOf(UNIT, Exactly()).requirement == "a number in [0, 1], or None"
    assert SequenceOf(UNIT, "layer").requirement == "a list of such, one for each layer"


def test_a_row_is_not_used_up() -> None:
    assert not SequenceOf(UNIT, "layer").accepts(iter([0.5]))
    assert not SequenceOf(UNIT, "layer").accepts("0")
