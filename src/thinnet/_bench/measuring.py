"""Time rivals in turn, A B C A B C …, so that other load on the machine affects all of them equally."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Generator, Sequence
from typing import Any, TypeAlias

import numpy as np

from thinnet._bench.rivals import Rival, find_rivals
from thinnet._core.threads import get_num_threads, set_num_threads
from thinnet.errors import InputError

__all__ = ["Row", "in_turn", "measure"]

Row: TypeAlias = dict[str, Any]

_LEAST_ROUNDS = 3
_LEAST_TIMED = 1e-3  # seconds; shorter calls are timed in groups


def measure(size: int, dtype: str, rate: float, seconds: float) -> tuple[list[Row], list[str]]:
    """Time dropout forward and its rivals on `size` entries for about `seconds`.

    Returns
    -------
    rows : list of dict
        One for each rival: its name, size, dtype, rate, the median and least time of a call in seconds,
        the median per entry, bytes read and written a second, and the median over the rounds of its
        time divided by the copy's time in the same round.
    notes : list of str
        The rivals that are left out, and the reasons.
    """
    with _threads_restored(), np.errstate(all="ignore"):  # float16 may overflow at high rates
        try:
            x = np.random.default_rng(0).standard_normal(size, np.float32).astype(dtype)
            found, notes = find_rivals(x, rate)
            times = in_turn(found, seconds)
        except MemoryError:
            raise InputError(
                f"bench: {size:,} entries do not fit into memory; choose a smaller size."
            ) from None
    rows: list[Row] = []
    for rival, own in zip(found, times, strict=True):
        median = statistics.median(own)
        ratios = [ours / copy for ours, copy in zip(own, times[0], strict=True)]
        rows.append(
            {
                "id": rival.id,
                "name": rival.name,
                "ours": rival.ours,
                "size": size,
                "dtype": dtype,
                "rate": rate,
                "rounds": len(own),
                "median_s": median,
                "min_s": min(own),
                "ns_per_entry": 1e9 * median / size,
                "gb_per_s": 2e-9 * x.nbytes / median,
                "ratio_to_copy": statistics.median(ratios),
            }
        )
    return rows, notes


def in_turn(rivals: Sequence[Rival], seconds: float) -> list[list[float]]:
    """Time all rivals in turn for about `seconds`; return the seconds a call of each took in each round.

    Before each timing a rival makes one call that is not timed, which starts its threads and fills the
    caches.
    """
    end = time.perf_counter() + seconds
    calls = [max(1, math.ceil(_LEAST_TIMED / _timed(rival, 1))) for rival in rivals]
    times: list[list[float]] = [[] for _ in rivals]
    while len(times[0]) < _LEAST_ROUNDS or time.perf_counter() < end:
        for rival, count, own in zip(rivals, calls, times, strict=True):
            own.append(_timed(rival, count))
    return times


def _timed(rival: Rival, calls: int) -> float:
    run = rival.run
    rival.before()
    run()
    begun = time.perf_counter()
    for _ in range(calls):
        run()
    return max(time.perf_counter() - begun, 1e-7) / calls  # a coarse clock may measure 0


@contextlib.contextmanager
def _threads_restored() -> Generator[None]:
    before = get_num_threads()
    try:
        yield
    finally:
        set_num_threads(before)
