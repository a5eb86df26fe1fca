"""Keys: addresses, folding, steps."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinnet._core import native
from thinnet._core.random import Key, philox4x32, words
from thinnet.errors import InputError

VALUES, STEPS = st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)


@given(VALUES, STEPS, st.integers(0, 2**64 - 1))
def test_folding_a_number_is_the_block_under_tag_1(value: int, step: int, number: int) -> None:
    key = Key(value, step)
    low, high, _, _ = philox4x32((number & 0xFFFFFFFF, number >> 32, step, 1), key.words)
    assert key.fold(number) == Key(low | high << 32, 0)
    # Tag 0 is drawing's: for one key Philox is a bijection of counters, so the blocks differ.
    assert words(key, number, 1)[0, :2].tolist() != [low, high]


@given(VALUES, STEPS, st.text(st.characters(codec="utf-8")))
def test_folding_a_name_is_the_block_of_its_digest_under_tag_2(value: int, step: int, name: str) -> None:
    key = Key(value, step)
    digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    low, high, _, _ = philox4x32((digest & 0xFFFFFFFF, digest >> 32, step, 2), key.words)
    assert key.fold(name) == Key(low | high << 32, 0)


def test_names_numbers_steps_and_drawn_blocks_never_meet() -> None:
    key, many = Key(7), 300
    met = [key.fold(i).value for i in range(many)]
    met += [key.fold(str(i)).value for i in range(many)]
    met += [key.at(t).fold(0).value for t in range(1, many)]
    met += [key.at(t).fold("0").value for t in range(1, many)]
    met += [key.fold("a").fold(i).value for i in range(many)]
    met += [key.fold(i).fold("a").value for i in range(many)]
    met += words(key, 0, many)[:, :2].copy().view("<u8")[:, 0].tolist()
    assert len(set(met)) == len(met)


def test_numpy_integers_fold_like_pythons() -> None:
    assert Key(np.uint64(2**64 - 1)).fold(np.int32(5)) == Key(2**64 - 1).fold(5)
    assert type(Key(np.int64(3)).value) is int


@pytest.mark.parametrize("wrong", [-1, 2**64, 1.5, True, "x", None, np.float64(1), np.bool_(True)])
def test_a_key_takes_whole_numbers_of_64_bits(wrong: Any, refusal: Callable[..., str]) -> None:
    law = "value must be a whole number in [0, 2**64), got"
    assert refusal(InputError, Key, wrong) == f"Key: {law} {wrong!r}."
    if not isinstance(wrong, str):
        line = refusal(InputError, Key(0).fold, wrong)
        assert line == f"Key.fold: name must be a whole number in [0, 2**64), got {wrong!r}."


@pytest.mark.parametrize("wrong", [-1, 2**32, 1.5, True, "x"])
def test_a_step_takes_whole_numbers_of_32_bits(wrong: Any, refusal: Callable[..., str]) -> None:
    law = "step must be a whole number in [0, 2**32), got"
    assert refusal(InputError, Key, 0, wrong) == f"Key: {law} {wrong!r}."
    assert refusal(InputError, Key(0).at, wrong) == f"Key.at: {law} {wrong!r}."


def test_a_key_is_a_value() -> None:
    key = Key(3, 4)
    assert {key: "a"}[Key(3).at(4)] == "a"
    assert Key(3, 5) != key != Key(4, 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.value = 5
    for twin in (pickle.loads(pickle.dumps(key)), copy.copy(key), copy.deepcopy(key)):
        assert twin == key
        assert twin.fold("a") == key.fold("a")


def test_the_stream_of_folded_keys_is_pinned(vectors: Callable[[str], Any]) -> None:
    for known in vectors("stream")["folds"]:
        key = Key(*known["key"])
        for name in known["path"]:
            key = key.fold(name)
        assert f"{key.value:016x}" == known["value"], known


@pytest.mark.parametrize("name", ["\ud800", "a\udfff"])
def test_a_name_that_utf_8_cannot_encode_is_refused(name: str, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, Key(0).fold, name)
    place = len(name) - 1
    assert line == (
        f"Key.fold: name must be text that UTF-8 can encode, got {name!r}; "
        f"remove the surrogate at position {place}."
    )


@pytest.mark.parametrize("body", native.bodies())
@given(VALUES, STEPS, st.integers(0, 2**64 - 1))
def test_every_body_folds_alike(body: str, value: int, step: int, number: int) -> None:
    with native.using(native.NUMPY):
        expected = Key(value, step).fold(number)
    with native.using(body):
        assert Key(value, step).fold(number) == expected
