"""Every figure of the README comes from a committed result."""

from __future__ import annotations

import doctest
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thinnet as tn

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SITE = "https://github.com/thinnet/thinnet/blob/main/"
RAW = "https://raw.githubusercontent.com/thinnet/thinnet/main/"


def block(name: str, page: str = "README.md") -> str:
    text = (ROOT / page).read_text("utf-8")
    found = re.search(rf"<!-- {name} -->(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found is not None
    return found[1]


def result(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def test_the_quickstarts_run() -> None:
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert tried >= 10
    assert failed == 0


def test_a_quickstart_has_ten_lines_at_most() -> None:
    quickstarts = re.findall(r"^```(?:pycon|console)\n(.*?)^```", README, re.M | re.S)
    assert len(quickstarts) >= 4
    for quickstart in quickstarts:
        assert len(quickstart.strip().splitlines()) <= 10


def test_the_commands_of_the_readme_exist() -> None:
    """The options in the blocks of commands are those that the help prints."""
    from thinnet.__main__ import main  # noqa: F401 - the command is installed

    commands = [
        line[2:].partition("#")[0].split() for line in README.splitlines() if line.startswith("$ thinnet")
    ]
    assert len(commands) >= 2
    for command in commands:
        run = [sys.executable, "-m", "thinnet", command[1], "--help"]
        shown = subprocess.run(
            run, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"}
        )
        for option in (word for word in command if word.startswith("--")):
            assert option in shown.stdout, " ".join(command)


def test_the_number_of_variants() -> None:
    assert f"**{len(tn.CATALOGUE)} variants by name,**" in README


def test_the_two_commands_stay() -> None:
    assert "make study " in README
    assert "make test " in README


def test_digits() -> None:
    digits, stated = result("digits"), block("digits")
    figures = [
        100 * digits["dropout"]["mean"],
        100 * digits["baseline"]["mean"],
        100 * digits["boosting"]["score"],
    ]
    assert re.findall(r"(\d+\.\d\d) %", stated) == [f"{figure:.2f}" for figure in figures]
    gap = [100 * digits["difference"][name] for name in ("mean", "low", "high")]
    assert re.findall(r"[+-]\d+\.\d\d", stated) == [f"{figure:+.2f}" for figure in gap]
    assert f"*{digits['verdict']}*" in stated
    assert f"over {len(digits['dropout']['scores'])} seeds" in stated
    assert digits["dropout"]["mean"] <= 0.025


def test_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    speed = importlib.import_module("speed")
    stated = block("speed")
    assert stated.strip() == speed.speed().strip()
    # The factors computed a second way, within the spread of the rounds: the rival's seconds divided by ours.
    rows = [line.strip("| ").split(" | ") for line in stated.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(speed.LINES)
    for (what, rival, path), row in zip(speed.LINES, rows, strict=True):
        found, machine = speed.result(path)
        assert row[:2] == [what, rival]
        assert float(row[3]) == pytest.approx(found["seconds"]["theirs"] / found["seconds"]["ours"], rel=0.1)
        assert machine["processor"] in stated
        assert int(row[2]) in (1, machine["cores"])


def test_wherever_a_factor_of_pytorch_stands_the_generator_is_named() -> None:
    for page in ("README.md", "benchmarks/README.md"):
        assert "MKL's parallel generator on Intel" in " ".join((ROOT / page).read_text("utf-8").split()), page


def test_torch() -> None:
    modules, steps = result("torch_modules"), result("torch_steps")
    assert modules["bytes_kept"]["ours"] == 0
    # Of a step of the block: PyTorch's gain without dropout, and the cost of ours.
    theirs, none = (steps["block_2_eager"][rival]["ratio"]["median"] for rival in ("torch", "none"))
    limits = (ROOT / "benchmarks" / "README.md").read_text("utf-8").partition("## What limits them")[2]
    assert f"it is {theirs * none:.2f} times faster" in limits
    assert f"some {100 * (none - 1):.0f} percent" in limits


@pytest.mark.parametrize("page", ["README.md", "docs/sklearn.md"])
def test_errors(page: str) -> None:
    rows = [line.split(" | ") for line in block("errors", page).splitlines() if "%" in line][1:]
    for name, (title, before, after, change) in zip(("mnist", "digits", "breast_cancer"), rows, strict=True):
        found = result("sklearn_errors")[name]
        assert name[:5] in title.lower()
        assert before == f"{100 * found['mean']['before']:.2f} %"
        assert after == f"{100 * found['mean']['after']:.2f} %"
        gap = [f"{100 * found['difference'][part]:+.2f}" for part in ("mean", "low", "high")]
        assert re.findall(r"[+-]\d+\.\d\d", change) == gap
        assert len(found["before"]) == len(found["after"]) == 10
        assert found["mean"]["before"] == pytest.approx(sum(found["before"]) / 10, rel=1e-3)


def tables() -> list[str]:
    """Return the names of the results that benchmarks/table.py prints."""
    names = re.search(
        r"^NAMES = \((.*?)^\)", (ROOT / "benchmarks" / "table.py").read_text("utf-8"), re.M | re.S
    )
    assert names is not None
    results = ROOT / "benchmarks" / "results"
    return [name for name in re.findall(r'"(\w+)"', names[1]) if (results / f"{name}.json").exists()]


@pytest.mark.parametrize("name", tables())
def test_the_tables_of_the_benchmarks_hold_their_results(name: str) -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")

    def medians(tree: Any) -> Iterator[float]:
        if isinstance(tree, dict):
            if "ratio" in tree:
                yield tree["ratio"]["median"]
            for branch in tree.values():
                yield from medians(branch)

    found = list(medians(result(name)))
    assert found
    for median in found:
        assert f"| {median:.{2 if median < 100 else 0}f} " in text


def test_the_errors_of_the_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    found = result("variants")
    tables = importlib.import_module("variant_errors").tables(found)
    assert tables.strip() == block("errors", "docs/variants/README.md").strip()
    for data in ("digits", "mnist"):
        for network in ("dense", "conv"):
            without = np.array(found[data][network]["none"]["errors"])
            assert without.size == 10
            for row in found[data][network].values():
                assert row["mean"] == pytest.approx(np.mean(row["errors"]), rel=1e-3)
                gap = np.mean(np.subtract(row["errors"], without))
                assert row["difference"]["mean"] == pytest.approx(gap, rel=1e-3, abs=1e-6)
                assert row["difference"]["low"] <= row["difference"]["mean"] <= row["difference"]["high"]


def pages() -> list[Path]:
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
    return [*found, *(ROOT / "docs").rglob("*.md")]


def test_links_lead_somewhere() -> None:
    for page in pages():
        text = page.read_text("utf-8")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / link).exists(), (page, link)
        for link in re.findall(rf"\]\((?:{SITE}|{RAW})([^)#]+)\)", text):
            assert (ROOT / link).exists(), (page, link)


def test_the_readme_renders_outside_the_repository() -> None:
    assert re.findall(r"\]\((?!https://)[^)]*\)", README) == [], "PyPI has no files for a relative link"


def test_the_package_names_its_links() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= set(project["urls"])
    assert all(url.startswith("https://github.com/thinnet/thinnet") for url in project["urls"].values())
    extras = set(re.findall(r"`thinnet\[(\w+)\]`", README))
    assert extras == set(project["optional-dependencies"]) - {"frameworks", "test", "dev"}


def test_every_page_of_the_documentation_is_linked() -> None:
    linked = " ".join(page.read_text("utf-8") for page in pages())
    for page in (ROOT / "docs").glob("*.md"):
        assert f"{page.name})" in linked or f"{page.name}#" in linked, page.name
