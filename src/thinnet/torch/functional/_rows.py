"""Rows of the catalogue on tensors, with the bits of `thinnet.drop`."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import fx

from thinnet._core.random import Key, Window
from thinnet.errors import InputError
from thinnet.torch._ops import drop as op
from thinnet.torch._ops import keys
from thinnet.torch._streams import shards
from thinnet.variants import find

__all__ = ["drop", "dropout"]

Tensor: TypeAlias = torch.Tensor


def drop(
    name: str,
    x: Tensor,
    rate: float | Tensor,
    *,
    key: Key | Tensor | None = None,
    other: Tensor | None = None,
    training: bool = True,
    block: int | tuple[int, ...] | None = None,
    window: Window | None = None,
) -> Tensor:
    """Apply a variant of the catalogue to a tensor; the bits of `thinnet.drop` at the same key.

    Parameters
    ----------
    name : str
        A row of `thinnet.CATALOGUE`.
    x : Tensor of float16, bfloat16, float32 or float64
        What is dropped; its axes have to fit the variant's pattern.
    rate : float, or Tensor of float64 of shape ()
        Chance that an entry is dropped, in [0, 1]; a compiled function may be handed a tensor anew at every
        call.
    key : Key, or Tensor of int64 of shape (1,) or (2,), optional
        The address of the randomness; a fresh one from torch's generator if not given, none at all in
        evaluation.
    other : Tensor, optional
        What stands in, of the shape and dtype of x, for variants that ask for it.
    training : bool
        Draw, or apply what the mean network applies.
    block : int or tuple of int, optional
        How long blocks are along each axis that has them.
    window : Window, optional
        Which part of which global array x is; if not given a DTensor knows, `thinnet.torch.shard` says, or x
        is all of it.

    Raises
    ------
    InputError
        An unknown name, a rate outside [0, 1], a tensor that does not fit.

    Examples
    --------
    >>> import thinnet
    >>> drop("Dropout2d", torch.ones(1, 4, 1, 1), 0.5, key=thinnet.Key(0)).flatten()
    tensor([2., 0., 2., 2.])
    """
    if isinstance(x, fx.Proxy):
        more = {} if window is None else {"window": window}
        return _called(x, name, rate, key=key, other=other, training=training, block=block, **more)
    if type(rate) is not float:
        rate = _rate(name, rate)
    if other is not None and not isinstance(other, torch.Tensor | fx.Proxy):
        raise InputError(f"{name}: other must be a tensor, got {type(other).__name__}.")
    sizes = () if block is None else _sizes(name, block)
    if training:
        address = keys.checked(name, key)
        rate, at = (0.0, rate) if isinstance(rate, torch.Tensor) else (rate, None)
        if window is not None:
            return op.drop(x, other, address, name, rate, sizes, _part(name, x, window), at=at)
        if shards.is_distributed(x):
            part, where, back = shards.local(name, x)
            return back(op.drop(part, _part_of(other), address, name, rate, sizes, where, at=at))
        where = shards.window(name, x, address) if shards.active() and _by_rows(name) else ()
        return op.drop(x, other, address, name, rate, sizes, where, at=at)
    if not torch.compiler.is_compiling():
        op.check(x, other, name, float(rate), sizes)
    gain, shift = _mean_of(name, float(rate))
    y = x if gain == 1 else _nothing_of(x) if gain == 0 else x * gain
    return y if shift == 0 or other is None else y + shift * other


def _called(x: Any, name: str, rate: float | Tensor, *, key: Any, **more: Any) -> Any:
    # Tracing would take a fresh key for a constant.
    key = key if key is None or isinstance(key, fx.Proxy) else keys.checked(name, key)
    return x.tracer.create_proxy("call_function", drop, (name, x, rate), {"key": key, **more})


def _nothing_of(x: Tensor) -> Tensor:
    # Zero times infinity is no zero; zeros_like has no gradient, where one of zeros is meant.
    return torch.where(torch.ones((), dtype=torch.bool, device=x.device), 0, x)


def _rate(name: str, rate: Any) -> Any:
    if isinstance(rate, torch.Tensor):
        if rate.dim() or not rate.is_floating_point():
            raise InputError(f"{name}: p must be one number, got {rate.dtype} of shape {tuple(rate.shape)}.")
        return rate
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number):
        raise InputError(f"{name}: p must be in [0, 1], got {rate!r}.")
    return float(rate)


# Plain numbers of plain numbers: a compiler need not look inside.
_constant: Any = cast("Any", torch.compiler).assume_constant_result


@_constant
def _mean_of(name: str, rate: float) -> tuple[float, float]:
    return find(name).mean_of(rate)


@_constant
def _by_rows(name: str) -> bool:
    row = find(name)
    return row.site != "weight" and row.pattern[0] in "n.1"


@_constant
def _sizes(name: str, block: int | tuple[int, ...]) -> tuple[int, ...]:
    return find(name).sized(block).block


def dropout(
    x: Tensor,
    rate: float | Tensor = 0.5,
    *,
    key: Key | Tensor | None = None,
    training: bool = True,
    window: Window | None = None,
) -> Tensor:
    """Zero each entry with chance `rate` and divide the others by keep.

    Examples
    --------
    >>> import thinnet
    >>> dropout(torch.ones(8), 0.5, key=thinnet.Key(0))
    tensor([2., 0., 2., 2., 2., 2., 2., 2.])

    Differs from `torch.nn.functional.dropout`: what is dropped is +0 even where x is infinite or NaN.

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014, sections 4 and 10.
    """
    return drop("Dropout", x, rate, key=key, training=training, window=window)


def _part(name: str, x: Tensor, window: Window) -> list[int]:
    if window.size != tuple(x.shape):
        raise InputError(f"{name}: the window has size {window.size}, but x has shape {tuple(x.shape)}.")
    return [*window.start, *window.shape]


def _part_of(other: Any) -> Any:
    return other.to_local() if shards.is_distributed(other) else other
