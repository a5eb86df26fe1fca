"""Passes that save, recompute or merge: the partitioner at every setting, checkpoints, equal calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch._functorch import config
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

import thinnet.torch as tt

pytestmark = pytest.mark.filterwarnings("ignore")
Compare = Callable[..., None]


@pytest.fixture
def whole(backend: Any) -> Any:
    """Return torch.compile of whole graphs by inductor's passes."""
    return partial(torch.compile, fullgraph=True, backend=backend)


SETTINGS = {
    "budget 1": {},
    "budget 0.5": {"activation_memory_budget": 0.5, "donated_buffer": False},
    "budget 0.1, greedy": {
        "activation_memory_budget": 0.1,
        "activation_memory_budget_solver": "greedy",
        "cse": False,
    },
    "budget 0": {"activation_memory_budget": 0.0},
    "nothing is banned": {
        "aggressive_recomputation": True,
        "recompute_views": True,
        "ban_recompute_used_far_apart": False,
        "ban_recompute_long_fusible_chains": False,
        "ban_recompute_materialized_backward": False,
        "ban_recompute_not_in_allowlist": False,
        "ban_recompute_reductions": False,
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_partition_has_the_masks_of_eager_mode(name: str, compare: Compare, whole: Any) -> None:
    with config.patch(SETTINGS[name]):
        compare(whole)


def test_the_partition_that_saves_everything(compare: Compare) -> None:
    compare(partial(torch.compile, fullgraph=True, backend="aot_eager"))


class Selected(nn.Module):
    """A model in a checkpoint that saves or recomputes by the kind of the operator."""

    def __init__(self, model: nn.Module, policy: Callable[..., CheckpointPolicy]) -> None:
        super().__init__()
        self.model, self.context = model, partial(create_selective_checkpoint_contexts, policy)

    def forward(self, x: torch.Tensor) -> Any:
        return checkpoint(self.model, x, use_reentrant=False, context_fn=self.context)


def save_ours(context: Any, operator: Any, *inputs: Any, **named: Any) -> CheckpointPolicy:
    ours = "thinnet" in str(operator)
    return CheckpointPolicy.MUST_SAVE if ours else CheckpointPolicy.MUST_RECOMPUTE


def recompute_ours(context: Any, operator: Any, *inputs: Any, **named: Any) -> CheckpointPolicy:
    ours = "thinnet" in str(operator)
    return CheckpointPolicy.MUST_RECOMPUTE if ours else CheckpointPolicy.MUST_SAVE


@pytest.mark.parametrize("policy", [save_ours, recompute_ours])
@pytest.mark.parametrize("compiled", [False, True])
def test_selective_checkpoints(policy: Any, compiled: bool, compare: Compare, whole: Any) -> None:
    compare(lambda model: whole(Selected(model, policy)) if compiled else Selected(model, policy))


def test_equal_calls_are_merged_where_they_have_one_key(whole: Any) -> None:
    torch.compiler.reset()
    key, drop = torch.tensor([9]), tt.Dropout(0.5)

    def call(x: torch.Tensor) -> list[torch.Tensor]:
        one = [tt.functional.dropout(x, 0.5, key=key) for _ in range(2)]
        return [*one, drop(x), drop(x)]

    x = torch.ones(64, requires_grad=True)
    a, b, c, d = whole(call)(x)
    assert torch.equal(a, b)
    assert not torch.equal(c, d)
    for y in (a, b, c, d):
        (dx,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
        assert torch.equal(dx, y)


def test_a_second_backward_draws_the_same_masks(whole: Any) -> None:
    torch.compiler.reset()
    drop = tt.Dropout(0.5)
    x = torch.ones(64, requires_grad=True)
    with config.patch(donated_buffer=False, activation_memory_budget=0.0):
        y = whole(lambda x: drop(x.sin()).exp())(x)
        first, second = (torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(first == 0, y == 1)


def test_compiled_autograd(compare: Compare, whole: Any) -> None:
    with torch._dynamo.config.patch(compiled_autograd=True):
        compare(whole)
