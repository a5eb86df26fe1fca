"""Masks of a compiled dropout after a transposition, on CUDA."""

from __future__ import annotations

import torch
from torch import nn

import thinnet.torch as tt

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def count(drop: nn.Module) -> int:
    """Return how many groups of 4 adjacent channels share one mask."""
    torch.compiler.reset()
    torch.manual_seed(0)
    step = torch.compile(lambda x: drop(x.transpose(1, 2).contiguous()))
    y = step(torch.ones(8, 64, 4096, device=DEVICE))  # (8, 4096, 64): channels last
    groups = y.transpose(1, 2).reshape(8, 16, 4, 4096)
    return int((groups == groups[:, :, :1]).all(-1).all(-1).sum())


def compare() -> list[tuple[str, str, str, str]]:
    """Return rows of a quantity, its right value, torch's and thinnet's."""
    theirs = f"{count(nn.Dropout(0.5))}" if DEVICE == "cuda" else "needs CUDA: not run here"
    quantity = f"groups of 128 whose 4 channels share one mask, {DEVICE}"
    return [(quantity, "0", theirs, f"{count(tt.Dropout(0.5))}")]


if __name__ == "__main__":
    for row in compare():
        print(*row, sep=" | ")
