from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from thinnet.errors import FileError, RunError
from thinnet.study._folder import enter_folder, read_json, write_json

from .helpers import snapshot

ONE = {"fingerprint": "abc", "seed": 0, "max_width": 64}


def enter(folder: Path, identity: dict[str, Any]) -> None:
    with enter_folder(folder, identity) as work:
        assert work == folder / "work"
        (work / "kept").write_text("kept")


def test_a_folder_is_made_and_entered_again(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "houses"
    enter(folder, ONE)
    once = snapshot(folder)
    assert read_json(folder / "study.json").items() >= ONE.items()
    enter(folder, ONE)
    assert snapshot(folder) == once


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    enter(tmp_path, ONE)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (
            {"format": "thinnet.run/0"},
            "format thinnet.run/1, not thinnet.run/0; give another folder as out.",
        ),
        ({"fingerprint": "def"}, "another data set; give another folder as out."),
        ({"seed": 1}, "seed 0, not 1; give another folder as out."),
        ({"max_width": 32}, "max width 64, not 32; give another folder as out."),
    ],
)
def test_a_folder_of_another_study_is_left_alone(
    change: dict[str, Any], word: str, tmp_path: Path, refusal: Any
) -> None:
    enter(tmp_path, ONE)
    before = snapshot(tmp_path)
    assert refusal(RunError, enter, tmp_path, {**ONE, **change}) == f"{tmp_path}: this run has {word}"
    assert snapshot(tmp_path) == before


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path, refusal: Any) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    message = refusal(RunError, enter, tmp_path, ONE)
    assert message.endswith("not a run of thinnet; give another folder as out.")
    assert snapshot(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_study_that_was_killed_before_its_first_line_goes_on(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "lock").touch()
    (tmp_path / ".study-0badcafe.json").write_text('{"for')
    enter(tmp_path, ONE)


def test_a_folder_that_another_works_in_is_left_alone(tmp_path: Path, refusal: Any) -> None:
    enter(tmp_path, ONE)
    with FileLock(tmp_path / "work" / "lock"):
        message = refusal(RunError, enter, tmp_path, ONE)
    assert "another thinnet works in this folder" in message
    enter(tmp_path, ONE)


def test_the_lock_is_let_go_whatever_happens(tmp_path: Path) -> None:
    def fail() -> None:
        with enter_folder(tmp_path, ONE):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    enter(tmp_path, ONE)


def test_a_file_in_the_way_is_one_line(tmp_path: Path, refusal: Any) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    for folder in (path, path / "run"):
        message = refusal(FileError, enter, folder, ONE)
        assert message.startswith(f"{folder}: cannot be created or written to")
    assert path.read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', "\x00"])
def test_damaged_json_is_one_line(text: str, tmp_path: Path, refusal: Any) -> None:
    path = tmp_path / "study.json"
    path.write_text(text)
    assert refusal(FileError, read_json, path).startswith(f"{path}: not ")
    assert refusal(FileError, enter, tmp_path, ONE).startswith(f"{path}: not ")


def test_json_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
