from __future__ import annotations

import functools
import itertools
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from thinnet.errors import FileError, RunError
from thinnet.study._trainings.store import Store

from ..helpers import outcome, trained, trials


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trainings.sqlite"


def store_of(pid: int, path: Path, monkeypatch: pytest.MonkeyPatch, name: str = "s") -> Store:
    """Open a store as the process `pid` would."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        return Store(path, name)


@pytest.fixture
def alive(path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of another process, which lives."""
    return store_of(os.getppid(), path, monkeypatch)


@pytest.fixture
def dead(path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of another process, which has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return store_of(process.pid, path, monkeypatch)


def claim(store: Store, slot: str = "a", stage: str = "grow") -> bool:
    return store.claim(stage, slot, {}, {})


# What is kept


def test_finished_outcomes_survive(path: Path) -> None:
    first = Store(path, "s")
    kept = {"a": outcome(0.25), "b": outcome(1.5, "pruned")}
    for slot, result in kept.items():
        assert claim(first, slot)
        first.record("grow", slot, result)
    assert first.finished("grow") == kept
    again = Store(path, "s")
    assert again.finished("grow") == kept
    assert again.finished("search") == {}
    assert Store(path, "another study").finished("grow") == {}


def test_the_choice_is_there_for_other_tools(path: Path) -> None:
    import optuna

    store = Store(path, "s")
    dimensions = {"rate": optuna.distributions.FloatDistribution(0.0, 1.0)}
    assert store.claim("dropout", "a", {"rate": 0.25}, dimensions)
    store.record("dropout", "a", outcome(0.75))
    study = optuna.load_study(study_name="s/dropout", storage=f"sqlite:///{path}")
    assert (study.best_params, study.best_value) == ({"rate": 0.25}, 0.75)


def test_a_training_that_was_cut_is_open_again(path: Path) -> None:
    store = Store(path, "s")
    assert claim(store)
    store.record("grow", "a", outcome(state="cut"))
    assert store.finished("grow") == {}
    assert claim(store)


# Claims


def test_a_living_claim_is_respected(path: Path, alive: Store) -> None:
    assert claim(alive)
    mine = Store(path, "s")
    assert not claim(mine)
    assert claim(mine, "b")
    assert claim(mine, "a", "another stage")


def test_waiting_for_a_claim_does_not_fill_the_storage(path: Path, alive: Store) -> None:
    assert claim(alive)
    mine = Store(path, "s")
    for _ in range(5):
        assert not claim(mine)
    assert len(trials(path)) == 1


def test_a_finished_slot_is_not_claimed(path: Path, alive: Store) -> None:
    assert claim(alive)
    alive.record("grow", "a", outcome())
    assert not claim(Store(path, "s"))


def test_a_claim_of_a_dead_process_is_taken_over(path: Path, dead: Store) -> None:
    assert claim(dead)
    mine = Store(path, "s")
    assert claim(mine)
    assert [state for _, _, state in trials(path)] == ["FAIL", "RUNNING"]


def test_a_claim_of_an_earlier_life_under_the_same_number_is_taken_over(path: Path) -> None:
    assert claim(Store(path, "s"))
    assert claim(Store(path, "s"))


def test_a_claim_that_nobody_renews_is_taken_over(
    path: Path, alive: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claim(alive)
    mine = Store(path, "s")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 50)
    assert not claim(mine)
    alive.renew_claims()
    monkeypatch.setattr(time, "time", lambda: now + 100)
    assert not claim(mine)
    monkeypatch.setattr(time, "time", lambda: now + 200)
    assert claim(mine)


def test_a_claim_of_another_machine_lives_by_its_beat_alone(
    path: Path, dead: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claim(dead)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    mine = Store(path, "s")
    assert not claim(mine)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 200)
    assert claim(mine)


def test_a_process_that_slept_too_long_finds_its_claim_lost(
    path: Path, alive: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claim(alive)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1000)
    mine = Store(path, "s")
    assert claim(mine)
    monkeypatch.setattr(time, "time", lambda: now + 2000)
    alive.renew_claims()
    alive.record("grow", "a", outcome(0.5))
    assert mine.finished("grow") == {}
    mine.record("grow", "a", outcome(0.5))
    assert mine.finished("grow") == {"a": outcome(0.5)}
    assert trained(path) == [("grow", "a")]


def test_what_is_given_back_is_open_at_once(path: Path, alive: Store) -> None:
    for slot in "ab":
        assert claim(alive, slot)
    alive.release_claims()
    mine = Store(path, "s")
    assert claim(mine, "a")
    assert claim(mine, "b")


def test_of_many_claims_at_once_one_wins(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # All of these lives are this process's parent: alive, and another.
    stores = [store_of(os.getppid(), path, monkeypatch) for _ in range(4)]
    slots = [f"slot {number}" for number in range(5)]

    def win(store: Store) -> list[str]:
        return [slot for slot in slots if claim(store, slot)]

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(win, stores))
    assert sorted(itertools.chain(*won)) == slots


# Opening


def test_many_may_open_a_new_storage_at_once(path: Path) -> None:
    load = "import sys; from thinnet.study._trainings.store import Store"
    code = f"{load}; Store(sys.argv[1], 's').finished('grow')"
    command = [sys.executable, "-c", code, f"sqlite:///{path}"]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert ([process.returncode for process in processes], said) == ([0] * 3, [""] * 3)


def test_any_folder_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "my {run} ?a=1 #2 %20 ü"
    folder.mkdir()
    store = Store(folder / "trainings.sqlite", "s")
    assert claim(store)
    assert [path.name for path in folder.iterdir()] == ["trainings.sqlite"]


@pytest.mark.parametrize(
    "url",
    ["nonsense", "redis://localhost", "nosuch://me:secret@host/db", "sqlite:////no/such/folder/a.sqlite", ""],
)
def test_a_storage_that_cannot_be_opened_is_one_line(url: str, refusal: Any) -> None:
    message = refusal(RunError, Store, url, "s")
    assert message.startswith("storage=")
    assert message.endswith("give an Optuna storage URL.")
    assert "secret" not in message


def test_a_file_that_is_no_database_is_one_line(path: Path, refusal: Any) -> None:
    path.write_bytes(b"not a database " * 100)
    message = refusal(RunError, Store, path, "s")
    assert message.startswith(f"{path}: cannot be opened (file is not a database)")


# A full disk


@pytest.mark.parametrize("act", ["claim", "record", "finished"])
def test_a_full_disk_is_one_line_and_passes(
    act: str, path: Path, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)  # Optuna tries a few times
    # SQLite says "database or disk is full" of a database that may not have another page too.
    connect, limits = sqlite3.connect, ["pragma max_page_count = 1073741823"]

    class Small(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            super().execute(limits[-1])
            return super().execute(*arguments)

        def cursor(self, *arguments: Any, **options: Any) -> sqlite3.Cursor:
            super().execute(limits[-1])
            return super().cursor(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", functools.partial(connect, factory=Small))
    store = Store(path, "s")
    assert claim(store)
    large = outcome(curves={"train_loss": [[0.5] * 100_000]})
    calls = {
        "claim": lambda: store.claim("x" * 100, "y" * 1_000_000, {}, {}),
        "record": lambda: store.record("grow", "a", large),
        "finished": lambda: [store.finished(f"{stage}" * 50) for stage in range(1000)],
    }
    limits.append("pragma max_page_count = 1")
    message = refusal(FileError, calls[act])
    assert message == f"{path}: the disk is full; free some space and run the same study again."
    store.release_claims()
    limits.append("pragma max_page_count = 1073741823")
    later = Store(path, "s")
    assert claim(later)
    later.record("grow", "a", large)
    assert later.finished("grow") == {"a": large}
