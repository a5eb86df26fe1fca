"""Keys of compiled calls: those of eager mode, and the same ones in any recomputation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo import compiled_autograd
from torch._dynamo.utils import counters
from torch._functorch import config
from torch.utils.checkpoint import checkpoint

import thinnet.torch as tt
from thinnet.errors import InputError
from thinnet.torch._internals import FORCED
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


@pytest.mark.usefixtures("unfused")
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
    assert refusal(InputError, ys[0].sum().backward).startswith(
        "torch.compile: cannot tell which dropout is being recomputed, because its forward"
    )


@pytest.mark.skipif(FORCED, reason="the fallback cannot see such bodies")
@pytest.mark.filterwarnings("ignore")
def test_bodies_that_refuse_writes_draw_too(
    budget: Callable[[float], None], refusal: Callable[..., str]
) -> None:
    drop = tt.Dropout(0.5)

    @torch.compiler.nested_compile_region
    def region(x: torch.Tensor) -> torch.Tensor:
        return drop(x.sin()).sin()

    def branch(x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: drop(x).sin(), lambda x: x.clone(), (x,)).exp()

    def regions(x: torch.Tensor) -> torch.Tensor:
        return region(region(x)).exp()

    def gradients(call: Callable[..., torch.Tensor]) -> torch.Tensor:
        x = torch.full((64,), 0.7, requires_grad=True)
        y = call(x)
        y.sum().backward()
        assert torch.equal(x.grad != 0, y != 1)
        return y.detach()

    for share in (1.0, 0.0):
        budget(share)
        compiled = torch.compile(branch, fullgraph=True, backend="aot_eager")
        assert not torch.equal(gradients(compiled), gradients(compiled))
    line = refusal(InputError, gradients, torch.compile(regions, fullgraph=True, backend="aot_eager"))
    assert "because it belongs to a region that the forward ran several times" in line
    budget(1.0)
    compiled = torch.compile(regions, fullgraph=True, backend="aot_eager")
    assert 8 <= (gradients(compiled) != 1).sum() <= 24  # a quarter: two masks
    gradients(lambda x: checkpoint(compiled, x, use_reentrant=False))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seeded", [False, True], ids=["fresh", "seeded"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_around_a_compiled_module(
    seeded: bool, reentrant: bool, budget: Callable[[float], None]
) -> None:
    budget(0.0)
    model = Chain(forgets=False)
    if seeded:
        tt.seed(model, 0)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    xs = [torch.full((64,), 0.7, requires_grad=True) for _ in range(2)]
    ys = [checkpoint(compiled, x, use_reentrant=reentrant) for x in xs]
    for x, y in zip(xs, ys, strict=True):
        y.sum().backward()
        assert torch.equal(x.grad != 0, y != 1)


@pytest.mark.filterwarnings("ignore")
def test_blocks_that_are_compiled_one_by_one_share_a_graph() -> None:
    torch.compiler.reset()
    counters.clear()
    blocks = nn.Sequential(*(Chain(forgets=False) for _ in range(4)))
    tt.seed(blocks, 0)
    for block in blocks:
        block.compile(fullgraph=True, backend="aot_eager")
    x = torch.full((64,), 0.7)
    with tt.step(blocks, 0):
        y = blocks(x)
    assert counters["stats"]["unique_graphs"] == 1
    with tt.step(blocks, 0), torch.compiler.set_stance("force_eager"):
        assert torch.equal(blocks(x), y)


@pytest.mark.filterwarnings("ignore")
def test_threads_that_run_one_graph_draw_keys_of_their_own() -> None:
    torch.compiler.reset()
    compiled = torch.compile(tt.Dropout(0.5), fullgraph=True, backend="aot_eager")
    x = torch.ones(64)
    compiled(x)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: tuple(compiled(x).tolist()), range(40)))
    assert len(set(found)) == 40


@pytest.mark.skipif(FORCED, reason="the fallback has no transforms of torch.func inside compiled code")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seeded", [False, True], ids=["fresh", "seeded"])
def test_compiled_transforms_draw_as_eager_ones(seeded: bool) -> None:
    torch.compiler.reset()
    module = tt.Dropout(0.5)
    if seeded:
        tt.seed(module, 0)

    def gradient(x: torch.Tensor) -> torch.Tensor:
        return torch.func.grad(lambda x: module(x).square().sum())(x)

    def transformed(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return gradient(x[0]), torch.vmap(module, randomness="different")(x)

    x = torch.ones(3, 20)
    found: list[tuple[torch.Tensor, ...]] = []
    for call in (transformed, torch.compile(transformed, fullgraph=True, backend="aot_eager")):
        torch.manual_seed(0)
        with tt.step(module, 0) if seeded else contextlib.nullcontext():
            found.append(call(x))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.filterwarnings("ignore")
def test_compiled_autograd_recomputes_with_the_keys_of_the_forward(budget: Callable[[float], None]) -> None:
    budget(0.0)
    compiled = torch.compile(Chain(forgets=False), fullgraph=True, backend="aot_eager")
    xs = [torch.full((64,), 0.7, requires_grad=True) for _ in range(2)]
    ys = [compiled(x) for x in xs]
    for x, y in zip(xs, ys, strict=True):
        with compiled_autograd._enable(torch.compile(backend="aot_eager", fullgraph=True)):
            y.sum().backward()
        assert torch.equal(x.grad != 0, y != 1)
