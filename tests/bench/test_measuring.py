"""Rivals are timed in turn, and rows report the times of the clock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import thinnet as tn
from thinnet._bench import Rival, in_turn, measure, measuring
from thinnet.errors import InputError


class Clock:
    """A clock that only the rivals move."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def rival(self, name: str, times: list[float], log: list[str] | None = None, ours: bool = False) -> Rival:
        """Return a rival whose calls take `times`, over and over."""
        calls = iter(range(10**9))

        def run() -> None:
            self.now += times[next(calls) % len(times)]
            if log is not None:
                log.append(name)

        return Rival(name, name.upper(), run, ours, before=lambda: None if log is None else log.append("-"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=made.perf_counter))
    return made


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide torch and JAX, and put the number of threads back."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "jax", None)
    before = tn.get_num_threads()
    yield
    tn.set_num_threads(before)


def test_rivals_take_turns(clock: Clock) -> None:
    log: list[str] = []
    times = in_turn([clock.rival(name, [1.0], log) for name in "abc"], 60)
    turns = "".join(name for name, _ in groupby(name for name in log if name != "-"))
    assert turns == "abc" * (len(turns) // 3)
    assert times == [[1.0] * len(times[0])] * 3
    # each turn: what has to be set, a call that is not timed, a call that is
    assert "".join(log) == "-aa-bb-cc" * (len(times[0]) + 1)


def test_the_time_is_kept_but_for_three_rounds(clock: Clock) -> None:
    rivals = [clock.rival("a", [0.5]), clock.rival("b", [0.5])]
    assert len(in_turn(rivals, 20.0)[0]) == 9  # 2 s a round; the first finds out how many calls to time
    assert len(in_turn(rivals, 0.0)[0]) == 3


def test_short_calls_are_timed_several_at_once(clock: Clock) -> None:
    log: list[str] = []
    (times,) = in_turn([clock.rival("a", [1e-4], log)], 0.0)
    assert times == pytest.approx([1e-4] * 3)
    assert "".join(log) == "-aa" + 3 * ("-a" + 10 * "a")


def test_a_clock_that_stands_still_is_no_crash(clock: Clock) -> None:
    (times,) = in_turn([clock.rival("a", [0.0])], -1.0)
    assert all(value > 0 for value in times)


def test_rows_say_what_the_clock_said(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_rivals(x: Any, rate: float) -> tuple[list[Rival], list[str]]:
        assert (x.shape, x.dtype, rate) == ((1000,), np.float64, 0.25)
        slow = [9.0, 9.0, 9.0, 3.0, 9.0, 4.0, 9.0, 5.0]  # each second call is timed, after the first round
        return [clock.rival("copy", [2.0]), clock.rival("ours", slow, ours=True)], ["a note"]

    monkeypatch.setattr(measuring, "find_rivals", find_rivals)
    rows, notes = measure(1000, "float64", 0.25, 0.0)
    assert notes == ["a note"]
    common = {"size": 1000, "dtype": "float64", "rate": 0.25, "rounds": 3}
    copy = {"median_s": 2.0, "min_s": 2.0, "ns_per_entry": 2e6, "gb_per_s": 8e-6, "ratio_to_copy": 1.0}
    ours = {"median_s": 4.0, "min_s": 3.0, "ns_per_entry": 4e6, "gb_per_s": 4e-6, "ratio_to_copy": 2.0}
    assert [{**row, "gb_per_s": pytest.approx(row["gb_per_s"])} for row in rows] == [
        {"id": "copy", "name": "COPY", "ours": False, **common, **copy},
        {"id": "ours", "name": "OURS", "ours": True, **common, **ours},
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("size", [1, 1000])
def test_a_real_run(dtype: str, size: int) -> None:
    tn.set_num_threads(2)
    rows, notes = measure(size, dtype, 0.999, 0.0)
    assert [row["id"] for row in rows] == ["copy", "multiply", "thinnet", "thinnet_threads", "numpy"]
    assert rows[0]["ratio_to_copy"] == 1
    for row in rows:
        assert (row["size"], row["dtype"], row["rounds"]) == (size, dtype, 3)
        assert 0 < row["min_s"] <= row["median_s"]
    assert len(notes) == 2


def fail(*_: object) -> None:
    raise MemoryError


@pytest.mark.parametrize("rivals", [None, fail])
def test_the_number_of_threads_is_put_back(
    rivals: Callable[..., Any] | None, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    tn.set_num_threads(3)
    if rivals is None:
        measure(16, "float32", 0.5, 0.0)
    else:
        monkeypatch.setattr(measuring, "find_rivals", rivals)
        said = refusal(InputError, measure, 4096, "float32", 0.5, 0.0)
        assert said == "bench: 4,096 entries do not fit into memory; choose a smaller size."
    assert tn.get_num_threads() == 3
