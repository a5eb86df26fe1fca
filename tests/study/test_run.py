from __future__ import annotations

import errno
import os
import random
import re
import resource
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from thinnet import _cli as cli
from thinnet.study import _run as module

from .helpers import (
    SLOTS,
    SMALL,
    copy,
    finish,
    living,
    numbers_csv,
    numbers_of,
    snapshot,
    start,
    trained,
    trials,
    wait_for,
)

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


def database(folder: Path) -> Path:
    return folder / "work" / "trainings.sqlite"


def refused(arguments: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command line in this process, expect one line of refusal, and return it."""
    assert cli.run(list(map(str, arguments))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


# A run from beginning to end


def test_a_run_leaves_its_files(finished: tuple[Path, str]) -> None:
    files = set(snapshot(finished[0]))
    assert {"results.json", "report.html", "model.safetensors", "study.json"} <= files
    figures = {Path(name) for name in files if name.startswith("figures")}
    assert {path.suffix for path in figures} == {".svg", ".png"}
    # Rows and weights have done their work; no file is left half-written.
    assert not any(name.endswith(".npy") or Path(name).name.startswith(".") for name in files)
    assert [name for name in files if name.endswith(".safetensors")] == ["model.safetensors"]


def test_every_training_is_kept_once(finished: tuple[Path, str]) -> None:
    kept = Counter(trained(database(finished[0])))
    assert set(kept.values()) == {1}
    assert SLOTS <= len(kept) <= SLOTS + 3
    assert len(trials(database(finished[0]))) == len(kept)


def test_what_a_run_says_where_there_is_no_terminal(finished: tuple[Path, str]) -> None:
    folder, said = finished
    assert re.search(r"^houses\.csv: 30 rows, 3 columns, target price$", said, re.M)
    assert re.search(r"^task: regression \(.+\)$", said, re.M)
    for stage, count in (("grow", 1), ("thin", 12), ("confirm", 6)):
        assert f"\n{stage}: {count}/{count}" in said
    assert not set(said) & {"\r", "\x1b"}
    assert said.endswith(f"report: {folder / 'report.html'}\n")
    assert numbers_of(folder)["sentence"] in said.splitlines()


def test_a_finished_study_is_told_again_and_trains_nothing(
    finished: tuple[Path, str],
    houses: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def train(*_: Any) -> None:
        raise AssertionError("it trains")

    monkeypatch.setattr(module, "Workers", train)
    folder, said = finished
    before = snapshot(folder)
    assert cli.run(["study", str(houses), *SMALL, "--out", str(folder), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert (out.strip(), err) == (said[said.index("\n\n") :].strip(), "")
    assert snapshot(folder) == before


def test_a_lost_report_is_written_again(
    finished: tuple[Path, str], houses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Workers", None)
    run = copy(finished[0], tmp_path / "run")
    page = (run / "report.html").read_text("utf-8")
    (run / "report.html").unlink()
    assert cli.run(["study", str(houses), *SMALL, "--out", str(run), "--quiet"]) == 0
    assert (run / "report.html").read_text("utf-8") == page


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": "thin', ""])
def test_results_that_are_damaged_are_one_line(
    text: str, finished: tuple[Path, str], houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy(finished[0], tmp_path / "run")
    (run / "results.json").write_text(text)
    said = refused(("study", houses, *SMALL, "--out", run), capsys)
    assert said.startswith(f"{run / 'results.json'}: not ")


# Interruptions


def kill(process: subprocess.Popen[str], kept: Path, enough: int, after: float) -> None:
    """Kill a study a while after it has trained enough; its workers have to end by themselves."""
    assert wait_for(lambda: len(trained(kept)) >= enough or process.poll() is not None)
    time.sleep(after)
    assert process.poll() is None, "it ended before it was killed"
    process.kill()
    assert wait_for(lambda: not living(process.pid), 20), living(process.pid)
    process.communicate()


@linux
def test_a_study_that_is_killed_goes_on_where_it_was(
    finished: tuple[Path, str], houses: Path, tmp_path: Path
) -> None:
    rng, run, before = random.Random(3), tmp_path / "run", Counter[tuple[str, str]]()
    command = ("study", houses, *SMALL, "--jobs", "2", "--out", run)
    for enough in (1, 12):
        kill(start(*command), database(run), enough, rng.uniform(0, 0.3))
        now = Counter(trained(database(run)))
        assert now >= before
        before = now
    code, _, err = finish(start(*command))
    assert (code, err) == (0, "")
    assert numbers_of(run) == numbers_of(finished[0])
    assert (run / "model.safetensors").read_bytes() == (finished[0] / "model.safetensors").read_bytes()
    counts = Counter(trained(database(run)))
    assert counts == Counter(trained(database(finished[0])))
    # What was running is all that was lost.
    states = Counter(state for _, _, state in trials(database(run)))
    assert states["RUNNING"] == 0
    assert states["FAIL"] <= 2 * 2


@linux
def test_ctrl_c_ends_a_study_in_one_line(houses: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start("study", houses, *SMALL, "--jobs", "2", "--out", run)
    assert wait_for(lambda: len(trained(database(run))) >= 2 or process.poll() is not None)
    assert process.poll() is None, "it ended before it was interrupted"
    os.killpg(process.pid, signal.SIGINT)  # a terminal tells workers too
    code, _, err = finish(process)
    assert code == 130
    assert [line for line in err.splitlines() if line] == [
        "Stopped. Finished trainings are kept; the same command continues from there."
    ]
    assert wait_for(lambda: not living(process.pid), 20), living(process.pid)
    states = Counter(state for _, _, state in trials(database(run)))
    assert states["RUNNING"] == 0
    assert not (run / "results.json").exists()
    with FileLock(run / "work" / "lock", timeout=0):
        pass


@linux
@pytest.mark.parametrize("made", ["work", "work/x.npy", "work/trainings.sqlite"])
def test_ctrl_c_while_a_study_starts_is_no_traceback(made: str, houses: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start("study", houses, *SMALL, "--jobs", "2", "--out", run)
    assert wait_for((run / made).exists)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert len([line for line in err.splitlines() if line]) == 1
    assert wait_for(lambda: not living(process.pid), 20), living(process.pid)


# Shared storage


def test_two_machines_share_one_storage(finished: tuple[Path, str], houses: Path, tmp_path: Path) -> None:
    storage = tmp_path / "shared.sqlite"
    shared = ("study", houses, *SMALL, "--jobs", "1", "--storage", f"sqlite:///{storage}")
    processes = [start(*shared, "--out", tmp_path / name) for name in "ab"]
    for process in processes:
        code, _, err = finish(process)
        assert (code, err) == (0, "")
    for name in "ab":
        assert numbers_of(tmp_path / name) == numbers_of(finished[0])
        assert not database(tmp_path / name).exists()
    kept = Counter(trained(storage))
    assert kept == Counter(trained(database(finished[0])))


# A folder that does not fit


@pytest.mark.parametrize(
    "more", [("--seed", "1"), ("--trials", "7"), ("--drop", "noise"), ("--max-width", "8")]
)
def test_a_run_of_another_study_is_left_alone(
    more: tuple[str, str], finished: tuple[Path, str], houses: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(finished[0])
    said = refused(("study", houses, *SMALL, *more, "--out", finished[0]), capsys)
    assert said.startswith(f"{finished[0]}: this run has {more[0].strip('-').replace('-', ' ')} ")
    assert snapshot(finished[0]) == before


def test_a_run_of_other_data_is_left_alone(
    finished: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(finished[0])
    other = numbers_csv(tmp_path / "houses.csv", seed=1)
    said = refused(("study", other, *SMALL, "--out", finished[0]), capsys)
    assert said == f"{finished[0]}: this run has another data set; give another folder as --out.\n"
    assert snapshot(finished[0]) == before


def test_a_run_in_use_is_left_alone(
    finished: tuple[Path, str], houses: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(finished[0])
    with FileLock(finished[0] / "work" / "lock"):
        said = refused(("study", houses, *SMALL, "--out", finished[0]), capsys)
    assert "another thinnet works in this folder" in said
    assert snapshot(finished[0]) == before


def test_a_folder_that_is_no_run_is_left_alone(
    houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "not a run of thinnet" in refused(("study", houses, *SMALL, "--out", tmp_path), capsys)
    assert snapshot(tmp_path) == {"thesis.tex": b"years of work"}


# A full disk


def full_for(name: str) -> Any:
    """Return a `Path.replace` for a disk that is full when a file of this name is to be written."""
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if Path(target).stem == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, target)

    return refuse


def test_a_full_disk_stops_a_study_in_one_line_and_it_goes_on_later(
    houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    few = ("--target", "price", "--trials", "1", "--seeds", "2", "--max-width", "4", "--quiet")
    command = ("study", houses, *few, "--jobs", "1", "--out", run)
    monkeypatch.setattr(module, "write_report", lambda *_: None)  # takes seconds
    for name in ("x.npy", "results.json"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", full_for(Path(name).stem))
            said = refused(command, capsys)
        assert re.search(rf"/{re.escape(name)}: cannot be written: the disk is full", said)
        assert not any(Path(left).name == name or Path(left).name.startswith(".") for left in snapshot(run))
    kept = trained(database(run))
    assert cli.run(list(map(str, command))) == 0
    assert trained(database(run)) == kept
    assert numbers_of(run)["verdict"]


@linux
def test_a_storage_that_cannot_grow_stops_a_study_in_one_line(houses: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (140_000, 140_000))

    run = tmp_path / "run"
    code, out, err = finish(start("study", houses, *SMALL, "--quiet", "--out", run, before=limit))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith(f"{database(run)}: cannot be used")
