"""Six steps of training in one run, and in two runs with a checkpoint between them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import thinnet.torch as tt


def build(kind: Callable[[float], nn.Module]) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a model and its optimizer, as the first lines of a training script do."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), kind(0.5), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters())
    if kind is tt.Dropout:
        tt.seed(model, 0, optimizer=optimizer)
    return model, optimizer


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    """Return the losses."""
    losses = []
    for _ in range(steps):
        loss = model(torch.ones(16, 32)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def count(kind: Callable[[float], nn.Module]) -> int:
    """Return how many losses of the resumed run differ from those of one run."""
    expected = train(*build(kind), steps=6)[3:]
    model, optimizer = build(kind)
    train(model, optimizer, steps=3)
    saved: list[Any] = copy.deepcopy([model.state_dict(), optimizer.state_dict()])
    model, optimizer = build(kind)
    model.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    return sum(a != b for a, b in zip(train(model, optimizer, steps=3), expected, strict=True))


def compare() -> list[tuple[str, str, str, str]]:
    """Return rows of a quantity, its right value, torch's and thinnet's."""
    return [("losses of 3 that differ after resuming", "0", f"{count(nn.Dropout)}", f"{count(tt.Dropout)}")]


if __name__ == "__main__":
    for row in compare():
        print(*row, sep=" | ")
