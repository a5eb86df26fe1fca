"""Rows of the catalogue on tensors, with the bits of `thinnet.drop`."""

from __future__ import annotations

import functools
import math
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import fx

from thinnet._core.random import Key, Window
from thinnet.errors import InputError
from thinnet.torch._apply import apply
from thinnet.torch._internals import is_plain_in_eager_mode
from thinnet.torch._ops import drop as op
from thinnet.torch._ops import fused, keys, small
from thinnet.torch._ops.checks import check_tensor
from thinnet.torch._ops.plain import replacement
from thinnet.torch._ops.rows import Named, name_of, variant_of
from thinnet.torch._streams import shards
from thinnet.torch.functional._entry import check_p, flat_window
from thinnet.variants import Variant, find
from thinnet.variants._law import LawOfRate, TwoPoint

__all__ = ["drop", "dropout", "leaves_unchanged"]

Tensor: TypeAlias = torch.Tensor
Block: TypeAlias = int | tuple[int, ...] | None


def drop(
    variant: str | Variant,
    x: Tensor,
    p: float | Tensor,
    *,
    key: Key | Tensor | None = None,
    other: Tensor | None = None,
    training: bool = True,
    block: Block = None,
    pattern: str | None = None,
    window: Window | None = None,
) -> Tensor:
    """Apply a variant of the catalogue to a tensor; the bits of `thinnet.drop` at the same key.

    Parameters
    ----------
    variant : str or Variant
        The name of a row of `thinnet.CATALOGUE`, or a variant of your own.
    x : Tensor of float16, bfloat16, float32 or float64
        Activations or weights; their axes must fit the pattern of the variant.
    p : float, or Tensor of floating point, shape ()
        Chance that an entry is dropped, in [0, 1]; a compiled function takes a new tensor at every call
        without compiling again.
    key : Key, or Tensor of int64, shape (1,) or (2,), optional
        The address of the randomness; the default is a fresh key from torch's generator. Evaluation needs
        none.
    other : Tensor, optional
        The replacement, of the shape and dtype of x, for variants that take one.
    training : bool
        Draw from the law, or apply its mean.
    block : int or tuple of int, optional
        The lengths of a block along each axis that has blocks, in entries.
    pattern : str, optional
        The entries that share a lane, in place of the pattern of the row: `"n 1"` for one lane per sample.
    window : Window, optional
        The part of a global array that x is. The default is the window of a DTensor or of
        `thinnet.torch.shard`, else all of it.

    Returns
    -------
    Tensor
        Of the shape, dtype and device of x.

    Raises
    ------
    InputError
        An unknown name, a p outside [0, 1], a tensor that does not fit.

    Examples
    --------
    >>> import thinnet
    >>> drop("Dropout2d", torch.ones(1, 4, 1, 1), 0.5, key=thinnet.Key(0)).flatten()
    tensor([2., 0., 2., 2.])
    """
    if isinstance(x, fx.Proxy):
        given = {"other": other, "training": training, "block": block, "pattern": pattern, "window": window}
        return _noted(
            x, variant, p, key, **{name: value for name, value in given.items() if value is not None}
        )
    if (
        (training and other is None and block is None and pattern is None and window is None)
        and is_plain_in_eager_mode(x)
        and not shards.active()
        and (y := small.drop(variant, x, p, key=key)) is not None
    ):
        return y
    # Compilers get names and numbers, eager mode the variant itself.
    row = (_named if torch.compiler.is_compiling() else _row)(variant, block, pattern)
    owner = row.name if isinstance(row, Variant) else row[0]
    if type(p) is not float:
        p = _check_rate(owner, p)
    if other is not None and not isinstance(other, torch.Tensor):
        raise InputError(f"{owner}: other must be a tensor, got {type(other).__name__}.")
    if leaves_unchanged(row, p, training):
        return _unchanged(owner, row, x, p, key, other, window)
    if not training:
        return _apply_mean(row, x, float(p), other)
    address = keys.key_or_fresh(owner, key)
    if window is not None:
        return op.drop(x, other, address, row, p, flat_window(owner, x, window))
    if shards.is_distributed(x):
        part, place, back = shards.local(owner, x)
        return back(op.drop(part, _local_part(other), address, row, p, place))
    place = shards.window(owner, x, address) if shards.active() and _has_samples(row) else ()
    return op.drop(x, other, address, row, p, place)


def leaves_unchanged(variant: str | Variant | Named, p: Any, training: bool) -> bool:
    """Return whether a call returns x itself: in training at rate 0, in evaluation where the mean is x.

    Parameters
    ----------
    variant : str, Variant or Named
        The row.
    p : float, or Tensor
        The rate; the value of a tensor is not read.
    training : bool
        Whether the law would be drawn, or its mean applied.

    Examples
    --------
    >>> leaves_unchanged("Dropout", 0.0, True), leaves_unchanged("Dropout", 0.5, False)
    (True, True)
    >>> leaves_unchanged("VanillaDropout", 0.5, False)  # its mean network multiplies by keep
    False
    """
    if type(p) is float and training and p != 0:
        return False
    if isinstance(p, torch.Tensor):
        return False
    decide = _decided if torch.compiler.is_compiling() else _decide
    return decide(variant, p, training)


def _decide(variant: str | Variant | Named, p: float, training: bool) -> bool:
    row = variant_of(*variant) if isinstance(variant, tuple) else find(variant)
    if training:
        return p == 0 and _rests(row.law, math.prod(row.block))
    return p < 1 and row.mean_is_identity


@functools.lru_cache(maxsize=256)
def _rests(law: LawOfRate, lanes: int) -> bool:
    """Return whether a law multiplies by 1 at rate 0, as all do that have a rate."""
    found = law(0.0) if lanes == 1 else law(0.0, lanes)
    if isinstance(found, TwoPoint):
        return found.threshold == 0 and found.kept == (1.0, 0.0)
    return found.shifts is None and bool(np.all(found.gains == 1))


def _unchanged(owner: str, row: Variant | Named, x: Tensor, p: Any, *given: Any) -> Tensor:
    """Return x after the checks of a call that draws."""
    key, other, window = given
    if torch.compiler.is_compiling():
        return x
    if key is not None:
        keys.key_or_fresh(owner, key)
    if window is not None:
        flat_window(owner, x, window)
    if isinstance(row, Variant) and (other is not None or row.needs_other):
        op.check(x, other, row, p)
    return check_tensor(owner, x)


def _apply_mean(row: Variant | Named, x: Tensor, rate: float, other: Tensor | None) -> Tensor:
    if isinstance(row, Variant):
        op.check(x, other, row, rate)
        gain, shift = row.mean_of(rate)
        constant = replacement(row.other, x.dtype) if shift else None
    else:
        gain, shift, constant = _mean_of(*row, rate, x.dtype)
    return apply(gain, shift, x, constant if other is None else other)


def _local_part(other: Any) -> Any:
    return other.to_local() if shards.is_distributed(other) else other


def dropout(
    x: Tensor,
    p: float | Tensor = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    key: Key | Tensor | None = None,
    window: Window | None = None,
) -> Tensor:
    """Zero each entry with chance p and divide the others by keep.

    `y = x / keep` where `lane >= round(p * 65536)`, else 0, with `keep = 1 - round(p * 65536) / 65536`.
    Evaluation returns x. The positions are those of `torch.nn.functional.dropout`.

    Parameters
    ----------
    x : Tensor of float16, bfloat16, float32 or float64
        Activations.
    p : float, or Tensor of floating point, shape ()
        Chance that an entry is dropped, in [0, 1].
    training : bool
        Draw a mask, or return x.
    inplace : bool
        Write to x and return it.
    key : Key, or Tensor of int64, shape (1,) or (2,), optional
        The address of the randomness; the default is a fresh key from torch's generator.
    window : Window, optional
        The part of a global array that x is.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        A p outside [0, 1], a tensor that is not of floating point.

    Examples
    --------
    >>> import thinnet
    >>> dropout(torch.ones(8), 0.5, key=thinnet.Key(0))
    tensor([2., 0., 2., 2., 2., 2., 2., 2.])

    Differs from `torch.nn.functional.dropout`: a dropped entry is +0 even where x is infinite or NaN.

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014, sections 4 and 10.
    """
    y = drop("Dropout", x, p, key=key, training=training, window=window)
    return x.copy_(y) if inplace and y is not x else y


def _noted(x: Any, variant: str | Variant, p: float | Tensor, key: Any, **options: Any) -> Any:
    """Record the call for torch.fx; tracing would take a fresh key for a constant."""
    key = key if key is None or isinstance(key, fx.Proxy) else keys.key_or_fresh("drop", key)
    return x.tracer.create_proxy("call_function", drop, (variant, x, p), {"key": key, **options})


def _check_rate(owner: str, p: Any) -> Any:
    if isinstance(p, torch.Tensor):
        if p.dim() or not p.is_floating_point():
            raise InputError(f"{owner}: p must be one number, got {p.dtype} of shape {tuple(p.shape)}.")
        if p.requires_grad:
            raise InputError(
                f"{owner}: p has no gradient, got a tensor that requires grad; use p.detach(), or "
                "thinnet.torch.ConcreteDropout to learn a rate."
            )
        return p
    return check_p(owner, p)


def _row(variant: str | Variant, block: Block, pattern: str | None) -> Variant:
    """Return the variant of a call."""
    row = find(variant)
    return row if block is None and pattern is None else row.patterned(pattern).sized(block)


def _has_samples(row: Variant | Named) -> bool:
    return row.has_samples if isinstance(row, Variant) else _has_samples_of(*row)


# These return constants for constants: a compiler calls them while it traces and records the results.
_constant: Any = cast("Any", torch.compiler).assume_constant_result


@_constant
def _named(variant: str | Variant, block: Block, pattern: str | None) -> Named:
    fused.announce()
    return name_of(_row(variant, block, pattern))


_decided = _constant(_decide)


@_constant
def _mean_of(
    name: str, block: tuple[int, ...], rate: float, dtype: torch.dtype
) -> tuple[float, float, float | None]:
    row = variant_of(name, block)
    return *row.mean_of(rate), replacement(row.other, dtype)


@_constant
def _has_samples_of(name: str, block: tuple[int, ...]) -> bool:
    return variant_of(name, block).has_samples
