"""One operator, `thinnet::drop`: the bits of `thinnet.drop`, with every derivative, and no mask in memory.

What backward keeps is the key, 16 bytes at most: the mask is drawn again. The operator is linear in
(x, other), so its derivatives are itself: with respect to x the call without the second term, with respect
to other the call on zeros. A window says which part of which global array x is, `[*start, *shape]`.
Tensors of other devices than the CPU take torch's own operations; the bits stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from thinnet._core.random import Key, Window
from thinnet.errors import InputError
from thinnet.torch._internals import (
    below_autograd,
    direct_apply,
    in_eager_mode,
    is_plain,
    register_derivatives,
)
from thinnet.torch._ops import keys
from thinnet.torch._ops.draw import TYPES, Law, draw
from thinnet.variants import Variant, find
from thinnet.variants._variant import PASSED

__all__ = ["check", "drop", "part"]

Tensor: TypeAlias = torch.Tensor

_LIBRARY: Any = torch.library.Library("thinnet", "DEF")
_LIBRARY.define(
    "drop(Tensor x, Tensor? other, Tensor key, str variant, float rate, int[] block, SymInt[] window=[],"
    " Tensor? at=None, bool shifted=True) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
# No window, no tensor for a rate, a second term.
_DEFAULTS: tuple[Any, ...] = [], None, True


def drop(
    x: Tensor,
    other: Tensor | None,
    key: keys.AnyKey,
    variant: str,
    rate: float,
    block: Sequence[int] = (),
    window: Sequence[int] = (),
    *,
    at: Tensor | None = None,
    shifted: bool = True,
) -> Tensor:
    """Draw one sample of a variant's law, `gain * x + shift * other`.

    Parameters
    ----------
    x : Tensor of float16, bfloat16, float32 or float64
        What is dropped.
    other : Tensor or None
        What stands in, of the shape and dtype of x, for variants that are handed it.
    key : Key, or Tensor of int64, shape (1,) or (2,)
        The address; as a tensor the 64 bits as a signed number, and the step.
    variant, rate, block
        As `thinnet.drop` takes them; an empty block is the variant's own.
    window : sequence of int
        First the index where x begins in a global array, then that array's shape, 2 for each axis; empty if
        x is all there is.
    at : Tensor of float64, shape (), optional
        A rate that a compiled function may be handed anew at every call; it goes before `rate`.
    shifted : bool
        Whether there is a second term; the derivative with respect to x has none.

    Examples
    --------
    >>> key = torch.tensor([0])
    >>> drop(torch.ones(8), None, key, "Dropout", 0.5)
    tensor([2., 0., 2., 2., 2., 2., 2., 2.])
    """
    # The dispatcher goes through Python three times, which takes longer than dropping ten thousand entries.
    if in_eager_mode() and is_plain(x) and (other is None or is_plain(other)):
        rate = rate if at is None else at.item()
        law = _law(x, other, key, variant, rate, block, window, shifted)
        needed = x.requires_grad or (other is not None and other.requires_grad)
        return (_directly if needed and torch.is_grad_enabled() else draw)(x, other, *law)
    _check_dense(variant, x)  # the dispatcher has no kernel for other layouts, and would name that alone
    law = variant, rate, list(block), list(window), at, shifted
    return _operator(x, other, keys.to_tensor(key), *law)


def check(
    x: Tensor,
    other: Tensor | None,
    variant: str,
    rate: float,
    block: Sequence[int],
    window: Sequence[int] = (),
    shifted: bool = True,
) -> Variant:
    """Return the row of the catalogue, or say what does not fit."""
    row = find(variant)
    if block:
        row = row.sized(tuple(block))
    if not 0 <= rate <= 1:
        raise InputError(f"{variant}: p must be in [0, 1], got {rate:g}.")
    _check_dense(variant, x)
    if x.dtype not in TYPES:
        dtype, remedy = str(x.dtype).removeprefix("torch."), "dequantize" if x.is_quantized else "float"
        raise InputError(f"{variant}: x must be of floating point, got {dtype}; use x.{remedy}().")
    if row.pattern != "..." and (why := row.unfit(tuple(window[x.dim() :] or x.shape))):
        raise InputError(f"{variant}: {why}.")
    if other is not None and row.other not in PASSED:
        raise InputError(f"{variant}: takes no other.")
    if other is not None and (other.shape != x.shape or other.dtype != x.dtype):
        raise InputError(f"{variant}: other must have the shape and dtype of x.")
    if shifted and other is None and row.other in PASSED:
        raise InputError(f"{variant}: other is missing; pass {PASSED[row.other]} as other=.")
    return row


def _check_dense(variant: str, x: Any) -> None:
    if not isinstance(x, torch.Tensor):
        raise InputError(
            f"{variant}: x must be a torch.Tensor, got {type(x).__name__}; use torch.as_tensor(x)."
        )
    if x.layout is not torch.strided or x.is_nested:
        raise InputError(f"{variant}: x must be dense, got {x.layout}; use x.to_dense().")


def part(shape: Sequence[int], window: Sequence[int]) -> Window:
    """Return which part of which global array a tensor of some shape is."""
    axes = len(shape)
    return Window(tuple(window[axes:]), tuple(window[:axes]), tuple(shape))


def _law(
    x: Tensor,
    other: Tensor | None,
    key: keys.AnyKey,
    variant: str,
    rate: float,
    block: Sequence[int],
    window: Sequence[int],
    shifted: bool,
) -> Law:
    row = check(x, other, variant, rate, block, window, shifted)
    return row, rate, keys.to_key(key), part(x.shape, window) if window else None, shifted


def _filled(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what an operator was called with, and what the dispatcher leaves out at the end."""
    return *inputs, *_DEFAULTS[len(inputs) - 6 :]


def _draw(*inputs: Any) -> Tensor:
    x, other, key, variant, rate, block, window, at, shifted = _filled(inputs)
    rate = rate if at is None else at.item()
    return draw(x, other, *_law(x, other, key, variant, rate, block, window, shifted))


def _on_meta(*inputs: Any) -> Tensor:
    x, other, _, variant, rate, block, window, _, shifted = _filled(inputs)
    check(x, other, variant, rate, block, window, shifted)
    return torch.empty_like(x)


class _Drop(torch.autograd.Function):
    """The operator's derivatives, all of them the operator again."""

    @staticmethod
    def forward(x: Tensor, other: Tensor | None, key: Tensor, *law: Any) -> Tensor:
        with below_autograd():
            return torch.ops.thinnet.drop.default(x, other, key, *law)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        _, _, key, *ctx.law, at, _ = inputs
        ctx.save_for_backward(key, at)
        ctx.save_for_forward(key, at)

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> Any:
        (dy,), (key, at) = dys, ctx.saved_tensors
        first, second, *_ = ctx.needs_input_grad
        dx = drop(dy, None, key, *ctx.law, at=at, shifted=False) if first else None
        d_other = drop(torch.zeros_like(dy), dy, key, *ctx.law, at=at) if second else None
        return dx, d_other, *(None,) * 7

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        dx, d_other, *_ = tangents
        key, at = ctx.saved_tensors
        if dx is None:
            assert d_other is not None
            dx = torch.zeros_like(d_other)
        return drop(dx, d_other, key, *ctx.law, at=at, shifted=d_other is not None)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Any) -> tuple[Tensor, int]:
        return _vmap(info, in_dims, *inputs)


class _Directly(torch.autograd.Function):
    """The same without the dispatcher, and so where nobody watches."""

    @staticmethod
    def forward(x: Tensor, other: Tensor | None, *law: Any) -> Tensor:
        return draw(x, other, *law)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.law = inputs[2:-1]

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> Any:
        dy, needed = dys[0], ctx.needs_input_grad
        call: Any = draw if in_eager_mode() and is_plain(dy) else _again
        if call is draw and torch.is_grad_enabled():
            call = _directly
        dx = call(dy, None, *ctx.law, False) if needed[0] else None
        d_other = call(torch.zeros_like(dy), dy, *ctx.law, True) if needed[1] else None
        return dx, d_other, None, None, None, None, None


def _again(
    x: Tensor,
    other: Tensor | None,
    row: Variant,
    rate: float,
    key: Key,
    where: Window | None,
    shifted: bool,
) -> Tensor:
    """Go by the operator after all."""
    window = [] if where is None else [*where.start, *where.shape]
    return drop(x, other, key, row.name, rate, row.block, window, shifted=shifted)


_directly: Any = direct_apply(_Directly)


def _vmap(
    info: Any, in_dims: Any, x: Tensor, other: Tensor | None, key: Tensor, *law: Any
) -> tuple[Tensor, int]:
    """Go through the batch: a key that is not batched draws the same for all of it."""

    def at(value: Tensor | None, dim: int | None, i: int) -> Tensor | None:
        return value if value is None or dim is None else value.select(dim, i)

    parts = [
        torch.ops.thinnet.drop.default(
            *(at(value, dim, i) for value, dim in zip((x, other, key), in_dims, strict=False)), *law
        )
        for i in range(info.batch_size)
    ]
    return torch.stack(parts), 0


_LIBRARY.impl("drop", _on_meta, "Meta")
_LIBRARY.impl("drop", _draw, "CompositeExplicitAutograd")
_operator = register_derivatives(_LIBRARY, "drop", _Drop, _filled)
_library: Any = torch.library
_library.register_vmap("thinnet::drop", _vmap, lib=_LIBRARY)
