"""Half a batch each: torchrun runs two processes, which print "the same" if they match one process."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import nn

import thinnet.torch as tt

ROWS, STEPS = 8, 3


class Functions(nn.Module):
    """Drops by functions of torch, which `replace` takes over."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = nn.functional.dropout(x, 0.3, self.training).view(-1, 2, 4, 2)
        mixed = nn.functional.scaled_dot_product_attention(heads, heads, heads, dropout_p=0.25)
        return x + mixed.reshape(x.shape)


def model() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(6, 16),
        nn.ReLU(),
        tt.Dropout(0.5),
        tt.DropConnect(nn.Linear(16, 16), 0.3),
        tt.GaussianDropout(0.2),
        Functions(),
        nn.Linear(16, 1),
    )
    return tt.replace(net).double()


def trained(net: nn.Module, rows: slice, *, by_name: bool) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    torch.manual_seed(1)
    x, y = torch.randn(ROWS, 6).double(), torch.randn(ROWS, 1).double()
    if by_name:
        tt.seed(net, 5, optimizer=optimizer)
        torch.manual_seed(100 + rows.start)  # whatever torch's generators hold
    losses, gradients = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with tt.shard(global_batch=ROWS, start=rows.start, rows=len(x[rows])):
            loss = (net(x[rows]) - y[rows]).square().mean()
            loss.backward()
        losses.append(loss.detach())
        gradients += [p.grad.clone() for p in net.parameters()]
        optimizer.step()
    return losses, gradients


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    half = slice(rank * ROWS // 2, (rank + 1) * ROWS // 2)
    for by_name in (True, False):
        alone = trained(model(), slice(0, ROWS), by_name=by_name)
        losses, gradients = trained(nn.parallel.DistributedDataParallel(model()), half, by_name=by_name)
        for loss in losses:
            dist.all_reduce(loss)
            loss.div_(2)
        for mine, theirs in zip((*losses, *gradients), (*alone[0], *alone[1]), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    dist.barrier()
    if os.environ["WORLD_SIZE"] == "2":
        print("the same", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
