from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from thinnet.study._recipe.verdict import Difference, Interval, difference, row_scores

stats: Any = scipy_stats  # partly untyped


def noise(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def width(interval: Interval) -> float:
    return interval.high - interval.low


# Against a hand


def test_a_small_table_worked_by_hand() -> None:
    # Seeds' means 1, 3; rows' means 0, 2, 4; grand mean 2; what is left: +-1 in the outer rows.
    table = np.array([[-2.0, 1.0, 4.0], [2.0, 3.0, 4.0]])
    # Sums of squares: seeds 3 * 2 = 6, rows 2 * 8 = 16, all 26, so 4 are left for 2 degrees of freedom.
    variance = (6 / 1 + 16 / 2 - 4 / 2) / 6
    # Satterthwaite: 12**2 / (6**2 / 1 + 8**2 / 2 + 2**2 / 2) = 2.06, but three rows give 2 at most.
    freedom = 2
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    found = difference(table, np.zeros_like(table))
    assert found.mean == pytest.approx(2.0)
    assert (found.both.low, found.both.high) == pytest.approx((2 - half, 2 + half))
    half = stats.t.ppf(0.975, 1) * math.sqrt(2 / 2)
    assert (found.seeds.low, found.seeds.high) == pytest.approx((2 - half, 2 + half))


def test_groups_worked_by_hand() -> None:
    # Rows 0 and 1 are one group: the table is that of the groups' sums, times groups / rows.
    table = np.array([[1.0, 2.0, 6.0], [3.0, 3.0, 9.0]])
    sums = np.array([[3.0, 6.0], [6.0, 9.0]]) * 2 / 3
    grouped = difference(table, np.zeros_like(table), np.array([7, 7, 2]))
    plain = difference(sums, np.zeros_like(sums))
    assert grouped.mean == pytest.approx(table.mean())
    assert (grouped.both.low, grouped.both.high) == pytest.approx((plain.both.low, plain.both.high))


def test_a_group_for_each_row_changes_nothing() -> None:
    ours, theirs = noise((4, 30)), noise((4, 30), 1)
    alone = difference(ours, theirs, np.random.default_rng(0).permutation(30))
    plain = difference(ours, theirs)
    assert alone.mean == pytest.approx(plain.mean)
    assert (alone.both.low, alone.both.high) == pytest.approx((plain.both.low, plain.both.high))


def test_the_interval_over_seeds_is_students() -> None:
    values = [1.0, 4.0, 2.0, 9.0]
    low, high = stats.t.interval(0.95, 3, loc=4.0, scale=stats.sem(values))
    ours = np.repeat(np.array(values)[:, None], 3, axis=1)
    found = difference(ours, np.zeros_like(ours)).seeds
    assert (found.low, found.high) == pytest.approx((low, high))


# The words


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-2.0, -1.0, "dropout helps"),
        (1.0, 2.0, "dropout hurts"),
        (-1.0, 1.0, "no evidence either way"),
        (-1.0, 0.0, "no evidence either way"),
        (0.0, 1.0, "no evidence either way"),
    ],
)
def test_the_verdict_follows_the_interval_over_seeds_and_rows(low: float, high: float, verdict: str) -> None:
    assert Difference(0.0, Interval(low, high), Interval(-9.0, -8.0)).verdict == verdict


def test_no_difference_anywhere_is_no_evidence() -> None:
    scores = noise((5, 50))
    found = difference(scores, scores)
    assert (found.mean, found.both, found.verdict) == (0.0, Interval(0.0, 0.0), "no evidence either way")


def test_a_difference_in_a_single_row_is_no_evidence() -> None:
    ours = np.zeros((5, 100))
    ours[:, 3] = 1.0
    assert difference(ours, np.zeros((5, 100))).verdict == "no evidence either way"


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 40), st.floats(0.1, 10))
def test_exchanging_the_sides_turns_the_interval_round(
    seed: int, seeds: int, rows: int, factor: float
) -> None:
    ours, theirs = noise((seeds, rows), seed), noise((seeds, rows), seed + 1)
    one, other = difference(ours, theirs), difference(theirs * factor, ours * factor)
    assert other.mean == pytest.approx(-factor * one.mean)
    assert other.both.low == pytest.approx(-factor * one.both.high)
    assert one.both.low <= one.mean <= one.both.high


# How often the interval holds the truth


def coverage(spreads: tuple[float, float, float], shape: tuple[int, int], groups: int = 1) -> float:
    """Return how often the interval holds the mean 0.3 of a crossed layout with the given deviations."""
    rng, hits, repetitions = np.random.default_rng(0), 0, 3000
    seeds, rows = shape
    index = None if groups == 1 else np.arange(rows) // groups
    for _ in range(repetitions):
        by_row = rng.normal(size=(1, rows // groups)).repeat(groups, axis=1)
        by_seed, rest = rng.normal(size=(seeds, 1)), rng.normal(size=shape)
        table = 0.3 + spreads[0] * by_seed + spreads[1] * by_row + spreads[2] * rest
        found = difference(table, np.zeros(shape), index).both
        hits += found.low <= 0.3 <= found.high
    return hits / repetitions


# Of 3,000 repetitions at 95 %, the share has a standard error of 0.4 points.
@pytest.mark.parametrize("rows", [100, 400])
@pytest.mark.parametrize("spreads", [(0.1, 1.0, 1.0), (0.05, 0.3, 1.0), (0.3, 1.0, 0.3), (1.0, 0.1, 1.0)])
def test_nineteen_intervals_in_twenty_hold_the_truth(spreads: tuple[float, float, float], rows: int) -> None:
    assert 0.93 <= coverage(spreads, (5, rows)) <= 0.975


def test_groups_are_needed_and_enough_where_rows_are_alike() -> None:
    assert 0.93 <= coverage((0.05, 1.0, 0.5), (5, 400), groups=10) <= 0.975
    rng = np.random.default_rng(3)
    alike = rng.normal(size=(1, 40)).repeat(10, axis=1) + 0.5 * rng.normal(size=(5, 400))
    grouped = difference(alike, np.zeros((5, 400)), np.arange(400) // 10)
    assert width(grouped.both) > 2 * width(difference(alike, np.zeros((5, 400))).both)


# RMSE row by row


def test_row_scores_have_the_rmse_as_mean() -> None:
    errors = noise((3, 70)) * np.array([[1.0], [5.0], [0.1]])
    rmse = np.sqrt((errors**2).mean(axis=1))
    np.testing.assert_allclose(row_scores(errors).mean(axis=1), rmse, rtol=1e-12)


def test_row_scores_spread_as_the_rmse_does_from_test_set_to_test_set() -> None:
    draws = noise((2000, 400), 5)
    truth = np.sqrt((draws**2).mean(axis=1)).std()
    said = np.mean([row_scores(row[None]).std() / math.sqrt(400) for row in draws[:50]])
    assert said == pytest.approx(truth, rel=0.1)


def test_row_scores_of_perfect_answers_are_zero() -> None:
    assert not row_scores(np.zeros((2, 5))).any()
