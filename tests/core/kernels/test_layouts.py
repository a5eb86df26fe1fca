"""Arrays of rates and arrays in Fortran order: every compiled body equals the NumPy definition to the bit."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinnet._core import kernels, native
from thinnet._core.kernels import Pair, Source, TwoPoint
from thinnet._core.kernels import laws_numpy as twin
from thinnet._core.random import Key, Window

from .bits import COMPILED, DTYPES, Array, alike, numbers, threads
from .cases import GAINS, Case, assert_bodies_give, by_twin, cases, windows

pytestmark = pytest.mark.skipif(not COMPILED, reason=f"no compiled kernels: {native.why_not}")


@st.composite
def rated(draw: st.DrawFn, shape: tuple[int, ...]) -> TwoPoint:
    """Draw a law of arrays: one rate, one for each entry, or one along some of the axes."""
    own = tuple(1 if draw(st.booleans()) else n for n in shape)[draw(st.integers(0, len(shape))) :]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    threshold = rng.integers(0, 65537, own).astype(np.int32)

    def factor() -> Any:
        if draw(st.booleans()):
            return draw(st.sampled_from([0.0, 1.0, -0.5]))
        return rng.choice([0.0, -0.0, 1.0, 1.25, -3.0, 1e-50, 1e39], own)

    if draw(st.booleans()):
        return TwoPoint(threshold, Pair(0.0, 0.0), Pair(factor(), 0.0))
    return TwoPoint(threshold, Pair(factor(), factor()), Pair(factor(), factor()))


@settings(max_examples=200)
@given(cases(), st.data())
def test_arrays_of_rates(case: Case, data: st.DataObject) -> None:
    law = data.draw(rated(case.x.shape))
    other: Any = numbers(case.x.dtype.name, case.x.shape, 5)
    other = data.draw(st.sampled_from([0.0, -0.75, other]))
    shared = Source(case.source.key, data.draw(windows(case.x.shape)))

    def kernel(x: Array, out: Array) -> Array:
        third = other.astype(x.dtype) if isinstance(other, np.ndarray) else other
        return kernels.two_point(x, law, shared, third, out)

    def definition(x: Array, out: Array) -> Array:
        return twin.two_point(x, law, shared, other, out)

    assert_bodies_give(by_twin(lambda: case.run(definition)), lambda: case.run(kernel))


def test_rates_of_a_column_of_a_wider_array() -> None:
    x, rates = np.arange(1.0, 13.0)[:, None], np.linspace(0, 1, 12)[:, None]
    law = TwoPoint(np.rint(rates * 65536).astype(np.int32), Pair(0.0, 0.0), Pair(1 + rates, 0.0))
    column = Source(Key(0), Window((12, 5), (0, 2), (12, 1)))
    expected = twin.two_point(x, law, column, 0.0, np.empty_like(x))
    assert_bodies_give(expected, lambda: kernels.two_point(x, law, column, 0.0, np.empty_like(x)))


@pytest.mark.parametrize("shape", [(300, 40), (17, 5, 33), (2, 16, 3, 130), (200, 1, 150), (16, 129)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("law", ["inverted", "two-point", "table"])
def test_fortran_order(law: str, dtype: str, shape: tuple[int, ...]) -> None:
    x, other = (numbers(dtype, shape, seed) for seed in (0, 1))
    inside = Window(tuple(n + 3 for n in shape), tuple(range(len(shape))), shape)
    shared = Window.whole((1, *shape[1:]))
    two = TwoPoint(20_000, Pair(0.0, 0.0), Pair(1.25, 0.0))
    if law == "two-point":
        two = TwoPoint(20_000, Pair(0.5, 1.0), Pair(1.25, -1.0))

    def kernel(x: Array, other: Array, source: Source, out: Array) -> Array:
        if law == "table":
            return kernels.table(x, GAINS, source, out, shifts=GAINS[::-1].copy(), other=other)
        return kernels.two_point(x, two, source, other, out)

    for window in (None, inside, shared, Window.whole((*shape[:-1], 1))):
        expected = kernel(x, other, Source(Key(3), window), np.empty_like(x))
        for body in COMPILED:
            for count in (1, 3):
                with native.using(body), threads(count):
                    fortran = [np.asfortranarray(array) for array in (x, other, np.zeros_like(x))]
                    y = kernel(fortran[0], fortran[1], Source(Key(3), window), fortran[2])
                    assert alike(np.ascontiguousarray(y), expected), (body, window, count)


def test_an_array_in_fortran_order_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    laws = importlib.import_module("thinnet._core.kernels.laws")
    monkeypatch.setattr(laws, "_contiguous", lambda *_: pytest.fail("copied"))
    x = np.asfortranarray(numbers("float32", (64, 500)))
    law = TwoPoint(20_000, Pair(0.0, 0.0), Pair(1.25, 0.0))
    kernels.two_point(x, law, Source(Key(3)), 0.0, np.empty_like(x, order="F"))
