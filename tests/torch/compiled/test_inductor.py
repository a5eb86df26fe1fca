"""Inductor's code: any order of its operations, its modes, freezing, dynamic shapes, in-place calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

import thinnet.torch as tt

pytestmark = pytest.mark.filterwarnings("ignore")
Compare = Callable[..., None]


def _last_first(nodes: list[Any]) -> list[Any]:
    """Return an order that the dependencies allow: the last operation first, wherever it may go."""
    names = {name: node for node in nodes for name in node.get_buffer_names()}
    rest, order, done = list(nodes), [], set()
    while rest:
        ready = [
            n
            for n in rest
            if all(names.get(d.name, n) in done or names.get(d.name, n) is n for d in n.unmet_dependencies)
        ]
        order.append(ready[-1])
        done.add(ready[-1])
        rest.remove(ready[-1])
    return order


class Small(nn.Module):
    """Two independent branches, with fresh keys and with those of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh, self.seeded, self.inplace = (
            tt.Dropout(0.5),
            tt.Dropout(0.5),
            tt.Dropout(0.5, inplace=True),
        )
        self.concrete, self.layer = tt.ConcreteDropout(0.5), nn.Linear(8, 8)
        nn.init.eye_(self.layer.weight)
        nn.init.ones_(self.layer.bias)
        tt.seed(nn.ModuleDict({"seeded": self.seeded}), 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        drawn = [self.fresh(y), self.seeded(y), self.inplace(y.clone()), self.concrete(y), self.seeded(y)]
        self.fresh(y)  # unused, but a call
        return torch.stack([*drawn, self.fresh(y)])


def masks(model: nn.Module, call: Any, n: int, step: int, context: Any = torch.enable_grad) -> torch.Tensor:
    torch.manual_seed(step)
    with tt.step(model, step), context():
        return call(torch.zeros(n, 8)).detach()


def test_any_order_of_operations() -> None:
    from torch._inductor import config

    torch.compiler.reset()
    moved: list[bool] = []

    def reorder(nodes: list[Any]) -> list[Any]:
        order = _last_first(nodes)
        moved.append(order != nodes)
        return order

    model, other = Small(), Small()
    with config.patch(_pre_fusion_custom_pass=reorder, reorder_for_peak_memory=False, fx_graph_cache=False):
        call = torch.compile(other, fullgraph=True)
        for step in range(2):
            assert torch.allclose(masks(other, call, 4, step), masks(model, model, 4, step))
    assert any(moved)


@pytest.mark.usefixtures("unfused")
@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune"])
def test_modes(mode: str) -> None:
    torch.compiler.reset()
    model, other = Small(), Small()
    call = torch.compile(other, mode=mode, fullgraph=True)
    for step in range(3):
        assert torch.allclose(masks(other, call, 4, step), masks(model, model, 4, step))


@pytest.mark.usefixtures("unfused")
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_freezing_takes_no_key_for_a_constant(context: Any) -> None:
    from torch._inductor import config

    torch.compiler.reset()
    model, other = Small(), Small()
    with config.patch(freezing=True):
        call = torch.compile(other, fullgraph=True)
        drawn = [masks(other, call, 4, step, context) for step in range(3)]
    for step, y in enumerate(drawn):
        assert torch.allclose(y, masks(model, model, 4, step))
    assert not torch.equal(drawn[0], drawn[1])


def test_dynamic_shapes(compare: Compare, backend: Any) -> None:
    compiled = partial(torch.compile, fullgraph=True, dynamic=True, backend=backend)
    with torch._dynamo.config.patch(error_on_recompile=True):
        compare(compiled, sizes=(4, 7, 5))
