"""FinalScores and differences as people read them."""

from __future__ import annotations

import math

import pytest

from thinnet.study._report.wording import Metric, significant, to_number

ERROR, RMSE = Metric("error"), Metric("rmse")


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (ERROR, 0.016667, "1.67\xa0%"),
        (ERROR, 0.0, "0.00\xa0%"),
        (ERROR, 0.2549, "25.5\xa0%"),
        (RMSE, 48213.4, "48,213"),
        (RMSE, 0.012346, "0.01235"),
        (RMSE, 3.0, "3.000"),
        (RMSE, 1.5e13, "1.500e+13"),
        (RMSE, math.nan, "–"),
        (ERROR, None, "–"),
    ],
)
def test_a_score_has_the_digits_that_people_read(metric: Metric, value: float | None, text: str) -> None:
    assert metric.score(value) == text


@pytest.mark.parametrize(
    ("metric", "low", "high", "text"),
    [
        (ERROR, -0.0091, -0.0017, "−0.91 to −0.17 points"),
        (ERROR, -0.04, 0.03, "−4.0 to 3.0 points"),
        (RMSE, -7268.0, 4732.0, "−7,300 to 4,700"),
        (RMSE, 0.0, 0.0, "0 to 0"),
        (ERROR, math.nan, 0.1, "unknown"),
    ],
)
def test_an_interval_is_as_exact_as_its_width_warrants(
    metric: Metric, low: float, high: float, text: str
) -> None:
    assert metric.interval(low, high) == text


def test_a_bound_that_is_not_zero_never_reads_as_zero() -> None:
    assert ERROR.interval(-0.05, -0.0004) == "−5.0 to −0.04 points"


def test_differences_are_written_as_exactly_as_the_scores() -> None:
    assert ERROR.subtract(0.0192, 0.0251) == "−0.59"
    assert ERROR.subtract(0.25, 0.2) == "+5.0"
    assert RMSE.subtract(36354.0, 37622.0) == "−1,268"
    assert RMSE.subtract(math.nan, 1.0) == "–"


def test_numbers_that_are_missing_become_nan() -> None:
    assert math.isnan(to_number(None))
    assert math.isnan(to_number("pruned"))
    assert to_number(3) == 3.0
    assert significant(0.00034567, 2) == "0.00035"
