"""Threads: any number gives the same, however the process is forked, ended or shared."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thinnet as tn
from thinnet._core import native
from thinnet._core.random import words
from thinnet._core.threads import split
from thinnet.errors import InputError

from ..kernels.bits import threads
from .processes import printed, python

compiled = pytest.mark.skipif(native.library is None, reason=f"no compiled kernels: {native.why_not}")

# Large enough for several threads where they are worth their while at LEAST entries each.
SIZE, LEAST = (1 << 18) + 77, 1 << 14
COUNTS = [1, 2, 3, 7]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    with threads(tn.get_num_threads(), LEAST):
        yield


def drawn(key: int = 3) -> np.ndarray[Any, Any]:
    return tn.dropout(np.ones(SIZE, np.float32), 0.3, key=tn.Key(key))


@pytest.mark.parametrize("name", tn.CATALOGUE)
def test_any_number_of_threads_gives_the_same(name: str, example: Callable[..., Any]) -> None:
    x, more = example(name, 300_000)
    own, results = [x.copy() for _ in COUNTS], []
    for count, inplace in zip(COUNTS, own, strict=True):
        tn.set_num_threads(count)
        results.append(tn.drop(name, x, 0.3, key=tn.Key(2), **more))
        tn.drop(name, inplace, 0.3, key=tn.Key(2), out=inplace, **more)
    for y, inplace in zip(results, own, strict=True):
        assert np.array_equal(y, results[0])
        assert np.array_equal(inplace, results[0])
    assert not np.array_equal(results[0], x)


def test_rows_that_lie_apart_may_be_changed_in_place() -> None:
    rows = np.ones((600, 1001), np.float32)
    expected = tn.dropout(rows[::2, :1000].copy(), 0.3, key=tn.Key(1))
    for count in COUNTS:
        tn.set_num_threads(count)
        mine = rows.copy()
        part = mine[::2, :1000]
        tn.dropout(part, 0.3, key=tn.Key(1), out=part)
        assert np.array_equal(part, expected)
        assert (mine[1::2] == 1).all()
        assert (mine[:, 1000] == 1).all()


@given(st.one_of(st.integers(0, 700), st.integers(0, 1 << 40)), st.integers(1, 300), st.integers(1, 9))
def test_parts_make_up_the_whole_and_are_no_more_than_the_threads(total: int, least: int, count: int) -> None:
    tn.set_num_threads(count)
    parts: list[tuple[int, int]] = []
    split(lambda begin, end: parts.append((begin, end)), total, least)
    parts.sort()
    assert (parts[0][0], parts[-1][1]) == (0, total)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(parts))
    assert len(parts) <= max(1, min(count, total // least))
    if len(parts) > 1:
        sizes = [end - begin for begin, end in parts]
        assert min(sizes) > 0
        assert max(sizes) <= -(-total // len(parts)) * 1.1 + 64, "parts are about equal"


def test_parts_are_worked_on_side_by_side() -> None:
    tn.set_num_threads(4)
    names: list[str] = []
    gate = threading.Barrier(4, timeout=30)

    def work(begin: int, end: int) -> None:
        gate.wait()  # four at once, or not at all
        names.append(threading.current_thread().name)

    split(work, 4000, 1000)
    assert len(set(names)) == 4
    assert threading.current_thread().name in names


@pytest.mark.parametrize("failing", range(4))
def test_an_error_comes_out_when_nobody_works_any_more(failing: int) -> None:
    tn.set_num_threads(4)
    done: list[int] = []
    split(lambda begin, end: done.append(begin), 10_000, 1000)
    bad = sorted(done)[failing]
    done.clear()
    gate = threading.Barrier(4, timeout=30)

    def work(begin: int, end: int) -> None:
        gate.wait()  # all four have begun
        if begin == bad:
            raise KeyError(begin)
        time.sleep(0.02)
        done.append(begin)

    with pytest.raises(KeyError):
        split(work, 10_000, 1000)
    assert len(done) == 3
    split(lambda begin, end: done.append(begin), 10_000, 1000)  # and the pool still works
    assert len(done) == 7


def test_each_part_is_done_once_where_no_more_threads_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    tn.set_num_threads(6)
    tn.set_num_threads(5)  # with threads that are not there yet
    done: list[tuple[int, int]] = []
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def at_most_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    def work(begin: int, end: int) -> None:
        done.append((begin, end))
        time.sleep(0.02)

    monkeypatch.setattr(threading.Thread, "start", at_most_two)
    split(work, 10_000, 1000)
    tn.set_num_threads(1)
    for thread in started:
        thread.join()  # by now they have done all other work
    edges = [0, *(end for _, end in sorted(done))]
    assert edges[-1] == 10_000
    assert sorted(done) == list(itertools.pairwise(edges))


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, "2", None, True, [2], float("nan")])
def test_a_wrong_number_is_refused_in_one_line(refusal: Callable[..., str], value: Any) -> None:
    before = tn.get_num_threads()
    line = refusal(InputError, tn.set_num_threads, value)
    assert line == f"set_num_threads: must be a whole number of at least 1, got {value!r}."
    assert tn.get_num_threads() == before


def test_the_number_is_what_was_said_last() -> None:
    for count in (5, 1, 1000):
        tn.set_num_threads(count)
        assert tn.get_num_threads() == count
        assert drawn().size == SIZE


ASK = "import thinnet as tn; print(tn.get_num_threads())"


@pytest.mark.parametrize(("value", "count"), [("3", 3), (" 12 ", 12), ("007", 7)])
def test_a_variable_of_the_environment_says_the_number(value: str, count: int) -> None:
    assert printed(ASK, THINNET_NUM_THREADS=value) == str(count)


def test_without_it_the_number_is_that_of_the_processors() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert printed(ASK) == printed(ASK, THINNET_NUM_THREADS="") == str(cores)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "two", "²", "1 2", "0x2"])
def test_a_wrong_variable_is_one_line(value: str) -> None:
    shown = 0 if value == "0" else repr(value)
    line = f"THINNET_NUM_THREADS: must be a whole number of at least 1, got {shown}."
    script = """
import numpy as np, thinnet as tn
for call in (tn.get_num_threads, lambda: tn.dropout(np.ones(1 << 23, "f4"), 0.5, key=tn.Key(0))):
    try:
        call()
    except tn.InputError as error:
        print(ascii(str(error)))
"""
    lines = set(printed(script, THINNET_NUM_THREADS=value).splitlines())
    assert lines <= {ascii(line)}  # NumPy alone never reads the variable
    assert lines
    done = python("-X", "utf8", "-m", "thinnet", "--version", THINNET_NUM_THREADS=value)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line + "\n")


# The first lines of each script: imports, and the sum of a mask.
HEAD = f"""
import os, sys, threading
import numpy as np, thinnet as tn
from thinnet._core.kernels import laws
laws._ENTRIES, laws._SMALL = {LEAST}, {2 * LEAST}

def total(key):
    return int((tn.dropout(np.ones({SIZE}, "f4"), 0.3, key=tn.Key(key)) > 0).sum())
"""


def totals(*keys: int) -> list[int]:
    return [int((drawn(key) > 0).sum()) for key in keys]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    "before", ["", "total(0)", "total(0); threading.Thread(target=busy, daemon=True).start()"]
)
def test_a_forked_child_works_on(before: str) -> None:
    script = (
        HEAD
        + f"""
def busy():
    while True:
        total(9)

{before}
for key in range(6):
    child = os.fork()
    if not child:
        os._exit(0 if total(key) == int(sys.argv[1 + key]) else 1)
    print(os.waitpid(child, 0)[1], total(key) == int(sys.argv[1 + key]))
sys.stdout.flush()
os._exit(0)
"""
    )
    keys = map(str, totals(*range(6)))
    done = python("-W", "ignore::DeprecationWarning", "-c", script, *keys, THINNET_NUM_THREADS="2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["0 True"] * 6


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_pools_of_processes(method: str, tmp_path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {method}")
    script = tmp_path / "script.py"
    script.write_text(
        HEAD
        + f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

if __name__ == "__main__":
    print(total(0))
    context = multiprocessing.get_context("{method}")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(*pool.map(total, range(4)))
    with context.Pool(1) as pool:
        print(*pool.map(total, range(2)))
"""
    )
    done = python("-W", "ignore::DeprecationWarning", str(script), THINNET_NUM_THREADS="2")
    assert (done.returncode, done.stderr) == (0, "")
    expected = totals(*range(4))
    answers = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    assert answers == [expected[:1], expected, expected[:2]]


ENDINGS = {
    "at exit": "atexit.register(lambda: print(total(5)))",
    "at exit after work": "total(1); atexit.register(lambda: print(total(5)))",
    "in a thread that outlives the main one": """
def late():
    threading.main_thread().join()
    print(total(5))
threading.Thread(target=late).start()
""",
    "when the last object goes": """
class Last:
    def __del__(self):
        print(total(5))
last = Last()
total(1)
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_calls_while_the_interpreter_shuts_down(ending: str) -> None:
    assert printed(HEAD + "import atexit\n" + ENDINGS[ending], THINNET_NUM_THREADS="3") == str(totals(5)[0])


def test_many_threads_may_call_while_the_number_changes() -> None:
    tn.set_num_threads(2)
    expected, stop = {key: drawn(key) for key in range(4)}, threading.Event()

    def change() -> None:
        chance = random.Random(0)
        while not stop.is_set():
            tn.set_num_threads(chance.randint(1, 5))
            stop.wait(0.001)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda i: np.array_equal(drawn(i % 4), expected[i % 4]), range(60)))
    finally:
        stop.set()
        changing.join()
    assert all(found)


def test_beside_the_threads_of_blas_and_torch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tn.set_num_threads(3)
    a = np.random.default_rng(0).standard_normal((400, 400))
    b, expected, product = torch.from_numpy(a), drawn(), a @ a

    def work(i: int) -> bool:
        if i % 3 == 0:
            return bool(np.allclose(a @ a, product))
        if i % 3 == 1:
            return bool(torch.allclose(b @ b, torch.from_numpy(product)))
        return np.array_equal(drawn(), expected)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(45)))


ENTRIES = 1 << 22
FLAT, ROWS = np.ones(ENTRIES, np.float32), np.ones((2048, 2048), np.float32)
LAW = 0, 0, (), 20000
KERNELS: dict[str, Callable[[Any], object]] = {
    "words": lambda n: words(tn.Key(0), 0, ENTRIES // 8),
    "lanes": lambda n: tn.lanes(tn.Key(0), (ENTRIES,)),
    "mask": lambda n: tn.mask((ENTRIES,), 0.5, key=tn.Key(0)),
    "two_point": lambda n: n.two_point(FLAT, FLAT, 0.0, *LAW, 0.0, 0.0, 1.0, 0.0, 0, -1),
    "table": lambda n: n.table(FLAT, FLAT, None, FLAT[:65536].copy(), None, 0, 0, (), 0, -1),
    "dense_forward": lambda n: n.dense_forward(ROWS, ROWS, ROWS[0].copy(), 0, 0, 4, 0.0, 9, 1.0, 0, -1),
    "dense_backward": lambda n: n.dense_backward(ROWS, ROWS, 0, 0, 4, 0.0, 9, 1.0, 0, -1),
    "update": lambda n: n.update(
        FLAT, FLAT.copy(), FLAT.copy(), FLAT.copy(), 3, 0.1, 0.0, 1.0, 0.9, 0.9, 1.0, 1.0, 0, 0, 1.0, 0, -1
    ),
}


@compiled
@pytest.mark.parametrize("name", KERNELS)
def test_other_threads_of_python_go_on_while_a_kernel_runs(name: str) -> None:
    # Nobody takes the interpreter's lock by force, so another thread counts only if the kernel lets it go.
    tn.set_num_threads(1)
    counted, stop, interval = [0], threading.Event(), sys.getswitchinterval()

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0)  # gives the lock back

    counting = threading.Thread(target=count)
    sys.setswitchinterval(1000)
    try:
        counting.start()
        for _ in range(200):
            before = counted[0]
            KERNELS[name](native.library)
            if counted[0] > before:
                break
        assert counted[0] > before
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        counting.join()
