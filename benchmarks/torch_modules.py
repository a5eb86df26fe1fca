"""`thinnet.torch.Dropout` against `torch.nn.Dropout`: forward and backward, eager, one thread each, p = 0.5.

Both get the same tensors and gradients. The bytes that each keeps for backward are counted by torch's hooks.
"""

from __future__ import annotations

from typing import Any

import torch
from common import Pair, Result, clock, in_turn, keep, tell

import thinnet as tn
import thinnet.torch as tt

BUDGETS: dict[int, tuple[float, bool]] = {6: (1.3, False), 24: (25.0, True)}


def step(module: torch.nn.Module, x: torch.Tensor, dy: torch.Tensor) -> None:
    x.grad = None
    module(x).backward(dy)


def against_torch(power: int, dtype: torch.dtype) -> Result:
    ours, theirs = tt.Dropout(0.5), torch.nn.Dropout(0.5)
    x = torch.randn(1 << power, dtype=dtype, requires_grad=True)
    dy = torch.ones_like(x)
    calls, rounds = max(1, (1 << 16) >> power), 21 if power < 24 else 7
    name = str(dtype).removeprefix("torch.")
    pair = Pair(
        f"forward and backward, 2**{power} {name}",
        "torch.nn.Dropout",
        clock(lambda: step(ours, x, dy), calls),
        clock(lambda: step(theirs, x, dy), calls),
        rounds=rounds,
    )
    # A budget of time says at most; a budget of speed at least.
    budget, faster = BUDGETS.get(power, (None, True)) if dtype == torch.float32 else (None, True)
    return in_turn(pair, budget=budget, faster=faster)


def kept(module: torch.nn.Module) -> int:
    """Return how many bytes are kept for backward of 2**20 entries."""
    found: list[Any] = []
    x = torch.randn(1 << 20, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: found.append(t) or t, lambda t: t):
        module(x)
    return sum(t.numel() * t.element_size() for t in found)


def main() -> None:
    torch.set_num_threads(1)
    tn.set_num_threads(1)
    results: dict[str, Any] = {}
    for dtype in (torch.float32, torch.bfloat16):
        for power in (6, 12, 20, 24):
            name = f"{str(dtype).removeprefix('torch.')}_{power}"
            results[name] = tell(against_torch(power, dtype))
    saved = {"ours": kept(tt.Dropout(0.5)), "theirs": kept(torch.nn.Dropout(0.5))}
    print(f"bytes kept for backward of 2**20 float32: {saved['ours']:,} and {saved['theirs']:,}")
    keep("torch_modules", {**results, "bytes_kept": saved}, "torch")


if __name__ == "__main__":
    main()
