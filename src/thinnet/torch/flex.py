"""Dropout inside `torch.nn.attention.flex_attention`: of scores by a score_mod, and of weights, exactly.

The lane of a score depends on the key, the batch, the head, the query and the key position alone, not on the
sizes of a call: it is the lane of its place in one virtual array of shape `SHAPE`. A window of that shape
gives the same mask in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch

from thinnet._checks import check_shape
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._ops import drop as op
from thinnet.torch._ops import keys
from thinnet.torch._ops.scores import THRESHOLD, lane, table
from thinnet.torch._streams import shards
from thinnet.torch.functional._entry import check_local, check_p, working_type
from thinnet.variants._rounding import warn_if_rounded

__all__ = ["SHAPE", "attention", "drop_key"]

Tensor: TypeAlias = torch.Tensor
ScoreMod: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]

SHAPE = (1 << 16, 1 << 10, 1 << 18, 1 << 18)
"""The shape (batch, heads, queries, keys) of the virtual array of scores whose lanes are drawn."""

_BITS = 1 << 16  # of a lane
_ORIGIN = (0, 0, 0, 0)


def drop_key(
    key: Key | Tensor, p: float | Tensor, *, start: Sequence[int] = _ORIGIN, device: Any = None
) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return a score_mod that sets scores to -inf with chance p, before the softmax.

    `score_mod(score, b, h, q, k) = -inf where lane(key, b, h, q, k) < round(p * 65536), else score`. The
    remaining weights sum to 1. The mask is that of `thinnet.drop("DropKey", …)` in a window of the shape
    `SHAPE`. Combine it with another score_mod by calling both. Backward uses the same mask: the lanes are
    computed again.

    Parameters
    ----------
    key : Key, or Tensor of int64, shape (1,) or (2,)
        The address of the randomness. A compiled function gets another tensor at each step and is not
        compiled again.
    p : float, or Tensor of floating point, shape ()
        Chance that a score is dropped, in [0, 1].
    start : four ints
        The place in `SHAPE` of the first score of a call: (batch, head, query, key), where a process holds a
        part of the batch, of the heads or of the sequence.
    device : device, optional
        The device of the scores; by default that of a key that is a tensor, else the CPU.

    Returns
    -------
    function of (score, batch, head, query, key position)
        A score_mod. Positions must lie inside `SHAPE`.

    Raises
    ------
    InputError
        A p outside [0, 1], a key that is no key, a start outside `SHAPE`.

    Examples
    --------
    >>> import thinnet as tn
    >>> score_mod = drop_key(tn.Key(0), 0.5)
    >>> places = torch.meshgrid(*map(torch.arange, (1, 1, 2, 6)), indexing="ij")
    >>> score_mod(torch.ones(1, 1, 2, 6), *places)[0, 0]
    tensor([[1., -inf, 1., 1., 1., 1.],
            [1., -inf, -inf, -inf, -inf, 1.]])

    References
    ----------
    Li et al.: DropKey. CVPR 2023, section 3.2. Dong et al.: Flex Attention: a programming model for
    generating optimized attention kernels. arXiv:2412.05496, 2024.
    """
    given: Any = key
    if given is None:
        raise InputError("drop_key: key must be a thinnet.Key, got None; use thinnet.Key(0).")
    address = keys.to_tensor(keys.key_or_fresh("drop_key", key))
    first = _check_start("drop_key", start)
    return _score_mod(table(address, _threshold("drop_key", p), device or address.device), first)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: Any = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    kernel_options: Any = None,
    dropout_p: float | Tensor = 0.0,
    dropout_key: Key | Tensor | None = None,
    start: Sequence[int] = _ORIGIN,
) -> Tensor:
    """Return flex_attention with dropout of the weights, `drop(softmax(scores)) @ value`.

    Dropped scores alone would change the denominator of the softmax. Two passes give the exact result:
    without dropout `lse = logsumexp(s)`, with dropped scores `out'` and `lse'`; then
    `out = out' * exp(lse' - lse) / keep`. Where flex_attention is compiled, the weights are never in memory.
    Without dropout this is torch's own function, whose arguments come first. For the CPU torch has neither a
    backward pass of flex_attention nor compiles its lse: there the weights are computed and dropped at once,
    with the same mask.

    Parameters
    ----------
    query : Tensor, shape (batch, heads, queries, e)
        Of floating point, as key and value.
    key : Tensor, shape (batch, heads, keys, e)
        The keys of attention; the key of randomness is `dropout_key`.
    value : Tensor, shape (batch, heads, keys, v)
        The values that are summed.
    score_mod : function of (score, batch, head, query, key position), optional
        Changes the scores before dropout.
    block_mask : BlockMask, optional
        The pairs of query and key that attend.
    scale : float, optional
        The factor of the scores; 1 / sqrt(e) if not given.
    enable_gqa : bool
        Several heads of the query share one head of key and value; each has a mask of its own.
    kernel_options : dict, optional
        Options of torch's kernels.
    dropout_p : float, or Tensor of floating point, shape ()
        Chance that a weight is dropped, in [0, 1].
    dropout_key : Key, or Tensor of int64, shape (1,) or (2,), optional
        The address of the randomness; the default is a fresh key from torch's generator.
    start : four ints
        The place in `SHAPE` of the first score: (batch, head, query, key). Rows of `thinnet.torch.shard` are
        added to it.

    Returns
    -------
    Tensor, shape (batch, heads, queries, v)
        0 for a query whose keys are all dropped.

    Raises
    ------
    InputError
        A dropout_p outside [0, 1], tensors of other axes, scores outside `SHAPE`.

    Examples
    --------
    >>> import thinnet as tn
    >>> q = torch.eye(3).reshape(1, 1, 3, 3)
    >>> attention(q, q, q, dropout_p=0.5, dropout_key=tn.Key(0))[0, 0].round(decimals=3)
    tensor([[0.9420, 0.0000, 0.5290],
            [0.5290, 0.0000, 0.0000],
            [0.0000, 0.5290, 0.9420]])

    References
    ----------
    Vaswani et al.: Attention is all you need. NeurIPS 2017, section 5.4. Dong et al.: Flex Attention: a
    programming model for generating optimized attention kernels. arXiv:2412.05496, 2024.
    """
    owner = "flex.attention"
    options = _Options(block_mask, scale, enable_gqa, kernel_options)
    tensors = query, key, value
    first = _place(owner, tensors, start)
    without = not isinstance(dropout_p, torch.Tensor) and check_p(owner, dropout_p, "dropout_p") == 0
    if without:
        run = _dense if _is_refused(tensors) else _flex
        return run(*tensors, score_mod, options)[0]
    address = keys.key_or_fresh(owner, dropout_key)
    rows = shards.window(owner, query, address, 0)
    first = (first[0] + (rows[0] if rows else 0), *first[1:])
    if _is_refused(tensors, with_lse=True):
        law = address, _check_scalar(owner, dropout_p, "dropout_p"), [*first, *SHAPE]
        return _dense(*tensors, score_mod, options, law)[0]
    threshold = _threshold(owner, dropout_p, "dropout_p")
    dropped = _score_mod(table(keys.to_tensor(address), threshold, query.device), first, score_mod)
    return _two_passes(tensors, score_mod, dropped, options, threshold)


def _is_refused(tensors: tuple[Tensor, Tensor, Tensor], with_lse: bool = False) -> bool:
    """Return whether torch has no flex_attention for a call: for the CPU, no backward and no compiled lse."""
    learned = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    return tensors[0].is_meta or (tensors[0].is_cpu and (learned or with_lse))


class _Options(NamedTuple):
    """The options of flex_attention."""

    block_mask: Any
    scale: float | None
    enable_gqa: bool
    kernel_options: Any


def _two_passes(
    tensors: tuple[Tensor, Tensor, Tensor],
    score_mod: ScoreMod | None,
    dropped: ScoreMod,
    options: _Options,
    threshold: Tensor,
) -> Tensor:
    """Return `out' * exp(lse' - lse) / keep`; 0 where no key is left."""
    _, lse = _flex(*tensors, score_mod, options, with_lse=True)
    out, kept_lse = _flex(*tensors, dropped, options, with_lse=True)
    without_keys = kept_lse.isneginf()
    # The difference of two infinities is NaN, as would be its gradient.
    share = (kept_lse.masked_fill(without_keys, 0) - lse.masked_fill(without_keys, 0)).exp()
    keep = (1 - threshold.to(out.device, lse.dtype) / _BITS).clamp(min=1 / _BITS)
    factor = share.masked_fill(without_keys, 0) / keep  # (batch, heads, queries)
    return (out.to(lse.dtype) * factor[..., None]).to(out.dtype)


def _flex(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None,
    options: _Options,
    with_lse: bool = False,
) -> tuple[Tensor, Any]:
    from torch.nn.attention.flex_attention import AuxRequest, flex_attention  # their import takes long

    if not torch.is_grad_enabled():  # else torch refuses tensors that require gradients on the CPU
        query, key, value = query.detach(), key.detach(), value.detach()
    more: Any = {"return_aux": AuxRequest(lse=True)} if with_lse else {}
    attend: Any = flex_attention  # its annotations are overloads for constants
    out = attend(query, key, value, score_mod, **options._asdict(), **more)
    return (out[0], out[1].lse) if with_lse else (out, None)


def _dense(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None,
    options: _Options,
    law: tuple[keys.AnyKey, float | Tensor, list[int]] | None = None,
) -> tuple[Tensor, Any]:
    """Compute flex_attention by its definition, with the weights in memory; `law` drops weights."""
    narrow = query.dtype
    query, key, value = (x.to(working_type(x)) for x in (query, key, value))
    if options.enable_gqa:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    scale = 1 / math.sqrt(query.shape[-1]) if options.scale is None else options.scale
    scores = query @ key.mT * scale  # (b, h, q, e) @ (b, h, e, k)
    places = [torch.arange(length, device=query.device) for length in scores.shape]
    if score_mod is not None:
        scores = _at_every_place(score_mod, 1)(scores, *places)
    if options.block_mask is not None:
        scores = scores.masked_fill(~_at_every_place(options.block_mask.mask_mod, 0)(*places), -math.inf)
    without_keys = scores.isneginf().all(-1, keepdim=True)
    weights = scores.masked_fill(without_keys, 0).softmax(-1).masked_fill(without_keys, 0)
    if law is not None:
        address, p, window = law
        weights = op.drop(weights, None, address, ("AttentionDropout", ()), p, window)
    return (weights @ value).to(narrow), None


def _at_every_place(function: Any, operands: int) -> Any:
    """Map a function of numbers, the operands and four places, over the four axes of scores."""
    for axis in (3, 2, 1, 0):
        in_dims = (*(0,) * operands, *(0 if place == axis else None for place in range(4)))
        function = torch.vmap(function, in_dims=in_dims)
    return function


def _score_mod(table: Tensor, first: tuple[int, ...], inner: ScoreMod | None = None) -> ScoreMod:
    def score_mod(score: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        if inner is not None:
            score = inner(score, b, h, q, k)
        places = (
            place + offset if offset else place for place, offset in zip((b, h, q, k), first, strict=True)
        )
        return torch.where(lane(table, *places) < table[THRESHOLD], -math.inf, score)

    return score_mod


def _threshold(owner: str, p: Any, name: str = "p") -> Tensor:
    """Return the number of lanes that are dropped, of 65,536."""
    p = _check_scalar(owner, p, name)
    if isinstance(p, torch.Tensor):
        return (p.detach().double() * _BITS).round().long()
    threshold = round(p * _BITS)
    if not torch.compiler.is_compiling():
        warn_if_rounded(owner, p, threshold)
    return torch.tensor(threshold, device="cpu")


def _check_scalar(owner: str, p: Any, name: str) -> float | Tensor:
    """Return a rate, as a tensor where it is one: a compiled function takes another at every call."""
    if not isinstance(p, torch.Tensor):
        return check_p(owner, p, name)
    if p.dim() or not p.is_floating_point():
        raise InputError(f"{owner}: {name} must be one number, got {p.dtype} of shape {tuple(p.shape)}.")
    if not torch.compiler.is_compiling() and p.is_cpu:
        check_p(owner, p.item(), name)
    return p


def _place(owner: str, tensors: tuple[Tensor, Tensor, Tensor], start: Any) -> tuple[int, ...]:
    """Return the place in `SHAPE` of the first score; raise InputError unless all scores lie inside."""
    for name, x in zip(("query", "key", "value"), tensors, strict=True):
        check_local(owner, x, name, axes="batch heads tokens features")
    first = _check_start(owner, start)
    size = *tensors[0].shape[:3], tensors[1].shape[2]
    if any(a + b > most for a, b, most in zip(first, size, SHAPE, strict=True)):
        raise InputError(f"{owner}: scores of shape {size} at {first} must lie inside flex.SHAPE, {SHAPE}.")
    return first


def _check_start(owner: str, start: Any) -> tuple[int, ...]:
    first = check_shape(owner, "start", start)
    if len(first) != len(SHAPE) or any(a >= most for a, most in zip(first, SHAPE, strict=True)):
        raise InputError(f"{owner}: start must be four whole numbers inside {SHAPE}, got {first}.")
    return first
