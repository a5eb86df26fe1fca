"""A run's folder: it belongs to one study, and one process at a time works in it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

from thinnet import _files as files
from thinnet.errors import FileError, RunError
from thinnet.study._spelling import spell_option

__all__ = ["MODEL", "MODEL_FORMAT", "REPORT", "RESULTS", "enter_folder", "read_json", "write_json"]

MODEL, REPORT, RESULTS = "model.safetensors", "report.html", "results.json"
MODEL_FORMAT = "thinnet.model/1"

_FORMAT = "thinnet.run/1"
_STUDY = "study.json"


@contextlib.contextmanager
def enter_folder(folder: Path, identity: dict[str, Any]) -> Generator[Path]:
    """Create or enter a run's folder, lock it, and yield the folder of its trainings.

    Parameters
    ----------
    folder : Path
        The run's folder.
    identity : dict
        All that the numbers of the study depend on; a folder of another study is refused.

    Raises
    ------
    RunError
        The folder belongs to another study, or another process works in it.
    FileError
        The folder cannot be created or written to.
    """
    from filelock import FileLock, Timeout

    work = folder / "work"
    try:
        _refuse_other_study(folder, identity)
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / "lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            f"{folder}: another thinnet works in this folder; wait for it or {_another()}."
        ) from error
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{folder}: cannot be created or written to: {files.explain(error)}.") from error
    try:
        write_json(folder / _STUDY, {"format": _FORMAT, **identity})
        yield work
    finally:
        lock.release()


def _another() -> str:
    return f"give another folder as {spell_option('out')}"


def _refuse_other_study(folder: Path, identity: dict[str, Any]) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / _STUDY).exists():
        # A study that was stopped before it wrote study.json leaves these two at most.
        if all(path.name == "work" or path.name.startswith(".study-") for path in folder.iterdir()):
            return
        raise RunError(f"{folder}: the folder is not empty and not a run of thinnet; {_another()}.")
    # Runs of the first version, which had one variant, lack the entry.
    known = {"variants": ["Dropout"], **read_json(folder / _STUDY)}
    for name, value in {"format": _FORMAT, **identity}.items():
        if known.get(name) != value:
            difference = f"{name.replace('_', ' ')} {known.get(name)}, not {value}"
            what = "another data set" if name == "fingerprint" else difference
            raise RunError(f"{folder}: this run has {what}; {_another()}.")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    FileError
        The file does not exist or is not a JSON object.
    """
    remedy = "remove the folder and run the study again"
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {files.explain(error)}.") from error
    except ValueError as error:
        raise FileError(f"{path}: not JSON ({error}); {remedy}.") from error
    if not isinstance(content, dict):
        raise FileError(f"{path}: not a JSON object; {remedy}.")
    return content  # pyright: ignore[reportUnknownVariableType] - keys of a JSON object are text


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object; a reader sees the complete old or new file, never a part."""
    files.write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
