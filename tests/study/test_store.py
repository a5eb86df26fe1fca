"""Claims and outcomes in one storage: the oldest living claim wins, what is finished stays."""

from __future__ import annotations

import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from thinnet.errors import RunError
from thinnet.study import store as store_module
from thinnet.study.store import Store
from thinnet.study.training import Outcome

OUTCOME = Outcome("complete", 0.5, 3, 0.1, {"validation_loss": [[1.0, 0.5]]}, [0.5] * 10, 1.0)


def opened(path: Path, owner: str | None = None) -> Any:
    store: Any = Store(path / "trainings.sqlite", "test")
    if owner is not None:
        store._owner = owner
    return store


def test_outcomes_survive_reopening(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.claim("grow", "32", {}, {})
    store.tell("grow", "32", OUTCOME)
    assert opened(tmp_path).finished("grow") == {"32": OUTCOME}
    assert not opened(tmp_path).claim("grow", "32", {}, {})


def test_a_living_claim_is_respected(tmp_path: Path) -> None:
    first, second = opened(tmp_path, "elsewhere:1"), opened(tmp_path)
    assert first.claim("grow", "32", {}, {})
    assert not second.claim("grow", "32", {}, {})
    assert second.claim("grow", "64", {}, {})


def test_a_silent_claim_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(tmp_path, "elsewhere:1").claim("grow", "32", {}, {})
    later = time.time() + 61
    monkeypatch.setattr(store_module.time, "time", lambda: later)
    assert opened(tmp_path).claim("grow", "32", {}, {})


def test_a_dead_process_of_this_machine_gives_way_at_once(tmp_path: Path) -> None:
    assert opened(tmp_path, f"{socket.gethostname()}:999999999").claim("grow", "32", {}, {})
    assert opened(tmp_path).claim("grow", "32", {}, {})


def test_cut_and_given_back_slots_are_free_again(tmp_path: Path) -> None:
    first = opened(tmp_path, "elsewhere:1")
    assert first.claim("grow", "32", {}, {})
    assert first.claim("grow", "64", {}, {})
    first.tell("grow", "32", Outcome("cut", 1.0, 1, 1.0, {}, [], 1.0))
    first.give_back()
    second = opened(tmp_path)
    assert second.finished("grow") == {}
    assert second.claim("grow", "32", {}, {})
    assert second.claim("grow", "64", {}, {})


def test_a_storage_that_cannot_be_opened_is_said_in_a_line(tmp_path: Path) -> None:
    for url in ("nonsense", f"sqlite:///{tmp_path}/no/such/folder.db"):
        with pytest.raises(RunError, match="cannot be opened") as caught:
            Store(url, "test")
        assert "\n" not in str(caught.value)


def test_a_damaged_storage_is_said_in_a_line(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with sqlite3.connect(tmp_path / "trainings.sqlite") as connection:
        connection.execute("DROP TABLE trials")
    with pytest.raises(RunError, match=r"cannot be used .*--out") as caught:
        store.claim("grow", "32", {}, {})
    assert "\n" not in str(caught.value)
