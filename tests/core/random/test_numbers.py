"""Uniform numbers and permutations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinnet._core.random import Key, numbers, permutation, uniform, words


@given(st.integers(0, 2**64 - 1), st.integers(0, 300))
def test_a_permutation_holds_every_number_once(value: int, count: int) -> None:
    assert np.sort(permutation(Key(value), count)).tolist() == list(range(count))


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_a_permutation_sorts_64_bit_words(count: int) -> None:
    key = Key(6, 2)
    halves = words(key, 0, count).ravel().tolist()
    assert permutation(key, count).tolist() == sorted(
        range(count), key=lambda i: halves[2 * i] | halves[2 * i + 1] << 32
    )


def test_permutations_depend_on_key_and_step() -> None:
    one = permutation(Key(0), 50).tolist()
    assert permutation(Key(0), 50).tolist() == one
    assert permutation(Key(0, 1), 50).tolist() != one != permutation(Key(1), 50).tolist()


@pytest.mark.parametrize("word", [0, 0xFFFFFFFF])
def test_uniform_never_reaches_its_ends(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def extreme(key: Key, start: int, count: int) -> Any:
        return np.full((count, 4), word, np.uint32)

    monkeypatch.setattr(numbers, "words", extreme)
    assert 0 < uniform(Key(0), (1,))[0] < 1


def test_uniform_is_the_words_in_c_order() -> None:
    drawn = uniform(Key(4, 2), (3, 5))
    assert drawn.dtype == np.float64
    assert np.array_equal(drawn.ravel(), (words(Key(4, 2), 0, 4).ravel()[:15] + 0.5) / 2**32)
    assert uniform(Key(4, 2), ()) == drawn[0, 0]
    assert uniform(Key(4, 2), (0, 3)).shape == (0, 3)
