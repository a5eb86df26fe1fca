"""What the benchmarks share: two rivals timed in turn in one run, and a result file that says where."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> dict[str, Any]:
    """Time both in turn, A B A B …, after one round of warming up; ratios are taken pair by pair."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(rounds + 1):
        for name, run in (("ours", ours), ("theirs", theirs)):
            begun = time.perf_counter()
            run()
            if number:
                times[name].append(time.perf_counter() - begun)
    ratios = [a / b for a, b in zip(times["ours"], times["theirs"], strict=True)]
    return {
        "rounds": rounds,
        "seconds": {name: round(statistics.median(values), 4) for name, values in times.items()},
        "ratio": {
            "median": round(statistics.median(ratios), 3),
            "min": round(min(ratios), 3),
            "max": round(max(ratios), 3),
        },
    }


def machine(*packages: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("thinnet", "numpy", *packages)},
    }


def keep(name: str, result: dict[str, Any]) -> None:
    """Print a result and write it to results/NAME.json."""
    text = json.dumps(result, indent=2)
    print(text)
    (RESULTS / f"{name}.json").write_text(text + "\n")
