"""Write the table of speed in the README from benchmarks/results/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import marked

ROOT = Path(__file__).parent.parent
HEAD = "| what | compared with | threads | times faster |\n|---|---|---|---|"
TORCH, SKLEARN = "PyTorch with dropout", "scikit-learn without dropout"
LINES = [
    ("`tn.dropout`, 2²⁴ float32", "`np.multiply`", "kernels/forward_24_avx512"),
    ("`tn.dropout`, 2²⁰ float32 (in the cache)", "`np.multiply`", "kernels/forward_20_avx512"),
    ("`tn.dropout`, 2²⁰ float32", "`torch.nn.functional.dropout`", "kernels/torch_1"),
    ("`tt.Dropout`, forward and backward, 2²⁴", "`nn.Dropout`", "torch_modules/eager_float32_24"),
    ("`tt.Dropout`, forward and backward, 64 entries", "`nn.Dropout`", "torch_modules/eager_float32_6"),
    ("a PyTorch step of three dense layers, 1024 wide", "`nn.Dropout`", "torch_steps/mlp_2_eager/torch"),
    ("a PyTorch step of a GPT-2 block, rate 0.1", "`nn.Dropout`", "torch_steps/block_2_eager/torch"),
    ("`tn.net`, an epoch of 784-1024-1024-10", TORCH, "epoch"),
    ("`tn.net`, an epoch of 784-1024-1024-10", SKLEARN, "epoch/sklearn"),
    ("`MLPClassifier`, a fit of 784-1024-1024-10", SKLEARN, "sklearn_mlp/fit_1024"),
]
"""What is measured, its rival, and the path of the result: file, then keys."""


def speed() -> str:
    """Return the table and the machines that it was measured on."""
    lines = [HEAD]
    machines = set()
    for what, rival, path in LINES:
        found, machine = result(path)
        machines.add((machine["processor"], machine["cores"], machine["instruction_set"], machine["numpy"]))
        lines.append(f"| {what} | {rival} | {threads(found, machine)} | {factor(found)} |")
    (processor, cores, instructions, numpy), *others = machines
    assert not others, "results of several machines stand in one table"
    torch = result("torch_modules/eager_float32_24")[1]["torch"]
    lines += [
        "",
        f"Measured on {processor}, {cores} cores, kernels {instructions}, NumPy {numpy}, PyTorch {torch}.",
        other_processor(),
    ]
    return "\n".join(lines) + "\n"


def other_processor() -> str:
    """Return the factors of the largest tensor on the second processor, at both rates."""
    half, machine = result("torch_modules_intel/eager_float32_24")
    tenth, _ = result("torch_modules_intel/eager_float32_24_p01")
    return (
        f"On {machine['processor']} `tt.Dropout`, forward and backward, 2²⁴, is {factor(half)} times faster "
        f"at rate 0.5 and {factor(tenth)} at rate 0.1."
    )


def result(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a result and the machine that it was measured on."""
    name, *keys = path.split("/")
    file = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
    found = file
    for key in keys:
        found = found[key]
    return found, file["machine"]


def factor(found: dict[str, Any]) -> str:
    """Return the rival's time divided by ours, with two significant digits at least."""
    median = found["ratio"]["median"]
    times = median if found["faster"] else 1 / median
    return f"{times:.0f}" if times >= 10 else f"{times:.2f}"


def threads(found: dict[str, Any], machine: dict[str, Any]) -> int:
    """Return the number of threads of a measurement: its own, or that of its file."""
    return 2 if "2 threads" in found["what"] else 1 if "1 thread" in found["rival"] else machine["threads"]


def main() -> None:
    """Put the table between its markers."""
    marked.write("README.md", "speed", speed())


if __name__ == "__main__":
    main()
