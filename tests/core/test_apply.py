"""The law of the NumPy side: zeros of gains, rounding, types."""

from __future__ import annotations

import itertools
import math
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet._core.apply import apply, read, write, zero_or_scale

SPECIAL = [1.0, -1.0, 0.0, -0.0, math.inf, -math.inf, math.nan, 0.1, -3.7, 6e-8]
FACTORS = [0.0, 1.0, -1.0, 0.3, 2.0, -1.7]
DTYPES = ["float16", "float32", "float64", "uint16"]


def stored(values: list[float], dtype: str) -> NDArray[Any]:
    if dtype != "uint16":
        return np.array(values, dtype)
    return (np.array(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def floats(y: NDArray[Any]) -> NDArray[Any]:
    """Return entries as numbers of float64."""
    return read(y).astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_factor_of_zero_leaves_its_term_out(dtype: str) -> None:
    pairs = list(itertools.product(SPECIAL, SPECIAL))
    x, other = (stored(list(column), dtype) for column in zip(*pairs, strict=True))
    for gain, shift in itertools.product(FACTORS, FACTORS):
        y = apply(gain, shift, x, other)
        assert (y.dtype, y.shape) == (x.dtype, x.shape)
        work = read(x).dtype.type
        with np.errstate(invalid="ignore"):
            first, second = work(gain) * read(x), work(shift) * read(other)
            both = first + second
        expected = first if shift == 0 else second if gain == 0 else both
        if gain == shift == 0:
            expected = np.zeros_like(first)
        rounded = np.empty_like(y)
        write(rounded, expected)
        np.testing.assert_array_equal(floats(y), floats(rounded))
        assert np.array_equal(np.signbit(floats(y)), np.signbit(floats(rounded))) or bool(
            np.isnan(floats(y)).any()
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_factors_per_entry_equal_factors_one_by_one(dtype: str) -> None:
    """`apply` of arrays of factors is `apply` of each factor, to the bit."""
    table = list(itertools.product(FACTORS, FACTORS, SPECIAL, [0.7, math.inf, -0.0]))
    gain, shift = (np.array([row[i] for row in table], np.float32) for i in (0, 1))
    x, other = (stored([row[i] for row in table], dtype) for i in (2, 3))
    together = apply(gain, shift, x, other)
    for i in range(len(table)):
        alone = apply(gain[i], shift[i], x[i : i + 1], other[i : i + 1])
        np.testing.assert_array_equal(floats(together[i : i + 1]), floats(alone))
        if not math.isnan(floats(alone)[0]):
            assert np.signbit(floats(together)[i]) == np.signbit(floats(alone)[0])


def test_zeros_and_signs() -> None:
    x = np.array([math.inf, -math.inf, math.nan, -1.0, -0.0])
    assert apply(0, 0, x).tolist() == [0.0] * 5
    assert not np.signbit(apply(np.zeros(5), 0.0, x)).any()
    assert np.signbit(apply(2.0, 0.0, x)).tolist() == np.signbit(x).tolist()
    assert apply(0.0, 1.0, x, np.float64(3)).tolist() == [3.0] * 5
    assert apply(1.0, 0.0, x[3:], np.array([math.nan, math.inf])).tolist() == [-1.0, 0.0]


def test_gains_of_float64_are_rounded_once() -> None:
    """x in float16 times a gain in float64 is the exact product's nearest float16."""
    x = np.arange(1, 2049, dtype=np.float16)
    gain = 1 / 3
    y = apply(np.float64(gain), 0, x)
    exact = [Fraction(gain) * int(value) for value in x]
    nearest = np.array([float(value) for value in exact]).astype(np.float16)
    assert np.array_equal(y, nearest)
    # in float32, with two roundings, some entries differ
    assert not np.array_equal(np.full(2048, gain, np.float32) * x.astype(np.float32), exact)
    assert apply(gain, 0, x).dtype == np.float16


def test_products_are_rounded_before_the_sum() -> None:
    gain, x, other = np.float32(1 + 2**-12), np.float32(1 + 2**-12), np.float32(-1 - 2**-11)
    assert apply(gain, 1.0, np.array([x]), np.array([other])).item() == 0.0  # fused it would be 2**-24


def test_no_warning_and_the_output_buffer() -> None:
    x = np.array([3e38, math.nan, -math.inf, 1.0], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = apply(1e30, np.array([1.0, 0.0, 1.0, 1e300]), x, 1e300)
        assert y[0] == math.inf
        assert apply(0.5, 0.0, x, out=x) is x
    assert x[3] == 0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_broadcast(dtype: str) -> None:
    x = stored([1.0, 2.0, math.inf], dtype)
    for gain, shift in ((np.zeros((2, 1)), 0.0), (0.0, np.zeros((2, 1))), (np.ones((2, 1)), np.zeros(3))):
        assert apply(gain, shift, x, 0.0).shape == (2, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_fast_pass_equals_apply(dtype: str) -> None:
    x = stored(SPECIAL * 3, dtype)
    keep = np.arange(x.size) % 3 > 0
    work = read(x).dtype
    y, buffer = np.empty_like(x), np.empty(x.size + 3, work)
    for gain in (1.0, 1 / 0.9, 2.0, 65536.0):
        zero_or_scale(keep, gain, x, y, buffer)
        expected = apply(np.where(keep, work.type(gain), work.type(0)), 0.0, x)
        kept = ~np.isnan(floats(expected))
        assert np.array_equal(y[kept], expected[kept])
        assert np.isnan(floats(y)[~kept]).all()
