"""The randomness of a model as state: a resumed training has the bits of one that was not interrupted."""

from __future__ import annotations

import copy
import io
import json
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import nn

import thinnet.torch as tt
from thinnet.errors import InputError
from thinnet.schedules import Linear

from . import resumed_program as program


def run_killed(folder: Path, step: int, batch: int, world: int = 1) -> None:
    """Run the program in processes that end with SIGKILL."""
    command = [sys.executable, program.__file__, str(folder), str(step), str(batch)]
    runs = [subprocess.Popen([*command, str(rank), str(world)]) for rank in range(world)]
    try:
        ends = [run.wait(300) for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert ends == [-signal.SIGKILL] * world


def test_a_killed_training_resumes_to_the_bit(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("whole", "one", "two")]
    for folder in folders:
        folder.mkdir()
    whole, one, two = folders
    losses = program.train(whole)
    assert len(set(losses)) == program.STEPS * program.BATCHES
    chosen = random.Random(15)
    run_killed(one, chosen.randrange(2, program.STEPS), chosen.randrange(program.BATCHES))
    after_one = torch.load(one / "checkpoint.pt", weights_only=True)
    assert 0 < len(after_one["losses"]) < len(losses)
    torch.save(after_one, two / "checkpoint.pt")
    assert program.train(one) == losses
    # One process's checkpoint is continued by two, which are killed; one process continues theirs.
    run_killed(two, program.STEPS - 1, 1, world=2)
    after_two = torch.load(two / "checkpoint.pt", weights_only=True)
    assert len(after_one["losses"]) < len(after_two["losses"]) < len(losses)
    assert program.train(two) == losses


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop = nn.Linear(4, 8), tt.Dropout(0.5)
        self.last, self.noise = nn.Linear(8, 2), tt.GaussianDropout(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.noise(self.drop(self.drop(self.first(x)))))


def make_net(seed: int | None = 0) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
    if seed is not None:
        tt.seed(net, seed)
    return net


X = torch.linspace(-1, 1, 48).reshape(12, 4)


def as_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


@pytest.mark.parametrize("through", [as_file, lambda state: json.loads(json.dumps(state))])
def test_a_state_holds_the_step_and_its_calls(through: Callable[[Any], Any]) -> None:
    net = make_net(2**64 - 1)
    with tt.step(net, 7):
        net(X)
        saved = through(tt.state(net).state_dict())
        after = [net(X), net(X)]
    other = make_net(2**64 - 1)
    tt.state(other).load_state_dict(saved)
    assert tt.state(other).state_dict() == saved
    assert [torch.equal(y, other(X)) for y in after] == [True, True]
    # Calls beyond those that the present streams have made, in the middle of a step and out of it.
    with tt.step(other, 8):
        other(X)
    tt.state(other).load_state_dict(saved)
    assert [torch.equal(y, other(X)) for y in after] == [True, True]


def test_a_state_holds_the_steps_of_schedules() -> None:
    ramp = Linear(0.0, 0.5, steps=10)
    net = make_net(None)
    rates = tt.schedule(net, {"drop": ramp})
    others = tt.schedule(net, {"noise": ramp})
    rates.step(5)
    others.step(2)
    saved = as_file(tt.state(net).state_dict())
    assert saved["seeds"] == []
    again = make_net(None)
    tt.schedule(again, {"drop": ramp})
    tt.schedule(again, {"noise": ramp})
    tt.state(again).load_state_dict(saved)
    assert (again.drop.p, again.noise.p) == (0.25, 0.1)
    # A schedule that follows a seed has the step of the seed.
    tt.seed(again, 0)
    assert tt.state(again).state_dict()["schedules"] == []
    with tt.step(again, 4):
        saved = tt.state(again).state_dict()
    tt.state(again).load_state_dict(saved)
    assert (again.drop.p, again.noise.p) == (0.2, 0.2)


class Calls(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.5, self.training)


def test_functional_calls_have_streams_of_their_own(refusal: Callable[..., str]) -> None:
    nets = [tt.replace(nn.Sequential(Calls(), nn.Dropout(0.5))) for _ in range(2)]
    for net in nets:
        tt.seed(net, 0)
    nets[0](X)
    saved = as_file(tt.state(nets[0]).state_dict())
    calls = saved["seeds"][0]["calls"]
    assert {name: number for name, number in calls.items() if number} == {"0 Dropout": 1, "1": 1}
    tt.state(nets[1]).load_state_dict(saved)
    assert torch.equal(nets[0](X), nets[1](X))
    del calls["0 AlphaDropout"]  # as of a version that does not reach the function
    calls["0 Other"] = 0
    tt.state(nets[1]).load_state_dict(saved)
    calls["0 Other"] = 1
    line = refusal(InputError, tt.state(nets[1]).load_state_dict, saved)
    assert "but it lacks '0 Other'; seed" in line


def test_parts_with_seeds_of_their_own() -> None:
    nets = [nn.ModuleDict({"a": make_net(1), "b": make_net(2)}) for _ in range(2)]
    with tt.step(nets[0].a, 3), tt.step(nets[0].b, 9):
        saved = tt.state(nets[0]).state_dict()
    assert [(seed["seed"], seed["step"]) for seed in saved["seeds"]] == [(1, 3), (2, 9)]
    tt.state(nets[1]).load_state_dict(saved)
    assert tt.state(nets[1]).state_dict() == saved


def test_copies_have_states_of_their_own() -> None:
    net = make_net()
    tt.schedule(net, Linear(0.1, 0.5, steps=10))
    state = tt.state(net)
    with tt.step(net, 4):
        net(X)
        for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert tt.state(other).state_dict() == state.state_dict()
            assert torch.equal(other(X), copy.deepcopy(net)(X))
            assert tt.state(other).state_dict() != state.state_dict()


@pytest.mark.filterwarnings("ignore:torch.distributed is")
def test_distributed_checkpoints_take_a_state(tmp_path: Path) -> None:
    net = make_net()
    with tt.step(net, 6):
        net(X)
        dcp.save({"model": net.state_dict(), "dropout": tt.state(net)}, checkpoint_id=tmp_path)
        after = net(X)
    other = make_net()
    dcp.load({"model": other.state_dict(), "dropout": tt.state(other)}, checkpoint_id=tmp_path)
    assert torch.equal(other(X), after)


def test_a_state_fits_its_model(refusal: Callable[..., str]) -> None:
    net = make_net(3)
    saved = tt.state(net).state_dict()
    other = make_net(4)
    line = refusal(InputError, tt.state(other).load_state_dict, saved)
    assert line == (
        "state: the saved state has seed 3, the model has seed 4; use thinnet.torch.seed(model, 3)."
    )
    net.drop = nn.Identity()
    net.more, net.other = tt.Dropout(0.1), tt.Dropout(0.1)
    tt.seed(net, 3)
    line = refusal(InputError, tt.state(net).load_state_dict, saved)
    assert line == (
        "state: the model must have the streams of the saved state, but it lacks 'drop' and adds 'more' and "
        "1 others; seed and schedule the model that was saved."
    )
    assert tt.state(net).state_dict()["seeds"][0]["step"] == 0
    line = refusal(InputError, tt.state(make_net(3)).load_state_dict, {**saved, "schedules": [{}]})
    assert line == (
        "state: the number of schedules must be that of the saved state, 1, got 0; use "
        "thinnet.torch.schedule as the saved training did."
    )
    line = refusal(InputError, tt.state(make_net(3)).load_state_dict, {**saved, "format": 2})
    assert line.startswith(
        "state: state_dict has format 2, this version of thinnet reads up to 1; use a newer"
    )
    for wrong in ({"step": 1}, 3):
        line = refusal(InputError, tt.state(make_net(3)).load_state_dict, wrong)
        assert line.startswith("state: state_dict must be that of thinnet.torch.state(model), got ")
    line = refusal(InputError, tt.state, make_net(None))
    assert line == (
        "state: the model has neither streams nor a schedule; use thinnet.torch.seed(model, 0) first."
    )
    assert refusal(InputError, tt.state, 3) == "state: model must be a torch.nn.Module, got int."
