"""What is done to whole models: replaced, scheduled, summed up."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F  # noqa: N812 - its usual name

import thinnet.torch as tt
from thinnet.errors import InputError, MissingPackage
from thinnet.schedules import Early, Linear
from thinnet.torch._internals import FORCED
from thinnet.variants import find

observes = pytest.mark.skipif(FORCED, reason="no public name of PyTorch observes operators")


class Attention(nn.Module):
    """Drops in every way that is no module, and in one that is."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.drop = nn.Linear(16, 48), nn.Dropout(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x)[:, None].chunk(3, -1)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.1 if self.training else 0.0)[:, 0]
        return self.drop(F.dropout(y, 0.2, self.training))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(16, 16)
        self.attention = Attention()
        self.norm = nn.BatchNorm1d(5)
        self.rnn = nn.LSTM(16, 16, 2, dropout=0.25)
        self.heads = nn.MultiheadAttention(16, 2, dropout=0.15)
        self.own = tt.Dropout2d(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.rnn(self.norm(self.attention(self.embed(x))))
        return self.own(self.heads(y, y, y)[0][None])[0]


@observes
def test_a_summary_finds_what_is_no_module() -> None:
    model, x = Model(), torch.randn(4, 5, 16)
    model.own.eval()
    state = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    before = torch.get_rng_state()
    found = tt.summary(model, x)
    rows = {(row.module, row.variant): row for row in found.rows}
    assert {key: (round(row.p, 3), row.ours) for key, row in rows.items()} == {
        ("attention", "F.scaled_dot_product_attention"): (0.1, False),
        ("attention", "F.dropout"): (0.2, False),
        ("attention.drop", "torch's Dropout"): (0.3, False),
        ("rnn", "lstm"): (0.25, False),
        ("heads", "F.multi_head_attention_forward"): (0.15, False),
        ("own", "Dropout2d"): (0.5, True),
    }
    assert rows["attention", "F.scaled_dot_product_attention"].mask_bytes == 4 * 5 * 5 * 4
    assert rows["attention", "F.dropout"].mask_bytes == 4 * 5 * 16 * 4
    assert rows["own", "Dropout2d"].mask_bytes == 4 * 4
    assert found.saved == 4 * 4
    assert found.notes == ("thinnet.torch.replace(model) replaces the other modules and calls by thinnet's.",)
    # nothing has changed
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    tt.replace(model)
    again = tt.summary(model, x)
    assert {row.module for row in again.rows} == {"attention", "attention.drop", "rnn", "heads", "own"}
    assert all(row.ours for row in again.rows)
    assert "attention.drop  Dropout" in str(again)


@observes
def test_a_summary_finds_what_is_dropped_by_hand() -> None:
    class ByHand(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.empty(len(x), 1).bernoulli_(0.75) * (torch.rand(len(x), 1) > 0.5)

    found = tt.summary(nn.Sequential(nn.ReLU(), ByHand()), torch.ones(4, 3))
    assert [(row.module, row.variant, row.p, row.mask_bytes) for row in found.rows] == [
        ("1", "Tensor.bernoulli_", 0.25, 16),
        ("1", "rand", None, 16),
    ]
    assert found.notes[0] == (
        "Tensor.bernoulli_, rand: drawn by hand, which thinnet.torch.replace leaves as it is."
    )


@observes
def test_a_summary_knows_our_functions() -> None:
    class Called(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = tt.functional.dropout(x, 0.25, self.training)[None, None]
            return tt.functional.scaled_dot_product_attention(y, y, y, dropout_p=0.1 * self.training)

    found = tt.summary(nn.Sequential(Called()), torch.ones(4, 8))
    assert [(row.variant, row.p, row.ours, row.mask_bytes) for row in found.rows] == [
        ("Dropout", 0.25, True, 4 * 4 * 8),
        ("AttentionDropout", 0.1, True, 4 * 4 * 4),
    ]
    assert found.notes == ()


@observes
def test_a_summary_knows_what_needs_more_than_a_rate() -> None:
    class Called(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return tt.functional.drop("Dropout", tt.functional.drop_head(x, 0.5), torch.tensor(0.25))

    found = tt.summary(nn.Sequential(Called(), tt.ConcreteDropout(0.5)), torch.ones(2, 4, 3, 5))
    assert [(row.variant, row.p, row.ours, row.mask_bytes) for row in found.rows] == [
        ("DropHead", None, True, 4 * 2 * 4),
        ("Dropout", 0.25, True, 4 * 2 * 4 * 3 * 5),
        ("ConcreteDropout", 0.5, True, 4 * 2 * 4 * 3 * 5),
    ]


@observes
def test_a_summary_knows_patterns_and_variants_of_your_own() -> None:
    own = dataclasses.replace(find("Dropout"), name="Mine", pattern="1 f")
    model = nn.Sequential(tt.Drop("Dropout", 0.5, pattern="n 1"), tt.Drop(own, 0.5))
    rows = tt.summary(model, torch.ones(2, 8)).rows
    assert [(row.variant, row.mask_bytes) for row in rows] == [("Dropout", 4 * 2), ("Mine", 4 * 8)]


def test_a_summary_without_inputs() -> None:
    found = tt.summary(Model())
    assert [(row.module, row.mask_bytes) for row in found.rows] == [("attention.drop", None), ("own", None)]
    assert "listed with inputs only" in str(found)


@observes
@pytest.mark.filterwarnings("ignore:.*is deprecated")
def test_a_summary_leaves_streams_alone() -> None:
    model = nn.Sequential(tt.Dropout(0.5), tt.ConcreteDropout())
    tt.seed(model, 0)
    x = torch.ones(3, 4)
    expected = model(x)
    tt.seed(model, 0)
    tt.summary(model, x)
    assert torch.equal(model(x), expected)
    tt.summary(torch.compile(model), x)


@observes
def test_a_summary_reports_slower_devices() -> None:
    model = nn.Sequential(tt.Dropout(0.5), nn.ReLU())
    assert tt.summary(model.to("meta"), torch.ones(3, 4, device="meta")).notes == ()
    with FakeTensorMode(allow_non_fake_inputs=True):  # tensors of a device that need not be there
        found = tt.summary(model, torch.ones(3, 4, device="cuda"))
    assert found.notes == (
        "On cuda:0 torch's own operations draw the masks: slower than on the CPU, with the same bits.",
    )


@pytest.mark.skipif(not FORCED, reason="here PyTorch can observe operators")
def test_a_summary_with_inputs_is_refused_by_the_fallback(refusal: Callable[..., str]) -> None:
    model = nn.Sequential(tt.Dropout(0.5))
    assert "without inputs" in refusal(MissingPackage, tt.summary, model, torch.ones(3))
    assert len(tt.summary(model).rows) == 1


# Rates that change


def test_one_schedule_for_all() -> None:
    model = nn.Sequential(tt.Dropout(0.1), nn.Linear(2, 2), tt.DropPath(0.1), nn.Dropout(0.7))
    ramp = tt.schedule(model, Linear(0.0, 0.4, steps=4))
    assert (model[0].p, model[2].p, model[3].p) == (0.0, 0.0, 0.7)
    ramp.step()
    assert ramp.rates == {"0": 0.1, "2": 0.1}
    other = tt.schedule(copy.deepcopy(model), Linear(0.0, 0.4, steps=4))
    other.load_state_dict(ramp.state_dict())
    assert other.rates == ramp.rates


def test_a_schedule_for_each_and_by_the_optimizer() -> None:
    model = nn.Sequential(nn.Linear(2, 2), tt.Dropout(0.1), tt.Dropout(0.1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    rates = tt.schedule(model, {"2": Early(0.5, steps=2)}, optimizer=optimizer)
    assert (model[1].p, model[2].p) == (0.1, 0.5)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert (rates.t, model[2].p) == (1, 0.25)


def test_a_schedule_follows_the_streams() -> None:
    model = nn.Sequential(tt.Dropout(0.1))
    tt.seed(model, 0)
    tt.schedule(model, Linear(0.0, 0.5, steps=10))
    with tt.step(model, 5):
        assert model[0].p == 0.25
        other = copy.deepcopy(model)
        with tt.step(other, 10):
            assert (model[0].p, other[0].p) == (0.25, 0.5)
    assert model[0].p == 0.0


@pytest.mark.filterwarnings("ignore")
def test_another_rate_compiles_nothing_again() -> None:
    torch.compiler.reset()
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    model = nn.Sequential(tt.Dropout(0.1), tt.DropPath(0.1), tt.StochasticDepth(0.1))
    ramp = tt.schedule(model, Linear(0.0, 1.0, steps=12))
    keys = tt.seed(model, 0)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    x = torch.ones(20, 30)
    for t in range(12):
        assert torch.equal(compiled(x) == 0, plain_mask(x, t / 12, keys, t))
        ramp.step()
    assert len(graphs) == 1
    assert bool((compiled(x) == 0).all())


def plain_mask(x: torch.Tensor, p: float, keys: Any, call: int) -> torch.Tensor:
    y = tt.functional.dropout(x, p, key=keys["0"].fold(call))
    y = tt.functional.drop("DropPath", y, p, key=keys["1"].fold(call))
    return tt.functional.drop("DropPath", y[None], p, key=keys["2"].fold(call))[0] == 0


def test_a_tensor_of_a_rate_has_gradients_of_the_same_mask() -> None:
    x = torch.ones(50, requires_grad=True)
    rate = torch.tensor(0.5, dtype=torch.float64)
    key = torch.tensor([3])
    y = tt.functional.dropout(x, rate, key=key)
    y.sum().backward()
    assert torch.equal(x.grad, y)
    assert torch.equal(y, tt.functional.dropout(x, 0.5, key=key))


def test_what_is_refused(refusal: Callable[..., str]) -> None:
    model = nn.Sequential(tt.Dropout(0.5))
    assert refusal(InputError, tt.schedule, nn.Linear(2, 2), Linear(0, 1, 2)).startswith(
        "schedule: the model holds no"
    )
    ramp = Linear(0, 1, 2)
    complaint = refusal(InputError, tt.schedule, model, {"1": ramp})
    assert complaint == "schedule: no module of thinnet is named '1'; there are ['0']."
    assert refusal(InputError, tt.schedule, model, lambda t: 2.0).startswith(
        "schedule, 0, step 0: p must be in [0, 1]"
    )
    assert model[0].p == 0.5
    assert refusal(InputError, tt.schedule, model, 0.25) == (
        "schedule: p must be a function of the step, got 0.25; use thinnet.schedules.Constant(0.25)."
    )
    assert refusal(InputError, tt.summary, 3) == "summary: model must be a torch.nn.Module, got int."


@observes
def test_a_summary_leaves_modes_as_they_were_where_training_is_refused() -> None:
    class Frozen(nn.Sequential):
        def train(self, mode: bool = True) -> Frozen:
            super().train(mode)
            if mode:
                raise RuntimeError("frozen")
            return self

    model = Frozen(tt.Dropout()).eval()
    with pytest.raises(RuntimeError, match="frozen"):
        tt.summary(model, torch.ones(3))
    assert not any(module.training for module in model.modules())


def test_a_schedule_that_was_there_before_the_seed_follows_it() -> None:
    model = nn.Sequential(tt.Dropout(0.1))
    ramp = tt.schedule(model, Linear(0.0, 0.5, steps=10))
    tt.seed(model, 0)
    with tt.step(model, 5):
        assert (model[0].p, ramp.t) == (0.25, 5)
    tt.seed(model, 1)
    with tt.step(model, 10):
        assert model[0].p == 0.5


def test_only_an_optimizer_counts_steps(refusal: Callable[..., str]) -> None:
    model = nn.Sequential(tt.Dropout(0.1))
    tt.seed(model, 0)
    ramp = Linear(0.0, 0.5, steps=10)
    line = refusal(InputError, tt.schedule, model, ramp, optimizer=3)
    assert line == "schedule: optimizer must be a torch.optim.Optimizer, got int."
    assert refusal(InputError, tt.seed, model, 0, optimizer=3).startswith("seed: optimizer must be ")
