"""Lanes: their numbering, and windows against the whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thinnet as tn
from thinnet._core.random import Key, Window, lanes, philox4x32, words
from thinnet._core.random.windows import flat_lanes
from thinnet.errors import InputError

KEYS = st.builds(Key, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))


def defined(key: Key, number: int) -> int:
    """Return lane `number` as the definition has it: half i mod 8, little end first, of block i div 8."""
    block, half = divmod(number, 8)
    word = philox4x32((block & 0xFFFFFFFF, block >> 32, key.step, 0), key.words)[half // 2]
    return word >> 16 * (half % 2) & 0xFFFF


@st.composite
def windows(draw: st.DrawFn, lengths: st.SearchStrategy[int], most: int) -> Window:
    """Draw a window of at most `most` entries along each axis of an array of 0 to 4 axes."""
    shape = tuple(draw(st.lists(lengths, max_size=4)))
    size = tuple(draw(st.integers(0, min(most, length))) for length in shape)
    start = tuple(draw(st.integers(0, length - n)) for length, n in zip(shape, size, strict=True))
    return Window(shape, start, size)


@given(KEYS, windows(st.integers(0, 9), most=9))
def test_the_lanes_of_a_window_are_that_part_of_the_whole(key: Key, window: Window) -> None:
    part = lanes(key, window)
    assert part.dtype == np.uint16
    spot = tuple(slice(start, start + n) for start, n in zip(window.start, window.size, strict=True))
    assert np.array_equal(part, lanes(key, window.shape)[spot])


@given(KEYS, windows(st.integers(1, 50_000), most=3))
def test_lanes_are_numbered_in_c_order_of_the_global_shape(key: Key, window: Window) -> None:
    # Four axes of 50,000 make 6e18 lanes: most windows lie far beyond numbers of 32 bits.
    drawn = lanes(key, window)
    assert drawn.shape == window.size
    strides = [math.prod(window.shape[axis + 1 :]) for axis in range(len(window.shape))]
    for index in np.ndindex(*window.size):
        at = zip(window.start, index, strides, strict=True)
        assert drawn[index] == defined(key, sum((start + i) * stride for start, i, stride in at))


@given(KEYS, st.one_of(st.integers(0, 50), st.integers(2**35 - 9, 2**35 + 9)), st.integers(1, 40))
def test_flat_lanes_begin_anywhere(key: Key, start: int, count: int) -> None:
    assert flat_lanes(key, start, count).tolist() == [defined(key, start + i) for i in range(count)]


def test_the_whole_is_one_line_of_numpy() -> None:
    key = Key(7, 3)
    assert np.array_equal(lanes(key, (5, 8)), words(key, 0, 5).reshape(-1).view("<u2").reshape(5, 8))
    assert lanes(key, ()) == lanes(key, (5, 8))[0, 0]


@pytest.mark.parametrize(
    ("shape", "start", "size"),
    [
        ((70_001, 3), (0, 1), (70_001, 2)),  # many short runs: gathered in batches
        ((5, 40_010), (1, 7), (3, 40_000)),  # few long ones
        ((9, 300, 7), (2, 0, 0), (5, 300, 7)),  # one run, cut along the first axis
    ],
)
def test_large_windows_have_no_seam(
    shape: tuple[int, ...], start: tuple[int, ...], size: tuple[int, ...]
) -> None:
    key = Key(11)
    spot = tuple(slice(begin, begin + n) for begin, n in zip(start, size, strict=True))
    assert np.array_equal(lanes(key, Window(shape, start, size)), lanes(key, shape)[spot])


@pytest.mark.parametrize(
    ("shape", "start", "size", "requirement"),
    [
        ((4, 6), (0,), (4, 6), "(4, 6), (0,) and (4, 6)"),
        ((4, 6), (0, 5), (4, 2), "axis 1 must lie inside [0, 6), got start 5 and size 2"),
        ((4, 6), (-1, 0), (2, 2), "axis 0 must lie inside [0, 4), got start -1"),
        ((4, 6), (0, 0), (4, -1), "axis 1 must lie inside [0, 6), got start 0 and size -1"),
    ],
)
def test_a_window_lies_inside(
    shape: Any, start: Any, size: Any, requirement: str, refusal: Callable[..., str]
) -> None:
    line = refusal(InputError, Window, shape, start, size)
    assert line.startswith("Window: ")
    assert requirement in line


def test_the_first_lanes_are_pinned(vectors: Callable[[str], Any]) -> None:
    for known in vectors("stream")["lanes"]:
        drawn = flat_lanes(Key(*known["key"]), known["start"], len(known["lanes"]))
        assert drawn.tolist() == known["lanes"], known


def test_a_window_holds_integers_of_python() -> None:
    window = Window((np.uint8(200), np.int16(300)), [np.uint8(100), 0], (np.int32(100), 300))
    assert window == Window((200, 300), (100, 0), (100, 300))
    for value in (window.shape, window.start, window.size):
        assert type(value) is tuple
        assert {type(n) for n in value} == {int}
    whole = lanes(Key(1), (200, 300))
    assert np.array_equal(lanes(Key(1), window), whole[100:])
    # in uint8 and int16 these products and sums would wrap around
    assert Window.whole(tuple(np.int64(2**31) for _ in range(1))).addresses == (0, (1,))


@pytest.mark.parametrize("wrong", [50.0, np.float32(50), "50", None, True])
def test_a_wrong_window_is_refused_and_leaves_the_right_one_alone(
    wrong: Any, refusal: Callable[..., str]
) -> None:
    line = refusal(InputError, Window, (100, 8), (wrong, 0), (50, 8))
    assert line.startswith("Window: start must be a tuple of whole numbers of at least 0, got (")
    x, right = np.ones((50, 8)), Window((100, 8), (50, 0), (50, 8))
    for name in ("Dropout", "DropPath"):
        y = tn.drop(name, x, 0.5, key=Key(0), window=right)
        assert np.array_equal(y, tn.drop(name, np.ones((100, 8)), 0.5, key=Key(0))[50:])


def test_products_of_numpy_integers_are_not_numbered_past_the_end(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, Window.whole, (np.int64(2**32), np.int64(2**32)))
    assert line == "Window: shape must have fewer than 2**63 entries, got (4294967296, 4294967296)."


@pytest.mark.parametrize(
    ("shape", "got"),
    [(5, "5; use (5,)."), ("ab", "'ab'."), ((2.0,), "(2.0,)."), ((-1,), "(-1,)."), (None, "None.")],
)
def test_lanes_of_a_wrong_shape_are_refused(shape: Any, got: str, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, lanes, Key(0), shape)
    if shape != (-1,):
        assert line.endswith(f": shape must be a tuple of whole numbers of at least 0, got {got}")


def test_lanes_take_a_key(refusal: Callable[..., str]) -> None:
    assert (
        refusal(InputError, lanes, 0, (3,)) == "lanes: key must be a thinnet.Key, got 0; use thinnet.Key(0)."
    )


@given(st.data())
def test_the_window_of_seeds_holds_every_seed_of_its_entries(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    block = tuple(data.draw(st.integers(1, 4)) for _ in shape)[data.draw(st.integers(0, len(shape))) :]
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    size = tuple(data.draw(st.integers(0, n - a)) for n, a in zip(shape, start, strict=True))
    seeds, entries = Window(shape, start, size).grown(block), Window.whole(shape).grown(block)
    more = (0,) * (len(shape) - len(block)) + tuple(n - 1 for n in block)
    assert entries.shape == tuple(n + m for n, m in zip(shape, more, strict=True))
    assert (seeds.shape, seeds.start) == (entries.shape, start)
    assert seeds.size == tuple(n + m if n else 0 for n, m in zip(size, more, strict=True))


def test_negative_sizes_are_refused(refusal: Callable[..., str]) -> None:
    for make in (Window.whole, lambda shape: lanes(Key(0), shape)):
        line = refusal(InputError, make, (2, -1))
        assert line == "Window: shape must be a tuple of whole numbers of at least 0, got (2, -1)."
