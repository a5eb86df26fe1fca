"""Run the scripts of docs/torch-differences and write their results to benchmarks/results and the page.

    python tools/torch_differences.py

The results of other versions of torch stay; the page has a column for each version.
"""

from __future__ import annotations

import importlib.util
import json
import platform
from datetime import UTC, datetime
from typing import Any

import torch
from marked import ROOT, write

PAGE = "docs/torch-differences.md"
SCRIPTS = ROOT / "docs" / "torch-differences"
RESULTS = ROOT / "benchmarks" / "results" / "torch_differences.json"
CASES = (
    "memory_budget",
    "peak_memory_order",
    "compile_modes",
    "checkpointing",
    "shards",
    "resuming",
    "channels_last",
    "evaluation",
)

Results = dict[str, Any]


def compare(case: str) -> list[list[str]]:
    """Return the rows of a script: a quantity, its right value, torch's and thinnet's."""
    spec = importlib.util.spec_from_file_location(f"torch_differences_{case}", SCRIPTS / f"{case}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [list(row) for row in module.compare()]


def versions(results: Results) -> list[str]:
    """Return the versions of torch, the oldest first."""
    return sorted(results, key=lambda name: [int(part) for part in name.partition("+")[0].split(".")])


def block(case: str, results: Results) -> str:
    """Return the table of a case and its script."""
    names = versions(results)
    known = [results[name]["cases"][case] for name in names]
    lines = [
        f"| | right | {' | '.join(f'torch {name}' for name in names)} | thinnet |",
        f"|---|---|{'---|' * len(names)}---|",
    ]
    for rows in zip(*known, strict=True):
        ours = list(dict.fromkeys(row[3] for row in rows))
        lines.append(
            f"| {rows[0][0]} | {rows[0][1]} | {' | '.join(row[2] for row in rows)} | {', '.join(ours)} |"
        )
    code = (SCRIPTS / f"{case}.py").read_text("utf-8")
    script = f"<details><summary>{case}.py</summary>\n\n```python\n{code}```\n\n</details>"
    return "\n".join([*lines, "", script, ""])


def heading(results: Results) -> str:
    """Return the line of versions, dates and machines."""
    parts = [
        f"torch {name} on {results[name]['date']}, {results[name]['machine']}" for name in versions(results)
    ]
    return f"Run with {'; '.join(parts)}.\n"


def main() -> None:
    results: Results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    machine = f"{platform.system()}, {platform.machine()}, {'CUDA' if torch.cuda.is_available() else 'CPU'}"
    date = datetime.now(UTC).date().isoformat()
    cases = {case: compare(case) for case in CASES}
    results[torch.__version__] = {"date": date, "machine": machine, "cases": cases}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    write(PAGE, "versions", heading(results))
    for case in CASES:
        write(PAGE, case, block(case, results))


if __name__ == "__main__":
    main()
