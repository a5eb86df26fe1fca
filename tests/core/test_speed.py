"""Work that must not be done twice: processor time of one call as a multiple of another in the same process.

The bounds are several times the ratios of a quiet machine.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
import pytest

import thinnet as tn
from thinnet._core import native
from thinnet._core.kernels.records import Blocks, Placement

pytestmark = pytest.mark.skipif(native.compiled is None, reason=f"no compiled kernels: {native.why_not}")

KEY = tn.Key(0)


def seconds(call: Callable[[], object]) -> float:
    """Return the least processor time of a few calls in this thread."""
    call()
    times: list[float] = []
    for _ in range(7):
        begin = time.thread_time()
        call()
        times.append(time.thread_time() - begin)
    return min(times)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    before = tn.get_num_threads()
    tn.set_num_threads(1)
    yield
    tn.set_num_threads(before)


def test_parts_of_a_large_plane_do_not_draw_all_of_it() -> None:
    side, block = 1500, 7
    grid = (side + block - 1,) * 2
    blocks = Blocks(grid, (0, 0), (side, side), (block, block), 2, 100)
    where, kept = Placement(0, (side, 1), blocks), np.empty((side, side), bool)

    def draw(parts: int) -> None:
        borders = np.linspace(0, kept.size, parts + 1).astype(int).tolist()
        for begin, end in itertools.pairwise(borders):
            native.compiled.mask(kept, 0, 0, where, 1, begin, end)

    assert seconds(lambda: draw(8)) < 2.5 * seconds(lambda: draw(1))


def test_rates_of_channels_and_features_are_compiled() -> None:
    x = np.ones((20, 32, 32, 32), np.float32)
    y, rows = np.empty_like(x), x.reshape(-1, 1024)
    alone = seconds(lambda: tn.dropout(x, 0.3, key=KEY, out=y))
    channels = np.linspace(0.1, 0.5, 32)[:, None, None]
    assert seconds(lambda: tn.dropout(x, channels, key=KEY, out=y)) < 6 * alone
    features = np.linspace(0.1, 0.5, 1024)
    assert seconds(lambda: tn.dropout(rows, features, key=KEY, out=y.reshape(-1, 1024))) < 6 * alone


def test_fortran_order_is_walked_in_memory_order() -> None:
    x = np.ones((800, 1024), np.float32)
    y, columns = np.empty_like(x), np.asfortranarray(x)
    out = np.empty_like(columns)
    alone = seconds(lambda: tn.dropout(x, 0.3, key=KEY, out=y))
    assert seconds(lambda: tn.dropout(columns, 0.3, key=KEY, out=out)) < 9 * alone


def test_the_mean_of_an_identity_is_a_copy() -> None:
    x = np.ones(1 << 20, np.float32)
    y = np.empty_like(x)
    sample = seconds(lambda: tn.dropout(x, 0.3, key=KEY, out=y))
    assert seconds(lambda: tn.dropout(x, 0.3, key=KEY, mode="mean", out=y)) < 1.3 * sample


def test_folding_a_key_takes_less_time_than_philox_in_python() -> None:
    from thinnet._core.random import philox4x32

    def fold() -> None:
        for _ in range(300):
            KEY.fold("hidden")

    def philox() -> None:
        for _ in range(300):
            philox4x32((1, 2, 3, 4), (5, 6))

    assert seconds(fold) < 0.7 * seconds(philox)
