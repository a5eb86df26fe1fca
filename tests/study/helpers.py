"""Small tables, and the command line as a process of its own."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from thinnet.study._trainings.job import TrainingOutcome

# Quick, yet long enough for the sampler and the pruner to have their say on the rival's side.
SMALL = ("--target", "price", "--trials", "6", "--seeds", "3", "--max-width", "4")
SLOTS = 2 * 6 + 1 + 2 * 3  # trials, one width and confirmations; where dropout acts comes on top


def numbers_csv(path: Path, rows: int = 30, seed: int = 0) -> Path:
    """Write a table of three numbers and a price."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    price = 100 * x[:, 0] - 40 * x[:, 1] ** 2 + 20 * rng.normal(size=rows) + 700
    lines = [f"{a:.4f},{b:.4f},{c:.4f},{y:.3f}" for (a, b, c), y in zip(x, price, strict=True)]
    path.write_text("\n".join(["area,age,noise,price", *lines]) + "\n", "utf-8")
    return path


def flowers_csv(path: Path, rows: int = 60) -> Path:
    """Write a table with missing cells, a category, classes, and a field that holds three rows each."""
    rng = np.random.default_rng(1)
    lines = ["length,colour,field,kind"]
    for row in range(rows):
        kind = ("iris", "rose")[row % 2]
        length = "" if row % 9 == 4 else f"{rng.normal() + 2 * (row % 2):.4f}"
        lines.append(f"{length},{('red', 'white', 'blue')[int(rng.integers(3))]},f{row // 3},{kind}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def outcome(value: float = 0.5, state: str = "complete", **other: Any) -> TrainingOutcome:
    """Return the outcome of a training that nobody did."""
    curves = {
        name: [[2 * value, value]]
        for name in ("train_loss", "validation_loss", "train_score", "validation_score")
    }
    known: dict[str, Any] = {
        "epochs": 2,
        "score": value,
        "curves": curves,
        "steps": [value] * 10,
        "seconds": 0.25,
    }
    return TrainingOutcome(state, value, **(known | other))


def start(*arguments: str | Path, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """Start the command line in a session of its own, as a terminal does; `before` runs in it first."""
    command = [sys.executable, "-m", "thinnet", *map(str, arguments)]

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a background process inherits that it is ignored
        if before is not None:
            before()

    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": prepare}
    return subprocess.Popen(command, text=True, start_new_session=True, **options)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process; return its exit code and what it said."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait until a condition holds; tell whether it came to that."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def living(session: int) -> list[str]:
    """Return the command lines of the processes of a session, those already dead left out."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z" and int(fields[3]) == session:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has just ended
            continue
    return found


def trials(database: Path) -> list[tuple[str, str, str]]:
    """Return (stage, slot, state) of every trial in a storage, as far as it exists yet."""
    query = """
        select study_name, value_json, state from trials join studies using (study_id)
        join trial_user_attributes a on a.trial_id = trials.trial_id and a.key = 'slot'
    """
    if not database.exists():
        return []
    # To be written to as well: what a killed process left half-done is rolled back by the next reader.
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=30)
    try:
        rows = connection.execute(query).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return []  # its tables are being made
    finally:
        connection.close()
    return [(name.rpartition("/")[2], json.loads(slot), state) for name, slot, state in rows]


def trained(database: Path) -> list[tuple[str, str]]:
    """Return (stage, slot) of every finished training, once for each time it was trained."""
    return [(stage, slot) for stage, slot, state in trials(database) if state in ("COMPLETE", "PRUNED")]


def numbers_of(folder: Path) -> dict[str, Any]:
    """Return what a study found, without when and how fast."""
    results = json.loads((folder / "results.json").read_text("utf-8"))
    return {key: value for key, value in results.items() if key not in ("seconds", "created")}


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def copy(folder: Path, to: Path) -> Path:
    """Copy a run, so that a test may spoil it."""
    shutil.copytree(folder, to)
    return to
