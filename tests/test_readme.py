"""Every figure of the README comes from a committed result."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def block(name: str, page: str = "README.md") -> str:
    text = (ROOT / page).read_text("utf-8")
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


def test_kernels() -> None:
    kernels, told = result("kernels"), block("kernels")
    names = ("forward_24_avx512", "forward_20_avx512", "torch_1")
    large, cached, torch = (kernels[name]["ratio"]["median"] for name in names)
    assert re.findall(r"(\d+\.?\d*)\s+times", told) == [f"{large:.2f}", f"{cached:.2f}", f"{torch:.0f}"]


def test_torch() -> None:
    modules, steps, told = result("torch_modules"), result("torch_steps"), block("torch")
    large, small = modules["eager_float32_24"], modules["eager_float32_6"]
    ratios = [f"{large['ratio']['median']:.0f}", f"{small['ratio']['median']:.2f}"]
    ratios += [f"{steps[name]['torch']['ratio']['median']:.2f}" for name in ("mlp_2_eager", "block_2_eager")]
    assert re.findall(r"(\d+\.?\d*)\s+times", told) == ratios
    assert modules["bytes_kept"]["ours"] == 0
    # Of a step of the block: what torch would gain without dropout, and what ours leaves of that.
    theirs, none = (steps["block_2_eager"][rival]["ratio"]["median"] for rival in ("torch", "none"))
    limits = (ROOT / "benchmarks" / "README.md").read_text("utf-8").partition("## What limits them")[2]
    assert f"it is {theirs * none:.2f} times faster" in limits
    assert f"some {100 * (none - 1):.0f} percent" in limits


def test_epoch() -> None:
    epoch, told = result("epoch"), block("epoch")
    ratios = [epoch["ratio"]["median"], epoch["sklearn"]["ratio"]["median"]]
    assert re.findall(r"(\d\.\d\d)\s+times", told) == [f"{ratio:.2f}" for ratio in ratios]


def test_fits() -> None:
    fits, told = result("sklearn_mlp"), block("fits")
    ratios = [fits[name]["ratio"]["median"] for name in ("fit_256", "fit_1024")]
    assert re.findall(r"(\d\.\d\d)\s+times", told) == [f"{ratio:.2f}" for ratio in ratios]


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


@pytest.mark.parametrize(
    "name",
    [
        *("kernels", "rows", "epoch", "sklearn_mlp", "convolution", "torch_modules", "torch_steps"),
        *("xor", "import"),
    ],
)
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
    monkeypatch.syspath_prepend(ROOT / "docs")
    found = result("variants")
    assert (
        importlib.import_module("errors").told(found).strip()
        == block("errors", "docs/variants/README.md").strip()
    )
    for data in ("digits", "mnist"):
        for network in ("dense", "conv"):
            without = np.array(found[data][network]["none"]["errors"])
            assert without.size == 10
            for row in found[data][network].values():
                assert row["mean"] == pytest.approx(np.mean(row["errors"]), rel=1e-3)
                gap = np.mean(np.subtract(row["errors"], without))
                assert row["difference"]["mean"] == pytest.approx(gap, rel=1e-3, abs=1e-6)
                assert row["difference"]["low"] <= row["difference"]["mean"] <= row["difference"]["high"]


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), (page, link)
