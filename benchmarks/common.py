"""Shared by the benchmarks: clocks read in turn in one run, budgets, and result files that name the machine.

A result is a plain dictionary, as it stands in results/NAME.json. Its ratio is taken pair by pair: our time
divided by the rival's, which a budget limits from above; or, with `faster`, the rival's time divided by ours,
which a budget limits from below.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinnet import _info as info

RESULTS = Path(__file__).parent / "results"

Clock = Callable[[], float]
"""Does something and returns how many seconds one call of it took."""

Result = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """What is timed: ours against a rival's, and how often."""

    what: str
    rival: str
    ours: Clock
    theirs: Clock
    rounds: int


def clock(run: Callable[[], object], calls: int = 1, before: Callable[[], object] | None = None) -> Clock:
    """Return a clock over `calls` calls of `run`; `before` is called first and not timed."""

    def seconds() -> float:
        if before is not None:
            before()
        begun = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - begun) / calls

    return seconds


def in_turn(*pairs: Pair, budget: float | None = None, faster: bool = False) -> Result:
    """Read both clocks in turn, A B A B …, after one round of warming up.

    Several pairs are one thing in several places of memory; their rounds are put together.
    """
    ours, theirs, ratios = [], [], []
    for pair in pairs:
        for number in range(pair.rounds + 1):
            a, b = pair.ours(), pair.theirs()
            if number:
                ours.append(a)
                theirs.append(b)
                ratios.append(b / a if faster else a / b)
    result: Result = {
        "what": pairs[0].what,
        "rival": pairs[0].rival,
        "rounds": len(ratios),
        "seconds": {"ours": digits(statistics.median(ours)), "theirs": digits(statistics.median(theirs))},
        "ratio": spread(ratios),
        "faster": faster,
    }
    return with_budget(result, budget)


def alone(what: str, ours: Clock, rounds: int, budget: float) -> Result:
    """Read one clock, and hold the time itself, in microseconds, against a budget."""
    ours()
    times = [1e6 * ours() for _ in range(rounds)]
    return with_budget({"what": what, "rounds": rounds, "microseconds": spread(times)}, budget)


def with_budget(result: Result, budget: float | None) -> Result:
    if budget is None:
        return result
    measured = median(result)
    met = measured >= budget if result.get("faster") else measured <= budget
    return {**result, "budget": budget, "met": met}


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": digits(statistics.median(values)),
        "min": digits(min(values)),
        "max": digits(max(values)),
    }


def digits(value: float) -> float:
    """Return a value rounded to four digits."""
    return float(f"{value:.4g}")


def measured(result: Result) -> dict[str, float]:
    return result.get("ratio") or result["microseconds"]


def median(result: Result) -> float:
    return measured(result)["median"]


def format_ratio(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def limit(result: Result) -> str:
    """Return the budget with its direction and unit."""
    if "budget" not in result:
        return "none"
    unit = "" if "ratio" in result else " µs"
    return f"{'≥' if result.get('faster') else '≤'} {result['budget']:g}{unit}"


def verdict(result: Result) -> str:
    """Return whether the budget is met, or by how much it is missed."""
    if "budget" not in result:
        return "for information"
    if result["met"]:
        return result.get("because", "met")
    percent = 100 * abs(median(result) / result["budget"] - 1)
    return f"missed by {percent:.{0 if percent >= 2 else 1}f} %"


def report(result: Result) -> Result:
    """Print the name, ratio, budget and verdict of a result; return the result."""
    rival = f" against {result['rival']}" if "rival" in result else ""
    low, high = measured(result)["min"], measured(result)["max"]
    ratio = f"{format_ratio(median(result))} ({format_ratio(low)} to {format_ratio(high)})"
    unit = "" if "ratio" in result else " µs"
    times = " times faster" if result.get("faster") else unit
    print(f"{result['what']}{rival}: {ratio}{times}, budget {limit(result)}, {verdict(result)}", flush=True)
    return result


def machine(*packages: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    about = ("OPENBLAS_", "MKL_", "OMP_", "THINNET_")
    return {
        **info.machine(),
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith(about)},
        **{name: importlib.metadata.version(name) for name in packages},
    }


def keep(name: str, results: dict[str, Any], *packages: str) -> None:
    """Write results and the machine they come from to results/NAME.json."""
    text = json.dumps({**results, "machine": machine(*packages)}, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", "utf-8")
