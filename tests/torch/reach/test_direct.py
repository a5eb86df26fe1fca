"""Forwards that name their calls themselves run with thinnet's functions under torch's names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch import nn
from torch.nn.functional import dropout

import thinnet.torch as tt
from thinnet.torch._internals import function_mode
from thinnet.torch._reach.wrapper import wrapper_of

factor = 1.0
seen: list[Any] = []


class Watching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen.append(function_mode())
        return x


class Named(nn.Module):
    """Drops by each name that a global may give a function."""

    def __init__(self) -> None:
        super().__init__()
        self.watching = Watching()

    def forward(self, x: torch.Tensor, *, p: float = 0.25) -> torch.Tensor:
        x = self.watching(functional.relu(x))
        x = functional.dropout(x, p)
        x = dropout(x, p=p, training=self.training)
        x = nn.functional.dropout(x, p)
        x = torch.nn.functional.dropout(x, p)
        (x,) = [torch.dropout(each, p, True) for each in (x,)]
        return x * factor


class Writing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        global factor  # noqa: PLW0603 - the case that is tested
        factor = 2.0
        return functional.dropout(x, 0.5)


class Shadowed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        functional = nn.functional
        return functional.dropout(x, 0.5)


def _is_direct(module: nn.Module) -> bool:
    wrapper = wrapper_of(tt.replace(module))
    assert wrapper is not None
    return wrapper.direct


def test_every_name_is_redirected() -> None:
    model, x = Named(), torch.ones(30)
    assert _is_direct(model)
    key = tt.seed(model, 0)[""].fold("Dropout")
    seen.clear()
    y = model(x, p=0.2)
    expected = x
    for call in range(5):
        expected = tt.functional.dropout(expected, 0.2, key=key.fold(call).at(0))
    assert torch.equal(y, expected)
    assert seen == [None]  # children run outside any mode


def test_compiled_code_draws_the_same() -> None:
    model, x = tt.replace(Named()), torch.ones(30)
    model.watching = nn.Identity()
    tt.seed(model, 0)
    y = model(x)
    with tt.step(model, 0):
        assert torch.equal(torch.compile(model, fullgraph=True, backend="eager")(x), y)


def test_globals_stay_those_of_the_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = tt.replace(Named()), torch.ones(30)
    torch.manual_seed(0)
    y = model(x)
    monkeypatch.setitem(globals(), "factor", 3.0)
    torch.manual_seed(0)
    assert torch.equal(model(x), 3 * y)


@pytest.mark.parametrize("kind", [Writing, Shadowed])
def test_other_forwards_run_in_the_mode(kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "factor", 1.0)
    model, x = kind(), torch.ones(30)
    assert not _is_direct(model)
    key = tt.seed(model, 0)[""].fold("Dropout").fold(0).at(0)
    assert torch.equal(model(x), tt.functional.dropout(x, 0.5, key=key))
    assert factor == (2.0 if kind is Writing else 1.0)
