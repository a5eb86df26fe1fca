"""Gradients and memory of a compiled step under `activation_memory_budget`."""

from __future__ import annotations

import torch
import torch._functorch.config as functorch
from torch import nn

import thinnet.torch as tt


def measure(drop: nn.Module, budget: float, backend: str) -> tuple[int, int]:
    """Return how many gradients contradict the mask of forward, and the bytes that forward kept."""
    torch.compiler.reset()
    torch.manual_seed(0)
    kept: dict[int, int] = {}
    x = torch.ones(64, 64, requires_grad=True)

    def keep(t: torch.Tensor) -> torch.Tensor:
        if t.data_ptr() != x.data_ptr():
            kept[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with functorch.patch(activation_memory_budget=budget):
        step = torch.compile(lambda x: drop(x.sin()), backend=backend)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            y = step(x)
        y.sum().backward()
    return int(((x.grad != 0) != (y != 0)).sum()), sum(kept.values())


def compare(backend: str = "aot_eager_decomp_partition") -> list[tuple[str, str, str, str]]:
    """Return rows of a quantity, its right value, torch's and thinnet's."""
    rows = []
    for budget in (1.0, 0.5, 0.0):
        seeded = tt.Dropout(0.5)
        tt.seed(seeded, 0)
        theirs, ours, streamed = (
            measure(drop, budget, backend) for drop in (nn.Dropout(0.5), tt.Dropout(0.5), seeded)
        )
        wrong = f"budget {budget:g}: wrong gradients of 4096"
        rows += [
            (wrong, "0", f"{theirs[0]}", f"{ours[0]}"),
            (f"{wrong}, tt.seed", "0", "no such seed", f"{streamed[0]}"),
            (f"budget {budget:g}: bytes kept for backward", "", f"{theirs[1]}", f"{ours[1]}"),
        ]
    return rows


if __name__ == "__main__":
    for row in compare("inductor"):
        print(*row, sep=" | ")
