"""Every figure of the README comes from a committed result."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def block(name: str) -> str:
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(rf"<!-- {name} -->(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found is not None
    return found[1]


def result(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def test_digits() -> None:
    digits, told = result("digits"), block("digits")
    figures = [
        100 * digits["dropout"]["mean"],
        100 * digits["baseline"]["mean"],
        100 * digits["boosting"]["score"],
    ]
    assert re.findall(r"(\d+\.\d\d) %", told) == [f"{figure:.2f}" for figure in figures]
    gap = [100 * digits["difference"][name] for name in ("mean", "low", "high")]
    assert re.findall(r"[+-]\d+\.\d\d", told) == [f"{figure:+.2f}" for figure in gap]
    assert f"*{digits['verdict']}*" in told
    assert f"over {len(digits['dropout']['scores'])} seeds" in told
    assert digits["dropout"]["mean"] <= 0.025


@pytest.mark.parametrize("page", ["README.md", "benchmarks/README.md"])
def test_epoch(page: str) -> None:
    epoch, text = result("epoch"), (ROOT / page).read_text("utf-8")
    assert f"{epoch['ratio']['median']:.2f}" in text
    assert epoch["ratio"]["median"] <= epoch["budget"]


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), (page, link)
