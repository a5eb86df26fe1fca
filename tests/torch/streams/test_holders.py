"""Objects that draw by streams: modules, and wrappers of a module's forward."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import thinnet.torch as tt
from thinnet import Key
from thinnet.torch._streams.holders import StreamHolder, holders_of
from thinnet.torch._streams.streams import Clock, ModuleStream


class Wrapper(StreamHolder):
    """The forward of a module, with one stream."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.stream = module, None

    def _give(self, name: str, key: Key, clock: Clock) -> None:
        self.stream = ModuleStream(f"{name} dropout", key.fold("dropout"), clock)

    def streams(self) -> list[ModuleStream]:
        return [] if self.stream is None else [self.stream]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return tt.functional.dropout(x, 0.5, key=self.stream.draw())


def test_wrappers_of_a_forward_are_seeded_and_follow_the_step() -> None:
    model = nn.Sequential(nn.Identity(), tt.Dropout(0.5))
    inner: Any = model[0]
    inner.forward = Wrapper(inner)
    keys = tt.seed(model, 3)
    assert list(keys) == ["0", "1"]
    assert [type(holder) for holder in (*holders_of(inner), *holders_of(model[1]))] == [Wrapper, tt.Dropout]
    x = torch.ones(64)
    for t in (0, 4):
        with tt.step(model, t):
            for call in range(2):
                key = Key(3).fold("0").fold("dropout").fold(call).at(t)
                assert torch.equal(inner(x), tt.functional.dropout(x, 0.5, key=key))


def test_the_optimizer_steps_a_wrapper_of_the_last_seed_alone() -> None:
    inner: Any = nn.Linear(2, 2)
    inner.forward = Wrapper(inner)
    optimizer = torch.optim.SGD(inner.parameters(), 0.1)
    for _ in range(2):
        tt.seed(inner, 0, optimizer=optimizer)
    assert len(optimizer._optimizer_step_post_hooks) == 1
    optimizer.step()
    assert inner.forward.stream.clock.step == 1
