"""Compiled updates of weights against the optimisers' NumPy passes, to the bit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinnet import net
from thinnet._core import native
from thinnet.net._optimizers import Limit
from thinnet.schedules import Linear

from .bits import COMPILED, Array, alike, threads

pytestmark = pytest.mark.skipif(not COMPILED, reason=f"no compiled kernels: {native.why_not}")

OPTIMIZERS: dict[str, Callable[[], net.Optimizer]] = {
    "sgd": lambda: net.SGD(0.1),
    "sgd l2": lambda: net.SGD(0.1, l2=0.01),
    "momentum": lambda: net.SGD(0.03, momentum=0.9),
    "momentum l2": lambda: net.SGD(0.03, momentum=0.9, l2=0.01),
    "nesterov": lambda: net.SGD(0.03, momentum=0.9, nesterov=True),
    "nesterov l2": lambda: net.SGD(0.03, momentum=0.9, nesterov=True, l2=0.01),
    "adam": lambda: net.Adam(0.01),
    "adam l2": lambda: net.Adam(0.01, betas=(0.8, 0.95), epsilon=1e-3, l2=0.3),
    "adam without memory": lambda: net.Adam(0.01, betas=(0.0, 0.0)),
    "adamw": lambda: net.AdamW(0.01, weight_decay=0.2),
    "adamw without decay": lambda: net.AdamW(0.01, weight_decay=0.0),
    "schedule": lambda: net.Adam(Linear(0.1, 0.001, 3), l2=0.1),
}
# About the borders of vectors, and of the pieces that the NumPy passes work on.
SIZES = [0, 1, 7, 8, 9, 31, 64, 65, 1000, (1 << 15) - 1, (1 << 15) + 3, 3 * (1 << 15) + 77]

optimizers = pytest.mark.parametrize("name", OPTIMIZERS)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def trained(
    body: str,
    make: Callable[[], net.Optimizer],
    dtype: str,
    parts: tuple[int, int],
    limits: tuple[Limit, ...] = (),
) -> list[Array]:
    """Return the weights after each of a few steps; parts are (weights, how many of them decay)."""
    size, decayed = parts
    rng, optimizer, path = np.random.default_rng(size), make(), []
    w = (4 * rng.standard_normal(size)).astype(dtype)
    # spread over many powers of ten, with zeros: nothing has to be exact by luck
    spread = 10.0 ** rng.integers(-12, 3, size) * rng.integers(0, 2, size)
    with native.using(body):
        for _ in range(4):
            g = (spread * rng.standard_normal(size)).astype(dtype)
            optimizer.update(w, g, decayed, limits)
            path.append(w.copy())
    return path


def assert_as_by_numpy(
    make: Callable[[], net.Optimizer], dtype: str, parts: tuple[int, int], limits: tuple[Limit, ...] = ()
) -> None:
    known = trained(native.NUMPY, make, dtype, parts, limits)
    for body in COMPILED:
        mine = trained(body, make, dtype, parts, limits)
        for step, (a, b) in enumerate(zip(mine, known, strict=True)):
            assert alike(a, b), (body, step)


@dtypes
@optimizers
@pytest.mark.parametrize("size", SIZES)
def test_every_optimiser(size: int, name: str, dtype: str) -> None:
    for decayed in {0, size // 3, size}:
        assert_as_by_numpy(OPTIMIZERS[name], dtype, (size, decayed))


@given(st.sampled_from(list(OPTIMIZERS)), st.sampled_from(["float32", "float64"]), st.data())
def test_matrices_with_a_greatest_length(name: str, dtype: str, data: st.DataObject) -> None:
    at, limits = 0, list[Limit]()
    for _ in range(data.draw(st.integers(1, 3))):
        at += data.draw(st.sampled_from([0, 5, 60]))
        rows = data.draw(st.sampled_from([1, 2, 9, 130, 700]))
        columns = data.draw(st.sampled_from([1, 2, 3, 63, 64, 65, 130]))
        limits.append(Limit(at, rows, columns, data.draw(st.sampled_from([1e-3, 1.0, 10.0, 1e4]))))
        at += rows * columns
    decayed = at + data.draw(st.integers(0, 9))
    assert_as_by_numpy(OPTIMIZERS[name], dtype, (decayed + 11, decayed), tuple(limits))


@dtypes
@pytest.mark.parametrize("rows", [1, 8, 9, 128, 129, 1000, 20_000])
def test_one_column_with_a_greatest_length(rows: int, dtype: str) -> None:
    assert_as_by_numpy(OPTIMIZERS["adam l2"], dtype, (rows + 3, rows), (Limit(0, rows, 1, 2.0),))


@dtypes
@pytest.mark.parametrize("decayed", [0, 15, 20, 40])
def test_decay_may_end_inside_of_a_matrix_with_a_greatest_length(decayed: int, dtype: str) -> None:
    for name in ("sgd l2", "adam l2", "adamw"):
        assert_as_by_numpy(OPTIMIZERS[name], dtype, (43, decayed), (Limit(0, 10, 4, 2.0),))


@dtypes
def test_what_is_not_finite_stays_so_alike(dtype: str) -> None:
    w = np.ones(60, dtype)
    w[:8] = [np.nan, np.inf, -np.inf, 1e-45, -0.0, 3e38, -3e38, 1e19]
    results = []
    with np.errstate(all="ignore"):
        for body in native.bodies():
            mine, optimizer = w.copy(), net.SGD(0.1, momentum=0.5)
            with native.using(body):
                for limits in ((), (Limit(0, 12, 5, 1.5),)):
                    optimizer.update(mine, w[::-1].copy(), 60, limits)
            results.append(mine)
    for mine in results:
        assert alike(mine, results[-1])


NUMPYS = {
    "learning_rate": lambda: net.SGD(np.float64(0.1)),
    "schedule": lambda: net.Adam(lambda step: np.float64(0.1)),
    "l2": lambda: net.SGD(0.1, l2=np.float64(0.1)),
    "momentum": lambda: net.SGD(0.1, momentum=np.float64(0.9)),
    "betas": lambda: net.Adam(0.1, betas=(np.float64(0.9), np.float64(0.99))),
    "epsilon": lambda: net.Adam(0.1, epsilon=np.float64(1e-3)),
    "weight_decay": lambda: net.AdamW(0.1, weight_decay=np.float64(0.3)),
    "whole numbers": lambda: net.SGD(1, l2=1),
}


@dtypes
@pytest.mark.parametrize("name", NUMPYS)
def test_numbers_of_numpy_act_as_plain_ones(name: str, dtype: str) -> None:
    assert_as_by_numpy(NUMPYS[name], dtype, (1000, 600), ((0, 20, 30, 2.0),))


@optimizers
def test_the_number_of_threads_changes_nothing(name: str) -> None:
    # several threads for the plain weights, and for the matrix, whose columns are shared out
    size = (1 << 15) + 1013
    for limits in ((), (Limit(100, 50, 101, 2.0),)):
        for count in (1, 2, 3, 7):
            with threads(count, 1000):
                assert_as_by_numpy(OPTIMIZERS[name], "float32", (size, size - 500), limits)


# Few columns and many rows: one column for each thread, or not many more.
@pytest.mark.parametrize(
    ("rows", "columns"), [(90, 33), (21, 64), (11, 128), (10, 126), (10, 127), (2000, 3)]
)
def test_threads_share_few_columns(rows: int, columns: int) -> None:
    size = rows * columns
    for count, least in itertools.product((2, 3), (1, 30, 300)):
        with threads(count, least):
            assert_as_by_numpy(OPTIMIZERS["adam"], "float32", (size, size), ((0, rows, columns, 2.0),))


@pytest.mark.parametrize("body", COMPILED)
@pytest.mark.parametrize("rule", range(4))
def test_pieces_make_up_the_whole(rule: int, body: str) -> None:
    numbers = rule, 0.1, 0.01, 0.9, 0.5, 0.75, 1e-3, 1.25
    rng = np.random.default_rng(rule)
    start = [np.abs(rng.standard_normal(600)).astype(np.float32) for _ in range(4)]
    with native.using(body):
        for columns, last in ((0, 600), (30, 30)):
            results: list[list[Any]] = []
            for pieces in ((0, last), (0, 1, 1, 7, last)):
                arrays = [array.copy() for array in start]
                for begin, end in itertools.pairwise(pieces):
                    native.library.update(*arrays, *numbers, 600, columns, 2.0, begin, end)
                assert np.array_equal(arrays[1], start[1]), "gradients are only read"
                results.append(arrays)
            assert all(map(alike, *results))
            assert not np.array_equal(results[0][0], start[0])


def test_a_column_is_scaled_down_to_the_greatest_length_and_no_shorter_one() -> None:
    w = np.array([[3.0, 0.3], [4.0, 0.4]], np.float32)
    for body in native.bodies():
        mine = w.reshape(-1).copy()
        with native.using(body):
            net.SGD(0.1).update(mine, np.zeros(4, np.float32), 4, ((0, 2, 2, 1.0),))
        assert np.allclose(mine.reshape(2, 2), [[0.6, 0.3], [0.8, 0.4]], rtol=1e-6)
        assert math.hypot(mine[0], mine[2]) <= 1 + 1e-6
