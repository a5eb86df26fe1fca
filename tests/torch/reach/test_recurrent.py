"""Recurrent layers: torch's values without dropout, thinnet's masks between layers with it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

import thinnet.torch as tt

TINY = 1e-9  # rounds to a rate of 0, and takes the path of dropout
pytestmark = pytest.mark.filterwarnings("ignore:.*rate 1e-09 is rounded to 0")
KINDS: dict[str, Any] = {
    "lstm": (nn.LSTM, {}),
    "projected": (nn.LSTM, {"proj_size": 3}),
    "gru": (nn.GRU, {}),
    "tanh": (nn.RNN, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
}


def _tensors(outcome: Any) -> list[torch.Tensor]:
    if isinstance(outcome, torch.Tensor):
        return [outcome]
    return [] if outcome is None else [tensor for part in outcome for tensor in _tensors(part)]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_torchs_where_nothing_is_dropped(kind: str) -> None:
    made, options = KINDS[kind]
    for packed, both, first, bias in itertools.product((False, True), repeat=4):
        torch.manual_seed(0)
        module = made(4, 5, 3, bidirectional=both, batch_first=first, bias=bias, **options)
        x: Any = torch.randn((2, 6, 4) if first else (6, 2, 4))
        if packed:
            x = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([6, 4]), batch_first=first)
        expected = _tensors(module(x))
        module.dropout = TINY
        found = _tensors(tt.replace(module)(x))
        assert len(found) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("first", [False, True])
def test_dropout_between_layers_has_the_key_of_the_module(first: bool) -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(4, 5, 2, dropout=0.5, batch_first=first)
    x = torch.randn((2, 6, 4) if first else (6, 2, 4))
    parts = [nn.LSTM(4, 5, batch_first=first), nn.LSTM(5, 5, batch_first=first)]
    for i, part in enumerate(parts):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(part, f"{name}_l0", getattr(lstm, f"{name}_l{i}"))
    key = tt.seed(tt.replace(lstm), 3)[""].fold("Dropout").fold(0).at(0)
    y, _ = lstm(x)
    hidden, _ = parts[0](x)
    across = hidden if first else hidden.transpose(0, 1)
    dropped = tt.functional.dropout(across, 0.5, key=key)
    expected, _ = parts[1](dropped if first else dropped.transpose(0, 1))
    assert torch.equal(y, expected)
    y.sum().backward()
    assert all(p.grad is not None for p in lstm.parameters())
    torch.manual_seed(1)
    assert torch.equal(lstm.eval()(x)[0], lstm(x)[0])


def test_one_layer_is_left_alone() -> None:
    model = nn.Sequential(nn.GRU(3, 4), nn.Dropout(0.5))
    tt.replace(model)
    assert "forward" not in vars(model[0])


def test_compiled_code_runs_it_in_eager_mode() -> None:
    model = tt.replace(nn.Sequential(nn.LSTM(4, 5, 2, dropout=0.5)))
    x = torch.randn(6, 2, 4)
    tt.seed(model, 0)
    expected, _ = model(x)
    with tt.step(model, 0):
        y, _ = torch.compile(model, backend="aot_eager")(x)
    assert torch.equal(y, expected)
    y.sum().backward()
