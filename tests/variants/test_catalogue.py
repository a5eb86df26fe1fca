"""Every row of the catalogue: its law, its rate everywhere in the array, its bits."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet.random import Key, Window
from thinnet.variants import CATALOGUE, TwoPoint, Variant, drop, find, mean
from thinnet.variants.pattern import lane_window

ROWS = pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
RATES = pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
# One in 1.7 million sound laws would fail a two-sided bound of five standard deviations.
SIGMAS = 5.0
SITES = {"activation", "branch", "weight", "state", "embedding", "attention", "input"}


def shape_of(row: Variant, length: int = 8) -> tuple[int, ...]:
    """Return the shape of an array that the row's pattern fits."""
    return tuple(
        axis for word in row.pattern.split() for axis in ((length, length) if "..." in word else (length,))
    )


def draws(row: Variant, shape: tuple[int, ...]) -> int:
    """Return how many lanes decide over an array, one each."""
    return math.prod(lane_window(row.pattern, Window.whole(shape), row.name).size)


def independent(row: Variant, shape: tuple[int, ...], rate: float) -> float:
    """Return how many independent gains have a mean that varies as much as that of an array's gains."""
    law = row.law_of(rate)
    if not row.block:
        return draws(row, shape)
    assert isinstance(law, TwoPoint)
    # Two entries are both kept if no block begins where either lies in it: the union of two boxes of lanes.
    sides = list(zip(row.block, shape[-len(row.block) :], strict=True))
    apart = [np.abs(np.subtract.outer(np.arange(n), np.arange(n))).ravel() for _, n in sides]
    shared = [np.maximum(size - distance, 0) for (size, _), distance in zip(sides, apart, strict=True)]
    union = 2 * math.prod(row.block) - functools.reduce(np.multiply.outer, shared)
    keep = 1 - law.threshold / 65536
    kept = keep ** math.prod(row.block)
    correlation = (keep**union - kept**2) / (kept * (1 - kept))
    return math.prod(shape[: -len(row.block)]) / float(correlation.mean())


def outcomes(row: Variant, rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the gains that an entry may have, and the chance of each."""
    law = row.law_of(rate)
    if isinstance(law, TwoPoint):
        dropped = 1 - (1 - law.threshold / 65536) ** math.prod(row.block)
        return np.array([law.dropped[0], law.kept[0]]), np.array([dropped, 1 - dropped])
    return law.gains.astype(np.float64), np.full(65536, 1 / 65536)


def bytes_of(x: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(x).tobytes()


@ROWS
def test_a_row_says_who_what_and_where(row: Variant) -> None:
    assert CATALOGUE[row.name] is find(row.name) is row
    assert any(year in row.cite for year in map(str, range(1990, 2030)))
    assert row.doc.endswith(".")
    assert row.site in SITES


@ROWS
@RATES
def test_a_law_knows_its_moments(row: Variant, rate: float) -> None:
    law, (gains, chances) = row.law_of(rate), outcomes(row, rate)
    average = (gains * chances).sum()
    assert law.mean[0] == pytest.approx(average, rel=1e-8)
    assert law.variance == pytest.approx((np.square(gains - average) * chances).sum(), rel=1e-6)
    assert law.mean[1] == 0
    if isinstance(law, TwoPoint):
        assert law.rate == pytest.approx(rate, abs=0.5 * law.lanes / 65536)


@ROWS
def test_a_mean_of_one_is_exactly_one(row: Variant) -> None:
    # 1 / keep times keep is often 1 - 2**-53: inference must not change what it should leave alone.
    nearly = [rate for rate in np.linspace(0.001, 0.999, 57).tolist() if abs(row.mean_of(rate)[0] - 1) < 1e-6]
    assert all(row.mean_of(rate)[0] == 1 for rate in nearly)


@ROWS
@RATES
def test_samples_have_the_mean_and_variance_of_the_law(row: Variant, rate: float) -> None:
    count, (gains, chances) = 1 << 19, outcomes(row, rate)
    shape = tuple(round(count ** (1 / len(shape_of(row)))) for _ in shape_of(row))
    y = drop(row, np.ones(shape), rate, key=Key(1).fold(row.name))
    law = row.law_of(rate)
    # The square of a fair coin's deviation never varies: there only rounding is allowed for.
    spread = max(((gains - law.mean[0]) ** 4 * chances).sum() - law.variance**2, 0)
    lanes = independent(row, shape, rate)
    assert abs(y.mean() - law.mean[0]) < SIGMAS * math.sqrt(law.variance / lanes)
    assert abs(((y - law.mean[0]) ** 2).mean() - law.variance) < SIGMAS * math.sqrt(spread / lanes) + 1e-7


@ROWS
def test_exactly_those_entries_share_a_lane_that_should(row: Variant) -> None:
    row = row.sized(1) if row.block else row
    shape = shape_of(row, 6)
    steps = np.stack([drop(row, np.ones(shape), 0.5, key=Key(9).at(step)) for step in range(64)], axis=-1)
    histories = {tuple(entry) for entry in steps.reshape(-1, 64).tolist()}
    assert len(histories) == draws(row, shape)
    kept = lane_window(row.pattern, Window.whole(shape), row.name).size
    one_each = steps[tuple(slice(n) for n in kept)]
    assert np.array_equal(steps, np.broadcast_to(one_each, steps.shape))


@ROWS
def test_the_rate_is_the_same_at_corner_edge_and_centre(row: Variant) -> None:
    rate, steps, key = 0.1, 3000, Key(2).fold(row.name)
    ones, law, (gains, chances) = np.ones(shape_of(row)), row.law_of(rate), outcomes(row, rate)
    low = gains[0] if gains.size == 2 else np.quantile(gains, 0.05)
    total, dropped = np.zeros_like(ones), np.zeros_like(ones)
    for step in range(steps):
        y = drop(row, ones, rate, key=key.at(step))
        total += y
        dropped += y <= low
    share = chances[gains <= low].sum()
    mid = tuple(length // 2 for length in ones.shape)
    for spot in ((0,) * ones.ndim, (0, *mid[1:]), (-1,) * ones.ndim, mid):
        assert abs(total[spot] / steps - law.mean[0]) < SIGMAS * math.sqrt(law.variance / steps), spot
        assert abs(dropped[spot] / steps - share) < SIGMAS * math.sqrt(share * (1 - share) / steps), spot


@ROWS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rate_0_changes_nothing_and_rate_1_leaves_nothing(row: Variant, dtype: str) -> None:
    x = np.linspace(-3, 3, math.prod(shape_of(row))).astype(dtype).reshape(shape_of(row))
    x.flat[0] = -0.0
    for mode in ("sample", "mean"):
        y = drop(row, x, 0, key=Key(0), mode=mode)
        assert y.dtype == dtype
        assert bytes_of(y) == bytes_of(x)
    x.flat[:3] = np.nan, np.inf, -np.inf
    y = drop(row, x, 1, key=Key(0))
    assert bytes_of(y) == bytes_of(np.zeros_like(x))
    if row.inference == "mean":
        assert bytes_of(drop(row, x, 1, key=Key(0), mode="mean")) == bytes_of(y)


@ROWS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("mode", ["sample", "mean"])
def test_dtypes_are_kept(row: Variant, dtype: str, mode: Any) -> None:
    x = np.full(shape_of(row), 1.5, dtype)
    y = drop(row, x, 0.3, key=Key(0), mode=mode)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    # What is drawn does not depend on the precision that it is drawn in.
    exact = drop(row, x.astype(np.float64), 0.3, key=Key(0), mode=mode)
    assert np.allclose(y, exact, rtol=2 * np.finfo(dtype).eps, atol=2 * float(np.finfo(dtype).eps))


@ROWS
def test_shards_are_parts_of_the_whole(row: Variant) -> None:
    shape, key = shape_of(row, 9), Key(5, 6)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    whole = drop(row, x, 0.4, key=key)
    for axis, length in enumerate(shape):
        parts = []
        for first, last in ((0, 2), (2, 3), (3, length)):
            spot = [slice(None)] * len(shape)
            spot[axis] = slice(first, last)
            start = tuple(first if i == axis else 0 for i in range(len(shape)))
            part = x[tuple(spot)]
            window = Window(shape, start, part.shape)
            parts.append(drop(row, part, 0.4, key=key, window=window))
        assert bytes_of(np.concatenate(parts, axis)) == bytes_of(whole)


@ROWS
def test_the_map_at_one_key_is_its_own_gradient(row: Variant) -> None:
    # y = gain * x, so <dy, y(x)> = <y(dy), x>: backward is forward again, with the same key.
    generator = np.random.default_rng(1)
    x, dy = (generator.standard_normal(shape_of(row)) for _ in range(2))
    for mode in ("sample", "mean"):
        y, dx = (drop(row, z, 0.4, key=Key(3), mode=mode) for z in (x, dy))
        step = 1e-6
        moved = drop(row, x + step * dy, 0.4, key=Key(3), mode=mode)
        assert np.vdot(dy, y) == pytest.approx(np.vdot(dx, x), rel=1e-12)
        assert np.allclose((moved - y) / step, dx, atol=1e-8)
    assert not np.array_equal(drop(row, x, 0.4, key=Key(3, 1)), drop(row, x, 0.4, key=Key(3)))


MEANS = {
    "Dropout": lambda keep: 1.0,
    "VanillaDropout": lambda keep: keep,
    "UnscaledDropout": lambda keep: 1.0,
    "GaussianDropout": lambda keep: 1.0,
    "Dropout2d": lambda keep: 1.0,
    "DropBlock2d": lambda keep: 1.0,
    "DropPath": lambda keep: 1.0,
}


@ROWS
@RATES
def test_the_mean_network_of_each_row(row: Variant, rate: float) -> None:
    x = np.random.default_rng(2).standard_normal(shape_of(row))
    realised = 1 - round(rate * 65536) / 65536
    y = drop(row, x, rate, key=Key(0), mode="mean")
    assert np.array_equal(y, x * MEANS[row.name](realised))
    assert np.array_equal(mean(row, x, rate), y)


@ROWS
def test_the_first_4096_decisions_are_pinned(row: Variant, vectors: Callable[[str], Any]) -> None:
    known = vectors("catalogue")
    ones = np.ones(known["rows"][row.name]["shape"], np.float32)
    y = drop(row, ones, known["rate"], key=Key(*known["key"]))
    assert y.size == 4096
    assert y.ravel()[:8].tolist() == pytest.approx(known["rows"][row.name]["first"], rel=1e-7)
    assert hashlib.sha256(y.astype("<f4").tobytes()).hexdigest() == known["rows"][row.name]["sha256"]


def test_nothing_is_pinned_that_is_gone(vectors: Callable[[str], Any]) -> None:
    assert list(vectors("catalogue")["rows"]) == list(CATALOGUE)


def test_an_unknown_name_is_offered_its_neighbour(refusal: Callable[..., str]) -> None:
    from thinnet.errors import InputError

    line = refusal(InputError, drop, "GausianDropout", np.ones(3), 0.5, key=Key(0))
    assert line == "variant: there is no 'GausianDropout' in the catalogue; did you mean 'GaussianDropout'?"
    line = refusal(InputError, find, "qqq")
    assert line == "variant: there is no 'qqq' in the catalogue; thinnet.CATALOGUE has them all."


@pytest.mark.parametrize("block", [2, 3, (1, 4), (5, 2)])
def test_what_is_dropped_is_made_of_whole_blocks(block: Any) -> None:
    row = find("DropBlock2d").sized(block)
    h, w = row.block
    dropped = drop(row, np.ones((4, 3, 12, 12)), 0.2, key=Key(4)) == 0
    whole = np.lib.stride_tricks.sliding_window_view(dropped, row.block, axis=(2, 3)).all(axis=(4, 5))
    grown = np.zeros_like(dropped)
    for i, j in np.ndindex(h, w):
        grown[:, :, i : i + whole.shape[2], j : j + whole.shape[3]] |= whole
    inside = np.s_[:, :, h - 1 : 13 - h, w - 1 : 13 - w]  # at the borders a block may hang over
    assert np.array_equal(grown[inside], dropped[inside])
    assert 0.1 < dropped.mean() < 0.3


def test_channels_drop_blocks_of_their_own() -> None:
    dropped = drop("DropBlock2d", np.ones((2, 2, 9, 9)), 0.3, key=Key(0)) == 0
    assert len({plane.tobytes() for plane in dropped.reshape(4, 81)}) == 4


def test_blocks_that_are_refused(refusal: Callable[..., str]) -> None:
    from thinnet.errors import InputError

    def told(name: str, shape: tuple[int, ...], block: Any) -> str:
        return refusal(InputError, drop, name, np.ones(shape), 0.1, key=Key(0), block=block)

    image = (1, 2, 6, 8)
    sizes = "DropBlock2d: block must be a whole number of at least 1, or 2 of them, got "
    assert told("DropBlock2d", image, None).endswith(f"(7, 7) are larger than the array, of shape {image}.")
    assert told("DropBlock2d", image, (6, 9)).startswith("DropBlock2d: blocks of (6, 9) are larger than")
    assert told("DropBlock2d", (6, 8), 3).startswith("DropBlock2d: the pattern 'n c h w' asks for 4 axes")
    assert told("Dropout", image, 3) == "Dropout: drops no blocks, got block=3."
    assert [told("DropBlock2d", image, bad) for bad in (0, 2.5, (3,), (2, True))] == [
        sizes + shown for shown in ("0.", "2.5.", "(3,).", "(2, True).")
    ]
    part = Window((1, 2, 16, 16), (0, 0, 4, 4), (1, 2, 2, 2))  # a block may be larger than a part
    assert drop("DropBlock2d", np.ones((1, 2, 2, 2)), 0.5, key=Key(0), window=part).shape == (1, 2, 2, 2)
