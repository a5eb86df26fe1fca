"""Write the tables of README.md from results/: `make bench` ends with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import RESULTS, Result, format_ratio, limit, measured, median, verdict

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"
NAMES = (
    "kernels",
    "rows",
    "epoch",
    "sklearn_mlp",
    "convolution",
    "torch_modules",
    "torch_modules_intel",
    "torch_steps",
    "torch_training",
    "xor",
    "import",
)
PACKAGES = ("numpy", "torch", "timm", "transformers", "torch_geometric", "scikit-learn")
HEAD = "| what | against | budget | median (least to most) | ours, theirs | |\n|---|---|---|---|---|---|"

TRAINING_HEAD = (
    "| a step of | p | threads | without dropout | torch / without | thinnet / without "
    "| budget ≤ 1.03 | torch / thinnet |\n|---|---|---|---|---|---|---|---|"
)


def results(tree: Any) -> Iterator[Result]:
    """Return the results of a file, which may hold others inside them, in its order."""
    if isinstance(tree, dict):
        if "what" in tree:
            yield tree
        for branch in tree.values():
            yield from results(branch)


def row(result: Result) -> str:
    values = measured(result)
    unit = "" if "ratio" in result else " µs"
    times = " times faster" if result.get("faster") else unit
    low, high = format_ratio(values["min"]), format_ratio(values["max"])
    ratio = f"{format_ratio(median(result))}{times} ({low} to {high})"
    seconds = ", ".join(map(duration, result.get("seconds", {}).values()))
    met = verdict(result)
    cells = (
        *(result["what"], result.get("rival", "the clock"), limit(result)),
        *(ratio, seconds, f"**{met}**" if met.startswith("missed") else met),
    )
    return f"| {' | '.join(cells)} |".replace("2**", r"2\*\*")


def duration(seconds: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{1e9 * seconds:.3g} ns"


def place(machine: dict[str, Any]) -> str:
    """Return a sentence that names the machine."""
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] > 1)}"
    versions = [f"{name} {machine[name]}" for name in PACKAGES if name in machine]
    variables = [f"`{name}={value}`" for name, value in machine["environment"].items()]
    parts = (
        *(f"{machine['processor']}, {machine['cores']} cores", machine["system"]),
        *(
            f"kernels {machine['instruction_set']}",
            threads,
            f"Python {machine['python']}",
            *versions,
            *variables,
        ),
    )
    return f"On {', '.join(parts)}."


def training_row(found: dict[str, Any]) -> str:
    """Return a row of the table of whole training steps."""
    met = verdict(found["thinnet"])
    cells = (
        *(found["case"], f"{found['p']:g}", str(found["threads"]), duration(found["seconds"]["none"])),
        *(ratio(found["torch"]), ratio(found["thinnet"]), f"**{met}**" if met.startswith("missed") else met),
        ratio(found["faster"]),
    )
    return f"| {' | '.join(cells)} |"


def ratio(result: Result) -> str:
    values = result["ratio"]
    low, high = format_ratio(values["min"]), format_ratio(values["max"])
    return f"{format_ratio(values['median'])} ({low} to {high})"


def section(name: str) -> str:
    tree = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    if name == "torch_training":
        cases = [found for key, each in tree.items() if key != "machine" for found in each.values()]
        head, rows = TRAINING_HEAD, "\n".join(map(training_row, cases))
    else:
        head, rows = HEAD, "\n".join(row(result) for result in results(tree))
    program, *processor = name.split("_intel")
    title = f"{program}.py, on an Intel processor" if processor else f"{program}.py"
    return f"### [{title}]({program}.py)\n\n{head}\n{rows}\n\n{place(tree['machine'])}\n"


def main() -> None:
    text = README.read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    sections = "\n".join(section(name) for name in NAMES if (RESULTS / f"{name}.json").exists())
    README.write_text(f"{before}{BEGIN}\n{sections}{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
