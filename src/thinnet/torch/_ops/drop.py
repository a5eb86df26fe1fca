"""The operator `thinnet::drop`: the bits of `thinnet.drop`, with every derivative, and no mask in memory.

Backward keeps the key alone, 16 bytes at most, and draws the mask again. The operator is linear in
(x, other), so its derivatives are itself: with respect to x the call without the second term, with respect
to other the call on zeros. A window, `[*start, *shape]`, is the place of x in a global array.
`thinnet::drop_scheduled` is the same operator with a rate that is a tensor: a compiled function takes a new
one at every call. Devices other than the CPU take torch's own operations; the bits stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from thinnet.errors import InputError
from thinnet.torch._internals import (
    below_autograd,
    direct_apply,
    in_eager_mode,
    is_plain,
    register_derivatives,
)
from thinnet.torch._ops import keys
from thinnet.torch._ops.batches import in_one_call
from thinnet.torch._ops.checks import check_tensor
from thinnet.torch._ops.draw import Law, draw, draw_each
from thinnet.torch._ops.rows import Named, name_of, variant_of
from thinnet.variants import Variant
from thinnet.variants._variant import PASSED

__all__ = ["check", "drop"]

Tensor: TypeAlias = torch.Tensor

_LIBRARY: Any = torch.library.Library("thinnet", "DEF")
for _name, _rate in (("drop", "float"), ("drop_scheduled", "Tensor")):
    _LIBRARY.define(
        f"{_name}(Tensor x, Tensor? other, Tensor key, str variant, {_rate} rate, int[]? block,"
        " SymInt[]? window=None, bool shifted=True) -> Tensor",
        tags=(torch.Tag.pt2_compliant_tag,),
    )
_DEFAULTS: tuple[Any, ...] = [], True  # of the window and the second term
_REQUIRED = 6


def drop(
    x: Tensor,
    other: Tensor | None,
    key: keys.AnyKey,
    variant: Variant | Named,
    rate: float | Tensor,
    window: Sequence[int] = (),
    *,
    shifted: bool = True,
) -> Tensor:
    """Draw one sample of the law of a variant, `gain * x + shift * other`.

    Parameters
    ----------
    x : Tensor of float16, bfloat16, float32 or float64
        The entries.
    other : Tensor or None
        The replacement, of the shape and dtype of x, for variants that take one.
    key : Key, or Tensor of int64, shape (1,) or (2,)
        The address of the randomness; as a tensor the 64 bits as a signed number, and the step.
    variant : Variant or Named
        The row; compilers pass its name.
    rate : float, or Tensor of shape ()
        Chance that an entry is dropped, in [0, 1].
    window : sequence of int
        The index in a global array where x begins, then the shape of that array; empty if x is all of it.
    shifted : bool
        Whether there is a second term; the derivative with respect to x has none.

    Examples
    --------
    >>> drop(torch.ones(8), None, torch.tensor([0]), ("Dropout", ()), 0.5)
    tensor([2., 0., 2., 2., 2., 2., 2., 2.])
    """
    # The dispatcher enters Python three times, which takes longer than dropping ten thousand entries.
    if in_eager_mode() and is_plain(x) and (other is None or is_plain(other)):
        row = variant_of(*variant) if isinstance(variant, tuple) else variant
        number: Any = rate.item() if isinstance(rate, torch.Tensor) else rate
        check(x, other, row, number, window, shifted)
        law = Law(row, number, keys.to_key(key), window, shifted)
        if (x.requires_grad or (other is not None and other.requires_grad)) and torch.is_grad_enabled():
            return _directly(x, other, law)
        return draw(x, other, law)
    name, block = variant if isinstance(variant, tuple) else name_of(variant)
    if not torch.compiler.is_compiling():
        check_tensor(name, x)  # the dispatcher has no kernel for other layouts, and would name that alone
    return _call(x, other, keys.to_tensor(key), name, rate, list(block), list(window), shifted)


def check(
    x: Tensor,
    other: Tensor | None,
    row: Variant,
    rate: float,
    window: Sequence[int] = (),
    shifted: bool = True,
) -> None:
    """Raise InputError if a variant does not take these arguments."""
    if not 0 <= rate <= 1:
        raise InputError(f"{row.name}: p must be in [0, 1], got {rate:g}.")
    check_tensor(row.name, x)
    if row.pattern != "..." and (why := row.unfit(tuple(window[x.dim() :] or x.shape))):
        raise InputError(f"{row.name}: {why}.")
    if other is not None:
        if not row.needs_other:
            raise InputError(f"{row.name}: takes no other.")
        if other.shape != x.shape or other.dtype != x.dtype:
            raise InputError(f"{row.name}: other must have the shape and dtype of x.")
    elif shifted and row.needs_other:
        raise InputError(f"{row.name}: other is missing; pass {PASSED[row.other]} as other=.")


def _call(
    x: Tensor, other: Tensor | None, key: Tensor, name: str, rate: float | Tensor, *rest: Any
) -> Tensor:
    operator = _drop_scheduled if isinstance(rate, torch.Tensor) else _drop
    return operator(x, other, key, name, rate, *rest)


def _completed(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return all arguments of an operator: the dispatcher omits trailing ones that equal their defaults.

    A package of AOTInductor passes None for an empty list, which the schema therefore allows.
    """
    *before, block, window, shifted = *inputs, *_DEFAULTS[len(inputs) - _REQUIRED :]
    return *before, block or [], window or [], shifted


def _draw(*inputs: Any) -> Tensor:
    x, other, key, name, rate, block, window, shifted = _completed(inputs)
    row = variant_of(name, block)
    rates: Any = rate.tolist() if isinstance(rate, torch.Tensor) else rate
    if key.dim() == 2:
        return _draw_each(x, other, key, row, rates, window, shifted)
    check(x, other, row, rates, window, shifted)
    return draw(x, other, Law(row, rates, keys.to_key(key), window, shifted))


def _draw_each(x: Tensor, other: Tensor | None, key: Tensor, row: Variant, rates: Any, *rest: Any) -> Tensor:
    """Draw each entry of a batch under its own key, and under its own rate if there are many."""
    every: Any = key.tolist()
    each = rates if isinstance(rates, list) else [rates] * len(every)
    if not every:
        return torch.empty_like(x)
    window, shifted = rest
    for rate in dict.fromkeys(each):
        check(x[0], None if other is None else other[0], row, rate, window, shifted)
    laws = [
        Law(row, rate, keys.of_numbers(*numbers), window, shifted)
        for rate, numbers in zip(each, every, strict=True)
    ]
    return draw_each(x, other, laws)


def _on_meta(*inputs: Any) -> Tensor:
    x, other, key, name, rate, block, window, shifted = _completed(inputs)
    known = 0.0 if isinstance(rate, torch.Tensor) else rate
    row = variant_of(name, block)
    if key.dim() != 2:
        check(x, other, row, known, window, shifted)
    elif x.shape[0]:
        check(x[0], None if other is None else other[0], row, known, window, shifted)
    return torch.empty_like(x)


def _vmap(info: Any, in_dims: Any, *inputs: Any) -> tuple[Tensor, int]:
    dims = *in_dims, *(None,) * (len(inputs) - len(in_dims))
    return in_one_call(info.batch_size, dims, _completed(inputs), _call)


class _Drop(torch.autograd.Function):
    """The derivatives of the operator, all of them the operator again."""

    @staticmethod
    def forward(x: Tensor, other: Tensor | None, key: Tensor, name: str, rate: Any, *rest: Any) -> Tensor:
        with below_autograd():
            name_of_operator = "drop_scheduled" if isinstance(rate, torch.Tensor) else "drop"
            return getattr(torch.ops.thinnet, name_of_operator).default(x, other, key, name, rate, *rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        _, _, key, ctx.name, rate, ctx.block, ctx.window, _ = inputs
        scheduled = isinstance(rate, torch.Tensor)
        ctx.rate = None if scheduled else rate
        saved = (key, rate) if scheduled else (key,)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> Any:
        dy, needed = dys[0], ctx.needs_input_grad
        dx = _recompute(ctx, dy, None, False) if needed[0] else None
        d_other = _recompute(ctx, torch.zeros_like(dy), dy, True) if needed[1] else None
        return dx, d_other, *(None,) * 6

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        dx, d_other, *_ = tangents
        if dx is None:
            assert d_other is not None
            dx = torch.zeros_like(d_other)
        return _recompute(ctx, dx, d_other, d_other is not None)

    vmap = staticmethod(_vmap)


def _recompute(ctx: Any, x: Tensor, other: Tensor | None, shifted: bool) -> Tensor:
    """Call the operator at the law of an earlier call."""
    key, *scheduled = ctx.saved_tensors
    rate = scheduled[0] if scheduled else ctx.rate
    return _call(x, other, key, ctx.name, rate, ctx.block, ctx.window, shifted)


class _Directly(torch.autograd.Function):
    """The same derivatives without the dispatcher; valid in eager mode only."""

    @staticmethod
    def forward(x: Tensor, other: Tensor | None, law: Law) -> Tensor:
        return draw(x, other, law)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.law = inputs[2]

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> Any:
        dy, needed = dys[0], ctx.needs_input_grad
        row, rate, key, window, _ = ctx.law
        call = _drop_by_operator
        if in_eager_mode() and is_plain(dy):
            call = _directly if torch.is_grad_enabled() else draw
        dx = call(dy, None, Law(row, rate, key, window, False)) if needed[0] else None
        d_other = None
        if needed[1]:
            d_other = call(torch.zeros_like(dy), dy, Law(row, rate, key, window, True))
        return dx, d_other, None


def _drop_by_operator(x: Tensor, other: Tensor | None, law: Law) -> Tensor:
    """Call the operator: a trace or a transform may surround backward that did not surround forward."""
    return drop(x, other, law.key, law.variant, law.rate, law.window, shifted=law.shifted)


_directly: Any = direct_apply(_Directly)


_library: Any = torch.library
for _name in ("drop", "drop_scheduled"):
    # It decides on the device of the result: x may lie on another device than the key.
    _library.register_fake(f"thinnet::{_name}", _on_meta, lib=_LIBRARY)
    _LIBRARY.impl(_name, _draw, "CompositeExplicitAutograd")
    _library.register_vmap(f"thinnet::{_name}", _vmap, lib=_LIBRARY)
_drop: Any = register_derivatives(_LIBRARY, "drop", _Drop, _completed)
_drop_scheduled: Any = register_derivatives(_LIBRARY, "drop_scheduled", _Drop, _completed)
