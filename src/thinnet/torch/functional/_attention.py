"""Attention whose dropout draws its mask again in backward, so that the weights are kept once."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import torch

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._ops import drop as op
from thinnet.torch._ops import keys
from thinnet.torch._ops.checks import check_tensor
from thinnet.torch._streams import shards
from thinnet.torch.functional._entry import check_p, working_type

__all__ = ["scaled_dot_product_attention"]

Tensor: TypeAlias = torch.Tensor


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    dropout_key: Key | Tensor | None = None,
) -> Tensor:
    """Return `drop(softmax(scale * query @ key.mT + mask)) @ value`, with the arguments of torch's function.

    It drops attention weights (the row AttentionDropout, at `dropout_p`). Backward keeps the weights once,
    from before dropout; torch keeps them from before and after it, and the mask. Without dropout this is
    torch's own function.

    Parameters
    ----------
    query : Tensor, shape (…, heads, l, e)
        Of any dtype of floating point, as key and value.
    key : Tensor, shape (…, heads, s, e)
        The keys of attention; the key of randomness is `dropout_key`.
    value : Tensor, shape (…, heads, s, v)
        The values that are summed.
    attn_mask : Tensor, optional
        Broadcast against (…, heads, l, s): True where attention is allowed, or numbers that are added.
    dropout_p : float
        Chance that a weight is dropped, in [0, 1].
    is_causal : bool
        Mask the keys after position i for query i.
    scale : float, optional
        The factor of the scores; 1 / sqrt(e) if not given.
    enable_gqa : bool
        Several heads of the query share one head of key and value.
    dropout_key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.

    Returns
    -------
    Tensor, shape (…, heads, l, v)

    Raises
    ------
    InputError
        A dropout_p outside [0, 1], both `attn_mask` and `is_causal`.

    Examples
    --------
    >>> q = torch.eye(3).reshape(1, 1, 3, 3)
    >>> scaled_dot_product_attention(q, q, q, dropout_p=0.5, dropout_key=Key(0))[0, 0].round(decimals=3)
    tensor([[0.9420, 0.0000, 0.5290],
            [0.5290, 0.9420, 0.5290],
            [0.5290, 0.5290, 0.9420]])

    References
    ----------
    Vaswani et al.: Attention is all you need. NeurIPS 2017, section 3.2.1; dropout as in section 5.4.
    """
    _check(query, key, value, dropout_p, attn_mask is not None and is_causal)
    if dropout_p == 0:
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if enable_gqa:
        key, value = (each.repeat_interleave(_group(query, each), -3) for each in (key, value))
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    kind = query.device.type
    narrow = query.dtype
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        narrow = narrow if narrow == torch.float64 else torch.get_autocast_dtype(kind)
        with torch.autocast(kind, enabled=False):  # as in backward, which gets the tensors of forward
            return _attend(query, key, value, attn_mask, is_causal, factor, dropout_p, dropout_key).to(narrow)
    return _attend(query, key, value, attn_mask, is_causal, factor, dropout_p, dropout_key).to(narrow)


def _check(query: Any, key: Any, value: Any, p: float, masked_twice: bool) -> None:
    owner = "scaled_dot_product_attention"
    check_p(owner, p, "dropout_p")
    if masked_twice:
        raise InputError(f"{owner}: attn_mask must be None where is_causal is set.")
    for name, x in (("query", query), ("key", key), ("value", value)):
        if check_tensor(owner, x, name).dim() < 2:
            raise InputError(f"{owner}: {name} must have shape (…, tokens, features), got {tuple(x.shape)}.")


def _group(query: Tensor, other: Tensor) -> int:
    """Return the number of heads of the query that share one head of key or value."""
    heads, shared = ((x.shape[-3] if x.dim() > 2 else 0) for x in (query, other))
    if not shared or heads % shared:
        raise InputError(
            "scaled_dot_product_attention: with enable_gqa the heads of the query must be a multiple of "
            f"those of key and value, got {heads} and {shared}."
        )
    return heads // shared


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    is_causal: bool,
    factor: float,
    rate: float,
    dropout_key: Key | Tensor | None,
) -> Tensor:
    # Scores of halves may leave the range of float16, so the computation takes place in float32, as torch's.
    # One copy of each in order: a product copies heads of a joint projection at every use, also in backward.
    query, key, value = (x.to(working_type(x)).contiguous() for x in (query, key, value))
    scores = (query * factor) @ key.mT  # (…, l, e) @ (…, e, s)
    without_keys = None
    # An added mask needs no pass in backward: the gradient is 0 where the weight is 0.
    if is_causal:
        scores.add_(scores.new_full(scores.shape[-2:], -math.inf).triu(1))
    elif mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, -math.inf)
        # A query without a key gets zeros, as in torch's function, and passes no gradient.
        without_keys = mask.isneginf().all(-1, keepdim=True)
        scores = scores + mask.to(scores.dtype).masked_fill(without_keys, 0)
    weights = scores.softmax(-1)
    del scores  # as large as the weights
    address = keys.to_tensor(keys.key_or_fresh("AttentionDropout", dropout_key))
    window = shards.window("AttentionDropout", weights, address, 0)
    function = _Attend if torch.compiler.is_compiling() else _AttendInBothDirections
    out = function.apply(weights, value, address, rate, window)
    return out if without_keys is None else out.masked_fill(without_keys, 0)


class _Attend(torch.autograd.Function):
    """`drop(weights) @ value`; backward drops the weights again instead of keeping the dropped ones."""

    generate_vmap_rule = True

    @staticmethod
    def forward(weights: Tensor, value: Tensor, key: Tensor, rate: float, window: list[int]) -> Tensor:
        return _drop(weights, key, rate, window) @ value  # (…, l, s) @ (…, s, v)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        weights, value, key, ctx.rate, ctx.window = inputs
        ctx.save_for_backward(weights, value, key)
        ctx.save_for_forward(weights, value, key)

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> Any:
        dy, (weights, value, key) = dys[0].contiguous(), ctx.saved_tensors
        first, second, *_ = ctx.needs_input_grad
        d_weights = _drop(dy @ value.mT, key, ctx.rate, ctx.window) if first else None
        d_value = _drop(weights, key, ctx.rate, ctx.window).mT @ dy if second else None
        return d_weights, d_value, None, None, None


class _AttendInBothDirections(_Attend):
    """The same function with forward derivatives, which compilers refuse."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        d_weights, d_value, *_ = tangents
        weights, value, key = ctx.saved_tensors
        out = 0
        if d_weights is not None:
            out = _drop(d_weights, key, ctx.rate, ctx.window) @ value
        if d_value is not None:
            out = out + _drop(weights, key, ctx.rate, ctx.window) @ d_value
        return out  # pyright: ignore[reportReturnType]


def _drop(weights: Tensor, key: Tensor, rate: float, window: list[int]) -> Tensor:
    return op.drop(weights, None, key, ("AttentionDropout", ()), rate, window)
