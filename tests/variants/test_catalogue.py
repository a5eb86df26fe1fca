"""Every row of the catalogue: its law, its rate everywhere in the array, its bits."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet._core import native
from thinnet._core.random import Key, Window
from thinnet.variants import CATALOGUE, TwoPoint, Variant, drop, find
from thinnet.variants._pattern import lane_window
from thinnet.variants._sample import mean, sample
from thinnet.variants._variant import SITES

ROWS = pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
RATES = pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
# One in 1.7 million sound laws would fail a two-sided bound of five standard deviations.
SIGMAS = 5.0
MODES: tuple[Any, ...] = ("sample", "mean")


def shape_of(row: Variant, length: int = 8) -> tuple[int, ...]:
    """Return the shape of an array that the row's pattern fits."""
    return tuple(
        axis for word in row.pattern.split() for axis in ((length, length) if "..." in word else (length,))
    )


def options(row: Variant, shape: tuple[int, ...], dtype: str = "float64") -> dict[str, Any]:
    """Return the `other` that `drop` needs for a row."""
    if not row.needs_other:
        return {}
    return {"other": np.random.default_rng(11).standard_normal(shape).astype(dtype)}


def draws(row: Variant, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the lanes that decide over an array, for rows without blocks."""
    return lane_window(row.pattern, Window.whole(shape), row.name).size


def independent(row: Variant, shape: tuple[int, ...], rate: float) -> float:
    """Return how many independent gains have a mean that varies as much as that of an array's gains."""
    law, lanes = row.law_of(rate), draws(row, shape)
    if not row.block:
        return math.prod(lanes)
    assert isinstance(law, TwoPoint)
    # Two entries are both kept if no block begins where either lies in it: the union of two boxes of lanes.
    sides = list(zip(row.block, shape[-len(row.block) :], strict=True))
    apart = [np.abs(np.subtract.outer(np.arange(n), np.arange(n))).ravel() for _, n in sides]
    shared = [np.maximum(size - distance, 0) for (size, _), distance in zip(sides, apart, strict=True)]
    union = 2 * math.prod(row.block) - functools.reduce(np.multiply.outer, shared)
    keep = 1 - law.threshold / 65536
    kept = keep ** math.prod(row.block)
    correlation = (keep**union - kept**2) / (kept * (1 - kept))
    return math.prod(lanes[: -len(row.block)]) / float(correlation.mean())


Floats: TypeAlias = NDArray[np.float64]


def outcomes(row: Variant, rate: float) -> tuple[Floats, Floats, Floats]:
    """Return the gains that an entry may have, the shifts, and the chances."""
    law = row.law_of(rate)
    if isinstance(law, TwoPoint):
        dropped = 1 - (1 - law.threshold / 65536) ** math.prod(row.block)
        gains, shifts = np.transpose([law.dropped, law.kept])
        return gains, shifts, np.array([dropped, 1 - dropped])
    shifts = np.zeros(65536) if law.shifts is None else law.shifts.astype(np.float64)
    return law.gains.astype(np.float64), shifts, np.full(65536, 1 / 65536)


def gains_of(row: Variant, shape: tuple[int, ...], rate: float, key: Key) -> NDArray[np.float64]:
    """Return the gain that each entry of an array draws."""
    return sample(row, np.ones(shape), rate, key, other=0.0)


def bytes_of(x: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(x).tobytes()


@ROWS
def test_a_row_has_a_source_a_text_and_a_site(row: Variant) -> None:
    assert CATALOGUE[row.name] is find(row.name) is row
    assert any(year in row.cite for year in map(str, range(1990, 2030)))
    assert row.doc.endswith(".")
    assert row.site in SITES


@ROWS
def test_a_row_has_a_usual_rate_and_advice(row: Variant) -> None:
    assert 0 < row.usual <= 1
    assert row.helps.endswith(".")
    assert row.differs == "" or row.differs.endswith(".")


@ROWS
@RATES
def test_a_law_knows_its_moments(row: Variant, rate: float) -> None:
    law, (gains, shifts, chances) = row.law_of(rate), outcomes(row, rate)
    average = (gains * chances).sum()
    assert law.mean[0] == pytest.approx(average, rel=1e-8)
    assert law.mean[1] == pytest.approx((shifts * chances).sum(), rel=1e-8, abs=1e-12)
    assert law.variance == pytest.approx((np.square(gains - average) * chances).sum(), rel=1e-6)
    if isinstance(law, TwoPoint):
        assert law.rate == pytest.approx(rate, abs=0.5 * law.lanes / 65536)


@ROWS
@pytest.mark.filterwarnings("ignore:.*realise rate:UserWarning")
def test_a_mean_of_one_is_exactly_one(row: Variant) -> None:
    # 1 / keep times keep is often 1 - 2**-53: inference must not change what it should leave alone.
    nearly = [rate for rate in np.linspace(0.001, 0.999, 57).tolist() if abs(row.mean_of(rate)[0] - 1) < 1e-6]
    assert all(row.mean_of(rate)[0] == 1 for rate in nearly)


@ROWS
@RATES
def test_samples_have_the_mean_and_variance_of_the_law(row: Variant, rate: float) -> None:
    law, (gains, shifts, chances) = row.law_of(rate), outcomes(row, rate)
    axes = len(shape_of(row))
    shape = (round((1 << 16) ** (1 / axes)),) * axes
    steps = max(8, 20_000 // math.prod(draws(row, shape)))  # few lanes decide over a whole batch
    small = shape if steps < 100 else shape_of(row, 2)
    lanes = steps * independent(row, small, rate)
    key = Key(1).fold(row.name)
    drawn = np.stack([gains_of(row, small, rate, key.at(step)) for step in range(steps)])
    # The square of a fair coin's deviation never varies: there only rounding is allowed for.
    spread = max(((gains - law.mean[0]) ** 4 * chances).sum() - law.variance**2, 0)
    assert abs(drawn.mean() - law.mean[0]) < SIGMAS * math.sqrt(law.variance / lanes) + 1e-12
    assert (
        abs(np.square(drawn - law.mean[0]).mean() - law.variance) < SIGMAS * math.sqrt(spread / lanes) + 1e-7
    )
    if not shifts.any():
        assert not sample(row, np.zeros(small), rate, key, other=1.0).any()
        return
    wide = (np.square(shifts - law.mean[1]) * chances).sum()
    shifted = [sample(row, np.zeros(small), rate, key.at(step), other=1.0).mean() for step in range(steps)]
    assert abs(np.mean(shifted) - law.mean[1]) < SIGMAS * math.sqrt(wide / lanes) + 1e-12


@ROWS
def test_exactly_those_entries_share_a_lane_that_should(row: Variant) -> None:
    row = row.sized(1) if row.block else row
    shape = shape_of(row, 4)
    steps = np.stack([gains_of(row, shape, 0.5, Key(9).at(step)) for step in range(64)], axis=-1)
    histories = {tuple(entry) for entry in steps.reshape(-1, 64).tolist()}
    kept = draws(row, shape)
    assert len(histories) == math.prod(kept)
    one_each = steps[tuple(slice(n) for n in kept)]
    assert np.array_equal(steps, np.broadcast_to(one_each, steps.shape))


@ROWS
def test_the_rate_is_the_same_at_corner_edge_and_centre(row: Variant) -> None:
    rate, steps, key = 0.1, 3000, Key(2).fold(row.name)
    law, (gains, _, chances) = row.law_of(rate), outcomes(row, rate)
    # Maps of blocks: few of them, as every map has its corners.
    shape = (*(2 for _ in shape_of(row)[: -len(row.block)]), *row.block) if row.block else shape_of(row)
    low = gains[0] if gains.size == 2 else np.quantile(gains, 0.05)
    mid = tuple(length // 2 for length in shape)
    spots = ((0,) * len(shape), (0, *mid[1:]), (-1,) * len(shape), mid)
    drawn = np.empty((steps, len(spots)))
    for step in range(steps):
        y = gains_of(row, shape, rate, key.at(step))
        drawn[step] = [y[spot] for spot in spots]
    share = chances[gains <= low].sum()
    assert np.all(np.abs(drawn.mean(axis=0) - law.mean[0]) < SIGMAS * math.sqrt(law.variance / steps))
    bound = SIGMAS * math.sqrt(share * (1 - share) / steps)
    assert np.all(np.abs((drawn <= low).mean(axis=0) - share) < bound)


@ROWS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rate_0_changes_nothing_and_at_rate_1_x_is_gone(row: Variant, dtype: str) -> None:
    shape = shape_of(row)
    x = np.linspace(-3, 3, math.prod(shape)).astype(dtype).reshape(shape)
    x.flat[0] = -0.0
    more = options(row, shape, dtype)
    for mode in MODES:
        y = drop(row, x, 0, key=Key(0), mode=mode, **more)
        assert y.dtype == dtype
        if row.other == "twin":  # at rate 0 both branches count alike
            assert np.allclose(y, (x + more["other"]) / 2, atol=2 * float(np.finfo(dtype).eps))
        else:
            assert bytes_of(y) == bytes_of(x)
    if row.other == "twin":
        return
    nothing = drop(row, np.zeros_like(x), 1, key=Key(0), **more)
    x.flat[:3] = np.nan, np.inf, -np.inf
    y = drop(row, x, 1, key=Key(0), **more)
    assert bytes_of(y) == bytes_of(nothing)
    assert np.isfinite(y).all()
    if row.other == "zero":
        assert bytes_of(y) == bytes_of(np.zeros_like(x))
    if row.inference == "mean":
        assert bytes_of(drop(row, x, 1, key=Key(0), mode="mean", **more)) == bytes_of(y)


@ROWS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
def test_dtypes_are_kept(row: Variant, dtype: str, mode: Any) -> None:
    x = np.full(shape_of(row), 1.5, dtype)
    more = options(row, x.shape, dtype)
    y = drop(row, x, 0.3, key=Key(0), mode=mode, **more)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    # What is drawn does not depend on the precision that it is drawn in.
    wide = {name: value.astype(np.float64) for name, value in more.items()}
    exact = drop(row, x.astype(np.float64), 0.3, key=Key(0), mode=mode, **wide)
    if row.other == "lowest":
        least = np.finfo(dtype).min
        assert np.array_equal(y == least, exact == np.finfo(np.float64).min)
        y, exact = np.where(y == least, 0, y), np.where(exact == np.finfo(np.float64).min, 0, exact)
    assert np.allclose(y, exact, rtol=4 * np.finfo(dtype).eps, atol=8 * float(np.finfo(dtype).eps))


@ROWS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_twin_has_the_same_bits(row: Variant, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(3).standard_normal(shape_of(row, 9)).astype(dtype)
    more = options(row, x.shape, dtype)
    y = drop(row, x, 0.4, key=Key(8, 1), **more)
    monkeypatch.setattr(native, "library", None)
    assert bytes_of(drop(row, x, 0.4, key=Key(8, 1), **more)) == bytes_of(y)


@ROWS
def test_shards_are_parts_of_the_whole(row: Variant) -> None:
    shape, key = shape_of(row, 9), Key(5, 6)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    more = options(row, shape, "float32")
    whole = drop(row, x, 0.4, key=key, **more)
    for axis, length in enumerate(shape):
        parts = []
        for first, last in ((0, 2), (2, 3), (3, length)):
            spot = tuple(slice(first, last) if i == axis else slice(None) for i in range(len(shape)))
            start = tuple(first if i == axis else 0 for i in range(len(shape)))
            part = x[spot]
            window = Window(shape, start, part.shape)
            own = {name: value[spot] for name, value in more.items()}
            parts.append(drop(row, part, 0.4, key=key, window=window, **own))
        assert bytes_of(np.concatenate(parts, axis)) == bytes_of(whole)


@ROWS
def test_the_gradient_is_the_map_without_its_shift(row: Variant) -> None:
    # y = gain * x + shift * other, so <dy, y(x) - y(0)> = <gain * dy, x>: backward is forward with other = 0.
    generator = np.random.default_rng(1)
    x, dy = (generator.standard_normal(shape_of(row)) for _ in range(2))
    more = options(row, x.shape)

    def forward(x: NDArray[Any], mode: Any) -> NDArray[Any]:
        y = drop(row, x, 0.4, key=Key(3), mode=mode, **more)
        return np.where(y == np.finfo(np.float64).min, 0, y)

    for mode, dx in (
        ("sample", sample(row, dy, 0.4, Key(3), other=0.0)),
        ("mean", mean(row, dy, 0.4, other=0.0)),
    ):
        y = forward(x, mode)
        moved = forward(x + 1e-6 * dy, mode)
        assert np.vdot(dy, y - forward(0 * x, mode)) == pytest.approx(np.vdot(dx, x), rel=1e-10)
        assert np.allclose((moved - y) / 1e-6, dx, atol=1e-8)
    others = [gains_of(row, x.shape, 0.4, Key(3, step)) for step in range(1, 20)]
    assert not all(np.array_equal(other, gains_of(row, x.shape, 0.4, Key(3))) for other in others)


@ROWS
@RATES
def test_the_mean_network_of_each_row(row: Variant, rate: float) -> None:
    x = np.random.default_rng(2).standard_normal(shape_of(row))
    more = options(row, x.shape)
    gains, shifts, chances = outcomes(row, rate)
    expected = (gains * chances).sum() * x + (shifts * chances).sum() * more.get("other", 0.0)
    y = drop(row, x, rate, key=Key(0), mode="mean", **more)
    assert np.allclose(y, x if row.inference == "identity" else expected, rtol=1e-8, atol=1e-8)
    assert np.array_equal(mean(row, x, rate, **more), y)


@ROWS
def test_the_first_4096_decisions_are_pinned(row: Variant, vectors: Callable[[str], Any]) -> None:
    known = vectors("catalogue")
    ones = np.ones(known["rows"][row.name]["shape"], np.float32)
    more = {"other": known["other"]} if row.needs_other else {}
    y = drop(row, ones, known["rate"], key=Key(*known["key"]), **more)
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
    assert line == "variant: there is no 'qqq' in the catalogue; `thinnet variants` lists all names."


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

    def line_of(name: str, shape: tuple[int, ...], block: Any) -> str:
        return refusal(InputError, drop, name, np.ones(shape), 0.1, key=Key(0), block=block)

    image = (1, 2, 6, 8)
    sizes = "DropBlock2d: block must be a whole number of at least 1, or 2 of them, got "
    assert line_of("DropBlock2d", image, None).endswith(
        f"(7, 7) are larger than the array, of shape {image}."
    )
    assert line_of("DropBlock2d", image, (6, 9)).startswith("DropBlock2d: blocks of (6, 9) are larger than")
    assert line_of("DropBlock2d", (6, 8), 3).startswith("DropBlock2d: the pattern 'n c h w' needs 4 axes")
    assert line_of("Dropout", image, 3) == "Dropout: drops no blocks, got block=3."
    assert [line_of("DropBlock2d", image, bad) for bad in (0, 2.5, (3,), (2, True))] == [
        sizes + text for text in ("0.", "2.5.", "(3,).", "(2, True).")
    ]
    part = Window((1, 2, 16, 16), (0, 0, 4, 4), (1, 2, 2, 2))  # a block may be larger than a part
    assert drop("DropBlock2d", np.ones((1, 2, 2, 2)), 0.5, key=Key(0), window=part).shape == (1, 2, 2, 2)


def test_other_is_checked(refusal: Callable[..., str]) -> None:
    from thinnet.errors import InputError

    def line_of(name: str, **more: Any) -> str:
        return refusal(InputError, drop, name, np.ones((2, 3)), 0.1, key=Key(0), **more)

    assert line_of("Zoneout") == "Zoneout: other is missing; pass the previous state as other=."
    assert line_of("Dropout", other=1.0) == "Dropout: takes no other; leave it out."
    single = np.ones((2, 3), np.float32)
    assert line_of("Zoneout", other=single).endswith("must have the dtype of x, float64, got float32.")
    assert "does not broadcast against x" in line_of("Zoneout", other=np.ones((3, 2)))
    assert line_of("Mixout", other=np.ones((2, 3), int)).startswith("Mixout: other must be float16")


def test_one_rate_for_a_map(refusal: Callable[..., str]) -> None:
    from thinnet.errors import InputError

    x = np.ones((2, 3, 8, 8))
    line = refusal(InputError, drop, "DropBlock2d", x, np.full((8, 8), 0.1), key=Key(0), block=3)
    assert line == "DropBlock2d: takes one rate for a whole map, got rates of shape (8, 8)."
    each = np.linspace(0, 1, 3)[:, None, None]
    y = drop("DropBlock2d", x, each, key=Key(0), block=3)
    assert (y[:, 0] == 1).all()
    assert (y[:, 2] == 0).all()
