"""The interval: by hand on a small table, and its coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from thinnet.study.verdict import difference, row_scores


def test_seeds_only_is_the_paired_t_interval() -> None:
    ours = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]])
    theirs = np.ones((3, 4))
    by_seed = (ours - theirs).mean(axis=1)
    low, high = stats.t.interval(0.95, 2, by_seed.mean(), by_seed.std(ddof=1) / math.sqrt(3))
    found = difference(ours, theirs)
    assert found.mean == pytest.approx(by_seed.mean())
    assert (found.seeds.low, found.seeds.high) == pytest.approx((low, high))


def test_equal_sides_are_no_evidence() -> None:
    same = np.random.default_rng(0).random((5, 50))
    found = difference(same, same)
    assert (found.mean, found.both.low, found.both.high) == (0, 0, 0)
    assert found.verdict == "no evidence either way"


def test_two_lucky_rows_are_no_evidence() -> None:
    """All seeds get the same two rows of 360 right: sure on these rows, not beyond them."""
    ours, theirs = np.zeros((5, 360)), np.zeros((5, 360))
    theirs[:, :2] = 1
    found = difference(ours, theirs)
    assert found.seeds.high < 0
    assert found.verdict == "no evidence either way"


def test_direction() -> None:
    noise = np.random.default_rng(1).normal(size=(2, 5, 200)) / 10
    assert difference(noise[0], noise[1] + 1).verdict == "dropout helps"
    assert difference(noise[0] + 1, noise[1]).verdict == "dropout hurts"


@pytest.mark.parametrize(
    ("seed_sd", "row_sd", "rest_sd"), [(0.1, 1.0, 1.0), (0.0, 1.0, 0.2), (0.3, 0.0, 1.0)]
)
def test_coverage(seed_sd: float, row_sd: float, rest_sd: float) -> None:
    """Of 1,000 studies with a true difference of 0, the interval misses it in 5 %, give or take 2.5 points.

    The simulation's own standard error is 0.7 points.
    """
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(1000):
        table = (
            seed_sd * rng.normal(size=(5, 1))
            + row_sd * rng.normal(size=(1, 100))
            + rest_sd * rng.normal(size=(5, 100))
        )
        both = difference(table, np.zeros_like(table)).both
        missed += not both.low <= 0 <= both.high
    assert missed / 1000 <= 0.075


def test_rows_of_a_group_count_as_one() -> None:
    rng = np.random.default_rng(3)
    table = np.repeat(rng.normal(size=(1, 20)), 10, axis=1) + rng.normal(size=(5, 200)) / 10
    groups = np.repeat(np.arange(20), 10)
    alone, grouped = difference(table, 0 * table), difference(table, 0 * table, groups)
    assert grouped.mean == pytest.approx(alone.mean)
    assert grouped.both.high - grouped.both.low > 2 * (alone.both.high - alone.both.low)


def test_row_scores_average_to_the_rmse() -> None:
    errors = np.random.default_rng(4).normal(size=(3, 40))
    assert row_scores(errors).mean(axis=1) == pytest.approx(np.sqrt((errors**2).mean(axis=1)))
    assert not row_scores(np.zeros((2, 5))).any()
