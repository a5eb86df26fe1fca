"""Two dropouts that inductor may exchange to lower the peak of memory; one generator in both modes."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch._inductor.config as inductor
from torch import nn

import thinnet.torch as tt


class Branches(nn.Module):
    """A large branch, whose result is kept to the end, before a small one with large temporaries."""

    def __init__(self, kind: Callable[[float], nn.Module]) -> None:
        super().__init__()
        self.encoder, self.decoder = kind(0.5), kind(0.5)

    def forward(self, encoder: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
        e = self.encoder(encoder.relu())  # (128, 120)
        d = self.decoder(decoder.relu())  # (8, 120)
        gram = d.T @ d  # (120, 120)
        return e * (gram @ gram).sum(0)


def count(kind: Callable[[float], nn.Module], seed: int | None = None) -> int:
    """Return how many entries of the compiled result differ from those of eager mode."""
    torch.compiler.reset()
    model, results = Branches(kind), []
    inputs = torch.ones(128, 120), torch.ones(8, 120)
    for call in (model, torch.compile(model)):
        torch.manual_seed(0)
        if seed is not None:
            tt.seed(model, seed)
        results.append(call(*inputs))
    return int((results[0] != results[1]).sum())


def compare() -> list[tuple[str, str, str, str]]:
    """Return rows of a quantity, its right value, torch's and thinnet's."""
    with inductor.patch(fallback_random=True, reorder_for_peak_memory=True):
        theirs, ours, seeded = count(nn.Dropout), count(tt.Dropout), count(tt.Dropout, seed=0)
    quantity = "entries of 15360 that differ from eager mode"
    return [
        (f"{quantity}, torch.manual_seed", "0", f"{theirs}", f"{ours}"),
        (f"{quantity}, tt.seed", "0", "no such seed", f"{seeded}"),
    ]


if __name__ == "__main__":
    for row in compare():
        print(*row, sep=" | ")
