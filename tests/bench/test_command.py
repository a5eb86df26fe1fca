"""`thinnet bench` from its options to its files: refused at once, or whole."""

from __future__ import annotations

import errno
import json
import os
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import thinnet as tn
from thinnet import _info as info
from thinnet._bench import Options, bench, command, size_of
from thinnet.errors import FileError, InputError, ThinnetError


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, on a terminal of 80 columns, without torch and JAX."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "jax", None)


def options(**other: Any) -> Options:
    return Options(**{"sizes": ("16",), "seconds": 0.001} | other)


def test_everything_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    bench(options(sizes=("16", "2**6", "16"), dtype="float64", rate=0.25))
    said, err = capsys.readouterr()
    assert err == ""
    lines = said.splitlines()
    assert lines[0] == "Dropout forward, float64, rate 0.25"
    assert lines[1].startswith(info.processor())
    for word in ("16 entries", "64 entries"):
        assert sum(line.strip().startswith(word) for line in lines) == 2  # in a table, above bars
    assert said.count(f"thinnet {tn.__version__}, 1 thread ") == 4
    assert lines[-2:] == ["torch is left out: not installed.", "jax is left out: not installed."]
    assert list(Path.cwd().iterdir()) == []


def test_the_numbers_are_written_with_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    bench(options(numbers=Path("numbers.json")))
    assert capsys.readouterr().out.splitlines()[-1] == "written: numbers.json"
    assert [path.name for path in Path.cwd().iterdir()] == ["numbers.json"]
    results = json.loads(Path("numbers.json").read_text("utf-8"))
    assert list(results) == ["task", "machine", "notes", "rows"]
    machine = {key: value for key, value in results["machine"].items() if key not in ("torch", "jax")}
    assert machine == info.machine()
    assert results["machine"].get("torch") == info.version("torch")
    assert "torch is left out: not installed." in results["notes"]
    assert {"copy", "multiply", "thinnet", "numpy"} <= {row["id"] for row in results["rows"]}
    for row in results["rows"]:
        assert list(row) == [
            *("id", "name", "ours", "size", "dtype", "rate", "rounds"),
            *("median_s", "min_s", "ns_per_entry", "gb_per_s", "ratio_to_copy"),
        ]


@pytest.mark.parametrize("name", ["chart.svg", "chart.png"])
def test_the_chart_is_written(name: str) -> None:
    bench(options(chart=Path(name)))
    assert [path.name for path in Path.cwd().iterdir()] == [name]
    if name == "chart.svg":
        ElementTree.parse(name)


# What is refused, before anything is measured


def refused(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch, **other: Any) -> str:
    def measure(*_: Any) -> None:
        raise AssertionError("nothing may be measured")

    monkeypatch.setattr(command, "measure", measure)
    line = refusal(ThinnetError, bench, options(**other))
    assert not any(path.is_file() for path in Path.cwd().rglob("*"))
    return line


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"sizes": ()}, "bench: 1 to 12 sizes can be measured in one run, got 0."),
        (
            {"sizes": tuple(map(str, range(1, 14)))},
            "bench: 1 to 12 sizes can be measured in one run, got 13.",
        ),
        ({"dtype": "int8"}, "bench: --dtype must be one of float32, float64, float16, got 'int8'."),
        ({"rate": 0.0}, "bench: --rate must be in (0, 1), got 0."),
        ({"rate": 1.0}, "bench: --rate must be in (0, 1), got 1."),
        ({"rate": float("nan")}, "bench: --rate must be in (0, 1), got nan."),
        ({"seconds": 0.0}, "bench: --seconds must be in (0, 3600], got 0."),
        ({"seconds": float("inf")}, "bench: --seconds must be in (0, 3600], got inf."),
        ({"chart": Path("a.pdf")}, "a.pdf: the name of this file must end in .svg or .png."),
        ({"chart": Path("a")}, "a: the name of this file must end in .svg or .png."),
        ({"numbers": Path("a.svg")}, "a.svg: the name of this file must end in .json."),
        ({"numbers": Path("no/a.json")}, "no/a.json: cannot be written: no such file or folder."),
    ],
)
def test_options_that_cannot_be_used(
    other: dict[str, Any], said: str, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(refusal, monkeypatch, **other) == said


def test_a_folder_in_the_place_of_a_file(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.svg").mkdir()
    said = refused(refusal, monkeypatch, chart=Path("a.svg"))
    assert said == "a.svg: cannot be written: it is a folder."


@pytest.mark.parametrize(
    ("package", "other", "owner"),
    [("rich", {}, "thinnet bench"), ("matplotlib", {"chart": Path("a.svg")}, "thinnet bench --out")],
)
def test_a_package_that_is_not_installed(
    package: str,
    other: dict[str, Any],
    owner: str,
    refusal: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = refused(refusal, monkeypatch, **other)
    assert said == f'{owner}: the package {package} is not installed; run: pip install "thinnet[study]"'


@pytest.mark.parametrize(("text", "size"), [("1", 1), (" 4096 ", 4096), ("2**28", 2**28), ("10**3", 1000)])
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1e6", "x", "2**29", "2**", "**2", "2**-1", "1.5", "9" * 30])
def test_what_is_no_size(text: str, refusal: Callable[..., str]) -> None:
    said = refusal(InputError, size_of, text)
    assert said == f"bench: --size must be a number from 1 to 2**28, like 4096 or 2**12, got {text!r}."


# Files, whole or absent


@pytest.mark.parametrize("name", ["chart.svg", "numbers.json"])
@pytest.mark.parametrize("old", [True, False])
def test_a_full_disk_leaves_what_was_there(
    name: str, old: bool, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = Path(name)
    if old:
        path.write_text("before")
    monkeypatch.setattr(os, "fsync", fail)
    place = {"chart": path} if name.startswith("chart") else {"numbers": path}
    said = refusal(FileError, bench, options(**place))
    assert said == f"{name}: cannot be written: the disk is full; free some space or write elsewhere."
    assert list(Path.cwd().iterdir()) == ([path.absolute()] if old else [])
    assert not old or path.read_text() == "before"


def test_stopped_in_the_middle_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        bench(options(chart=Path("chart.svg"), numbers=Path("numbers.json")))
    assert list(Path.cwd().iterdir()) == []
