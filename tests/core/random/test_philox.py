"""The generator: known answers, and the fast path against the definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinnet._core.random import Key, philox4x32, words
from thinnet._core.random.blocks import words_at

KEYS = st.builds(Key, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
# Half of the block numbers lie about 2**32, where the low word overflows, or at the end of the stream.
BLOCKS = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(2**32 - 3, 2**32 + 3), st.integers(2**64 - 5, 2**64 - 1)
)


def defined(key: Key, block: int) -> list[int]:
    """Return the words of a block as the definition has them, on Python integers."""
    return list(philox4x32((block & 0xFFFFFFFF, block >> 32, key.step, 0), key.words))


@pytest.mark.parametrize("case", range(3))
@pytest.mark.parametrize("array", [False, True], ids=["int", "array"])
def test_known_answers(case: int, array: bool, vectors: Callable[[str], Any]) -> None:
    known = vectors("philox")["cases"][case]
    counter = [int(word, 16) for word in known["counter"]]
    low, high = (int(word, 16) for word in known["key"])
    if array:
        drawn = philox4x32(tuple(np.full((2, 3), word, np.uint64) for word in counter), (low, high))
        assert all(np.unique(word).size == 1 for word in drawn)
        drawn = tuple(int(word[1, 2]) for word in drawn)
    else:
        drawn = philox4x32(tuple(counter), (low, high))
    assert [f"{word:08x}" for word in drawn] == known["words"]


def test_the_known_answer_that_drawing_can_reach(vectors: Callable[[str], Any]) -> None:
    # Drawing leaves word 3 of the counter at 0, which of the known answers only the first does.
    known = vectors("philox")["cases"][0]
    assert [f"{word:08x}" for word in words(Key(0), 0, 1)[0].tolist()] == known["words"]


@given(KEYS, BLOCKS, st.integers(1, 4))
def test_words_equal_the_definition(key: Key, start: int, count: int) -> None:
    count = min(count, 2**64 - start)
    drawn = words(key, start, count)
    assert drawn.shape == (count, 4)
    assert drawn.tolist() == [defined(key, start + row) for row in range(count)]


@given(KEYS, st.lists(BLOCKS, min_size=1, max_size=6))
def test_words_at_equal_the_definition(key: Key, blocks: list[int]) -> None:
    drawn = words_at(key, np.array([blocks, blocks[::-1]], np.uint64))
    assert drawn.tolist() == [[defined(key, block) for block in row] for row in (blocks, blocks[::-1])]


def test_many_blocks_are_computed_in_pieces_without_a_seam() -> None:
    key, start, count = Key(2014, 7), 2**32 - 5000, 3 * 4096 + 5
    drawn = words(key, start, count)
    for row in (0, 4095, 4096, 4999, 5000, 5001, 8191, 8192, count - 1):
        assert drawn[row].tolist() == defined(key, start + row)
    numbers = np.arange(count, dtype=np.uint64)[::-1] + np.uint64(start)
    assert np.array_equal(words_at(key, numbers), drawn[::-1])


def test_no_blocks_are_no_words() -> None:
    assert words(Key(0), 3, 0).shape == (0, 4)
    assert words_at(Key(0), np.empty((2, 0), np.uint64)).shape == (2, 0, 4)
