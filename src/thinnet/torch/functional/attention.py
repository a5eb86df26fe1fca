"""Attention whose dropout draws its mask again in backward, so that weights are kept once."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import torch

from thinnet.errors import InputError
from thinnet.random import Key
from thinnet.torch import keys, op, shards

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

    What is dropped are attention weights (the row AttentionDropout, at `dropout_p`). Weights are kept for
    backward once, before dropout; torch keeps them before and behind it, and the mask. Without dropout this
    is torch's own function.

    Parameters
    ----------
    query : Tensor, shape (…, heads, l, e)
        Of any dtype of floating point, as key and value.
    key : Tensor, shape (…, heads, s, e)
        What queries are compared with; no key of randomness.
    value : Tensor, shape (…, heads, s, v)
        What is summed.
    attn_mask : Tensor, optional
        Broadcast against (…, heads, l, s): True where attention is allowed, or numbers that are added.
    dropout_p : float
        Chance that a weight is dropped, in [0, 1].
    is_causal : bool
        Let query i see keys 0 to i alone.
    scale : float, optional
        1 / sqrt(e) if not given.
    enable_gqa : bool
        Let several heads of the query share one of key and value.
    dropout_key : Key, or Tensor of int64, optional
        The address of the randomness; a fresh one from torch's generator if not given.

    Returns
    -------
    Tensor, shape (…, heads, l, v)

    Raises
    ------
    InputError
        A rate outside [0, 1], a mask beside `is_causal`.

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
    if not 0 <= dropout_p <= 1:
        raise InputError(f"scaled_dot_product_attention: dropout_p must be in [0, 1], got {dropout_p:g}.")
    if is_causal and attn_mask is not None:
        raise InputError("scaled_dot_product_attention: attn_mask must be None where is_causal is set.")
    if dropout_p == 0:
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * factor) @ key.mT  # (…, l, e) @ (…, e, s)
    if is_causal:
        attn_mask = scores.new_full(scores.shape[-2:], -math.inf).triu(1)
    elif attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=scores.dtype).masked_fill(~attn_mask, -math.inf)
    # Added numbers need no pass of their own in backward: where weights are 0 their gradients are.
    weights = (scores if attn_mask is None else scores + attn_mask).softmax(-1)
    window = shards.window("AttentionDropout", weights)
    address = keys.to_tensor(keys.checked("AttentionDropout", dropout_key))
    way = _Compiled if torch.compiler.is_compiling() else _Dropped
    return way.apply(weights, value, address, dropout_p, window)


class _Compiled(torch.autograd.Function):
    """`drop(weights) @ value`; backward drops the weights again instead of keeping both."""

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
        (dy,), (weights, value, key) = dys, ctx.saved_tensors
        first, second, *_ = ctx.needs_input_grad
        d_weights = _drop(dy @ value.mT, key, ctx.rate, ctx.window) if first else None
        d_value = _drop(weights, key, ctx.rate, ctx.window).mT @ dy if second else None
        return d_weights, d_value, None, None, None


class _Dropped(_Compiled):
    """The same with derivatives forward, which compilers do not take."""

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
    return op.drop(weights, None, key, "AttentionDropout", rate, (), window)
