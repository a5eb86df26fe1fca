"""Half of each tensor, as a DTensor: torchrun runs this; it prints "the same" if each half matches."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import thinnet as tn
import thinnet.torch as tt


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), tt.Dropout(0.5), nn.Linear(16, 4)).double()


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (2,))
    torch.manual_seed(1)
    x = torch.randn(8, 6, 10)
    for place in (Shard(2), Shard(1), Shard(0), Replicate()):
        for name in ("Dropout", "LockedDropout", "GaussianDropout", "DropBlock1d"):
            block = 3 if name == "DropBlock1d" else None
            whole = tt.functional.drop(name, x, 0.4, key=tn.Key(3), block=block)
            split = distribute_tensor(x, mesh, [place]).requires_grad_()
            y = tt.functional.drop(name, split, 0.4, key=tn.Key(3), block=block)
            assert isinstance(y, DTensor)
            assert y.placements == (place,)
            assert torch.equal(y.full_tensor(), whole)
            y.sum().backward()
            gain = tt.functional.drop(name, torch.ones_like(x), 0.4, key=tn.Key(3), block=block)
            assert torch.equal(split.grad.full_tensor(), gain)
    # A dense layer cut by columns and the next by rows; what lies between is a half each.
    alone, cut = model(), model()
    plan = {"0": ColwiseParallel(use_local_output=False), "3": RowwiseParallel()}
    parallelize_module(cut, mesh, plan)
    rows = torch.randn(5, 6).double()
    answers = []
    for net in (alone, cut):
        tt.seed(net, 9)
        loss = net(rows).square().sum()
        loss.backward()
        answers += [loss.detach(), net[0].weight.grad]
    torch.testing.assert_close(answers[2], answers[0])
    torch.testing.assert_close(answers[3].full_tensor(), answers[1])
    dist.barrier()
    print("the same", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
