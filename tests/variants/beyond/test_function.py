"""Draws by tables over lanes: the numbers of the formula for each entry."""

from __future__ import annotations

import numpy as np
import pytest

from thinnet import Key, Window
from thinnet.variants._beyond import concrete, neftune, standout, targeted, variational
from thinnet.variants._beyond.function import log_odds_table, uniform_table, uniforms

KEY = Key(5, 2)
LARGE = Window.whole((300, 400))


def rows(start: int, stop: int) -> Window:
    return Window((300, 400), (start, 0), (stop - start, 400))


@pytest.mark.parametrize("logit", [-1.3, 0.4, np.inf, -np.inf])
def test_one_parameter_draws_as_many_equal_ones(logit: float) -> None:
    one, many = np.array(logit), np.full((300, 400), logit)
    assert np.array_equal(
        concrete.gains(KEY, LARGE, one, temperature=0.3), concrete.gains(KEY, LARGE, many, temperature=0.3)
    )
    assert np.array_equal(variational.gains(KEY, LARGE, one), variational.gains(KEY, LARGE, many))


def test_concrete_gains_are_those_of_the_formula() -> None:
    u, logit = uniforms(KEY, LARGE), np.array(0.2)
    z = (logit + np.log((1 - u) / u)) / 0.3
    expected = np.exp(np.logaddexp(0, logit) - np.logaddexp(0, z))
    assert np.array_equal(concrete.gains(KEY, LARGE, logit, temperature=0.3), expected)


def test_standout_rounds_as_its_thresholds_do() -> None:
    generator = np.random.default_rng(0)
    # On the edge of each lane's threshold, and by one rounding beside it.
    lanes = np.round(uniforms(KEY, LARGE) * 65536 - 0.5).astype(np.int64)
    edges = log_odds_table()[lanes]
    beside = np.nextafter(edges, np.where(generator.random(edges.shape) < 0.5, -np.inf, np.inf))
    special = generator.choice([np.nan, np.inf, -np.inf, 40.0, -40.0], edges.shape)
    for logits in (edges, beside, special, generator.normal(size=edges.shape)):
        large = standout.gains(KEY, LARGE, logits)
        for start in range(0, 300, 30):  # few enough numbers to be drawn by the thresholds
            own = standout.gains(KEY, rows(start, start + 30), logits[start : start + 30])
            assert np.array_equal(large[start : start + 30], own)


def test_noise_of_embeddings_is_uniform_noise() -> None:
    shape = (300, 20, 20)
    expected = 5.0 / 20 * (2 * uniforms(KEY, shape) - 1)
    assert np.array_equal(neftune.shifts(KEY, Window.whole(shape), alpha=5.0), expected)


def test_uniform_numbers_of_lanes() -> None:
    assert (uniform_table()[0], uniform_table()[-1]) == (0.5 / 65536, 65535.5 / 65536)


def test_the_smallest_are_the_first_of_a_stable_order() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        sizes = generator.integers(0, 9, size=(3, generator.integers(1, 30))).astype(np.float32)
        sizes[generator.random(sizes.shape) < generator.choice([0.0, 0.1, 0.9])] = np.nan
        for share in (0.0, 0.1, 0.5, 0.77, 1.0):
            order = np.argsort(np.argsort(sizes, axis=-1, kind="stable"), axis=-1, kind="stable")
            expected = order < int(share * sizes.shape[-1] + 1e-9)
            assert np.array_equal(targeted._smallest(sizes, share), expected)
