from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from thinnet.sklearn.legal import Boolean, Either, Legal, Nothing, Number, RandomState, Row, Schedule, Word

UNIT = Number(0, 1)
GOOD: list[tuple[Legal, list[Any]]] = [
    (UNIT, [0, 1, 0.5, np.float32(0.25), np.int64(1)]),
    (Number(0, 1, "[)"), [0, 0.999]),
    (Number(0, ends="()"), [1e-300, 1e300]),
    (Number(1, whole=True), [1, np.int32(7), 10**9]),
    (Word(("auto", "all")), ["auto", "all", np.str_("all")]),
    (Boolean(), [True, False, np.True_]),
    (Nothing(), [None]),
    (Nothing(math.inf), [math.inf, np.inf, np.float64("inf")]),
    (RandomState(), [None, 0, 2**32 - 1, np.int64(3), np.random.RandomState(0), np.random.mtrand._rand]),
    (Schedule(UNIT), [lambda step: 0.5, lambda step: 0]),
    (Row(Number(1, whole=True), "layer"), [[], (3,), [1, 2], np.array([4, 5]), range(1, 3)]),
    (Either(UNIT, Word(("auto",))), [0.5, "auto"]),
]


@pytest.mark.parametrize(("legal", "values"), GOOD, ids=lambda value: getattr(value, "law", ""))
def test_kinds_take_what_they_say(legal: Legal, values: list[Any]) -> None:
    assert all(legal.takes(value) for value in values)
    assert not any(legal.takes(value) for value in legal.bad)
    assert legal.bad


def test_bounds() -> None:
    assert not Number(0, 1, "[)").takes(1)
    assert not Number(0, 1, "(]").takes(0)
    assert Number(0, 1, "(]").takes(1)
    assert not UNIT.takes(np.nextafter(1, 2))
    assert not UNIT.takes(math.nan)
    assert not Number(0).takes(math.inf)
    assert not Number(1, whole=True).takes(1.0)


def test_laws_read_as_words() -> None:
    assert Number(0, 1, "[)").law == "a number in [0, 1)"
    assert Number(0, ends="()").law == "a number greater than 0"
    assert Number(1, whole=True).law == "a whole number of at least 1"
    assert Word(("sgd", "adam", "lbfgs")).law == '"sgd", "adam" or "lbfgs"'
    assert Either(UNIT, Nothing()).law == "a number in [0, 1], or None"
    assert Row(UNIT, "layer").law == "a list of such, one for each layer"


def test_a_row_is_not_used_up() -> None:
    assert not Row(UNIT, "layer").takes(iter([0.5]))
    assert not Row(UNIT, "layer").takes("0")
