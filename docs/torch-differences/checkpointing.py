"""Gradients of a checkpointed block that is recomputed without torch's random state."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import thinnet.torch as tt
from thinnet.errors import InputError


def count(block: nn.Module, preserve: bool) -> int:
    """Return how many gradients contradict the mask of forward."""
    torch.manual_seed(0)
    x = torch.ones(64, 64, requires_grad=True)
    y = checkpoint(lambda x: block(x).exp(), x, use_reentrant=False, preserve_rng_state=preserve)
    y.sum().backward()
    return int(((x.grad != 0) != (y != 1)).sum())


def compare() -> list[tuple[str, str, str, str]]:
    """Return rows of a quantity, its right value, torch's and thinnet's."""
    rows = []
    for preserve in (True, False):
        seeded = nn.Sequential(tt.Dropout(0.5))
        tt.seed(seeded, 0)
        theirs, right = count(nn.Dropout(0.5), preserve), "0"
        try:
            ours = f"{count(seeded, preserve)}"
        except InputError:
            ours = right = "an error"
        rows.append((f"preserve_rng_state={preserve}: wrong gradients of 4096", right, f"{theirs}", ours))
    return rows


if __name__ == "__main__":
    for row in compare():
        print(*row, sep=" | ")
