"""Keys of compiled calls: those of eager mode, and the same ones in any recomputation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch._functorch import config
from torch.utils.checkpoint import checkpoint

import thinnet.torch as tt
from thinnet.errors import InputError
from thinnet.torch._ops import tickets

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")


class Chain(nn.Module):
    """exp(2 m2 sin(2 m1 sin x)): y is 1 exactly where a mask is 0, and so is the gradient 0."""

    def __init__(self, *, forgets: bool) -> None:
        super().__init__()
        self.drop, self.forgets = tt.Dropout(0.5), forgets

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.drop(x * 2)  # unused, but a call
        y = self.drop(x.sin()).sin()
        return (checkpoint(self.drop, y, use_reentrant=False) if self.forgets else self.drop(y)).exp()


@pytest.fixture
def budget() -> Iterator[Callable[[float], None]]:
    """Return a function that sets torch's memory budget of activations, until the test ends."""
    before = config.activation_memory_budget

    def set_budget(share: float) -> None:
        torch.compiler.reset()
        config.activation_memory_budget = share

    yield set_budget
    set_budget(before)


class Chains(nn.Module):
    """Chains with and without checkpoints, with fresh keys and with those of a stream, in one graph."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh = nn.ModuleList([Chain(forgets=False), Chain(forgets=True)])
        self.seeded = nn.ModuleList([Chain(forgets=False), Chain(forgets=True)])
        tt.seed(self.seeded, 0)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [chain(x) for chain in (*self.fresh, *self.seeded)]


def run(model: Chains, call: Any, step: int) -> list[torch.Tensor]:
    """Run two forwards before the first backward, compare gradients with masks, and return the outputs."""
    torch.manual_seed(step)
    xs = [torch.full((32,), 0.7, requires_grad=True) for _ in range(2)]
    with tt.step(model, step):
        outputs = [call(x) for x in xs]
    for x, ys in zip(xs, outputs, strict=True):
        for y in ys:
            (dx,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
            assert torch.equal(dx != 0, y != 1)
    return [y.detach() for ys in outputs for y in ys]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("share", "backend"), [(1.0, "aot_eager"), (0.5, "inductor"), (0.0, "aot_eager")])
def test_gradients_are_right_at_every_memory_budget(
    share: float, backend: str, budget: Callable[[float], None]
) -> None:
    budget(share)
    model = Chains()
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    for step in range(2):
        ys, eager = run(model, compiled, step), run(model, model, step)
        assert all(torch.equal(a != 1, b != 1) for a, b in zip(ys, eager, strict=True))
        assert len({tuple((y != 1).tolist()) for y in ys}) == len(ys)


@pytest.mark.filterwarnings("ignore")
def test_a_forgotten_forward_is_an_error_and_never_a_wrong_mask(
    budget: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    budget(0.0)
    monkeypatch.setattr(tickets, "_REMEMBERED", 8)
    compiled = torch.compile(Chain(forgets=False), fullgraph=True, backend="aot_eager")
    x = torch.full((64,), 0.7, requires_grad=True)
    ys = [compiled(x) for _ in range(9)]
    assert tickets._memory.size <= 8 + 3
    ys[-1].sum().backward()
    assert refusal(InputError, ys[0].sum().backward).startswith("a compiled model: cannot tell which forward")
