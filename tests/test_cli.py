"""The command line: one line and exit code 2 for whatever is wrong; killed at any moment, it goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from safetensors.numpy import load_file, save_file

from thinnet.study.table import load_table

STUDY = ["wine", "--trials", "8", "--seeds", "3", "--max-width", "64"]


def command(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "thinnet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(*arguments: str, **options: Any) -> tuple[int, str, str]:
    process = command(*arguments, **options)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def comparable(folder: Path) -> dict[str, Any]:
    results = json.loads((folder / "results.json").read_text())
    for name in ("seconds", "created"):
        results.pop(name)
    return results


def workers() -> set[int]:
    """Return the processes that were spawned to train, by a look at /proc."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"multiprocessing.spawn" in entry.read_bytes():
                found.add(int(entry.parent.name))
        except OSError:
            continue
    return found


def children(process: int) -> set[int]:
    try:
        listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return set()
    return {int(child) for child in listed.split()}


def finished(folder: Path) -> int:
    path = folder / "work" / "trainings.sqlite"
    if not path.exists():
        return 0
    url = f"sqlite:///{path}"
    studies = [optuna.load_study(study_name=name, storage=url) for name in optuna.get_all_study_names(url)]
    return sum(
        trial.state.is_finished() and trial.state.name != "FAIL"
        for study in studies
        for trial in study.trials
    )


@pytest.mark.skipif(sys.platform != "linux", reason="looks for orphans in /proc")
def test_killed_at_any_moment_it_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    code, _, err = run("study", *STUDY, "--out", str(whole), "--jobs", "1", "--quiet")
    assert (code, err) == (0, "")
    dice = random.Random(0)
    for _ in range(3):
        before = finished(killed)
        process = command("study", *STUDY, "--out", str(killed), "--jobs", "2")
        # Some time after the first training of this life has been kept.
        deadline = time.time() + 60
        while finished(killed) <= before and process.poll() is None and time.time() < deadline:
            time.sleep(0.05)
        time.sleep(dice.uniform(0, 1.5))
        orphans = children(process.pid) & workers()
        process.kill()
        process.communicate()
        kept = finished(killed)
        assert kept > before
        deadline = time.time() + 15
        while orphans & workers() and time.time() < deadline:
            time.sleep(0.1)
        assert not orphans & workers()
    code, _, err = run("study", *STUDY, "--out", str(killed), "--quiet")
    assert (code, err) == (0, "")
    assert comparable(killed) == comparable(whole)
    # Nothing that was finished has been trained again.
    assert finished(killed) == finished(whole)
    ours, theirs = load_file(killed / "model.safetensors"), load_file(whole / "model.safetensors")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_in_a_line_that_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = command("study", *STUDY, "--out", str(folder))
    deadline = time.time() + 60
    while not finished(folder) and time.time() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "Stopped. What was trained is kept; the same command goes on from there."


def test_two_processes_share_a_storage(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.sqlite"
    folders = [tmp_path / "one", tmp_path / "two"]
    both = [
        command("study", *STUDY, "--out", str(folder), "--storage", url, "--jobs", "1") for folder in folders
    ]
    for process in both:
        _, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, "")
    assert comparable(folders[0]) == comparable(folders[1])
    studies = [optuna.load_study(study_name=name, storage=url) for name in optuna.get_all_study_names(url)]
    slots = [
        (study.study_name, trial.user_attrs["slot"])
        for study in studies
        for trial in study.trials
        if trial.state.name in ("COMPLETE", "PRUNED")
    ]
    assert len(slots) == len(set(slots))


def test_the_output_of_a_study_and_a_prediction(tmp_path: Path) -> None:
    folder, new = tmp_path / "run", tmp_path / "new.csv"
    code, out, err = run(
        "study", "wine", "--trials", "1", "--seeds", "2", "--max-width", "32", "--out", str(folder)
    )
    assert (code, err) == (0, "")
    assert "wine: 178 rows, 13 columns, target target" in out
    assert "task: classification" in out
    assert "\x1b" not in out
    frame = load_table("wine").frame
    frame.drop(columns="target").to_csv(new, index=False)
    code, out, err = run("predict", str(folder), str(new))
    assert (code, err) == (0, "")
    rows = [line.split(",") for line in out.splitlines()]
    assert len(rows) == 179
    right = np.mean([row[0] == truth for row, truth in zip(rows[1:], frame["target"], strict=True)])
    assert right > 0.9
    assert all(abs(sum(map(float, row[1:])) - 1) < 1e-5 for row in rows[1:])
    code, again, _ = run(
        "study", "wine", "--trials", "1", "--seeds", "2", "--max-width", "32", "--out", str(folder)
    )
    assert code == 0
    assert "thin:" not in again


GOOD = "a,b,y\n" + "".join(f"{i * 7 % 13}.5,{i * 5 % 11}.25,{i % 4}.5\n" for i in range(60))
BAD_TABLES: dict[str, tuple[str | bytes, list[str], str]] = {
    "picture": (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        ["--target", "y"],
        "bad.csv, line 1: byte 0x89 is not UTF-8",
    ),
    "no target": (GOOD, [], "--target"),
    "wrong target": (GOOD, ["--target", "yy"], '"y"'),
    "one value": (GOOD.replace("\n", ",same\n").replace("same", "k", 1), ["--target", "k"], "k"),
    "nan": (GOOD + "1.5,1.5,\n", ["--target", "y"], "row 62"),
    "infinity": (GOOD + "1.5,1.5,inf\n", ["--target", "y"], "row 62"),
    "lonely class": ("a,b,y\n" + "1.5,2.5,x\n2.5,1.5,z\n" * 20 + "1.0,1.0,w\n", ["--target", "y"], '"w"'),
    "text cell": (GOOD.replace("7.5,", "n/a,", 1), ["--target", "y"], '--missing "n/a"'),
    "empty": ("a,b,y\n", ["--target", "y"], "empty"),
    "three rows": ("a,b,y\n1,2,3.5\n2,3,4.5\n3,4,5.5\n", ["--target", "y"], "it has 3"),
    "no group": (GOOD, ["--target", "y", "--group", "c"], "--group"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case: str, tmp_path: Path) -> None:
    content, options, words = BAD_TABLES[case]
    data = tmp_path / "bad.csv"
    data.write_bytes(content if isinstance(content, bytes) else content.encode())
    check(words, "study", str(data), *options, "--out", str(tmp_path / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["study", "absent.csv", "--target", "y"], "absent.csv: no such file"),
        (["study", "--trials", "0"], "--trials must be at least 1, got 0"),
        (["study", "--trials", "x"], "got 'x'"),
        (["study", "--time-budget", "5x"], "--time-budget"),
        (["study", "--storage", "nonsense"], "--storage"),
        (["study", "--wide"], "--wide"),
        (["studdy"], "studdy"),
        (["predict", "absent", "absent.csv"], "absent"),
        (["predict"], "Missing argument"),
    ],
)
def test_bad_words(arguments: list[str], words: str, tmp_path: Path) -> None:
    check(words, *arguments, cwd=tmp_path)
    left = [path for path in tmp_path.rglob("*") if path.name in ("results.json", "report.html")]
    assert not left


def check(words: str, *arguments: str, **options: Any) -> None:
    code, out, err = run(*arguments, **options)
    assert code == 2, (out, err)
    assert words in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    save_file({"0.weight": np.zeros((2, 2), np.float32)}, tmp_path / "model.safetensors")
    (tmp_path / "new.csv").write_text(GOOD)
    check("not a network of thinnet", "predict", str(tmp_path), str(tmp_path / "new.csv"))


@pytest.mark.parametrize("package", ["typer", "optuna", "pandas", "matplotlib"])
def test_a_missing_package_is_said_with_its_extra(package: str, tmp_path: Path) -> None:
    shim = f"import sys; sys.modules[{package!r}] = None"
    (tmp_path / "sitecustomize.py").write_text(shim)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    check(
        f'{package} is not installed; run: pip install "thinnet[study]"',
        "study",
        "wine",
        env=environment,
        cwd=tmp_path,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
@pytest.mark.parametrize("most", [2_000, 60_000, 190_000])
def test_a_full_disk_is_said_in_a_line_and_nothing_is_lost(most: int, tmp_path: Path) -> None:
    """No file may grow beyond `most` bytes: the storage, the rows or the report cannot be written."""
    shim = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, resource.RLIM_INFINITY))\n"
    )
    (tmp_path / "sitecustomize.py").write_text(shim)
    folder = tmp_path / "run"
    arguments = ["study", "wine", "--trials", "1", "--seeds", "2", "--max-width", "32", "--out", str(folder)]
    code, _, err = run(*arguments, env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    assert code == 2, err
    assert len(err.splitlines()) == 1, err
    assert "Traceback" not in err
    assert not (folder / "results.json").exists()
    code, _, err = run(*arguments)
    assert (code, err) == (0, "")
