"""Files are complete or absent, and the previous file stays if anything fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thinnet._files import explain, is_folder, replacing, write_bytes, write_text
from thinnet.errors import FileError


def fail(code: int) -> Callable[..., None]:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return failing


def test_text_is_utf8_and_bytes_are_bytes(tmp_path: Path) -> None:
    path = tmp_path / "größe.txt"
    write_text(path, "Köln\r\n\n")
    assert path.read_bytes() == "Köln\r\n\n".encode()
    write_bytes(str(path), b"\x00\r\n\xff")
    assert path.read_bytes() == b"\x00\r\n\xff"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "the disk is full; free some space or write elsewhere"),
        (errno.EDQUOT, "the disk quota is used up; free some space or write elsewhere"),
        (errno.EACCES, "permission denied; choose a folder that you may write to"),
        (errno.EROFS, "the file system is read-only; choose another folder"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
@pytest.mark.parametrize("stage", ["write", "sync", "rename"])
@pytest.mark.parametrize("old", [True, False])
def test_a_failure_at_any_stage_leaves_what_was_there(
    code: int,
    remedy: str,
    stage: str,
    old: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Callable[..., str],
) -> None:
    path = tmp_path / "report.html"
    if old:
        path.write_text("before")
    place, name = {"write": (Path, "write_bytes"), "sync": (os, "fsync"), "rename": (Path, "replace")}[stage]
    monkeypatch.setattr(place, name, fail(code))
    assert refusal(FileError, write_text, path, "after") == f"{path}: cannot be written: {remedy}."
    assert list(tmp_path.iterdir()) == ([path] if old else [])
    assert not old or path.read_text() == "before"


def test_a_block_that_fails_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def interrupted(error: BaseException) -> None:
        with replacing(path) as temporary:
            assert temporary.parent == path.parent  # a rename within one file system is all or nothing
            assert temporary.suffix == ".txt"
            temporary.write_text("half")
            assert path.read_text() == "before"
            raise error

    for error in (KeyboardInterrupt(), ValueError("own"), FileError("own: line.")):
        with pytest.raises(type(error)) as caught:
            interrupted(error)
        assert caught.value is error
        assert list(tmp_path.iterdir()) == [path]
        assert path.read_text() == "before"


def test_the_place_is_named(tmp_path: Path, refusal: Callable[..., str]) -> None:
    lost = tmp_path / "none" / "a.txt"
    assert refusal(FileError, write_text, lost, "") == f"{lost}: cannot be written: no such file or folder."
    for folder in (tmp_path, "", "/"):
        line = refusal(FileError, write_text, folder, "")
        assert line == f"{Path(folder)}: cannot be written: it is a folder."
    (tmp_path / "file").touch()
    inside = tmp_path / "file" / "a.txt"
    line = refusal(FileError, write_text, inside, "")
    assert line == f"{inside}: cannot be written: a part of the path is a file, not a folder."


def test_an_error_without_a_number_says_what_it_can() -> None:
    assert explain(OSError("the reader's own words")) == "the reader's own words"


def test_a_name_that_is_too_long_is_no_folder(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "nothing")
    line = refusal(FileError, is_folder, Path("x" * 5000))
    assert line == f"{'x' * 200}…: cannot be read: its name is too long."
