"""Recurrent cells and layers: torch's, with states that are held or dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import thinnet as tn
import thinnet.torch as tt
from thinnet.errors import InputError

F = tt.functional


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_zoneout_cells_hold_entries(kind: str) -> None:
    rates: dict[str, Any] = {"p_hidden": 0.4, "p_cell": 0.6} if kind == "LSTM" else {"p": 0.4}
    ours = getattr(tt, f"Zoneout{kind}Cell")(3, 50, **rates)
    theirs = getattr(nn, f"{kind}Cell")(3, 50)
    theirs.load_state_dict(ours.state_dict())
    x, h, c = torch.randn(4, 3), torch.randn(4, 50), torch.randn(4, 50)
    hx = (h, c) if kind == "LSTM" else h
    keys = tt.seed(ours, 0)
    after = ours(x, hx)
    plain = theirs(x, hx)
    key = keys[""]
    pairs = zip(after, plain, (h, c), (0.4, 0.6), strict=True) if kind == "LSTM" else [(after, plain, h, 0.4)]
    for call, (got, new, old, rate) in enumerate(pairs):
        dropped = tn.mask((4, 50), rate, key=key.fold(call)) == 0
        assert torch.equal(got, torch.where(torch.from_numpy(dropped), old, new))
    still = ours.eval()(x, hx)
    rate = round(0.4 * 65536) / 65536
    got, new = (still[0], plain[0]) if kind == "LSTM" else (still, plain)
    assert torch.allclose(got, rate * h + (1 - rate) * new, atol=1e-6)
    first = ours(x)[0] if kind == "LSTM" else ours(x)
    assert first.shape == (4, 50)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_variational_lstm_without_dropout_is_torchs(
    bidirectional: bool, batch_first: bool, bias: bool
) -> None:
    more = {"bidirectional": bidirectional, "batch_first": batch_first, "bias": bias}
    ours = tt.VariationalLSTM(3, 5, 2, p_input=0.0, p_hidden=0.0, **more).double()
    theirs = nn.LSTM(3, 5, 2, **more).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(7, 4, 3, dtype=torch.float64, requires_grad=True)
    layers = 4 if bidirectional else 2
    n = 7 if batch_first else 4
    for hx in (None, tuple(torch.randn(2, layers, n, 5, dtype=torch.float64))):
        answers = []
        for net in (ours, theirs):
            y, (h, c) = net(x, hx)
            loss = y.square().sum() + h.sum() + c.sum()
            answers.append((y, h, c, *torch.autograd.grad(loss, (x, *net.parameters()))))
        for mine, other in zip(*answers, strict=True):
            assert torch.allclose(mine, other)
    y, (h, _) = ours(x[0])
    expected, (state, _) = theirs(x[0])
    assert torch.allclose(y, expected)
    assert torch.allclose(h, state)
    assert h.shape == state.shape


def test_a_variational_lstm_draws_once_for_all_steps() -> None:
    net = tt.VariationalLSTM(40, 40, p_input=0.5, p_hidden=0.0)
    nn.init.zeros_(net.weight_hh_l0)
    key = tt.seed(net, 0)[""]
    x = torch.randn(1, 3, 40).expand(6, 3, 40)
    net.eval()
    mask = F.drop("LockedDropout", torch.ones(3, 6, 40), 0.5, key=key.fold(0)).transpose(0, 1)
    expected, _ = net(x * mask)
    net.train()
    assert torch.allclose(net(x)[0], expected, atol=1e-6)
    # of states, too: a state that is ones enters the gates under one mask
    net = tt.VariationalLSTM(2, 40, p_input=0.0, p_hidden=0.5)
    key = tt.seed(net, 0)[""]
    h = torch.ones(1, 3, 40)
    y, _ = net(torch.zeros(1, 3, 2), (h, torch.zeros(1, 3, 40)))
    seen = F.drop("VariationalRNN", h[0], 0.5, key=key.fold(1))
    net.eval()
    expected, _ = net(torch.zeros(1, 3, 2), (seen[None], torch.zeros(1, 3, 40)))
    assert torch.allclose(y, expected, atol=1e-6)
    assert torch.equal(net(torch.zeros(1, 3, 2))[0], nn.LSTM.forward(net, torch.zeros(1, 3, 2))[0])


def test_what_is_refused(refusal: Callable[..., str]) -> None:
    assert refusal(InputError, tt.VariationalLSTM, 2, 2, dropout=0.5).endswith(
        "in place of dropout, and no proj_size."
    )
    assert refusal(InputError, tt.VariationalLSTM, 2, 2, p_hidden=2).startswith("VariationalLSTM: p_hidden")
    assert refusal(InputError, tt.ZoneoutLSTMCell, 2, 2, p_cell=-1).startswith("ZoneoutLSTMCell: p_cell must")
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])
    net = tt.VariationalLSTM(2, 2)
    assert refusal(InputError, net, packed).endswith("pad_packed_sequence.")
    assert net.eval()(packed)[0].data.shape == (4, 2)


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_shard_of_a_variational_lstm_knows_its_batch(batch_first: bool) -> None:
    layer, axis = tt.VariationalLSTM(3, 4, 2, batch_first=batch_first), 0 if batch_first else 1
    x = torch.randn((4, 2, 3) if batch_first else (2, 4, 3))
    tt.seed(layer, 0)
    whole = layer(x)[0]
    tt.seed(layer, 0)
    with tt.shard(4, 2, rows=2, axis=axis):
        part = layer(x.narrow(axis, 2, 2))[0]
    torch.testing.assert_close(part, whole.narrow(axis, 2, 2))
