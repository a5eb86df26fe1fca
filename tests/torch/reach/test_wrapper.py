"""The wrapper of a forward: in every way of running and copying a model, and gone after restore."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import threading
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.utils.checkpoint import checkpoint

import thinnet as tn
import thinnet.torch as tt
from thinnet.torch._reach.wrapper import wrapper_of


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)
        self.drop = nn.Dropout(0.25)

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """Drop twice."""
        return self.drop(F.dropout(self.linear(x), 0.5, self.training)) * scale


class Outer(nn.Module):
    def __init__(self, checkpointed: bool | None = None) -> None:
        super().__init__()
        self.first, self.second = Inner(), Inner()
        self.checkpointed = checkpointed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.dropout(self.first(x), 0.1, self.training)
        if self.checkpointed is None:
            return self.second(x).tanh()
        return checkpoint(self.second, x, use_reentrant=self.checkpointed).tanh()


def _model(**options: Any) -> Outer:
    torch.manual_seed(0)
    return tt.replace(Outer(**options))


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(4, 16, generator=torch.Generator().manual_seed(1))


def _run(model: Any, x: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(7)
    x = x.clone().requires_grad_()
    y = model(x)
    y.square().sum().backward()
    assert x.grad is not None
    return [y.detach(), x.grad]


def _same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.allclose(a, b, atol=1e-6) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_draw_the_masks_again(x: torch.Tensor, seeded: bool, reentrant: bool) -> None:
    outcomes: list[list[torch.Tensor]] = []
    for checkpointed in (None, reentrant):
        model = _model(checkpointed=checkpointed)
        if seeded:
            tt.seed(model, 0)
        outcomes.append(_run(model, x))
    assert _same(*outcomes)


@pytest.mark.parametrize("seeded", [False, True])
def test_compiled_code_draws_the_same_in_one_graph(x: torch.Tensor, seeded: bool) -> None:
    model = _model()
    if seeded:
        tt.seed(model, 0)
    expected = [_run(model, x) for _ in range(2)]
    if seeded:
        tt.seed(model, 0)
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    found = [_run(compiled, x) for _ in range(2)]
    assert all(_same(a, b) for a, b in zip(found, expected, strict=True))
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]


def test_streams_have_the_names_of_modules(x: torch.Tensor) -> None:
    model = _model()
    keys = tt.seed(model, 9)
    assert set(keys) == {"", "first", "first.drop", "second", "second.drop"}
    with tt.step(model, 4):
        y = model.first(x)
    key = tn.Key(9).fold("first")
    assert keys["first"] == key
    hidden = tt.functional.dropout(model.first.linear(x), 0.5, key=key.fold("Dropout").fold(0).at(4))
    assert torch.equal(y, tt.functional.dropout(hidden, 0.25, key=keys["first.drop"].fold(0).at(4)))


def test_copies_have_wrappers_of_their_own(x: torch.Tensor) -> None:
    model = _model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tt.seed(model, 0)
    stored = io.BytesIO()
    torch.save(model, stored)
    stored.seek(0)
    copies = (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(stored, weights_only=False),
    )
    expected = _run(model, x)
    for each in copies:
        wrapper = wrapper_of(each.first)
        assert wrapper is not None
        assert wrapper.module is each.first
        assert _same(_run(each, x), expected)
        with torch.no_grad():
            each.first.linear.weight.zero_()
        assert each.state_dict().keys() == before.keys() == Outer().state_dict().keys()
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_the_signature_and_the_class_remain() -> None:
    model = _model()
    assert inspect.signature(model.first.forward) == inspect.signature(Inner().forward)
    assert type(model.first) is Inner


def test_restore_removes_everything(x: torch.Tensor) -> None:
    model = _model()
    for _ in range(2):
        tt.replace(model)
    wrapper = wrapper_of(model)
    assert wrapper is not None
    assert wrapper.replaced is None
    tt.restore(model)
    assert not any("forward" in vars(module) for module in model.modules())
    plain = Outer()
    plain.load_state_dict(model.state_dict())
    assert _same(_run(model, x), _run(plain, x))


def test_a_forward_of_an_instance_is_kept(x: torch.Tensor) -> None:
    model = Inner()
    own = lambda x: F.dropout(x, 0.5)  # noqa: E731 - as libraries of hooks set it
    model.forward = own
    key = tt.seed(tt.replace(model), 0)[""].fold("Dropout").fold(0).at(0)
    assert torch.equal(model(x), tt.functional.dropout(x, 0.5, key=key))
    assert tt.restore(model).forward is own


def test_a_hook_around_the_forward_is_kept(x: torch.Tensor) -> None:
    model = Functional()
    inner = model.forward
    model.forward = lambda *inputs: inner(*inputs) + 1  # as accelerate sets its hooks
    key = tt.seed(tt.replace(model), 0)[""].fold("Dropout").fold(0).at(0)
    assert torch.equal(model(x), tt.functional.dropout(x, 0.5, key=key) + 1)


def test_a_module_of_two_models_works_in_both(x: torch.Tensor) -> None:
    shared = Inner()
    one, two = nn.ModuleDict({"a": shared}), nn.ModuleDict({"b": shared})
    tt.replace(one)
    tt.replace(two)
    tt.seed(one, 0)
    expected = shared(x)
    with tt.step(two, 0):
        assert torch.equal(shared(x), expected)
    tt.restore(two)
    assert "forward" not in vars(shared)


def test_other_models_and_threads_stay_torchs(x: torch.Tensor) -> None:
    model, other = _model(), Outer()
    other.load_state_dict(model.state_dict())
    expected = _run(other, x)
    _run(model, x)
    assert _same(_run(other, x), expected)
    seen: list[torch.Tensor] = []
    wrapper = wrapper_of(model)
    assert wrapper is not None
    with wrapper.calls, torch.random.fork_rng():
        torch.manual_seed(7)
        thread = threading.Thread(target=lambda: seen.append(F.dropout(x)))
        thread.start()
        thread.join()
    torch.manual_seed(7)
    assert torch.equal(seen[0], F.dropout(x))


def test_a_mode_ends_where_a_forward_raises(x: torch.Tensor) -> None:
    model = _model()
    with pytest.raises(RuntimeError):
        model(x[:, :3])
    torch.manual_seed(7)
    expected = F.dropout(x)
    torch.manual_seed(7)
    assert torch.equal(F.dropout(x), expected)
    assert torch.overrides._get_current_function_mode() is None


class Functional(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, 0.5)


deprecated = pytest.mark.filterwarnings("ignore:.*torch.jit")


@deprecated
@pytest.mark.parametrize("way", ["script", "trace"])
def test_models_of_torch_jit_are_refused_in_one_line(way: str, x: torch.Tensor) -> None:
    with torch.random.fork_rng():
        made = (
            _scripted(Functional())
            if way == "script"
            else torch.jit.trace(Functional(), x, check_trace=False)
        )
    with pytest.raises(
        tn.errors.InputError, match=r"^replace: inner was compiled by torch.jit; call replace"
    ):
        tt.replace(nn.ModuleDict({"inner": made}))


def _scripted(module: nn.Module) -> Any:
    return torch.jit.script(module)


@deprecated
def test_a_replaced_model_is_not_scripted() -> None:
    with pytest.raises(tn.errors.InputError, match=r"Functional: torch\.jit\.script does not take"):
        _scripted(tt.replace(Functional()))
