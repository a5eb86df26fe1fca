"""What each variant outside the catalogue does that no other does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import thinnet as tn
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.variants import drop, mask


def gradient(f: Callable[[Any], float], x: Any, step: float = 1e-6) -> Any:
    out = np.empty_like(x)
    for i in np.ndindex(x.shape):
        moved = np.array([x, x])
        moved[0][i] += step
        moved[1][i] -= step
        out[i] = (f(moved[0]) - f(moved[1])) / (2 * step)
    return out


# Concrete dropout


def test_a_cold_concrete_gain_is_dropout() -> None:
    x = np.random.default_rng(0).standard_normal(100_000)
    gains = tn.concrete_dropout(x, 0.0, key=Key(0), temperature=1e-4) / x
    assert np.mean((gains > 1e-3) & (gains < 2 - 1e-3)) < 2e-3
    assert np.array_equal(gains > 1, mask(x.shape, 0.5, key=Key(0)))


def test_a_concrete_gain_has_a_gradient_with_respect_to_the_logit() -> None:
    def mean(logit: float) -> float:
        return float(tn.concrete_dropout(np.ones(4096), logit, key=Key(0)).mean())

    slopes = [(mean(logit + 1e-5) - mean(logit - 1e-5)) / 2e-5 for logit in (-1.0, 0.0, 1.0)]
    assert all(np.isfinite(slopes))
    assert any(abs(slope) > 1e-3 for slope in slopes)


def test_the_entropy_of_coins() -> None:
    weights = np.random.default_rng(0).standard_normal((5, 3))
    for p in (0.1, 0.5, 0.9):
        coin = stats.bernoulli(p).entropy()
        expected = 4 / 2 * np.square(weights).sum() / (1 - p) - 5 * coin
        assert tn.concrete_kl(np.log(p / (1 - p)), weights, length=2.0) == pytest.approx(expected)


@pytest.mark.parametrize("logit", [-1e4, -40.0, 39.0, 800.0, np.inf, -np.inf])
def test_extreme_logits_neither_cancel_nor_overflow(logit: float) -> None:
    x = np.array([1.0, -2.0, np.inf, np.nan])
    gains = tn.concrete_dropout(np.ones(1000), logit, key=Key(0))
    assert np.isfinite(gains).all()
    if logit > 700:
        assert not tn.concrete_dropout(x, logit, key=Key(0), temperature=0.01).any()
    if logit < -100:
        assert np.array_equal(tn.concrete_dropout(x, logit, key=Key(0)), x, equal_nan=True)


def test_a_warm_gain_is_exact_where_nearly_everything_goes() -> None:
    from thinnet.variants._beyond.function import uniforms

    logit, t, u = 39.0, 4.0, uniforms(Key(0), (4,))
    z = (logit + np.log((1 - u) / u)) / t
    exact = [float(np.exp(-a) / (1 + np.exp(-a)) * (1 + np.exp(logit))) for a in z]
    gains = tn.concrete_dropout(np.ones(4), logit, key=Key(0), temperature=t)
    assert gains == pytest.approx(exact, rel=1e-9)


def test_weights_of_a_convolution_have_no_concrete_penalty(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tn.concrete_kl, 0.0, np.ones((8, 3, 3, 3)))
    assert line == "concrete_kl: weights must have shape (inputs, outputs), got (8, 3, 3, 3)."
    assert refusal(InputError, tn.concrete_kl, 1e4, np.ones((2, 2))).endswith("got 10000.0.")


# Variational dropout


QUANTILES = stats.norm.ppf((np.arange(10**6) + 0.5) / 10**6)


def exact_kl(alpha: float) -> float:
    """Return -log(alpha) / 2 + E log|e| with e from N(1, alpha), the divergence but for a constant.

    Kingma et al., NeurIPS 2015, equation 10; the expectation is taken over a million quantiles.
    """
    return float(np.log(np.abs(1 + alpha**0.5 * QUANTILES)).mean() - np.log(alpha) / 2)


def test_the_cubic_is_the_divergence_but_for_a_constant() -> None:
    known = np.log([0.02, 0.1, 0.3, 0.6, 1.0])
    gaps = tn.variational_kl(known) - [exact_kl(float(np.exp(a))) for a in known]
    assert np.ptp(gaps) < 0.03
    assert tn.variational_kl(3.0) == tn.variational_kl(0.0)  # alpha ends at 1


def test_the_sigmoid_is_the_divergence_and_goes_to_0() -> None:
    # The constant that makes the exact one go to 0 for much noise: (log 2 + Euler's constant) / 2.
    known = np.linspace(-6, 6, 13)
    exact = np.array([exact_kl(float(np.exp(a))) for a in known]) + (np.log(2) + np.euler_gamma) / 2
    assert np.abs(tn.sparse_kl(known) - exact).max() < 0.012
    assert tn.sparse_kl(40.0) == pytest.approx(0, abs=1e-12)
    assert np.all(np.diff(tn.sparse_kl(np.linspace(-20, 20, 400))) < 0)


def test_local_noise_has_the_law_of_noisy_weights() -> None:
    generator = np.random.default_rng(2)
    x, weights = generator.standard_normal((1, 6)), generator.standard_normal((6, 2))
    alpha = generator.uniform(0.1, 2.0, weights.shape)
    rows = np.repeat(x, 40_000, axis=0)
    drawn = tn.local_noise(rows, weights, np.log(alpha), key=Key(0))
    spread = (np.square(x) @ (alpha * np.square(weights)))[0]
    assert np.all(np.abs(drawn.mean(axis=0) - (x @ weights)[0]) < 5 * (spread / len(rows)) ** 0.5)
    assert np.all(np.abs(drawn.var(axis=0) / spread - 1) < 5 * (2 / len(rows)) ** 0.5)


@pytest.mark.parametrize(("dtype", "size"), [("float16", 300.0), ("float16", 1e-4), ("float32", 1e25)])
def test_squares_neither_overflow_nor_vanish(dtype: str, size: float) -> None:
    drawn = tn.local_noise(np.full((4000, 1), size, dtype), np.ones((1, 1)), 0.0, key=Key(0))
    assert drawn.dtype == dtype
    wide = drawn.astype(float)
    assert wide.mean() == pytest.approx(size, rel=5 / 4000**0.5)
    assert wide.std() == pytest.approx(size, rel=0.1)


def test_a_weight_that_is_zero_has_no_noise() -> None:
    drawn = tn.local_noise(np.ones((3, 2)), np.array([[1.0], [0.0]]), [[-900.0], [900.0]], key=Key(0))
    assert np.array_equal(drawn, np.ones((3, 1)))


def test_noisy_weights_are_pruned() -> None:
    pruned = tn.sparse_prune(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[3.1, 2.9], [-1.0, np.inf]]))
    assert pruned.tolist() == [[0, 2], [3, 0]]


def test_weights_that_do_not_fit(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tn.local_noise, np.ones((2, 3)), np.ones((4, 2)), 0.0, key=Key(0))
    assert line == "VariationalDropout: weights must have shape (3, outputs), got (4, 2)."
    line = refusal(InputError, tn.concrete_dropout, np.ones(2), 0.0, key=Key(0), temperature=0)
    assert line == "ConcreteDropout: temperature must be a number of at least 1e-06, got 0."
    line = refusal(InputError, tn.standout, np.ones(2), [np.nan, 1.0], key=Key(0))
    assert line == "Standout: logits must not hold NaN."


# Standout


def test_standout_keeps_by_its_logits() -> None:
    logits = np.linspace(-3, 3, 7)
    kept = tn.standout(np.ones((30_000, 7)), logits, key=Key(1), alpha=2.0, beta=0.5) > 0
    chance = 1 / (1 + np.exp(-(2 * logits + 0.5)))
    assert np.all(np.abs(kept.mean(axis=0) - chance) < 5 * (chance * (1 - chance) / 30_000) ** 0.5 + 1e-5)


# Targeted dropout


def test_only_the_smallest_are_candidates() -> None:
    weights = np.random.default_rng(0).standard_normal((40, 6))
    pruned = tn.targeted_dropout(weights, 1.0, key=Key(0), target=0.25)
    for column, before in zip(pruned.T, weights.T, strict=True):
        gone = np.abs(before[column == 0])
        assert gone.size == 10
        assert gone.max() < np.abs(before[column != 0]).min()
    some = tn.targeted_dropout(weights, 0.5, key=Key(0), target=0.25)
    assert np.all((some == 0) <= (pruned == 0))
    assert 10 < (some == 0).sum() < 50
    assert np.array_equal(some[some != 0], weights[some != 0])


@pytest.mark.parametrize(("target", "of"), [(0.29, 100), (0.57, 100), (0.58, 50)])
def test_a_share_is_counted_as_it_is_written(target: float, of: int) -> None:
    pruned = tn.targeted_dropout(np.arange(1.0, of + 1)[:, None], 1.0, key=Key(0), target=target)
    assert (pruned == 0).sum() == round(target * of)


@pytest.mark.parametrize("axis", [0, -1])
def test_whole_units_are_candidates(axis: int) -> None:
    weights = np.random.default_rng(0).standard_normal((8, 4, 3, 10))
    pruned = tn.targeted_dropout(weights, 1.0, key=Key(0), target=0.5, units=True, axis=axis)
    units = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    left = np.moveaxis(pruned, axis, 0).reshape(units.shape)
    gone = ~left.any(axis=1)
    assert gone.sum() == len(units) // 2
    assert np.array_equal(left[~gone], units[~gone])
    lengths = np.linalg.norm(units, axis=1)
    assert lengths[gone].max() < lengths[~gone].min()


# Max-pooling dropout


def test_each_entry_of_a_window_comes_out_with_its_chance() -> None:
    window = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = np.broadcast_to(window, (50_000, 1, 2, 2))
    out = tn.max_pool_dropout(x, 0.4, key=Key(0)).ravel()
    rate = round(0.4 * 65536) / 65536
    chances = {value: (1 - rate) * rate ** (4 - value) for value in (4, 3, 2, 1)} | {0: rate**4}
    assert sum(chances.values()) == pytest.approx(1)
    for value, chance in chances.items():
        assert np.mean(out == value) == pytest.approx(chance, abs=5 * (chance / out.size) ** 0.5)
    mean = tn.max_pool_dropout(x[:1], 0.4, key=Key(0), mode="mean").item()
    assert mean == pytest.approx(sum(value * chance for value, chance in chances.items()))


def test_the_largest_may_be_infinite() -> None:
    x = np.array([[[[np.inf, 1.0], [2.0, 3.0]]]])
    assert tn.max_pool_dropout(x, 0.0, key=Key(0), mode="mean").item() == np.inf
    assert tn.max_pool_dropout(x, 1.0, key=Key(0), mode="mean").item() == 0
    assert tn.shake_drop(x, 1.0, key=Key(0), mode="mean").max() == 0


def test_overlapping_windows_share_a_mask() -> None:
    x = np.random.default_rng(0).uniform(size=(2, 3, 7, 7))
    kept = drop("UnscaledDropout", x, 0.5, key=Key(2))
    out = tn.max_pool_dropout(x, 0.5, key=Key(2), kernel_size=3, stride=2)
    assert out.shape == (2, 3, 3, 3)
    for i, j in np.ndindex(3, 3):
        assert np.array_equal(
            out[:, :, i, j], kept[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max(axis=(2, 3))
        )


def test_windows_that_are_refused(refusal: Callable[..., str]) -> None:
    def line_of(x: Any, **more: Any) -> str:
        return refusal(InputError, tn.max_pool_dropout, x, 0.5, key=Key(0), **more)

    x = np.ones((1, 1, 4, 4))
    assert line_of(-x) == "MaxPoolDropout: x has entries below 0; put a rectifier before it."
    assert (
        line_of(x, kernel_size=5) == "MaxPoolDropout: windows of 5 are larger than x, of shape (1, 1, 4, 4)."
    )
    assert line_of(x, kernel_size=0).endswith("kernel_size must be a whole number of at least 1, got 0.")


# ShakeDrop, Shakeout


def test_backward_shakes_the_same_samples_by_other_noise() -> None:
    x = np.ones((20_000, 3))
    forward = tn.shake_drop(x, 0.5, key=Key(1))
    backward = tn.shake_drop(x, 0.5, key=Key(1), backward=True)
    assert np.array_equal(forward != 1, backward != 1)
    assert np.array_equal(forward[:, 0], forward[:, 2])
    shaken, back = forward[forward[:, 0] != 1, 0], backward[forward[:, 0] != 1, 0]
    assert stats.kstest(shaken, stats.uniform(-1, 2).cdf).pvalue > 1e-4
    assert stats.kstest(back, stats.uniform(0, 1).cdf).pvalue > 1e-4
    assert abs(np.corrcoef(shaken, back)[0, 1]) < 5 / len(shaken) ** 0.5
    assert tn.shake_drop(x, 0.25, key=Key(1), mode="mean")[0, 0] == 0.75


def test_shakeout_is_the_papers_rule() -> None:
    weights, rate, c = np.random.default_rng(0).standard_normal((200, 4)), 0.25, 0.3
    drawn = tn.shakeout(weights, rate, key=Key(0), c=c)
    # r is 0 or 1 / keep for each input: w * r + c * (r - 1) * sign(w), equation 5.
    r = np.where(drawn[:, :1] * weights[:, :1] < 0, 0.0, 1 / (1 - rate))
    assert np.allclose(drawn, r * weights + c * (r - 1) * np.sign(weights))
    assert 0 < (r == 0).mean() < 0.5
    images = np.random.default_rng(1).standard_normal((6, 50, 3, 3))
    assert np.allclose(
        tn.shakeout(images, rate, key=Key(0), c=c, axis=1).swapaxes(0, 1)[:, 0, 0, 0] == 0, False
    )


# PatchDropout, Cutout, DropHead


@pytest.mark.parametrize(
    ("tokens", "prefix", "rate", "kept"), [(9, 1, 0.5, 5), (9, 0, 1.0, 1), (5, 5, 0.5, 5)]
)
def test_exactly_so_many_tokens_stay(tokens: int, prefix: int, rate: float, kept: int) -> None:
    x = np.random.default_rng(0).standard_normal((50, tokens, 3))
    out, index = tn.patch_dropout(x, rate, key=Key(0), prefix=prefix)
    assert out.shape == (50, kept, 3)
    assert np.array_equal(index[:, :prefix], np.broadcast_to(np.arange(prefix), (50, prefix)))
    assert np.all(np.diff(index, axis=1) > 0)
    assert np.array_equal(out, np.stack([row[chosen] for row, chosen in zip(x, index, strict=True)]))


def test_every_token_is_as_likely_to_stay() -> None:
    _, index = tn.patch_dropout(np.zeros((20_000, 8, 1)), 0.5, key=Key(3))
    share = np.bincount(index.ravel(), minlength=8) / 20_000
    assert np.all(np.abs(share - 0.5) < 5 * (0.25 / 20_000) ** 0.5)


def test_a_window_of_tokens_is_refused(refusal: Callable[..., str]) -> None:
    from thinnet._core.random import Window

    x, part = np.zeros((2, 4, 3)), Window((2, 8, 3), (0, 4, 0), (2, 4, 3))
    line = refusal(InputError, tn.patch_dropout, x, 0.5, key=Key(0), window=part)
    assert line.endswith("a window must have all tokens and features of its samples.")
    line = refusal(InputError, tn.patch_dropout, x, 0.5, key=Key(0), prefix=5)
    assert line == "PatchDropout: prefix must be a whole number in [0, 4], got 5."


@pytest.mark.parametrize("size", [1, 2, 3, (4, 1), 20, 0])
def test_a_pixel_is_erased_as_often_as_its_distance_to_the_border_says(size: Any) -> None:
    n, height, width = 20_000, 6, 5
    erased = tn.cutout(np.ones((n, 2, height, width)), size, key=Key(4)) == 0
    assert np.array_equal(erased[:, 0], erased[:, 1])
    chances = []
    for side, length in zip(size if isinstance(size, tuple) else (size, size), (height, width), strict=True):
        first = np.arange(length) - side // 2
        covered = [(first <= place) & (place < first + side) for place in range(length)]
        chances.append(np.mean(covered, axis=1))
    chance = np.multiply.outer(*chances)
    assert np.all(
        np.abs(erased[:, 0].mean(axis=0) - chance) <= 5 * (chance * (1 - chance) / n) ** 0.5 + 1e-12
    )


def test_boxes_that_are_refused(refusal: Callable[..., str]) -> None:
    for size in (-1, 2.5, True, 10**30):
        line = refusal(InputError, tn.cutout, np.ones((1, 1, 4, 4)), size, key=Key(0))
        assert line == f"Cutout: size must be a whole number in [0, 2**31], got {size!r}."
    line = refusal(InputError, tn.cutout, np.ones((1, 1, 4, 4)), (2, 3, 4), key=Key(0))
    assert line == "Cutout: size must be one whole number, or two, got (2, 3, 4)."
    assert tn.cutout(np.ones((1, 1, 4, 4)), [np.int64(2), 3], key=Key(0)).shape == (1, 1, 4, 4)


def test_heads_are_scaled_by_how_many_are_left() -> None:
    y = tn.drop_head(np.ones((3000, 6, 2, 2)), 0.6, key=Key(5))
    heads = y[:, :, 0, 0]
    assert np.array_equal(y, np.broadcast_to(heads[:, :, None, None], y.shape))
    kept = (heads > 0).sum(axis=1)
    assert np.allclose(heads.sum(axis=1), np.where(kept, 6, 0))
    assert set(kept) == set(range(7))
    assert np.mean(heads == 0) == pytest.approx(0.6, abs=5 * (0.24 / heads.size) ** 0.5)


# R-Drop, edges


def test_the_divergence_and_its_gradients() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, 4, 5))
    rows, d_first, d_second = tn.r_drop(first, second)
    p, q = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (first, second))
    assert np.allclose(rows, (stats.entropy(p, q, axis=1) + stats.entropy(q, p, axis=1)) / 2)
    assert np.allclose(d_first, gradient(lambda z: tn.r_drop(z, second)[0].sum(), first), atol=1e-8)
    assert np.allclose(d_second, gradient(lambda z: tn.r_drop(first, z)[0].sum(), second), atol=1e-8)
    huge = tn.r_drop(np.array([[1e4, 0.0]]), np.array([[0.0, 1e4]]))
    assert all(np.isfinite(part).all() for part in huge)


def test_masked_classes_count_nothing(refusal: Callable[..., str]) -> None:
    masked = [[-np.inf, 0.0, 1.0]], [[-np.inf, 1.0, 0.0]]
    rows, first, _ = tn.r_drop(*masked)
    assert np.allclose(rows, tn.r_drop([[0.0, 1.0]], [[1.0, 0.0]])[0])
    assert first[0, 0] == 0
    line = refusal(InputError, tn.r_drop, masked[0], [[0.0, 1.0, 0.0]])
    assert line == "RDrop: a class that is masked (-inf) in one pass has to be in the other."


def test_logits_that_do_not_fit(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tn.r_drop, np.ones((2, 3)), np.ones((2, 4)))
    assert line == "RDrop: logits must both have shape (n, classes), got (2, 3) and (2, 4)."


def test_edges_go_with_the_asked_chance() -> None:
    edges = np.random.default_rng(0).integers(0, 500, (2, 40_000))
    kept, mask = tn.drop_edges(edges, 0.3, key=Key(0))
    assert np.array_equal(kept, edges[:, mask])
    assert mask.mean() == pytest.approx(0.7, abs=5 * (0.21 / 40_000) ** 0.5)
    assert tn.drop_edges(edges, 0.0, key=Key(0))[1].all()
    assert tn.drop_edges(edges, 1.0, key=Key(0))[0].shape == (2, 0)
    assert tn.drop_edges(np.empty((2, 0), int), 0.5, key=Key(0), undirected=True)[0].shape == (2, 0)


def test_both_directions_of_an_edge_go_together() -> None:
    once = np.unique(np.sort(np.random.default_rng(0).integers(0, 200, (2, 3000)), axis=0), axis=1)
    both = np.concatenate([once, once[::-1]], axis=1)
    _, mask = tn.drop_edges(both, 0.4, key=Key(1), undirected=True)
    there, back = np.split(mask, 2)
    assert np.array_equal(there, back)
    assert there.mean() == pytest.approx(0.6, abs=5 * (0.24 / there.size) ** 0.5)


def test_lists_of_edges_that_are_refused(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tn.drop_edges, np.ones((2, 3)), 0.5, key=Key(0))
    assert line == "drop_edges: edges must be whole numbers of shape (2, E), got float64 of shape (2, 3)."
    assert "got int64 of shape (3, 2)" in refusal(
        InputError, tn.drop_edges, np.ones((3, 2), int), 0.5, key=Key(0)
    )


@pytest.mark.parametrize("call", [tn.shakeout, tn.targeted_dropout])
def test_weights_without_axes_are_refused(call: Any, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, call, np.array(1.0), 0.5, key=Key(0))
    assert line.endswith(": weights must have at least one axis, got shape ().")


def test_a_function_of_one_rate_says_so(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tn.drop_head, np.ones((1, 2, 3, 4)), [0.1, 0.2], key=Key(0))
    assert line == "DropHead: rate must be one number in [0, 1], got an array of shape (2,)."
