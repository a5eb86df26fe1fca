"""Run the tests of thinnet.torch on the PyTorch of this environment, and write docs/torch-versions.md.

`make newest` runs it in an environment with the newest PyTorch of the index. Versions and counts are written
whether the tests pass or fail; the exit code is that of pytest. Rows of other versions stay.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "torch-versions.md"
TESTS = ["tests/torch", "tests/peers/test_torch_modules.py", "tests/peers/test_torch_operators.py"]
PACKAGES = "torch", "numpy", "timm", "torchvision", "transformers", "peft", "torch-geometric", "lightning"
HEAD = """# Versions of PyTorch

`make newest` runs the tests of `thinnet.torch` on the newest PyTorch of the index, in an environment of its
own, and adds a row here. `make test` runs them on the version of `constraints.txt` for every change. The
range of the extra `thinnet[torch]` is the versions that were run.

| PyTorch | date | Python, system | passed | skipped | failed | other packages |
|---|---|---|---|---|---|---|
"""


class Counts:
    """A plugin of pytest: the results of all processes."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self.failed: list[str] = []

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for kind in ("passed", "skipped", "failed", "error"):
            reports = terminalreporter.stats.get(kind, [])
            self.of["failed" if kind == "error" else kind] += len(reports)
            if kind in ("failed", "error"):
                self.failed += [report.nodeid for report in reports]


def row(counts: Counts) -> str:
    """Return the row of this environment."""
    versions = {name: version for name in PACKAGES if (version := version_of(name))}
    torch = versions.pop("torch")
    others = ", ".join(f"{name} {version}" for name, version in versions.items())
    system = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    numbers = " | ".join(str(counts.of[kind]) for kind in ("passed", "skipped", "failed"))
    return f"| {torch} | {datetime.date.today()} | {system} | {numbers} | {others} |\n"


def version_of(package: str) -> str:
    """Return the version of a package; empty where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def write(new: str) -> None:
    """Replace the row of the same version, or add one; the newest version first."""
    text = PAGE.read_text("utf-8") if PAGE.exists() else HEAD
    rows = [line + "\n" for line in text.splitlines() if line.startswith("| ") and line[2].isdigit()]
    version = new.split("|")[1]
    rows = [new, *(each for each in rows if each.split("|")[1] != version)]
    PAGE.write_text(HEAD + "".join(rows), "utf-8")


def main() -> int:
    """Run the tests, print the versions and the counts, and write them."""
    os.chdir(ROOT)
    if not version_of("thinnet"):  # the environment was made for something else: take the sources
        sys.path.insert(0, str(ROOT / "src"))
        os.environ["PYTHONPATH"] = str(ROOT / "src")
    counts, start = Counts(), time.monotonic()
    options = sys.argv[1:] or ["-n", "auto", "--dist", "loadgroup"]
    code = pytest.main(["-q", "-p", "no:cacheprovider", *options, *TESTS], plugins=[counts])
    new = row(counts)
    print(new, end="")
    print(f"{time.monotonic() - start:.0f} s", *counts.failed, sep="\n")
    write(new)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
