"""The step in the optimizer's state_dict."""

from __future__ import annotations

import copy
import gc
import io
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

import thinnet.torch as tt
from thinnet.schedules import Linear

X = torch.linspace(-1, 1, 48).reshape(12, 4)
RAMP = Linear(0.0, 0.5, steps=10)


def make(optimizer: Callable[..., Any] = torch.optim.Adam, seed: int | None = 0) -> tuple[nn.Module, Any]:
    net = nn.Sequential(nn.Linear(4, 8), tt.Dropout(0.5), nn.Linear(8, 2))
    own = optimizer(net.parameters(), 0.01)
    if seed is not None:
        tt.seed(net, seed, optimizer=own)
    return net, own


def step_of(net: nn.Module) -> int:
    return tt.state(net).state_dict()["seeds"][0]["step"]


def train(net: nn.Module, optimizer: Any, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        net(X).square().mean().backward()
        optimizer.step()


def as_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


def test_the_step_is_saved_and_loaded() -> None:
    net, own = make()
    train(net, own, 3)
    saved = as_file(own.state_dict())
    before = copy.deepcopy(saved)
    other, its = make()
    its.load_state_dict(saved)
    assert step_of(other) == 3
    assert torch.equal(other[1](X), net[1](X))
    train(other, its, 1)
    assert step_of(other) == 4
    assert saved.keys() == before.keys()
    assert saved["param_groups"] == before["param_groups"]
    assert not any("thinnet" in name for group in its.param_groups for name in group)


def test_a_seed_after_the_loading_finds_the_step() -> None:
    net, own = make()
    train(net, own, 3)
    other, its = make(seed=None)
    its.load_state_dict(own.state_dict())
    train(other, its, 1)  # an optimizer without a seed carries the entry along
    assert its.state_dict()["param_groups"][0]["thinnet_step"] == 3
    tt.seed(other, 0, optimizer=its)
    assert step_of(other) == 3
    tt.seed(other, 0, optimizer=its)  # a new start
    assert step_of(other) == 0


def test_calls_of_a_step_that_was_skipped() -> None:
    net, own = make()
    train(net, own, 2)
    net(X)  # as where a GradScaler skips the step
    other, its = make()
    its.load_state_dict(as_file(own.state_dict()))
    assert torch.equal(other[1](X), net[1](X))


def test_states_without_an_entry() -> None:
    net, own = make()
    train(net, own, 2)
    plain = make(seed=None)
    train(*plain, 5)
    state = plain[1].state_dict()
    assert state.keys() == {"state", "param_groups"}
    with pytest.warns(UserWarning, match="^optimizer: ") as caught:
        own.load_state_dict(state)
    assert [str(warning.message) for warning in caught] == [
        "optimizer: the loaded state_dict has no step of thinnet, the masks continue from step 2; save and "
        "load thinnet.torch.state(model), too."
    ]
    assert step_of(net) == 2


def test_a_state_that_does_not_fit_changes_no_step() -> None:
    net, own = make()
    train(net, own, 2)
    state = own.state_dict()
    state["param_groups"] *= 2
    other, its = make()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        its.load_state_dict(state)
    assert step_of(other) == 0


def test_a_schedule_without_a_seed() -> None:
    net, own = make(seed=None)
    rates = tt.schedule(net, RAMP, optimizer=own)
    train(net, own, 4)
    state = as_file(own.state_dict())
    other, its = make(seed=None)
    its.load_state_dict(state)
    after = tt.schedule(other, RAMP, optimizer=its)
    assert (after.t, other[1].p) == (4, 0.2)
    its.load_state_dict(state)
    assert after.t == 4
    train(other, its, 1)
    assert (after.t, rates.t) == (5, 4)


def test_a_schedule_and_a_seed_after_the_loading() -> None:
    net, own = make(seed=None)
    tt.schedule(net, RAMP, optimizer=own)
    tt.seed(net, 0, optimizer=own)
    train(net, own, 4)
    other, its = make(seed=None)
    its.load_state_dict(own.state_dict())
    assert tt.schedule(other, RAMP, optimizer=its).t == 4
    tt.seed(other, 0, optimizer=its)
    assert step_of(other) == 4


def test_two_models_of_one_optimizer() -> None:
    parts = [nn.Sequential(nn.Linear(4, 4), tt.Dropout(0.5)) for _ in range(2)]
    own = torch.optim.SGD([{"params": part.parameters()} for part in parts], 0.1)
    tt.seed(parts[0], 0, optimizer=own)
    own.step()
    tt.seed(parts[1], 0, optimizer=own)
    own.step()
    state = own.state_dict()
    assert [group["thinnet_step"] for group in state["param_groups"]] == [2, 2]
    assert [group["thinnet_step_1"] for group in state["param_groups"]] == [1, 1]
    own.step()
    own.load_state_dict(state)
    assert [step_of(part) for part in parts] == [2, 1]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_the_state_of_distributed_checkpoints(kind: Any) -> None:
    net, own = make(kind)
    get_optimizer_state_dict(net, own)  # makes a step where there is no state yet
    assert step_of(net) == 0
    train(net, own, 3)
    other, its = make(kind)
    set_optimizer_state_dict(other, its, get_optimizer_state_dict(net, own))
    assert step_of(other) == 3


def test_a_flattened_state_loses_the_step_with_a_warning() -> None:
    net, own = make()
    train(net, own, 3)
    options = StateDictOptions(flatten_optimizer_state_dict=True)
    state = get_optimizer_state_dict(net, own, options=options)
    with pytest.warns(UserWarning, match="no step"):
        set_optimizer_state_dict(net, own, state, options=options)


def test_a_learning_rate_of_zero_is_a_step() -> None:
    net, own = make()
    own.param_groups[0]["lr"] = 0.0
    train(net, own, 2)
    assert step_of(net) == 2


def test_the_wrappers_of_frameworks() -> None:
    net, own = make(seed=None)

    class Wrapper:
        optimizer = own
        register_step_post_hook = None

    tt.seed(net, 0, optimizer=Wrapper())
    train(net, own, 2)
    assert own.state_dict()["param_groups"][0]["thinnet_step"] == 2


def test_an_optimizer_that_is_gone_leaves_nothing() -> None:
    net, own = make()
    gone = weakref.ref(own)
    del own
    gc.collect()
    assert gone() is None
    assert step_of(net) == 0


def test_gradient_scalers_that_skip() -> None:
    net, own = make(torch.optim.SGD)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for broken in (False, True, False):
        own.zero_grad()
        loss = net(X).square().mean() * (torch.inf if broken else 1.0)
        scaler.scale(loss).backward()
        scaler.step(own)
        scaler.update()
    assert step_of(net) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_zero_redundancy(tmp_path: Any) -> None:
    import torch.distributed as dist
    from torch.distributed.optim import ZeroRedundancyOptimizer

    dist.init_process_group("gloo", f"file://{tmp_path}/group", rank=0, world_size=1)
    try:

        def sharded(parameters: Any, lr: float) -> Any:
            return ZeroRedundancyOptimizer(parameters, torch.optim.Adam, lr=lr)

        net, own = make(sharded)
        train(net, own, 3)
        own.consolidate_state_dict()
        other, its = make(sharded)
        its.load_state_dict(own.state_dict())
        assert step_of(other) == 3
        train(other, its, 1)
        assert step_of(other) == 4
    finally:
        dist.destroy_process_group()
