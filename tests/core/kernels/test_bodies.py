"""Every compiled body equals the NumPy twin to the bit: lanes, masks, two-point laws and tables."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinnet._core import kernels, native
from thinnet._core.kernels import Pair, Source, TwoPoint
from thinnet._core.kernels import laws_numpy as twin
from thinnet._core.random import Key, Window, lanes, words
from thinnet.variants import CATALOGUE, drop
from thinnet.variants._variant import PASSED

from .bits import COMPILED, DTYPES, KEYS, Array, Layout, alike, layouts, numbers, threads, thresholds
from .cases import GAINS, Case, assert_bodies_give, by_twin, cases, shapes, windows

pytestmark = pytest.mark.skipif(not COMPILED, reason=f"no compiled kernels: {native.why_not}")

FACTORS = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 1e-50, -1e-320, 1e39, np.inf]), st.floats(-4, 4))
PAIRS = st.tuples(FACTORS, FACTORS)


@given(KEYS, st.data())
def test_lanes(key: Key, data: st.DataObject) -> None:
    shape = data.draw(shapes())
    window = data.draw(windows(shape)) or Window.whole(shape)
    assert_bodies_give(by_twin(lambda: lanes(key, window)), lambda: lanes(key, window))


@given(KEYS, st.one_of(st.integers(0, 2**64 - 1), st.integers(2**32 - 99, 2**32 + 3)), st.integers(0, 99))
def test_words(key: Key, start: int, count: int) -> None:
    expected = by_twin(lambda: words(key, start, count))
    for body in COMPILED:
        with native.using(body):
            assert np.array_equal(words(key, start, count), expected), body


@given(KEYS, st.data())
def test_masks(key: Key, data: st.DataObject) -> None:
    shape = data.draw(shapes())
    window = data.draw(windows(shape))
    source, threshold = Source(key, window), data.draw(thresholds(lanes(key, window or shape)))
    expected = np.broadcast_to(by_twin(lambda: twin.mask(shape, source, threshold)), shape)
    assert_bodies_give(expected, lambda: kernels.mask(shape, source, threshold))


@pytest.mark.parametrize("body", native.bodies())
def test_a_mask_is_an_array_of_its_own(body: str) -> None:
    with native.using(body):
        for source in (Source(Key(1)), Source(Key(1), Window.whole((1, 4)))):
            kept = kernels.mask((3, 4), source, 30000)
            kept[0] = ~kept[0]
            assert not np.array_equal(kept, kernels.mask((3, 4), source, 30000))


@pytest.mark.parametrize(
    ("whole", "start", "size"),
    [
        ((7, 2), (0, 0), (0, 2)),
        ((7, 2), (7, 0), (0, 1)),
        ((7, 2), (3, 2), (4, 0)),
        ((2**62, 1), (2**62, 1), (0, 0)),
        # the number of the lane after the last has 64 bits
        ((1, 2**63 - 1), (1, 2**63 - 2), (0, 1)),
        ((0, 2**40, 2**40), (0, 0, 0), (0, 3, 5)),
    ],
)
def test_an_empty_part_of_any_array(
    whole: tuple[int, ...], start: tuple[int, ...], size: tuple[int, ...]
) -> None:
    source, empty = Source(Key(1), Window(whole, start, size)), np.empty(size, np.float32)
    for body in native.bodies():
        with native.using(body):
            assert lanes(*source[:2]).shape == size
            assert kernels.mask(size, source, 9).shape == size
            assert kernels.table(empty, GAINS, source, empty) is empty
            sides = (0.0, 0.0), (2.0, 0.0)
            assert kernels.two_point(empty, TwoPoint(9, *sides), source, 0.0, empty) is empty


@st.composite
def others(draw: st.DrawFn, x: Array) -> tuple[float | Array, Layout | None]:
    """Draw `other`: a number, or an array that broadcasts against x, and its layout in memory."""
    if draw(st.booleans()):
        return draw(st.sampled_from([0.0, 1.0, -0.75, np.nan, np.inf, 1e300, 3])), None
    own = tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in x.shape)
    values = numbers(x.dtype.name, own[draw(st.integers(0, len(own))) :] if draw(st.booleans()) else own, 7)
    return values, draw(layouts(values.ndim))


@settings(max_examples=300)
@given(cases(), PAIRS, PAIRS, st.data())
def test_two_point_laws(case: Case, dropped: Pair, kept: Pair, data: st.DataObject) -> None:
    other, layout = data.draw(others(case.x))
    third = other if layout is None else layout.place(other).array
    sides = dropped, kept

    def definition(x: Array, out: Array) -> Array:
        return twin.two_point(x, TwoPoint(case.threshold, *sides), case.source, other, out)

    def kernel(x: Array, out: Array) -> Array:
        return kernels.two_point(x, TwoPoint(case.threshold, *sides), case.source, third, out)

    assert_bodies_give(by_twin(lambda: case.run(definition)), lambda: case.run(kernel))


@settings(max_examples=300)
@given(cases(), st.one_of(st.sampled_from([0.0, 1.0, 1e-50, 65536.0]), st.floats(1, 4)))
def test_inverted_dropout(case: Case, gain: float) -> None:
    sides = (0.0, 0.0), (gain, 0.0)

    def definition(x: Array, out: Array) -> Array:
        return twin.two_point(x, TwoPoint(case.threshold, *sides), case.source, 0.0, out)

    def kernel(x: Array, out: Array) -> Array:
        return kernels.two_point(x, TwoPoint(case.threshold, *sides), case.source, 0.0, out)

    assert_bodies_give(by_twin(lambda: case.run(definition)), lambda: case.run(kernel))


@settings(max_examples=200)
@given(cases())
def test_tables(case: Case) -> None:
    def definition(x: Array, out: Array) -> Array:
        return twin.table(x, GAINS, case.source, out)

    def kernel(x: Array, out: Array) -> Array:
        return kernels.table(x, GAINS, case.source, out)

    assert_bodies_give(by_twin(lambda: case.run(definition)), lambda: case.run(kernel))


@settings(max_examples=200)
@given(cases())
def test_tables_with_shifts(case: Case) -> None:
    other = case.x[..., ::-1].copy() if case.x.ndim else case.x.copy()
    shifted: Any = {"shifts": GAINS[::-1].copy(), "other": other}

    def definition(x: Array, out: Array) -> Array:
        return twin.table(x, GAINS, case.source, out, **shifted)

    def kernel(x: Array, out: Array) -> Array:
        return kernels.table(x, GAINS, case.source, out, **shifted)

    assert_bodies_give(by_twin(lambda: case.run(definition)), lambda: case.run(kernel))


class InPieces:
    """The compiled kernels, each call of which is made piece by piece."""

    def __init__(self, cuts: list[int]) -> None:
        self.cuts = cuts

    def __getattr__(self, name: str) -> Any:
        kernel = getattr(native.library, name)

        def run(*arguments: Any) -> Any:
            *rest, begin, end = arguments
            assert (begin, end) == (0, -1)
            edges = [0, *self.cuts, arguments[0].size]
            results = [kernel(*rest, first, last) for first, last in itertools.pairwise(edges)]
            return all(results)

        return run


def address(case: Case) -> tuple[int, int, Any]:
    """Return the address of the lanes as the compiled functions take it."""
    key, window, _ = case.source
    if window is None or not case.x.size:  # an empty part may lie past all lanes
        return key.value, key.step, ()
    start, strides = window.addresses
    return key.value, key.step, (start, (0,) * (case.x.ndim - len(strides)) + strides)


@settings(max_examples=100)
@given(cases(), st.data())
def test_pieces_make_up_the_whole(case: Case, data: st.DataObject) -> None:
    pieces = InPieces(sorted(data.draw(st.lists(st.integers(0, case.x.size), max_size=4))))
    sides = data.draw(st.sampled_from([((0.0, 0.0), (1.5, 0.0)), ((0.5, 1.0), (1.5, -1.0))]))
    law = address(case)

    def run(library: Any) -> list[Array]:
        x = case.into.place(case.x).array
        out, drawn, kept = np.zeros_like(case.x), np.zeros(x.shape, np.uint16), np.zeros(x.shape, bool)
        library.lanes(drawn, *law, 0, -1)
        library.mask(kept, *law, 20000, 0, -1)
        library.two_point(x, out, 1.0, *law, 20000, *sides[0], *sides[1], 0, -1)
        library.table(x, x, None, GAINS, None, *law, 0, -1)
        return [out, drawn, kept, x.copy()]

    for body in COMPILED:
        with native.using(body):
            assert all(map(alike, run(pieces), run(native.library))), body


@settings(max_examples=100)
@given(cases(), st.data())
def test_three_layouts_are_right_or_refused(case: Case, data: st.DataObject) -> None:
    other = numbers(case.x.dtype.name, case.x.shape, 9)
    ways = case.into, case.out, data.draw(layouts(case.x.ndim))
    x, out, third = (
        Layout(way.steps, way.order, way.offset).place(values)
        for way, values in zip(ways, (case.x, np.zeros_like(case.x), other), strict=True)
    )
    sides = (0.5, 1.0), (1.5, -1.0)
    law = case.threshold, *sides[0], *sides[1]
    expected = by_twin(
        lambda: twin.two_point(
            case.x, TwoPoint(case.threshold, *sides), case.source, other, np.empty_like(other)
        )
    )
    for body in COMPILED:
        out.array[...] = 0
        with native.using(body):
            fits = native.library.two_point(x.array, out.array, third.array, *address(case), *law, 0, -1)
        assert alike(out.array.copy(), expected if fits else np.zeros_like(other)), body


@settings(max_examples=60)
@given(cases(), st.sampled_from(["inverted", "two-point", "table"]), st.integers(2, 7), st.integers(1, 300))
def test_threads_leave_no_seam(case: Case, law: str, count: int, least: int) -> None:
    sides = ((0.0, 0.0), (1.25, 0.0)) if law == "inverted" else ((0.5, 1.0), (1.25, -1.0))

    def kernel(x: Array, out: Array) -> Array:
        if law == "table":
            return kernels.table(x, GAINS, case.source, out)
        return kernels.two_point(x, TwoPoint(case.threshold, *sides), case.source, 1.0, out)

    for body in COMPILED:
        with native.using(body):
            with threads(1):
                alone = case.run(kernel)
            with threads(count, least):
                assert alike(case.run(kernel), alone), body


@pytest.mark.parametrize("shape", [(1 << 16 | 77,), (311, 1025), (7, 3, 5101)])
def test_many_entries_are_shared_out(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    gate = threading.Barrier(2, timeout=30)
    kernel = native.library.two_point

    class Watched:
        @staticmethod
        def two_point(*arguments: Any) -> bool:
            *_, begin, end = arguments
            if begin < end and len(seen) < 2:
                seen.add(threading.current_thread().name.partition("_")[0])
                gate.wait()  # the first part and the second, at once
            return kernel(*arguments)

    x, source, sides = numbers("float32", shape), Source(Key(5, 6)), ((0.0, 0.0), (1.25, 0.0))
    expected = kernels.two_point(x, TwoPoint(9000, *sides), source, 0.0, np.empty_like(x))
    monkeypatch.setattr(native, "library", Watched)
    with threads(2, 10_000):
        assert alike(kernels.two_point(x, TwoPoint(9000, *sides), source, 0.0, np.empty_like(x)), expected)
    assert seen == {"MainThread", "thinnet"}


@pytest.mark.parametrize("body", native.bodies())
def test_known_lanes_and_words(body: str, vectors: Callable[[str], Any]) -> None:
    with native.using(body):
        first = vectors("philox")["cases"][0]["words"]
        assert [f"{word:08x}" for word in words(Key(0), 0, 1)[0].tolist()] == first
        for known in vectors("stream")["lanes"]:
            key, start, count = Key(*known["key"]), known["start"], len(known["lanes"])
            window = Window((2**63 - 1,), (start,), (count,))
            assert lanes(key, window).tolist() == known["lanes"]


@pytest.mark.parametrize("body", native.bodies())
def test_known_gains_of_the_catalogue(body: str, vectors: Callable[[str], Any]) -> None:
    known = vectors("catalogue")
    for name, row in known["rows"].items():
        ones = np.ones(row["shape"], np.float32)
        more = {"other": known["other"]} if CATALOGUE[name].other in PASSED else {}
        with native.using(body):
            y = drop(name, ones, known["rate"], key=Key(*known["key"]), **more)
        assert y.ravel()[:8].tolist() == row["first"], name
        assert hashlib.sha256(y.astype("<f4").tobytes()).hexdigest() == row["sha256"], name


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_float16_and_bfloat16_is_rounded_alike(dtype: str) -> None:
    # All bit patterns of 16 bits, by a gain that leaves none of them exact.
    x = np.arange(65536, dtype=np.uint16)
    x = x if dtype == "uint16" else x.view(np.float16).astype(dtype)
    source = Source(Key(0))
    for gain in (1 / 3, 1.0, 2.0**-14, 1e5):
        law = TwoPoint(0, Pair(0.0, 0.0), Pair(gain, 0.0))
        expected = by_twin(lambda: twin.two_point(x, law, source, 0.0, np.empty_like(x)))  # noqa: B023
        assert_bodies_give(expected, lambda: kernels.two_point(x, law, source, 0.0, np.empty_like(x)))  # noqa: B023


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_number_in_place_of_the_second_array_of_a_table(dtype: str) -> None:
    x, shifts = numbers(dtype, (70,)), GAINS[::-1].copy()
    one = (
        (np.ones(70, np.float32).view(np.uint32) >> 16).astype(np.uint16)
        if dtype == "uint16"
        else np.ones(70, dtype)
    )
    for body in native.bodies():
        with native.using(body):
            y = [
                kernels.table(x, GAINS, Source(Key(2)), np.empty_like(x), shifts=shifts, other=other)
                for other in (1.0, one)
            ]
            assert alike(*y), body
