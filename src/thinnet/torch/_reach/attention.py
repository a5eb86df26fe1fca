"""Attention that a forward calls as a function: its weights are dropped by thinnet."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import torch
from torch import nn

from thinnet.torch._reach.activations import Calls, Handler, rate_of, suits
from thinnet.torch.functional import drop, scaled_dot_product_attention

__all__ = ["HANDLERS"]

Tensor: TypeAlias = torch.Tensor

_KIND = "AttentionDropout"


def _scaled_dot_product_attention(
    calls: Calls,
    func: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: Any = 0.0,
    is_causal: bool = False,
    **more: Any,
) -> Any:
    rate = rate_of(dropout_p)
    if rate == 0 or not (suits(query) and suits(key) and suits(value)):
        return func(query, key, value, attn_mask, dropout_p, is_causal, **more)
    return scaled_dot_product_attention(
        query, key, value, attn_mask, rate, is_causal, **more, dropout_key=calls.key(_KIND)
    )


def _multi_head_attention_forward(calls: Calls, func: Any, *args: Any, **kwargs: Any) -> Any:
    names = dict(zip(_ARGUMENTS, args, strict=False)) | kwargs
    rate = rate_of(names["dropout_p"])
    inputs = [names[name] for name in ("query", "key", "value")]
    fits = all(suits(x) and x.dim() == inputs[0].dim() for x in inputs) and inputs[0].dim() in (2, 3)
    if rate == 0 or not names.get("training", True) or not fits or not names.keys() <= _KNOWN:
        return func(*args, **kwargs)
    if names["query"].shape[-1] != names["embed_dim_to_check"]:
        return func(*args, **kwargs)  # torch raises its own error
    if names.get("is_causal") and names.get("attn_mask") is None:
        return func(*args, **kwargs)
    return _attend(rate, calls.key(_KIND), **{k: v for k, v in names.items() if k not in _DECIDED})


_ARGUMENTS = (
    "query",
    "key",
    "value",
    "embed_dim_to_check",
    "num_heads",
    "in_proj_weight",
    "in_proj_bias",
    "bias_k",
    "bias_v",
    "add_zero_attn",
    "dropout_p",
    "out_proj_weight",
    "out_proj_bias",
    "training",
    "key_padding_mask",
    "need_weights",
    "attn_mask",
    "use_separate_proj_weight",
    "q_proj_weight",
    "k_proj_weight",
    "v_proj_weight",
    "static_k",
    "static_v",
    "average_attn_weights",
    "is_causal",
)
_KNOWN = frozenset(_ARGUMENTS)
_DECIDED = ("dropout_p", "training", "embed_dim_to_check")


def _attend(
    rate: Any,
    dropout_key: Any,
    *,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_heads: int,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    **weights: Any,
) -> Any:
    """Return `multi_head_attention_forward` with dropped weights; query has shape (l, n, e) or (l, e)."""
    q, k, v = _project(query, key, value, **weights)
    batched = query.dim() == 3
    if not batched:
        q, k, v = (x.unsqueeze(1) for x in (q, k, v))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, n, size = q.shape
    causal = is_causal and key_padding_mask is None and not need_weights
    mask = _merge(None if causal else attn_mask, key_padding_mask, n, q.dtype)  # over the given keys
    if bias_k is not None and bias_v is not None:
        k, v, mask = (
            torch.cat([k, bias_k.repeat(1, n, 1)]),
            torch.cat([v, bias_v.repeat(1, n, 1)]),
            _pad(mask),
        )
    q, k, v = (x.reshape(len(x), n * num_heads, -1).transpose(0, 1) for x in (q, k, v))  # (n * heads, ., d)
    k, v = k if static_k is None else static_k, v if static_v is None else static_v
    if add_zero_attn:
        k, v, mask = (*(torch.cat([x, torch.zeros_like(x[:, :1])], 1) for x in (k, v)), _pad(mask))
    q, k, v = (x.unflatten(0, (n, num_heads)) for x in (q, k, v))  # (n, heads, ., d)
    shown = None
    if need_weights:
        scores = (q * math.sqrt(1 / q.shape[-1])) @ k.mT  # (n, heads, l, d) @ (n, heads, d, s)
        shown = drop(_KIND, (scores if mask is None else scores + mask).softmax(-1), rate, key=dropout_key)
        y = shown @ v
        shown = shown.mean(1) if average_attn_weights else shown
    else:
        y = scaled_dot_product_attention(q, k, v, mask, rate, causal, dropout_key=dropout_key)
    y = nn.functional.linear(y.permute(2, 0, 1, 3).reshape(length, n, size), out_proj_weight, out_proj_bias)
    if batched:
        return y, shown
    return y.squeeze(1), None if shown is None else shown.squeeze(0)


def _project(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    in_proj_weight: Any,
    in_proj_bias: Tensor | None,
    use_separate_proj_weight: bool = False,
    **separate: Any,
) -> tuple[Tensor, ...]:
    if not use_separate_proj_weight and query is key and key is value:
        return nn.functional.linear(query, in_proj_weight, in_proj_bias).chunk(3, -1)
    if use_separate_proj_weight:
        weights = [separate[name] for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight")]
    else:
        weights = in_proj_weight.chunk(3)
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    return tuple(
        nn.functional.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )


def _merge(mask: Tensor | None, padding: Tensor | None, n: int, dtype: torch.dtype) -> Tensor | None:
    """Return the sum of both masks, as numbers that are added to scores of shape (n, heads, l, s)."""
    if mask is not None:  # (l, s) or (n * heads, l, s)
        mask = _as_numbers(mask, dtype)
        mask = mask.unflatten(0, (n, -1)) if mask.dim() == 3 else mask[None, None]
    if padding is None:
        return mask
    padding = _as_numbers(padding, dtype)[:, None, None]  # (n, s)
    return padding if mask is None else mask + padding


def _as_numbers(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, -math.inf)


def _pad(mask: Tensor | None) -> Tensor | None:
    """Allow one more key."""
    return None if mask is None else nn.functional.pad(mask, (0, 1))


HANDLERS: dict[Any, Handler] = {
    nn.functional.scaled_dot_product_attention: _scaled_dot_product_attention,
    nn.functional.multi_head_attention_forward: _multi_head_attention_forward,
}
"""Each function of torch that drops weights of attention, and its handler."""
