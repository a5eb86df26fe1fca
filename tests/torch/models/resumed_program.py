"""A training that saves a checkpoint after each step, and that kills itself where it is asked to.

python resumed_program.py FOLDER STEP BATCH [RANK WORLD]: it continues from the checkpoint in the folder, if
there is one, and ends with SIGKILL before that batch of that step. All numbers are multiples of small powers
of two, so that sums are exact: their order, which depends on the number of processes, does not change a bit.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import thinnet.torch as tt

STEPS, BATCHES, ROWS = 8, 2, 8


def make_model() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1)).double()
    for p in model.parameters():
        p.data = torch.randint(-32, 32, p.shape, generator=generator).double() / 64
    return tt.replace(model) and model


def batch_of(step: int, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(BATCHES * step + number)
    x = torch.randint(-2, 3, (ROWS, 6), generator=generator).double()
    return x, x[:, :1] - x[:, 1:2]


def train(folder: Path, kill: tuple[int, int] | None = None, rank: int = 0, world: int = 1) -> list[float]:
    """Return the loss of every batch since the first step of all."""
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), 0.0625)
    tt.seed(model, 5, optimizer=optimizer)
    tt.schedule(model, lambda t: 0.5 if t < 4 else 0.75)
    file, losses = folder / "checkpoint.pt", []
    if file.exists():
        saved = torch.load(file, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        losses = saved["losses"]
    torch.manual_seed(100 + rank + len(losses))  # whatever torch's generator holds
    call = nn.parallel.DistributedDataParallel(model) if world > 1 else model
    share = slice(rank * ROWS // world, (rank + 1) * ROWS // world)
    for step in range(len(losses) // BATCHES, STEPS):
        optimizer.zero_grad()
        for number in range(BATCHES):
            if (step, number) == kill:
                os.kill(os.getpid(), signal.SIGKILL)
            x, y = batch_of(step, number)
            with tt.shard(global_batch=ROWS, start=share.start, rows=len(x[share])):
                errors = (call(x[share]) - y[share]).square()
                (errors.mean() / BATCHES).backward()
            losses.append(gathered(errors.detach(), world).mean().item())
        optimizer.step()
        for p in model.parameters():
            p.data = p.data.mul(64).round().div(64).clamp(-2, 2)
        if rank == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}
            torch.save(state, file.with_suffix(".new"))
            file.with_suffix(".new").replace(file)
    return losses


def gathered(errors: torch.Tensor, world: int) -> torch.Tensor:
    if world == 1:
        return errors
    parts = [torch.empty_like(errors) for _ in range(world)]
    dist.all_gather(parts, errors)
    return torch.cat(parts)


def main() -> None:
    folder, step, batch, *others = sys.argv[1:]
    rank, world = map(int, others or (0, 1))
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", f"file://{folder}/group", rank=rank, world_size=world)
    train(Path(folder), (int(step), int(batch)), rank, world)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
