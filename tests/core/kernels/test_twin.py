"""The arithmetic contract of the kernels, entry by entry; and the fast path against the general one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from thinnet._core.kernels import Pair, Source, TwoPoint, table, two_point
from thinnet._core.random import Key, Window, lanes

DTYPES = ["float16", "float32", "float64"]
# Zeros of both signs, infinities, NaN, subnormals and numbers that overflow when they are scaled.
SPECIAL = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 6e-8, -1e-45, 60000.0, -3e38, 1.7e308]
KEYS = st.builds(Key, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
FACTORS = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 1e-50]), st.floats(-4, 4))
PAIRS = st.tuples(FACTORS, FACTORS)
THRESHOLDS = st.one_of(st.just(0), st.just(65536), st.integers(0, 65536))
SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    """Draw an array of ordinary and special numbers."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    with np.errstate(over="ignore"):
        special = [float(dtype.type(value)) for value in SPECIAL]
    elements = st.one_of(st.sampled_from(special), st.integers(-64, 64).map(lambda i: i / 8))
    return draw(npst.arrays(dtype, draw(SHAPES), elements=elements))


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Return whether two arrays are equal to the bit; all NaN count as equal."""
    nan = np.isnan(a)
    integers = np.dtype(f"i{a.dtype.itemsize}")
    return (
        (a.shape, a.dtype) == (b.shape, b.dtype)
        and np.array_equal(nan, np.isnan(b))
        and np.array_equal(a[~nan].view(integers), b[~nan].view(integers))
    )


def strided(x: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of x that is not contiguous, so that kernels take the general path."""
    roomy = np.empty((*x.shape, 2), x.dtype)
    roomy[..., 0] = x
    return roomy[..., 0]


def contract(
    x: NDArray[Any], drop: NDArray[np.bool_], sides: tuple[Pair, Pair], other: float
) -> NDArray[Any]:
    """Apply a two-point law one entry at a time, as the docstring of the twin has it."""
    work = np.float64 if x.dtype == np.float64 else np.float32
    y = np.empty_like(x)
    with np.errstate(all="ignore"):
        for index in np.ndindex(*x.shape):
            gain, shift = sides[0] if drop[index] else sides[1]
            terms = [work(f) * work(v) for f, v in ((gain, x[index]), (shift, other)) if work(f) != 0]
            y[index] = sum(terms[1:], terms[0]) if terms else 0.0
    return y


@settings(max_examples=200)
@given(arrays(), KEYS, THRESHOLDS, PAIRS, PAIRS, st.sampled_from([0.0, 1.0, -0.75, np.nan]))
def test_two_point_keeps_the_contract(
    x: NDArray[Any], key: Key, threshold: int, dropped: Pair, kept: Pair, other: float
) -> None:
    window = Window.whole(x.shape)
    drop = lanes(key, window).astype(int) < threshold
    y = two_point(x, TwoPoint(threshold, dropped, kept), Source(key, window), other, np.empty_like(x))
    assert same(y, contract(x, drop, (dropped, kept), other))


@settings(max_examples=200)
@given(arrays(), KEYS, THRESHOLDS, st.sampled_from([0.0, -0.0, 1e-50, 1.0, 1.25, 4.0 / 3, 65536.0]))
def test_fast_and_general_path_keep_the_contract_of_inverted_dropout(
    x: NDArray[Any], key: Key, threshold: int, gain: float
) -> None:
    source, sides = Source(key, Window.whole(x.shape)), ((0.0, 0.0), (gain, 0.0))
    expected = contract(x, lanes(*source[:2]).astype(int) < threshold, sides, 0.0)
    fast = two_point(x, TwoPoint(threshold, *sides), source, 0.0, np.empty_like(x))
    general = two_point(strided(x), TwoPoint(threshold, *sides), source, 0.0, np.empty_like(x))
    array = two_point(x, TwoPoint(np.asarray(threshold), *sides), source, 0.0, np.empty_like(x))
    assert same(fast, expected)
    assert same(general, expected)
    assert same(array, expected)


@given(arrays(), KEYS, st.data())
def test_arrays_of_thresholds_and_gains_act_entry_by_entry(
    x: NDArray[Any], key: Key, data: st.DataObject
) -> None:
    shape = x.shape[-1:]  # broadcasts against x
    threshold = data.draw(npst.arrays(np.int32, shape, elements=st.integers(0, 65536)))
    gain = data.draw(npst.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0, 1.5])))
    source = Source(key, Window.whole(x.shape))
    y = two_point(x, TwoPoint(threshold, (0.0, 0.0), (gain, 0.0)), source, 0.0, np.empty_like(x))
    for column in range(shape[0] if shape else 0):
        sides = (0.0, 0.0), (float(gain[column]), 0.0)
        drop = lanes(*source[:2])[..., column].astype(int) < threshold[column]
        assert same(y[..., column], contract(x[..., column], drop, sides, 0.0))


def test_arrays_of_shifts_leave_out_where_they_are_zero() -> None:
    x = np.array([-0.0, np.nan, np.nan, 2.0])
    sides = (np.array([1.0, 0.0, 0.0, 1.0]), np.array([0.0, 2.0, 0.0, 2.0])), (1.0, 0.0)
    y = two_point(
        x, TwoPoint(65536, *sides), Source(Key(0), Window.whole(x.shape)), np.full(4, 3.0), np.empty_like(x)
    )
    assert same(y, np.array([-0.0, 6.0, 0.0, 8.0]))


GAINS = np.linspace(-3, 3, 65536).astype(np.float32)
GAINS[::3] = 0


@given(arrays(), KEYS)
def test_a_table_multiplies_and_a_gain_of_zero_leaves_nothing(x: NDArray[Any], key: Key) -> None:
    source = Source(key, Window.whole(x.shape))
    expected, keep = np.empty_like(x), np.zeros((), bool)
    for index in np.ndindex(*x.shape):
        sides = (0.0, 0.0), (float(GAINS[lanes(*source[:2])[index]]), 0.0)
        expected[index] = contract(x[(*index, ...)], keep, sides, 0.0)
    assert same(table(x, GAINS, source, np.empty_like(x)), expected)
    assert same(table(strided(x), GAINS, source, np.empty_like(x)), expected)


@given(arrays(), KEYS)
def test_a_table_adds_and_a_factor_of_zero_leaves_its_term_out(x: NDArray[Any], key: Key) -> None:
    source, shifts, other = Source(key, Window.whole(x.shape)), GAINS[::-1].copy(), x[::-1] if x.ndim else x
    expected, keep = np.empty_like(x), np.zeros((), bool)
    for index in np.ndindex(*x.shape):
        drawn = lanes(*source[:2])[index]
        sides = (0.0, 0.0), (float(GAINS[drawn]), float(shifts[drawn]))
        expected[index] = contract(x[(*index, ...)], keep, sides, other[(*index, ...)])
    assert same(table(x, GAINS, source, np.empty_like(x), shifts=shifts, other=other), expected)


def apply(name: str, x: NDArray[Any], source: Source, out: NDArray[Any]) -> NDArray[Any]:
    """Run one of the kernels with numbers that leave nothing exact."""
    if name == "table":
        return table(x, GAINS, source, out)
    return two_point(x, TwoPoint(20000, (0.0, 0.0), (65536 / 45536, 0.0)), source, 0.0, out)


KERNELS = pytest.mark.parametrize("name", ["two_point", "table"])


def numbers(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@KERNELS
@pytest.mark.parametrize("dtype", DTYPES)
def test_pieces_of_the_fast_path_have_no_seam(name: str, dtype: str) -> None:
    x = numbers(dtype, (3 * (1 << 15) + 11,))
    source = Source(Key(8, 9), Window.whole(x.shape))
    whole = apply(name, x, source, np.empty_like(x))
    assert same(whole, apply(name, strided(x), source, np.empty_like(x)))


@KERNELS
@pytest.mark.parametrize("dtype", DTYPES)
def test_where_y_is_written_changes_nothing(name: str, dtype: str) -> None:
    x = numbers(dtype, (7, 33))
    source = Source(Key(1), Window.whole(x.shape))
    expected = apply(name, x.copy(), source, np.empty_like(x))
    apart, columns = strided(np.zeros_like(x)), np.asfortranarray(np.zeros_like(x))
    for out in (apart, columns):
        assert apply(name, x, source, out) is out
        assert same(out.copy(), expected)
    for own in (x.copy(), strided(x), np.asfortranarray(x)):
        assert same(apply(name, own, source, own).copy(), expected)


@KERNELS
@given(data=st.data())
def test_a_shard_is_that_part_of_the_whole(name: str, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple))
    x, key = numbers("float32", shape), Key(2)
    whole = apply(name, x, Source(key, Window.whole(shape)), np.empty_like(x))
    start = tuple(data.draw(st.integers(0, n)) for n in shape)
    size = tuple(data.draw(st.integers(0, n - begin)) for n, begin in zip(shape, start, strict=True))
    spot = tuple(slice(begin, begin + n) for begin, n in zip(start, size, strict=True))
    for part in (x[spot], np.ascontiguousarray(x[spot])):
        y = apply(name, part, Source(key, Window(shape, start, size)), np.empty(size, np.float32))
        assert same(y, whole[spot].copy())


@KERNELS
def test_shared_lanes_are_broadcast(name: str) -> None:
    x = np.ones((4, 3, 5, 6), np.float32)
    y = apply(name, x, Source(Key(3), Window.whole((4, 3, 1, 1))), np.empty_like(x))
    assert np.array_equal(y, np.broadcast_to(y[:, :, :1, :1], x.shape))
    assert same(
        y[:, :, :1, :1].copy(),
        apply(name, x[:, :, :1, :1], Source(Key(3), Window.whole((4, 3, 1, 1))), x[:, :, :1, :1].copy()),
    )


def test_terms_are_rounded_one_by_one() -> None:
    # (1 + 2**-12)**2 - (1 + 2**-11) is 2**-24 if rounded once, and 0 if the product is rounded first.
    near = np.float32(1 + 2**-12)
    sides = (float(near), -1.0), (1.0, 0.0)
    y = two_point(
        np.array([near]),
        TwoPoint(65536, *sides),
        Source(Key(0), Window.whole((1,))),
        1 + 2**-11,
        np.empty(1, np.float32),
    )
    assert y[0] == 0


def test_float16_is_computed_in_float32_and_rounded_to_even() -> None:
    x = np.array([1.0, 1.0, 3.0], np.float16)
    source = Source(Key(0), Window.whole((3,)))
    for gain, expected in ((1 + 2**-11, 1.0), (1 + 3 * 2**-11, 1 + 2**-9)):
        # Both gains lie half-way between two float16 numbers: the even one is taken.
        y = two_point(x, TwoPoint(0, (0.0, 0.0), (gain, 0.0)), source, 0.0, np.empty_like(x))
        assert y[0] == expected
        y = table(x, np.full(65536, gain, np.float32), source, np.empty_like(x))
        assert y[0] == expected
        # A gain rounded to float16 before it multiplies gives another number.
        assert y[2] == np.float16(np.float32(gain) * np.float32(3)) != np.float16(gain) * x[2]


@pytest.mark.parametrize("name", ["two_point", "table"])
@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8"])
def test_the_byte_order_of_x_does_not_matter(name: str, dtype: str) -> None:
    x = numbers(dtype[1:], (50,))
    source = Source(Key(4), Window.whole(x.shape))
    foreign = apply(name, x.astype(dtype), source, np.empty(50, dtype))
    assert same(foreign.astype(dtype[1:]), apply(name, x, source, np.empty_like(x)))
