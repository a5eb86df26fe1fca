"""One seed in eager mode, compiled, and compiled with max-autotune."""

from __future__ import annotations

import torch
from torch import nn

import thinnet.torch as tt


class Ours(nn.Module):
    """A dropout that draws from torch's generator, and one that has a seed."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.seeded = tt.Dropout(0.5), tt.Dropout(0.5)
        tt.seed(self.seeded, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.drop(x), self.seeded(x)])


def draw(model: nn.Module, mode: str | None) -> torch.Tensor:
    """Return the output for torch's seed 0 in a mode of torch.compile, or in eager mode for None."""
    torch.compiler.reset()
    call = model if mode is None else torch.compile(model, mode=mode)
    torch.manual_seed(0)
    return call(torch.ones(64, 64))


def compare() -> list[tuple[str, str, str, str]]:
    """Return rows of a quantity, its right value, torch's and thinnet's."""
    eager, ours, rows = draw(nn.Dropout(0.5), None), draw(Ours(), None), []
    for mode in ("default", "max-autotune"):
        theirs = int((draw(nn.Dropout(0.5), mode) != eager).sum())
        fresh, seeded = ((draw(Ours(), mode) != ours).sum((1, 2))).tolist()
        quantity = f"{mode}: entries of 4096 that differ from eager mode"
        rows += [
            (f"{quantity}, torch.manual_seed", "0", f"{theirs}", f"{fresh}"),
            (f"{quantity}, tt.seed", "0", "no such seed", f"{seeded}"),
        ]
    return rows


if __name__ == "__main__":
    for row in compare():
        print(*row, sep=" | ")
