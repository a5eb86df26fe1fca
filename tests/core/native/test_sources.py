"""The C++ sources: compilers that are supported accept them, and the law is written once."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[3] / "csrc"

pytestmark = pytest.mark.skipif(not CSRC.is_dir(), reason="no sources beside the tests")


def code(path: Path) -> str:
    """Return a source without comments."""
    return re.sub(r"//[^\n]*", "", path.read_text("utf-8"))


def test_features_of_the_processor_are_those_that_every_compiler_knows() -> None:
    # clang before version 17 refuses "f16c", and installation then falls back to NumPy without an error
    asked = re.findall(r'__builtin_cpu_supports\("(\w+)"\)', code(CSRC / "bodies.cpp"))
    assert set(asked) == {"avx2", "avx512f", "avx512bw", "avx512dq", "avx512vl"}


CLANG = [name for name in ("clang++-14", "clang++-15", "clang++-16", "clang++") if shutil.which(name)]


@pytest.mark.skipif(not CLANG, reason="no clang")
def test_clang_compiles_the_choice_of_a_body() -> None:
    for name in CLANG:
        command = [name, "-std=c++20", "-fsyntax-only", str(CSRC / "bodies.cpp")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


def test_the_law_is_written_in_one_header() -> None:
    """A multiplication by a gain stands in apply.hpp alone."""
    product = re.compile(r"\b\w*gains?\b(\[\w+(\[\w+\])?\])?\s*\*\s|[\w\])]\s\*\s*\w*gains?\b")
    sources = {path.name: re.sub(r'"[^"\n]*"', "", code(path)) for path in CSRC.rglob("*.[hc]pp")}
    assert [name for name, text in sources.items() if product.search(text)] == ["apply.hpp"]
