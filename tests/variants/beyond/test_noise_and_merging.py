"""Condition dropout, DropMessage, NEFTune noise, multi-sample dropout and DARE: their laws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import thinnet as tn
from thinnet._core.random import Key, Window
from thinnet.errors import InputError

# Rows of the catalogue


def test_a_condition_is_replaced_for_whole_samples() -> None:
    condition, null = np.random.default_rng(0).standard_normal((20_000, 3)), np.array([7.0, 8.0, 9.0])
    y = tn.drop("ConditionDropout", condition, 0.1, key=Key(0), other=null)
    replaced = (y == null).all(axis=1)
    assert np.array_equal(y[~replaced], condition[~replaced])
    assert abs(replaced.mean() - 0.1) < 5 * (0.09 / len(y)) ** 0.5
    assert np.array_equal(tn.drop("ConditionDropout", condition, 0.1, mode="mean", other=null), condition)
    dx = tn.drop("ConditionDropout", np.ones((20_000, 3)), 0.1, key=Key(0), other=0.0)
    assert np.array_equal(dx[:, 0] == 0, replaced)


def test_messages_are_dropped_one_by_one() -> None:
    messages = np.random.default_rng(0).standard_normal((40, 30))
    y = tn.drop("DropMessage", messages, 0.3, key=Key(1))
    assert np.array_equal(y, tn.dropout(messages, 0.3, key=Key(1)))
    assert tn.CATALOGUE["DropMessage"].unfit((2, 3, 4)) is not None
    assert not tn.CATALOGUE["DropMessage"].flows


def test_dare_is_mixout() -> None:
    rng = np.random.default_rng(0)
    tuned, base = rng.standard_normal((2, 50, 40))
    for mode in ("sample", "mean"):
        y = tn.drop("DARE", tuned, 0.9, key=Key(2), other=base, mode=mode)
        assert np.array_equal(y, tn.drop("Mixout", tuned, 0.9, key=Key(2), other=base, mode=mode))
    y = tn.drop("DARE", tuned, 0.9, key=Key(2), other=base)
    delta = tn.dropout(tuned - base, 0.9, key=Key(2))  # as the paper writes it
    assert np.allclose(y, base + delta, atol=1e-12)


# NEFTune


@pytest.mark.parametrize(("tokens", "features", "alpha"), [(4, 8, 5.0), (64, 16, 15.0), (1, 1, 1.0)])
def test_the_noise_is_uniform_and_scaled_by_the_shape(tokens: int, features: int, alpha: float) -> None:
    x = np.zeros((20_000 // (tokens * features) + 1, tokens, features))
    noise = tn.neftune_noise(x, alpha, key=Key(3))
    size = alpha / (tokens * features) ** 0.5
    assert stats.kstest(noise.ravel(), stats.uniform(-size, 2 * size).cdf).pvalue > 1e-4
    assert np.abs(noise).max() < size


def test_the_noise_of_a_part_is_scaled_by_the_whole() -> None:
    x = np.zeros((2, 8, 4))
    part = Window(x.shape, (0, 4, 0), (2, 4, 4))
    assert np.array_equal(
        tn.neftune_noise(x[:, 4:], 5.0, key=Key(0), window=part), tn.neftune_noise(x, 5.0, key=Key(0))[:, 4:]
    )


def test_no_noise(refusal: Callable[..., str]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    assert np.array_equal(tn.neftune_noise(x, 0, key=Key(0)), x)
    assert np.array_equal(tn.neftune_noise(x, 5, mode="mean"), x)
    line = refusal(InputError, tn.neftune_noise, x, -1, key=Key(0))
    assert line == "NEFTune: alpha must be a number of at least 0, got -1."


# Multi-sample dropout


def test_every_sample_has_a_mask_of_its_own() -> None:
    x = np.random.default_rng(0).standard_normal((50, 20))
    y = tn.multi_sample_dropout(x, 0.4, key=Key(5), samples=6)
    masks = y != 0
    assert y.shape == (6, 50, 20)
    assert len({mask.tobytes() for mask in masks}) == 6
    keep = 1 - round(0.4 * 65536) / 65536
    assert np.allclose(y, masks * x / keep)
    first = tn.multi_sample_dropout(x, 0.4, key=Key(5), samples=2)
    assert np.array_equal(first, y[:2])  # more samples change none of those before
    assert np.array_equal(tn.multi_sample_dropout(x, 0.4, mode="mean"), x[None])


def test_its_gradient_is_the_sum_over_the_samples() -> None:
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((5, 4)), rng.standard_normal((3, 5, 4))
    y = tn.multi_sample_dropout(x, 0.5, key=Key(6), samples=3)
    dx = tn.dropout(dy, 0.5, key=Key(6)).sum(axis=0)
    assert np.vdot(dy, y) == pytest.approx(np.vdot(dx, x))


@pytest.mark.parametrize("samples", [0, -1, 2.5, True, "8"])
def test_samples_are_a_whole_number(samples: Any, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tn.multi_sample_dropout, np.ones(3), 0.5, key=Key(0), samples=samples)
    assert line == (f"MultiSampleDropout: samples must be a whole number in [1, 2**20], got {samples!r}.")


# DARE


def test_merging_at_the_ends_of_the_rate() -> None:
    base, one, two = np.random.default_rng(0).standard_normal((3, 30, 20))
    every = tn.dare_merge(base, [one, two], 0.0, key=Key(0), weights=[0.5, 2.0])
    assert np.allclose(every, base + 0.5 * (one - base) + 2 * (two - base))
    assert np.array_equal(tn.dare_merge(base, [one, two], 1.0, key=Key(0)), base)


def test_the_mean_of_merged_weights_is_merging_everything() -> None:
    base, one, two = np.random.default_rng(0).standard_normal((3, 10, 10))
    samples = [tn.dare_merge(base, [one, two], 0.5, key=Key(0, step)) for step in range(400)]
    wanted = one + two - base
    # The variance of a sum of changes, each dropped with chance 1/2 and doubled otherwise.
    sigma = np.sqrt(((one - base) ** 2 + (two - base) ** 2) / len(samples))
    assert (np.abs(np.mean(samples, axis=0) - wanted) < 5 * sigma).all()


def test_a_model_is_dropped_alike_beside_others() -> None:
    base, one, two = np.random.default_rng(0).standard_normal((3, 30, 20))
    alone = tn.dare_merge(base, [one], 0.9, key=Key(4))
    both = tn.dare_merge(base, [one, two], 0.9, key=Key(4), weights=[1.0, 0.0])
    assert np.array_equal(alone, both)
    second = tn.dare_merge(base, [one, two], 0.9, key=Key(4), weights=[0.0, 1.0])
    assert not np.array_equal(alone != base, second != base)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_merging_is_rounded_once(dtype: str) -> None:
    base, one = np.random.default_rng(0).standard_normal((2, 30, 20)).astype(dtype)
    merged = tn.dare_merge(base, [one], 0.9, key=Key(0))
    exact = tn.dare_merge(base.astype(float), [one.astype(float)], 0.9, key=Key(0))
    assert merged.dtype == dtype
    assert np.array_equal(merged, exact.astype(dtype))


def test_what_cannot_be_merged(refusal: Callable[..., str]) -> None:
    base = np.ones((2, 3))

    def line(*arguments: Any, **more: Any) -> str:
        return refusal(InputError, tn.dare_merge, *arguments, **{"key": Key(0), **more})

    shapes = "dare_merge: tuned must be arrays of the shape of base, (2, 3), got "
    assert line(base, [], 0.5) == f"{shapes}[]."
    assert line(base, [np.ones(3)], 0.5) == f"{shapes}[(3,)]."
    assert line(base, [base], 1.5) == "dare_merge: rate must be in [0, 1], got 1.5."
    assert line(base, [base, np.ones((2, 3), int)], 0.5).startswith("dare_merge: tuned[1] must be float16")
    assert line(base, [base], 0.5, key=3).endswith("use thinnet.Key(0).")
    assert line(base, [base], 0.5, weights="a") == "dare_merge: weights must be real numbers, got 'a'."
    for weights in ([1.0, 2.0], 1.0, [np.nan]):
        words = "weights must be finite numbers, one for each of 1, got"
        assert line(base, [base], 0.5, weights=weights).startswith(f"dare_merge: {words}")
