"""`thinnet.torch.Dropout` against `torch.nn.Dropout`: forward and backward, one thread each, p = 0.5 and 0.1.

torch takes longest at 0.5, so its factors are smaller at 0.1.

Both get tensors of the same numbers, and free their own gradients. Eager and compiled; the bytes that each
keeps for backward are counted by torch's hooks.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from common import Pair, Result, clock, in_turn, keep, report

import thinnet as tn
import thinnet.torch as tt

BUDGETS: dict[tuple[int, bool], tuple[float, bool]] = {
    (6, False): (1.3, False),
    (6, True): (1.2, False),
    (24, False): (25.0, True),
}


def stepper(module: Any, x: torch.Tensor) -> Any:
    own, dy = x.clone().requires_grad_(), torch.ones_like(x)

    def step() -> None:
        own.grad = None
        module(own).backward(dy)

    return step


def against_torch(power: int, dtype: torch.dtype, compiled: bool, p: float = 0.5) -> Result:
    torch.compiler.reset()
    ours, theirs = tt.Dropout(p), torch.nn.Dropout(p)
    if compiled:
        ours, theirs = torch.compile(ours, fullgraph=True), torch.compile(theirs, fullgraph=True)
    x = torch.randn(1 << power, dtype=dtype)
    calls, rounds = max(1, (1 << 16) >> power), 21 if power < 24 else 7
    how, name = "compiled" if compiled else "eager", str(dtype).removeprefix("torch.")
    pair = Pair(
        f"forward and backward, {how}, p = {p}, 2**{power} {name}",
        "torch.nn.Dropout",
        clock(stepper(ours, x), calls),
        clock(stepper(theirs, x), calls),
        rounds=rounds,
    )
    # A budget of time says at most; a budget of speed at least.
    held = BUDGETS.get((power, compiled)) if dtype == torch.float32 and p == 0.5 else None
    budget, faster = held or (None, power > 6)
    return in_turn(pair, budget=budget, faster=faster)


def kept(module: torch.nn.Module) -> int:
    """Return how many bytes of tensors are kept for backward of 2**20 entries."""
    found: list[Any] = []
    x = torch.randn(1 << 20, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: found.append(t) or t, lambda t: t):
        module(x)
    return sum(t.numel() * t.element_size() for t in found)


def main() -> None:
    torch.set_num_threads(1)
    tn.set_num_threads(1)
    results: dict[str, Any] = {}
    each = itertools.product((False, True), (torch.float32, torch.bfloat16), (6, 12, 20, 24))
    for compiled, dtype, power in each:
        name = f"{'compiled' if compiled else 'eager'}_{str(dtype).removeprefix('torch.')}_{power}"
        results[name] = report(against_torch(power, dtype, compiled))
    for compiled, power in itertools.product((False, True), (6, 12, 20, 24)):
        name = f"{'compiled' if compiled else 'eager'}_float32_{power}_p01"
        results[name] = report(against_torch(power, torch.float32, compiled, 0.1))
    saved = {"ours": kept(tt.Dropout(0.5)), "theirs": kept(torch.nn.Dropout(0.5))}
    print(f"bytes kept for backward of 2**20 float32: {saved['ours']:,} and {saved['theirs']:,}")
    keep("torch_modules", {**results, "bytes_kept": saved}, "torch")


if __name__ == "__main__":
    main()
