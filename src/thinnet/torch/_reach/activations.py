"""The dropout functions of torch, drawn by thinnet: each has the arguments of torch's function.

The first two arguments of a handler are the calls of the module and torch's function, which runs where
nothing is dropped, and for tensors that thinnet does not take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import torch

from thinnet.torch._ops import keys
from thinnet.torch._ops.draw import TYPES
from thinnet.torch.functional import drop

__all__ = ["HANDLERS", "KINDS", "Calls", "Handler", "rate_of", "suits"]

Tensor: TypeAlias = torch.Tensor
Handler: TypeAlias = Callable[..., Any]

KINDS = (
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "AlphaDropout",
    "FeatureAlphaDropout",
    "AttentionDropout",
)
"""The variants that functional calls draw; each has its own count of calls in a module."""


class Calls(Protocol):
    """The functional calls of one module."""

    def key(self, kind: str) -> keys.AnyKey | None:
        """Return the key of the next call of a kind; None for a fresh key from torch's generator."""
        ...


def suits(x: Any) -> bool:
    """Return whether thinnet takes a tensor: dense, of floating point, neither nested nor quantised."""
    return isinstance(x, torch.Tensor) and x.dtype in TYPES and x.layout is torch.strided and not x.is_nested


def rate_of(p: Any) -> Any:
    """Return a rate as a float; compiled code keeps a tensor, for which it is not compiled again."""
    return float(p) if isinstance(p, torch.Tensor) and not torch.compiler.is_compiling() else p


def _function(kind: str, least: int = 0, most: int = 99, training: bool = True) -> Handler:
    """Return the handler of a function of torch.nn.functional; it takes `least` to `most` axes.

    `training` is the default of torch's function.
    """
    default = training

    def handle(
        calls: Calls, func: Any, input: Any, p: Any = 0.5, training: bool = default, inplace: bool = False
    ) -> Any:
        if not training or not suits(input) or not least <= input.dim() <= most:
            return func(input, p, training, inplace)
        if not isinstance(rate := rate_of(p), torch.Tensor) and rate == 0:
            return func(input, p, training, inplace)
        return _draw(calls, kind, input, rate, inplace)

    return handle


def _native(kind: str, least: int = 0, inplace: bool = False) -> Handler:
    """Return the handler of `torch.dropout(input, p, train)` and the like, which write to input or do not."""

    def handle(calls: Calls, func: Any, input: Any, p: Any, train: bool) -> Any:
        if not train or not suits(input) or input.dim() < least:
            return func(input, p, train)
        if not isinstance(rate := rate_of(p), torch.Tensor) and rate == 0:
            return func(input, p, train)
        return _draw(calls, kind or _ROWS.get(input.dim(), "Dropout1d"), input, rate, inplace)

    return handle


_AXES = {"Dropout1d": 3, "Dropout2d": 4, "Dropout3d": 5}
_ROWS = {2: "Dropout", 3: "Dropout1d", 4: "Dropout2d", 5: "Dropout3d"}  # of torch.feature_dropout


def _draw(calls: Calls, kind: str, x: Tensor, p: Any, inplace: bool) -> Tensor:
    """Draw a sample of a variant; where channels are dropped, x may lack the axis of the batch."""
    key, axes = calls.key(kind), _AXES.get(kind, x.dim())
    if kind == "FeatureAlphaDropout" and x.dim() == 2:  # one entry is a channel
        y = drop("AlphaDropout", x, p, key=key)
    elif x.dim() == axes:
        y = drop(kind, x, p, key=key)
    elif kind == "Dropout2d":  # torch takes three axes for (n, c, length)
        y = drop("Dropout1d", x, p, key=key)
    elif x.dim() < axes:
        y = drop(kind, x.unsqueeze(0), p, key=key).squeeze(0)
    else:
        y = drop(kind, x.flatten(axes - 1), p, key=key).view(x.shape)
    return x.copy_(y) if inplace else y


_F: Any = torch.nn.functional
_torch: Any = torch

HANDLERS: dict[Any, Handler] = {
    _F.dropout: _function("Dropout"),
    _F.alpha_dropout: _function("AlphaDropout", training=False),
    _F.feature_alpha_dropout: _function("FeatureAlphaDropout", 2, training=False),
    _F.dropout1d: _function("Dropout1d", 2, 3),
    _F.dropout2d: _function("Dropout2d", 3, 4),
    _F.dropout3d: _function("Dropout3d", 4, 5),
}
"""Each function of torch that drops activations, and its handler."""
for _name, _kind, _least in (
    ("dropout", "Dropout", 0),
    ("alpha_dropout", "AlphaDropout", 0),
    ("feature_dropout", "", 2),
    ("feature_alpha_dropout", "FeatureAlphaDropout", 2),
):
    HANDLERS[getattr(_torch, _name)] = _native(_kind, _least)
    HANDLERS[getattr(_torch, f"{_name}_")] = _native(_kind, _least, inplace=True)
