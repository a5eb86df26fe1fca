"""`drop`, `dropout` and `mask` from outside: rates, scales, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thinnet as tn
from thinnet.errors import InputError

KEY, ONES = tn.Key(0), np.ones((4, 6), np.float32)


def test_the_scale_is_of_the_realised_keep() -> None:
    # 0.1 * 65536 = 6553.6: the lanes drop 6554 of 65536, and the scale makes up for just that.
    y = tn.dropout(np.ones(1000), 0.1, key=KEY)
    assert set(y.tolist()) == {0.0, 65536 / (65536 - 6554)}


@given(st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_a_rate_is_rounded_to_the_nearest_lane_half_to_even(threshold: int, step: int) -> None:
    rate, key = (threshold + 0.5) / 65536, KEY.at(step)
    even = threshold + threshold % 2
    expected = tn.lanes(key, (64,)).astype(int) >= even
    assert np.array_equal(tn.mask((64,), rate, key=key), expected)
    assert np.array_equal(tn.mask((64,), np.full(64, rate), key=key), expected)


@pytest.mark.filterwarnings("ignore:Dropout. rate .* is rounded")
@given(st.floats(0, 1), st.integers(0, 2**64 - 1))
def test_the_mask_is_what_dropout_does(rate: float, seed: int) -> None:
    key = tn.Key(seed)
    x = np.arange(1.0, 31.0).reshape(5, 6)
    kept = tn.mask(x.shape, rate, key=key)
    assert kept.dtype == np.bool_
    assert np.array_equal(tn.dropout(x, rate, key=key) != 0, kept)


def test_the_mask_of_a_shard() -> None:
    window = tn.Window((9, 8), (2, 1), (4, 6))
    whole = tn.mask((9, 8), 0.5, key=KEY)
    assert np.array_equal(tn.mask((4, 6), 0.5, key=KEY, window=window), whole[2:6, 1:7])
    rates = np.linspace(0, 1, 6)
    part = tn.drop("Dropout", np.ones((4, 6)), rates, key=KEY, window=window)
    assert np.array_equal(tn.mask((4, 6), rates, key=KEY, window=window), part != 0)


@pytest.mark.parametrize("name", ["Dropout", "VanillaDropout", "UnscaledDropout"])
@pytest.mark.parametrize("mode", ["sample", "mean"])
def test_an_array_of_rates_is_each_rate_in_its_place(name: str, mode: Any) -> None:
    x = np.random.default_rng(0).standard_normal((50, 5))
    rates = np.array([0.0, 0.1, 0.5, 0.77, 1.0])
    y = tn.drop(name, x, rates, key=KEY, mode=mode)
    for column, rate in enumerate(rates):
        alone = tn.drop(name, x, float(rate), key=KEY, mode=mode)
        assert np.array_equal(y[:, column], alone[:, column])
    rows = tn.drop(name, x.T, rates[:, None], key=KEY, mode=mode)
    assert rows.shape == (5, 50)
    assert np.array_equal(rows[0], x.T[0])


def test_dropped_nan_and_infinity_are_gone() -> None:
    x = np.array([np.nan, np.inf, -np.inf, -1.0] * 50)
    y = tn.dropout(x, 0.5, key=KEY)
    kept = tn.mask(x.shape, 0.5, key=KEY)
    assert np.array_equal(y[kept], 2 * x[kept], equal_nan=True)
    assert not y[~kept].any()
    assert not np.signbit(y[~kept]).any()


def test_the_mean_network_of_dropout_returns_x() -> None:
    x = np.array([1 / 3, np.nan, np.inf, -0.0])
    y = tn.dropout(x, 10 / 65536, key=KEY, mode="mean")
    assert y.tobytes() == x.tobytes()


def test_lists_and_out() -> None:
    expected = tn.dropout(ONES, 0.5, key=KEY)
    assert np.array_equal(tn.dropout(ONES.astype(float).tolist(), 0.5, key=KEY), expected)
    for out in (np.empty_like(ONES), np.empty((4, 12), np.float32)[:, ::2], np.empty((6, 4), np.float32).T):
        assert tn.dropout(ONES, 0.5, key=KEY, out=out) is out
        assert np.array_equal(out, expected)
    own = ONES.copy()
    assert tn.dropout(own, 0.5, key=KEY, out=own) is own
    assert np.array_equal(own, expected)
    both = np.ones((4, 12), np.float32)  # neighbours in memory, but not one entry in common
    assert np.array_equal(tn.dropout(both[:, :6], 0.5, key=KEY, out=both[:, 6:]), expected)
    assert both[:, :6].all()


@pytest.mark.parametrize("mode", ["sample", "mean"])
@pytest.mark.parametrize("name", ["Zoneout", "Mixout", "WordDropout", "ShakeShake", "DARE"])
def test_out_does_not_overlap_other(name: str, mode: Any, refusal: Callable[..., str]) -> None:
    memory = np.random.default_rng(0).standard_normal(4001)
    x, previous = np.ones((40, 10, 10)), memory[1:].reshape(40, 10, 10)
    more = {"key": KEY, "other": previous, "mode": mode}
    expected = tn.drop(name, x, 0.5, **more)
    line = refusal(InputError, tn.drop, name, x, 0.5, out=memory[:-1].reshape(x.shape), **more)
    assert line == f"{name}: out overlaps other without being other; pass out=other or an array of its own."
    assert np.array_equal(tn.drop(name, x, 0.5, out=previous, **more), expected)


READ_ONLY = np.empty_like(ONES)
READ_ONLY.flags.writeable = False
SHARED = np.ones((5, 6), np.float32)
AS_FLOAT = "use x.astype('float32')."

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("rate above", {"rate": 1.5}, "rate must be in [0, 1], got 1.5."),
    ("rate below", {"rate": -0.1}, "rate must be in [0, 1], got -0.1."),
    ("rate nan", {"rate": np.nan}, "rate must be in [0, 1], got nan."),
    ("rate text", {"rate": "a"}, "rate must be a number in [0, 1], got 'a'."),
    ("rates above", {"rate": [0.1, 0.2, 0.3, 0.4, 0.5, 7]}, "rate must be in [0, 1], got 7."),
    (
        "rates of other shape",
        {"rate": [0.1, 0.2]},
        "rates of shape (2,) do not broadcast against x of shape (4, 6).",
    ),
    (
        "rates of more axes",
        {"rate": np.zeros((2, 4, 6))},
        "rates of shape (2, 4, 6) do not broadcast against x",
    ),
    ("integers", {"x": np.ones(3, int)}, f"x must be float16, float32 or float64, got int64; {AS_FLOAT}"),
    (
        "complex",
        {"x": np.ones(3, complex)},
        "x must be float16, float32 or float64, got complex128; use x.real and x.imag.",
    ),
    ("objects", {"x": np.ones(3, object)}, f"x must be float16, float32 or float64, got object; {AS_FLOAT}"),
    ("text", {"x": "abc"}, f"x must be float16, float32 or float64, got <U3; {AS_FLOAT}"),
    ("masked", {"x": np.ma.masked_less(ONES, 0)}, "x is a masked array; fill it first: x.filled(0.0)."),
    ("key", {"key": 0}, "key must be a thinnet.Key, got 0; use thinnet.Key(0)."),
    ("mode", {"mode": "eval"}, 'mode must be "sample" or "mean", got \'eval\'.'),
    (
        "out dtype",
        {"out": np.empty((4, 6))},
        "out must be an array of float32 and shape (4, 6), got float64 of",
    ),
    (
        "out shape",
        {"out": np.empty((6, 4), "f4")},
        "out must be an array of float32 and shape (4, 6), got float32 of shape (6, 4).",
    ),
    ("out list", {"out": [0.0]}, "out must be an array of float32 and shape (4, 6), got list."),
    ("out read-only", {"out": READ_ONLY}, "out is read-only."),
    ("out overlaps", {"x": SHARED[:4], "out": SHARED[1:]}, "out overlaps x without being x; pass out=x"),
]


@pytest.mark.parametrize(("change", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_dropout_refuses(change: dict[str, Any], said: str, refusal: Callable[..., str]) -> None:
    options: dict[str, Any] = {"x": ONES, "rate": 0.5, "key": KEY, **change}
    line = refusal(InputError, tn.dropout, **options)
    assert line.startswith(f"Dropout: {said}")
    assert refusal(InputError, tn.drop, "VanillaDropout", **options) == line.replace(
        "Dropout", "VanillaDropout"
    )


@pytest.mark.parametrize("mode", ["sample", "mean"])
@pytest.mark.parametrize("rate", [[0.5], [[0.5]], [0.1] * 6, np.full((4, 6), 0.2)])
def test_gaussian_noise_takes_one_rate(rate: Any, mode: Any, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tn.drop, "GaussianDropout", ONES, rate, key=KEY, mode=mode)
    assert line == "GaussianDropout: takes one rate, not an array of them."


def test_a_window_is_of_the_size_of_x(refusal: Callable[..., str]) -> None:
    window = tn.Window((9, 8), (0, 0), (4, 5))
    line = refusal(InputError, tn.drop, "Dropout", ONES, 0.5, key=KEY, window=window)
    assert line == "Dropout: the window has size (4, 5), but x has shape (4, 6)."
    line = refusal(InputError, tn.mask, (4, 6), 0.5, key=KEY, window=window)
    assert line == "mask: the window has size (4, 5), but the mask has shape (4, 6)."


def test_what_mask_refuses(refusal: Callable[..., str]) -> None:
    assert refusal(InputError, tn.mask, (3,), 1.5, key=KEY) == "mask: rate must be in [0, 1], got 1.5."
    assert refusal(InputError, tn.mask, (3,), 0.5, key=7).startswith("mask: key must be a thinnet.Key, got 7")
    assert "(2,)" in refusal(InputError, tn.mask, (3,), [0.1, 0.2], key=KEY)
