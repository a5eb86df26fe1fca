"""Blocks: seeds grown into rectangles, the same in every body, with one rate everywhere."""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from thinnet._core import kernels, native
from thinnet._core.kernels import Pair, Source, TwoPoint
from thinnet._core.kernels import laws_numpy as twin
from thinnet._core.random import Key, Window, lanes

from .bits import COMPILED, DTYPES, KEYS, alike, layouts, numbers, threads, thresholds

compiled = pytest.mark.skipif(not COMPILED, reason=f"no compiled kernels: {native.why_not}")
bodies = pytest.mark.parametrize("body", native.bodies())

SIGMAS = 5.0

# A shape, whose lanes decide, and the threshold of the seeds.
Case: TypeAlias = tuple[tuple[int, ...], Source, int]


@st.composite
def blocked(draw: st.DrawFn) -> Case:
    """Draw a case of short sides, and now and then of ones longer than a word of bits."""
    axes = draw(st.integers(1, 4))
    over = draw(st.integers(1, axes))
    size = [draw(st.integers(0 if draw(st.integers(0, 9)) == 0 else 1, 5)) for _ in range(axes)]
    block = [draw(st.integers(1, 7)) for _ in range(over)]
    if draw(st.booleans()):
        size[-1] = draw(st.sampled_from([57, 58, 63, 64, 65, 127, 128, 300, 2100]))
        block[-1] = draw(st.sampled_from([1, 2, 7, 63, 64, 65, 70, 130]))
    start = [draw(st.integers(0, 6)) for _ in size]
    whole = [a + n + draw(st.integers(0, 4)) for a, n in zip(start, size, strict=True)]
    if draw(st.integers(0, 3)) == 0:
        whole[0] += 1 << 35  # numbers of lanes that need more than 32 bits
        start[0] += draw(st.sampled_from([0, 1 << 34, 1 << 35]))
    # the window broadcasts: axes of one entry are shared, and leading ones may be missing
    shape = [n if n != 1 else draw(st.sampled_from([1, 1, 3, 70])) for n in size]
    shape = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(0, 1)))] + shape
    key, window = draw(KEYS), Window(tuple(whole), tuple(start), tuple(size))
    grown = (1,) * (axes - over) + tuple(block)
    grid = tuple(n + b - 1 for n, b in zip(window.shape, grown, strict=True))
    inside = tuple(n + b - 1 if n else 0 for n, b in zip(size, grown, strict=True))
    # few seeds, as a wanted rate of a few per cent gives; and ones about the value of a lane
    seeds = lanes(key, Window(grid, window.start, inside))
    threshold = draw(st.one_of(st.integers(0, 5000), thresholds(seeds)))
    return tuple(shape), (key, window, tuple(block)), threshold


@compiled
@settings(max_examples=200)
@given(blocked())
def test_masks_equal_the_twins(case: Case) -> None:
    shape, source, threshold = case
    with native.using(native.NUMPY):
        expected = np.broadcast_to(twin.mask(shape, source, threshold), shape)
    for body in COMPILED:
        with native.using(body):
            assert np.array_equal(kernels.mask(shape, source, threshold), expected), body


@compiled
@settings(max_examples=200)
@given(blocked(), st.sampled_from(DTYPES), st.data())
def test_laws_equal_the_twins(case: Case, dtype: str, data: st.DataObject) -> None:
    shape, source, threshold = case
    x = numbers(dtype, shape, 3)
    laws: list[tuple[Pair, Pair]] = [((0.0, 0.0), (1.25, 0.0)), ((0.0, 1.0), (1.25, -0.5))]
    sides = data.draw(st.sampled_from(laws))
    placed = data.draw(layouts(len(shape))).place(x)
    with native.using(native.NUMPY):
        expected = twin.two_point(x, TwoPoint(threshold, *sides), source, -0.75, np.empty_like(x))
    for body in COMPILED:
        out = np.zeros_like(placed.array)
        with native.using(body):
            kernels.two_point(placed.array, TwoPoint(threshold, *sides), source, -0.75, out)
        assert alike(out.astype(x.dtype.newbyteorder("=")), expected), body


def defined(key: Key, shape: tuple[int, ...], block: tuple[int, ...], threshold: int) -> NDArray[np.bool_]:
    """Return the mask, by a search of every block that covers an entry."""
    grown = (1,) * (len(shape) - len(block)) + block
    grid = tuple(n + b - 1 for n, b in zip(shape, grown, strict=True))
    seeds = lanes(key, grid).astype(int) < threshold
    kept = np.ones(shape, bool)
    for index in np.ndindex(*shape):
        around = tuple(slice(i, i + b) for i, b in zip(index, grown, strict=True))
        kept[index] = not seeds[around].any()
    return kept


@bodies
@pytest.mark.parametrize(
    ("shape", "block"), [((40,), (5,)), ((3, 9, 11), (2, 3)), ((2, 4, 5, 70), (2, 1, 3)), ((6, 6), (9, 8))]
)
def test_an_entry_is_dropped_if_a_seed_lies_in_one_of_its_blocks(
    body: str, shape: tuple[int, ...], block: tuple[int, ...]
) -> None:
    key, threshold = Key(31, 3), round(65536 * (1 - 0.5 ** (1 / math.prod(block))))  # half is dropped
    with native.using(body):
        kept = kernels.mask(shape, Source(key, None, block), threshold)
        expected = defined(key, shape, block, threshold)
    assert np.array_equal(kept, expected)
    assert 0 < kept.mean() < 1


@bodies
@pytest.mark.parametrize(("size", "block"), [((12,), (5,)), ((8, 7), (3, 3)), ((4, 5, 6), (2, 3, 2))])
def test_the_rate_is_the_same_in_corners_edges_and_the_middle(
    body: str, size: tuple[int, ...], block: tuple[int, ...]
) -> None:
    planes, threshold = 20_000, 1500
    with native.using(body):
        kept = kernels.mask((planes, *size), Source(Key(2018), None, block), threshold)
    expected = (1 - threshold / 65536) ** math.prod(block)
    spread = math.sqrt(expected * (1 - expected) / planes)
    z = (kept.mean(axis=0) - expected) / spread
    assert np.abs(z).max() < SIGMAS
    corners = np.array([z[corner] for corner in itertools.product((0, -1), repeat=len(size))])
    assert abs(corners.sum()) / math.sqrt(corners.size) < SIGMAS


@bodies
@given(data=st.data())
def test_a_window_is_that_part_of_the_whole(body: str, data: st.DataObject) -> None:
    shape, block = data.draw(
        st.sampled_from([((30,), (4,)), ((5, 7, 9), (3, 2)), ((3, 4, 5, 6), (2, 2, 2)), ((2, 150), (70,))])
    )
    start = tuple(data.draw(st.integers(0, n)) for n in shape)
    size = tuple(data.draw(st.integers(0, n - begin)) for n, begin in zip(shape, start, strict=True))
    part = tuple(slice(begin, begin + n) for begin, n in zip(start, size, strict=True))
    with native.using(body):
        whole = kernels.mask(shape, Source(Key(4), None, block), 4000)
        here = kernels.mask(size, Source(Key(4), Window(shape, start, size), block), 4000)
    assert np.array_equal(here, whole[part])


@bodies
def test_channels_may_share_their_blocks(body: str) -> None:
    shape, shared = (2, 3, 8, 9), Window.whole((2, 1, 8, 9))
    x = np.ones(shape, np.float32)
    with native.using(body):
        one = kernels.mask(shared.size, Source(Key(6), None, (3, 3)), 3000)
        kept = kernels.mask(shape, Source(Key(6), shared, (3, 3)), 3000)
        y = kernels.two_point(
            x, TwoPoint(3000, (0.0, 0.0), (2.0, 0.0)), Source(Key(6), shared, (3, 3)), 0.0, np.empty_like(x)
        )
    assert np.array_equal(kept, np.broadcast_to(one, shape))
    assert np.array_equal(y, 2 * kept)


@bodies
@pytest.mark.parametrize(("threshold", "kept"), [(0, True), (65536, False)])
def test_no_seeds_keep_everything_and_seeds_everywhere_nothing(body: str, threshold: int, kept: bool) -> None:
    with native.using(body):
        assert (kernels.mask((3, 70), Source(Key(1), None, (66,)), threshold) == kept).all()


@bodies
def test_a_block_of_one_entry_is_no_block(body: str) -> None:
    with native.using(body):
        plain = kernels.mask((5, 66), Source(Key(9)), 20000)
        assert np.array_equal(kernels.mask((5, 66), Source(Key(9), None, (1, 1)), 20000), plain)


@compiled
@settings(max_examples=60)
@given(blocked(), st.integers(2, 7), st.integers(1, 300))
def test_threads_leave_no_seam(case: Case, count: int, least: int) -> None:
    shape, source, threshold = case
    x = numbers("float32", shape)
    law = TwoPoint(threshold, Pair(0.0, 0.0), Pair(1.5, 0.0))
    for body in COMPILED:
        with native.using(body):
            with threads(1):
                alone = kernels.two_point(x, law, source, 0.0, np.empty_like(x))
            with threads(count, least):
                assert alike(kernels.two_point(x, law, source, 0.0, np.empty_like(x)), alone), body
