"""Recurrent cells and layers that drop their inputs and states."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import nn

from thinnet.errors import InputError
from thinnet.torch._modules.base import Keyed, Tensor, drop_by, traceable
from thinnet.torch._streams import shards
from thinnet.torch.functional import drop
from thinnet.torch.functional._entry import check_p

__all__ = ["VariationalLSTM", "ZoneoutGRUCell", "ZoneoutLSTMCell"]


class ZoneoutLSTMCell(Keyed, nn.LSTMCell):
    """`torch.nn.LSTMCell` that keeps entries of the previous states; evaluation mixes old and new by p.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As torch's.
    p_hidden, p_cell : float
        Chance that an entry of h or c keeps its previous value, in [0, 1].

    Raises
    ------
    InputError
        A rate outside [0, 1].

    Examples
    --------
    >>> cell = ZoneoutLSTMCell(3, 5, p_hidden=1.0, p_cell=1.0)
    >>> h, c = cell(torch.ones(2, 3), (torch.ones(2, 5), torch.ones(2, 5)))
    >>> bool((h == 1).all() and (c == 1).all())
    True

    References
    ----------
    Krueger et al.: Zoneout. ICLR 2017, section 3; the rates are those of section 4.2.
    """

    variant = "Zoneout"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        p_hidden: float = 0.05,
        p_cell: float = 0.5,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.p_hidden = check_p("ZoneoutLSTMCell", p_hidden, "p_hidden")
        self.p_cell = check_p("ZoneoutLSTMCell", p_cell, "p_cell")

    @traceable
    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return the next states (h, c); entries keep their previous value while training."""
        if hx is None:
            zeros = input.new_zeros(*input.shape[:-1], self.hidden_size)
            hx = zeros, zeros
        h, c = super().forward(input, hx)
        h = drop_by(self, h, p=self.p_hidden, other=hx[0])
        return h, drop_by(self, c, p=self.p_cell, other=hx[1])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, p_hidden={self.p_hidden}, p_cell={self.p_cell}"


class ZoneoutGRUCell(Keyed, nn.GRUCell):
    """`torch.nn.GRUCell` that keeps entries of the previous state; evaluation mixes old and new by p.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As torch's.
    p : float
        Chance that an entry of h keeps its previous value, in [0, 1].

    Raises
    ------
    InputError
        A rate outside [0, 1].

    References
    ----------
    Krueger et al.: Zoneout. ICLR 2017, section 3.
    """

    variant = "Zoneout"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        p: float = 0.1,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.p = check_p("ZoneoutGRUCell", p)

    @traceable
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the next state; entries keep their previous value while training."""
        hx = input.new_zeros(*input.shape[:-1], self.hidden_size) if hx is None else hx
        return drop_by(self, super().forward(input, hx), other=hx)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, p={self.p}"


class VariationalLSTM(Keyed, nn.LSTM):
    """`torch.nn.LSTM` with one mask for the inputs and one for the states of each layer, at all time steps.

    Parameters, states and shapes are torch's, and so is evaluation. Training loops over the time steps in
    Python.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, bidirectional, device, dtype
        As torch's.
    p_input : float
        Chance that an entry of a layer's inputs is dropped, in [0, 1].
    p_hidden : float
        Chance that an entry of its state is dropped where it enters the gates, in [0, 1].

    Raises
    ------
    InputError
        A rate outside [0, 1], torch's `dropout` or `proj_size`, or a packed sequence in training.

    Examples
    --------
    >>> lstm = VariationalLSTM(3, 5, num_layers=2, p_input=0.2, p_hidden=0.2)
    >>> y, (h, c) = lstm(torch.ones(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 2, 5]))

    References
    ----------
    Gal, Ghahramani: A theoretically grounded application of dropout in recurrent networks. NeurIPS 2016,
    section 4.1.
    """

    variant = "VariationalRNN"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        *,
        p_input: float = 0.25,
        p_hidden: float = 0.25,
        **more: Any,
    ) -> None:
        if more.get("dropout") or more.get("proj_size"):
            raise InputError(
                "VariationalLSTM: takes p_input and p_hidden in place of dropout, and no proj_size."
            )
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, **more)
        self.p_input = check_p("VariationalLSTM", p_input, "p_input")
        self.p_hidden = check_p("VariationalLSTM", p_hidden, "p_hidden")

    @traceable
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - torch's has overloads
        self, input: Any, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return what `torch.nn.LSTM` returns, with one mask for all steps of a sequence while training."""
        if not self.training:
            return super().forward(input, hx)
        if not isinstance(input, torch.Tensor):
            raise InputError(
                "VariationalLSTM: input must be a tensor in training, got a packed sequence; use "
                "torch.nn.utils.rnn.pad_packed_sequence."
            )
        single = input.dim() == 2
        x: Tensor = input.unsqueeze(1) if single else input.transpose(0, 1) if self.batch_first else input
        sides = 2 if self.bidirectional else 1
        if hx is None:
            h = c = x.new_zeros(self.num_layers * sides, x.shape[1], self.hidden_size)
        else:
            h, c = (state.unsqueeze(1) if single else state for state in hx)
        ends: list[tuple[Tensor, Tensor]] = []
        for layer in range(self.num_layers):
            outputs: list[Tensor] = []
            for side in range(sides):
                i = layer * sides + side
                y, end = self._run(x, h[i], c[i], f"_l{layer}" + ("_reverse" if side else ""))
                outputs.append(y)
                ends.append(end)
            x = torch.cat(outputs, -1) if sides == 2 else outputs[0]
        h, c = (torch.stack(part) for part in zip(*ends, strict=True))
        if single:
            return x.squeeze(1), (h.squeeze(1), c.squeeze(1))
        return x.transpose(0, 1) if self.batch_first else x, (h, c)

    def _run(self, *inputs: Any) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        with shards.batch_on(0) if shards.active() else contextlib.nullcontext():
            return self._run_direction(*inputs)

    def _run_direction(
        self, x: Tensor, h: Tensor, c: Tensor, suffix: str
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run a sequence, (time, n, features), through one layer in one direction."""

        def weight(name: str) -> Any:
            return getattr(self, name + suffix)

        x = drop("LockedDropout", x.transpose(0, 1), self.p_input, key=self.key()).transpose(0, 1)
        key = self.key()
        bias = weight("bias_ih") + weight("bias_hh") if self.bias else None
        inputs = nn.functional.linear(x, weight("weight_ih"), bias)  # (time, n, 4 * hidden)
        if suffix.endswith("reverse"):
            inputs = inputs.flip(0)
        outputs: list[Tensor] = []
        for gates in inputs:
            thinned = drop("VariationalRNN", h, self.p_hidden, key=key)
            i, f, g, o = (gates + thinned @ weight("weight_hh").T).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        y = torch.stack(outputs)
        return y.flip(0) if suffix.endswith("reverse") else y, (h, c)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, p_input={self.p_input}, p_hidden={self.p_hidden}"
