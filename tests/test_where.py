"""The page "where to change what" names places that exist, and the design names every folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHERE = (ROOT / "docs" / "where.md").read_text("utf-8")
DESIGN = (ROOT / "docs" / "design.md").read_text("utf-8")
QUESTIONS = {
    "add a variant that a rate describes": "src/thinnet/variants/_rows/",
    "a new type of column": "src/thinnet/study/_tables/",
    "the wording of the verdict": "src/thinnet/study/_report/",
    "the AVX2 loop": "csrc/bodies/avx2.hpp",
    "torch.compile": "src/thinnet/torch/_ops/",
    "text of a refusal": "src/thinnet/_checks.py",
    "a parameter of an estimator": "src/thinnet/sklearn/_parameters.py",
    "an experiment of the gallery": "src/thinnet/gallery/",
    "a flag": "src/thinnet/_cli/",
}


def paths(text: str) -> set[str]:
    """Return what looks like a path of the repository."""
    roots = "src|csrc|tests|docs|tools|benchmarks|pyproject"
    return set(re.findall(rf"`((?:{roots})[\w./-]*(?:/|\.\w+))`", text))


def test_every_path_exists() -> None:
    found = paths(WHERE)
    assert len(found) > 40
    for path in sorted(found):
        assert (ROOT / path).exists(), path
        assert (ROOT / path).is_dir() == path.endswith("/"), path


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_newcomer_finds_the_place(question: str) -> None:
    (row,) = [line for line in WHERE.splitlines() if line.startswith("|") and question in line]
    assert f"`{QUESTIONS[question]}`" in row


def test_every_folder_of_the_package_is_on_the_page() -> None:
    folders = [path for path in (ROOT / "src" / "thinnet").iterdir() if (path / "__init__.py").exists()]
    for folder in folders:
        if folder.name != "_bench":  # `thinnet bench`, which stands in the design
            assert f"src/thinnet/{folder.name}/" in WHERE, folder.name


def test_the_folders_in_the_design_are_those_of_the_package() -> None:
    drawing = DESIGN.partition("## The folders")[2].partition("src/thinnet/\n")[2].partition("csrc/\n")[0]
    named = set(re.findall(r"^ {2}(\w+)(?:/|\.py) ", drawing, re.M))
    package = ROOT / "src" / "thinnet"
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert named == modules | {path.name for path in package.iterdir() if (path / "__init__.py").exists()}


def test_the_tables_of_the_design_name_what_exists() -> None:
    for title, folder in re.findall(r"^(### `(\w+)/`.*?)(?=^##)", DESIGN, re.M | re.S):
        names = re.findall(r"^\| (`[^|]+) \|", title, re.M)
        for name in (name for cell in names for name in re.findall(r"`([\w./]+)`", cell)):
            assert (ROOT / "src" / "thinnet" / folder / name).exists(), f"{folder}/{name}"
