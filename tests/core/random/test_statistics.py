"""Lanes look uniform and independent: in one array, across steps, across folded keys.

Keys are fixed, so nothing here is a matter of luck; the bound says how lucky a broken stream would
have to be (`chance.SIGMAS`).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet._core.random import Key, lanes, permutation, uniform, words

from .chance import SIGMAS, bits, chi_square, correlation

COUNT = 1 << 21


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.uint16]:
    return lanes(Key(2014).fold("statistics"), (COUNT,))


def test_every_lane_value_is_equally_likely(drawn: NDArray[np.uint16]) -> None:
    assert abs(chi_square(np.bincount(drawn, minlength=65536))) < SIGMAS


def test_every_bit_of_a_lane_is_a_fair_coin(drawn: NDArray[np.uint16]) -> None:
    assert np.abs(bits(drawn, 16)).max() < SIGMAS


@pytest.mark.parametrize("half", range(8))
def test_every_half_of_a_block_is_uniform(drawn: NDArray[np.uint16], half: int) -> None:
    assert abs(chi_square(np.bincount(drawn[half::8] >> 4, minlength=4096))) < SIGMAS


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 7, 8, 9, 16, 64, 1024])
def test_neighbours_are_uncorrelated(drawn: NDArray[np.uint16], lag: int) -> None:
    assert abs(correlation(drawn[:-lag], drawn[lag:])) < SIGMAS


def test_pairs_of_neighbours_are_uniform(drawn: NDArray[np.uint16]) -> None:
    coarse = (drawn >> 11).astype(np.int64)  # 32 by 32 cells
    assert abs(chi_square(np.bincount(coarse[:-1:2] * 32 + coarse[1::2], minlength=1024))) < SIGMAS


def test_successive_steps_are_uncorrelated() -> None:
    key = Key(5)
    table = np.stack([lanes(key.at(t), (64,)) for t in range(4096)])
    assert abs(correlation(table[:-1].ravel(), table[1:].ravel())) < SIGMAS
    # The first lane over all steps is the stream of one unit in training.
    assert np.abs(bits(table[:, 0], 16)).max() < SIGMAS
    assert abs(chi_square(np.bincount(table[:, 0] >> 8, minlength=256))) < SIGMAS


@pytest.mark.parametrize("kind", ["numbers", "names", "seeds", "chain"])
def test_neighbouring_keys_are_independent(kind: str) -> None:
    count, root = 4096, Key(0)
    if kind == "chain":
        keys = [root]
        while len(keys) < count:
            keys.append(keys[-1].fold(0))
    else:
        make = {"numbers": root.fold, "names": lambda i: root.fold(f"layer {i}"), "seeds": Key}[kind]
        keys = [make(i) for i in range(count)]
    table = np.stack([lanes(key, (32,)) for key in keys])
    assert abs(correlation(table[:-1].ravel(), table[1:].ravel())) < SIGMAS
    assert np.abs(bits(table.ravel(), 16)).max() < SIGMAS
    assert abs(chi_square(np.bincount(table[:, 0] >> 8, minlength=256))) < SIGMAS
    if kind != "seeds":
        values = np.array([key.value for key in keys[1:]], np.uint64)
        assert np.abs(bits(values, 64)).max() < SIGMAS


def test_one_bit_of_the_key_changes_half_of_the_bits() -> None:
    key, blocks = Key(0x0123456789ABCDEF), 64
    mine = words(key, 0, blocks)
    total = 64 * 128 * blocks
    changed = sum(
        int(np.bitwise_count(mine ^ words(Key(key.value ^ 1 << bit), 0, blocks)).sum()) for bit in range(64)
    )
    assert abs(2 * changed - total) / math.sqrt(total) < SIGMAS


def test_uniform_has_the_mean_and_variance_of_its_name() -> None:
    count = 1 << 18
    u = uniform(Key(3), (count,))
    assert abs(u.mean() - 0.5) < SIGMAS * math.sqrt(1 / 12 / count)
    assert abs(u.var() - 1 / 12) < SIGMAS * math.sqrt(1 / 180 / count)
    assert abs(chi_square(np.bincount((u * 1024).astype(int), minlength=1024))) < SIGMAS


def test_permutations_of_four_are_equally_likely() -> None:
    key = Key(9)
    orders = np.stack([permutation(key.at(t), 4) for t in range(9600)])
    counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    assert counts.size == 24
    assert abs(chi_square(counts)) < SIGMAS
