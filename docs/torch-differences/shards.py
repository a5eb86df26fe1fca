"""The masks of two processes with half a batch each, and of one process with the whole batch."""

from __future__ import annotations

import torch
from torch import nn

import thinnet.torch as tt


def count(drop: nn.Module, shared: bool) -> tuple[int, int]:
    """Return how many entries differ from one process, and how many rows two processes have in common."""
    parts = []
    for process in (0, 1):
        torch.manual_seed(0)  # as every process of a job does
        with tt.shard(global_batch=8, start=4 * process, rows=4) if shared else torch.enable_grad():
            parts.append(drop(torch.ones(4, 512)))
    torch.manual_seed(0)
    whole = drop(torch.ones(8, 512))
    return int((torch.cat(parts) != whole).sum()), int((parts[0] == parts[1]).all(1).sum())


def compare() -> list[tuple[str, str, str, str]]:
    """Return rows of a quantity, its right value, torch's and thinnet's."""
    theirs, ours = count(nn.Dropout(0.5), shared=False), count(tt.Dropout(0.5), shared=True)
    return [
        ("entries of 4096 that differ from one process", "0", f"{theirs[0]}", f"{ours[0]}"),
        ("rows of 4 whose mask both processes draw", "0", f"{theirs[1]}", f"{ours[1]}"),
    ]


if __name__ == "__main__":
    for row in compare():
        print(*row, sep=" | ")
