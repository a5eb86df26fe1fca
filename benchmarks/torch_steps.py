"""Training steps of whole PyTorch models on a CPU, with thinnet's dropout and with torch's own.

A block of the shape of GPT-2 small (768 wide, 12 heads; 4 sequences of 256 tokens, dropout 0.1 of attention
weights and of both branches), and three dense layers, 1024 wide, dropout 0.5, 128 rows. A step is forward,
loss, backward and one of SGD. A step without any dropout shows the largest possible gain. Peak
memory is measured in one process for each, above the memory before the first step.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from common import Pair, Result, clock, in_turn, keep, report
from torch import nn

import thinnet as tn
import thinnet.torch as tt

WIDE, HEADS, TOKENS, BATCH, P = 768, 12, 256, 4, 0.1
STEPS = 8
THREADS = torch.get_num_threads()  # as torch comes: all cores
BUDGETS = {"block": 1.2, "mlp": 1.25}
NAMES = {"block": "a block of GPT-2 small", "mlp": "three dense layers"}


class Block(nn.Module):
    """Attention and a perceptron, each after a layer norm and in a branch."""

    def __init__(self, package: Any, p: float) -> None:
        super().__init__()
        self.package, self.p = package, p
        self.norms = nn.ModuleList([nn.LayerNorm(WIDE), nn.LayerNorm(WIDE)])
        self.qkv, self.join = nn.Linear(WIDE, 3 * WIDE), nn.Linear(WIDE, WIDE)
        self.up, self.down = nn.Linear(WIDE, 4 * WIDE), nn.Linear(4 * WIDE, WIDE)
        self.drops = nn.ModuleList([package.Dropout(p), package.Dropout(p)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.qkv(self.norms[0](x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attend = self.package.functional.scaled_dot_product_attention
        y = attend(*heads, dropout_p=self.p, is_causal=True)  # (n, heads, tokens, wide / heads)
        x = x + self.drops[0](self.join(y.transpose(1, 2).flatten(2)))
        y = self.down(nn.functional.gelu(self.up(self.norms[1](x)), approximate="tanh"))
        return x + self.drops[1](y)


def block(package: Any, p: float) -> tuple[nn.Module, torch.Tensor]:
    return Block(package, p), torch.randn(BATCH, TOKENS, WIDE)


def mlp(package: Any, p: float) -> tuple[nn.Module, torch.Tensor]:
    layers = [m for _ in range(3) for m in (nn.Linear(1024, 1024), nn.ReLU(), package.Dropout(5 * p))]
    return nn.Sequential(*layers, nn.Linear(1024, 10)), torch.randn(128, 1024)


MODELS = {"block": block, "mlp": mlp}
KINDS: dict[str, tuple[Any, float]] = {"thinnet": (tt, P), "torch": (nn, P), "none": (nn, 0.0)}


def stepper(name: str, kind: str, compiled: bool = False) -> Any:
    torch.manual_seed(0)
    model, x = MODELS[name](*KINDS[kind])
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    call: Any = torch.compile(model, fullgraph=True) if compiled else model

    def step() -> None:
        optimizer.zero_grad()
        call(x).square().mean().backward()
        optimizer.step()

    return step


def time_steps(name: str, threads: int, compiled: bool) -> dict[str, Result]:
    """Time a step against torch's dropout, and against none."""
    torch.compiler.reset()
    torch.set_num_threads(threads)
    tn.set_num_threads(threads)
    how = f"{'compiled' if compiled else 'eager'}, {threads} thread{'s' * (threads > 1)}"
    clocks = {kind: clock(stepper(name, kind, compiled)) for kind in KINDS}
    what = f"a step of {NAMES[name]}, {how}"
    theirs = Pair(what, "torch's own dropout", clocks["thinnet"], clocks["torch"], rounds=11)
    none = Pair(what, "no dropout", clocks["thinnet"], clocks["none"], rounds=11)
    budget = BUDGETS[name] if threads == THREADS and not compiled else None
    return {"torch": in_turn(theirs, budget=budget, faster=True), "none": in_turn(none)}


def peak(name: str, kind: str) -> int:
    """Return by how many bytes the steps of a process of its own raise its peak."""
    code = f"import torch_steps as t; print(t.raised({name!r}, {kind!r}))"
    here = Path(__file__).parent
    # malloc returns freed memory at once, so that the figures do not contain it.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def raised(name: str, kind: str) -> int:
    torch.set_num_threads(1)
    tn.set_num_threads(1)
    step = stepper(name, kind)
    before = memory("VmRSS")
    for _ in range(STEPS):
        step()
    return memory("VmHWM") - before


def memory(field: str) -> int:
    status = Path("/proc/self/status").read_text("utf-8")
    found = re.search(rf"{field}:\s*(\d+) kB", status)
    assert found is not None
    return 1024 * int(found[1])


def main() -> None:
    results: dict[str, Any] = {}
    for name in MODELS:
        for threads, compiled in ((THREADS, False), (1, False), (THREADS, True)):
            key = f"{name}_{threads}_{'compiled' if compiled else 'eager'}"
            results[key] = time_steps(name, threads, compiled)
            for result in results[key].values():
                report(result)
    peaks = {name: {kind: peak(name, kind) for kind in KINDS} for name in MODELS}
    for name, each in peaks.items():
        peaks = ", ".join(f"{kind} {value / 2**20:.0f} MiB" for kind, value in each.items())
        print(f"peak of {NAMES[name]} above the memory before: {peaks}")
    keep("torch_steps", {**results, "peak_bytes": peaks}, "torch")


if __name__ == "__main__":
    main()
