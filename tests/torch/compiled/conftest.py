"""A model with every kind of draw, and the comparison of a compiled run with eager mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

import thinnet.torch as tt
from thinnet.torch.functional import scaled_dot_product_attention


class Draws(nn.Module):
    """Every kind of draw: fresh keys and those of streams, both operators, repeated calls, dead calls."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh, self.seeded = tt.Dropout(0.5), tt.Dropout(0.5)
        self.path, self.heads, self.logits = tt.DropPath(0.4), tt.DropHead(0.4), tt.DropKey(0.3)
        self.concrete, self.named = tt.ConcreteDropout(0.4), tt.DropPath(0.5)
        tt.seed(nn.ModuleDict({"seeded": self.seeded, "named": self.named}), 0)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.heads(self.logits(x @ x.mT).softmax(-1)) @ x
        return scores + scaled_dot_product_attention(x, x, x, dropout_p=0.3)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        y = x.sin()  # (n, 2, 8, 8)
        self.seeded(y.exp())  # unused, but a call
        self.fresh(y.exp())
        twice = self.fresh(y).sin() * self.fresh(y)
        streams = self.seeded(y).sin() * self.seeded(y) * self.named(y.cos())
        branch = self.path(y.cos()).square()
        return [twice, streams, branch, self.attend(y), self.concrete(y.cos()).square()]


def _run_passes(graph: Any, inputs: Any, **options: Any) -> Any:
    from torch._dynamo.utils import detect_fake_mode
    from torch._inductor.fx_passes.post_grad import post_grad_passes, view_to_reshape
    from torch._inductor.virtualized import V

    with V.set_fake_mode(detect_fake_mode(inputs)):
        view_to_reshape(graph)
        post_grad_passes(graph, bool(options.get("is_inference")))

    def call(boxed: list[Any]) -> Any:
        found = graph.forward(*boxed)
        boxed.clear()
        return found

    call._boxed_call = True  # type: ignore[attr-defined]
    return call


def _backend(graph: Any, inputs: Any) -> Any:
    from torch._inductor.compile_fx import compile_fx  # warns

    return compile_fx(graph, inputs, inner_compile=_run_passes)


Compile = Callable[[nn.Module], Callable[..., list[torch.Tensor]]]


def run(model: nn.Module, call: Callable[..., list[torch.Tensor]], n: int, train: bool) -> list[torch.Tensor]:
    """Return the outputs and gradients of two steps."""
    found: list[torch.Tensor] = []
    for t in range(2):
        torch.manual_seed(t)
        x = torch.randn(n, 2, 8, 8, generator=torch.Generator().manual_seed(2 * n + t), requires_grad=train)
        model.zero_grad()
        with tt.step(model, t):
            outputs = call(x)
            if train:
                sum(y.square().sum() for y in outputs).backward()
        found += [y.detach() for y in outputs]
        if train:
            found += [x.grad, *(p.grad for p in model.parameters())]
    return found


def _compare(compile: Compile, sizes: tuple[int, ...] = (4,), train: bool = True) -> None:
    torch.compiler.reset()
    eager, other = Draws(), Draws()
    call = compile(other)
    for n in sizes:
        wanted = run(eager, eager, n, train)
        assert not torch.equal(wanted[0], wanted[len(wanted) // 2])
        for a, b in zip(run(other, call, n, train), wanted, strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.fixture
def compare() -> Iterator[Any]:
    """Return a function that compares a compiled model of every draw with the same model in eager mode."""
    yield _compare
    torch.compiler.reset()


@pytest.fixture
def draws() -> type[nn.Module]:
    """Return the class of the model."""
    return Draws


@pytest.fixture
def backend() -> Any:
    """Return a backend of torch.compile with inductor's partition and passes, which generates no code."""
    return _backend
