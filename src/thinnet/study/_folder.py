"""A run's folder: whose it is, and that only one process works in it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

from thinnet import _files as files
from thinnet.errors import FileError, RunError

__all__ = ["opened", "read_json", "write_json"]

_FORMAT = "thinnet.run/1"


@contextlib.contextmanager
def opened(folder: Path, identity: dict[str, Any]) -> Generator[Path]:
    """Make or enter a run's folder, lock it, and yield where its trainings are kept.

    Raises
    ------
    RunError
        The folder belongs to another study, or another process works in it.
    FileError
        It cannot be made or written to.
    """
    from filelock import FileLock, Timeout

    work = folder / "work"
    try:
        _refuse_foreign(folder, identity)
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / "lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            f"{folder}: another thinnet works in this folder; wait for it or give --out another."
        ) from error
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{folder}: cannot be made or written to: {files.explain(error)}.") from error
    try:
        write_json(folder / "study.json", {"format": _FORMAT, **identity})
        yield work
    finally:
        lock.release()


def _refuse_foreign(folder: Path, identity: dict[str, Any]) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "study.json").exists():
        # A study that was stopped before its first line has made the folder, no more.
        if all(path.name == "work" or path.name.startswith(".study-") for path in folder.iterdir()):
            return
        raise RunError(
            f"{folder}: the folder is not empty and not a run of thinnet; give --out another folder."
        )
    # A run without the entry is one from before there was a choice.
    known = {"variants": ["Dropout"], **read_json(folder / "study.json")}
    for name, value in {"format": _FORMAT, **identity}.items():
        if known.get(name) != value:
            said = f"{name.replace('_', ' ')} {known.get(name)}, not {value}"
            what = "another data set" if name == "fingerprint" else said
            raise RunError(f"{folder}: this run has {what}; give --out another folder.")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    FileError
        No such file, or not one of ours.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {files.explain(error)}.") from error
    except ValueError as error:
        raise FileError(f"{path}: not JSON ({error}); remove the folder and run the study again.") from error
    if not isinstance(content, dict):
        raise FileError(f"{path}: not a JSON object; remove the folder and run the study again.")
    return content  # pyright: ignore[reportUnknownVariableType] - keys of a JSON object are text


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    files.write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
