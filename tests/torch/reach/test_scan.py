"""Which modules are wrapped: every one whose code may call a dropout function, and few others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch import nn
from torch.nn.functional import dropout

from thinnet.torch._reach.scan import Scan
from thinnet.torch._reach.wrapper import HANDLERS

TABLE = {"drop": dropout}


def _helper(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.dropout(x)


def _decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*inputs: Any) -> Any:
        return function(*inputs)

    return call


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout()
        self.act = functional.relu
        self.rate = 0.5

    def forward(self, x: Any) -> Any:
        return x


class Attribute(Base):
    def forward(self, x: Any) -> Any:
        return functional.dropout(x)


class Imported(Base):
    def forward(self, x: Any) -> Any:
        return dropout(x)


class InsideImported(Base):
    def forward(self, x: Any) -> Any:
        from torch.nn.functional import dropout as drop

        return drop(x)


class Native(Base):
    def forward(self, x: Any) -> Any:
        return torch.dropout(x, 0.5, True)


class Helped(Base):
    def forward(self, x: Any) -> Any:
        return [_helper(each) for each in x]


class ByMethod(Base):
    def forward(self, x: Any) -> Any:
        return self.mix(x)

    def mix(self, x: Any) -> Any:
        return functional.dropout(x)


class Inherited(ByMethod):
    def forward(self, x: Any) -> Any:
        return super().forward(x)


class ByProperty(Base):
    @property
    def mixed(self) -> Any:
        return functional.dropout(torch.ones(3))

    def forward(self, x: Any) -> Any:
        return self.mixed + x


class Wrapped(Base):
    @_decorated
    def forward(self, x: Any) -> Any:
        return functional.dropout(x)


class Lambda(Base):
    def forward(self, x: Any) -> Any:
        return (lambda y: functional.dropout(y, self.rate))(x)


class Table(Base):
    def forward(self, x: Any) -> Any:
        return TABLE["drop"](x)


class ByName(Base):
    def forward(self, x: Any) -> Any:
        return getattr(functional, "dropout")(x)  # noqa: B009 - the name may be computed


class Stored(Base):
    def __init__(self) -> None:
        super().__init__()
        self.mix = functools.partial(functional.dropout, p=0.1)

    def forward(self, x: Any) -> Any:
        return self.mix(x)


class Built(Base):
    def forward(self, x: Any) -> Any:
        return nn.Dropout(0.5)(x)


class OfAnother(Base):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([ByMethod()])

    def forward(self, x: Any) -> Any:
        for part in self.parts:
            x = part.mix(x)  # pyright: ignore[reportCallIssue]
        return x


class OwnDropout(nn.Dropout):
    def forward(self, input: Any) -> Any:
        return super().forward(input) + 1


class Attention(nn.MultiheadAttention):
    pass


CALLING = [
    Attribute,
    Imported,
    InsideImported,
    Native,
    Helped,
    ByMethod,
    Inherited,
    ByProperty,
    Wrapped,
    Lambda,
    Table,
    ByName,
    Stored,
    Built,
    OfAnother,
    OwnDropout,
    functools.partial(Attention, 4, 1),
    functools.partial(nn.LSTM, 3, 3, 2),
    functools.partial(nn.MultiheadAttention, 4, 1),
]


class ModuleAttribute(Base):
    def forward(self, x: Any) -> Any:
        return self.act(self.dropout(x)) * self.rate


class Checks(Base):
    def forward(self, x: Any) -> Any:
        return x if isinstance(self.dropout, nn.Dropout) else functional.relu(x)


PLAIN = [
    Base,
    ModuleAttribute,
    Checks,
    functools.partial(nn.Linear, 2, 2),
    functools.partial(nn.Conv2d, 2, 2, 1),
    functools.partial(nn.Embedding, 2, 2),
    functools.partial(nn.LayerNorm, 2),
    functools.partial(nn.BatchNorm2d, 2),
    functools.partial(nn.LSTMCell, 2, 2),
    functools.partial(nn.TransformerDecoderLayer, 4, 1),
    nn.Sequential,
    nn.GELU,
    nn.Softmax,
    nn.CrossEntropyLoss,
]


def _may_call(made: Callable[[], nn.Module]) -> bool:
    module = made()
    return Scan(HANDLERS).may_call(module, {type(each) for each in module.modules()})


@pytest.mark.parametrize("made", CALLING)
def test_calls_are_found(made: Callable[[], nn.Module]) -> None:
    assert _may_call(made)


@pytest.mark.parametrize("made", PLAIN)
def test_modules_without_calls_are_left_alone(made: Callable[[], nn.Module]) -> None:
    assert not _may_call(made)
