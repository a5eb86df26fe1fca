"""Variants outside of the catalogue that learn nothing, with the lanes of `thinnet.variants._beyond`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from thinnet.errors import InputError
from thinnet.torch._ops.lanes import fold, lanes, shares
from thinnet.torch._streams import shards
from thinnet.torch.functional._entry import AnyKey, Tensor, chance, opened, shaped, times, whole, wide
from thinnet.torch.functional._rows import drop
from thinnet.variants._law import LANES

__all__ = [
    "drop_head",
    "max_pool_dropout",
    "patch_dropout",
    "r_drop_loss",
    "shake_drop",
    "targeted_dropout",
]


def targeted_dropout(
    weight: Tensor,
    p: float,
    *,
    key: AnyKey = None,
    target: float = 0.5,
    units: bool = False,
    training: bool = True,
) -> Tensor:
    """Zero the smallest weights with chance p, and no others; nothing is scaled.

    Candidates are the `target` share of each output's weights that are smallest in magnitude or, with
    `units`, the outputs whose weights are shortest. The first axis is the outputs, as in Linear and Conv2d.

    Examples
    --------
    >>> targeted_dropout(torch.tensor([[0.1, -3.0, 0.2, 2.0]]), 1.0)
    tensor([[ 0., -3.,  0.,  2.]])

    References
    ----------
    Gomez et al.: Learning sparse networks using targeted dropout. arXiv:1905.13678, 2019, section 3.
    """
    p, target = chance("TargetedDropout", p), chance("TargetedDropout", target, "target")
    weight, address = opened("TargetedDropout", weight, key, training)
    if address is None or not weight.numel():
        return weight
    flat = weight.detach().flatten(1) if weight.dim() > 1 else weight.detach()[:, None]
    shape = (len(flat), *(1,) * (weight.dim() - 1)) if units else weight.shape
    sizes = flat.double().norm(dim=1)[None] if units else flat.abs()
    count = math.floor(target * sizes.shape[-1] + 1e-9)
    ranks = sizes.argsort(stable=True, dim=-1).argsort(stable=True, dim=-1)
    chosen = (ranks < count).reshape(shape)
    drawn = lanes(address, shape).to(weight.device)
    return weight.masked_fill(chosen & (drawn < round(p * LANES)), 0)


def max_pool_dropout(
    x: Tensor,
    p: float,
    *,
    key: AnyKey = None,
    size: int = 2,
    stride: int | None = None,
    training: bool = True,
) -> Tensor:
    """Take the largest entry of each window that is not dropped; 0 if all are.

    Evaluation weights a window's entries, in order, by `keep * p**(i - 1)`. Entries have to be at least 0, as
    behind a rectifier; that is not looked at.

    Examples
    --------
    >>> max_pool_dropout(torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]]), 0.5, training=False)
    tensor([[[[3.0625]]]])

    References
    ----------
    Wu, Gu: Max-pooling dropout for regularization of convolutional neural networks. ICONIP 2015, section 3.
    """
    shaped("MaxPoolDropout", x, "n channels height width")
    p, size = chance("MaxPoolDropout", p), whole("MaxPoolDropout", size, "size", 1)
    stride = size if stride is None else whole("MaxPoolDropout", stride, "stride", 1)
    if training:
        return F.max_pool2d(drop("UnscaledDropout", x, p, key=key), size, stride)
    rate = round(p * LANES) / LANES
    windows = x.unfold(2, size, stride).unfold(3, size, stride).flatten(-2)  # (n, c, h, w, size**2)
    weights = (1 - rate) * rate ** torch.arange(size**2, dtype=x.dtype, device=x.device)
    return windows.sort(-1, descending=True).values @ weights


def shake_drop(x: Tensor, p: float, *, key: AnyKey = None, training: bool = True) -> Tensor:
    """Multiply the branch of each sample by 1 or, with chance p, by noise even on (-1, 1).

    Backward, the same samples are multiplied by other noise, even on (0, 1). Evaluation multiplies by keep.

    Examples
    --------
    >>> import thinnet as tn
    >>> shake_drop(torch.ones(4, 1), 0.5, key=tn.Key(0)).flatten().round(decimals=3)
    tensor([ 1.0000, -0.0350,  1.0000,  1.0000])

    References
    ----------
    Yamada et al.: ShakeDrop regularization for deep residual learning. IEEE Access 7, 2019, section III.
    """
    p = chance("ShakeDrop", p)
    x, address = opened("ShakeDrop", x, key, training)
    if not x.dim():
        raise InputError("ShakeDrop: x must have shape (n, …), got ().")
    threshold = round(p * LANES)
    if address is None:
        return x * (1 - threshold / LANES)
    each = x.detach().new_empty((len(x), *(1,) * (x.dim() - 1)))
    where = shards.window("ShakeDrop", each, address)
    noisy = lanes(address, each.shape, where).to(x.device) < threshold
    forth = 2 * shares(fold(address, "forward"), each, where) - 1
    back = shares(fold(address, "backward"), each, where)
    gains = (torch.where(noisy, noise, 1.0).to(wide(x)) for noise in (forth, back))
    return _shake(x, *gains)


class _Shake(torch.autograd.Function):
    """Multiply forward by one gain and backward by another."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, forth: Tensor, back: Tensor) -> Tensor:
        return times(forth, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> Any:
        (back,) = ctx.saved_tensors
        return times(back, dys[0]), None, None


_shake: Any = _Shake.apply


def drop_head(x: Tensor, p: float, *, key: AnyKey = None, training: bool = True) -> Tensor:
    """Drop heads of each sample, (n, heads, tokens, features), and multiply the others by `heads / kept`.

    Examples
    --------
    >>> import thinnet as tn
    >>> drop_head(torch.ones(2, 4, 1, 1), 0.5, key=tn.Key(0))[..., 0, 0].round(decimals=3)
    tensor([[1.3330, 0.0000, 1.3330, 1.3330],
            [1.0000, 1.0000, 1.0000, 1.0000]])

    References
    ----------
    Zhou et al.: Scheduled DropHead: a regularization method for transformer models. Findings of EMNLP 2020,
    section 3.
    """
    shaped("DropHead", x, "n heads tokens features")
    p = chance("DropHead", p)
    x, address = opened("DropHead", x, key, training)
    if address is None:
        return x
    each = x.detach().new_empty(x.shape[:2])
    kept = lanes(address, each.shape, shards.window("DropHead", each, address)).to(x.device) >= round(
        p * LANES
    )
    scale = each.shape[1] / kept.sum(1, keepdim=True).clamp(min=1).to(wide(x))
    return times(torch.where(kept, scale, 0)[..., None, None], x)


def patch_dropout(
    x: Tensor, p: float, *, key: AnyKey = None, prefix: int = 0, training: bool = True
) -> tuple[Tensor, Tensor]:
    """Remove tokens of each sample, (n, t, features): exactly `round((t - prefix) * (1 - p))` stay, in order.

    At least one stays. The first `prefix` tokens always do. Nothing is scaled, and evaluation keeps all.

    Returns
    -------
    kept : Tensor, shape (n, k, features)
    index : Tensor of int64, shape (n, k)
        Which tokens these are, ascending.

    Examples
    --------
    >>> import thinnet as tn
    >>> kept, index = patch_dropout(torch.zeros(2, 9, 3), 0.5, key=tn.Key(0), prefix=1)
    >>> kept.shape, index.tolist()
    (torch.Size([2, 5, 3]), [[0, 2, 3, 6, 7], [0, 2, 3, 4, 7]])

    References
    ----------
    Liu et al.: PatchDropout: economizing vision transformers using patch dropout. WACV 2023, section 3.
    """
    shaped("PatchDropout", x, "n tokens features")
    p = chance("PatchDropout", p)
    n, tokens, _ = x.shape
    if whole("PatchDropout", prefix, "prefix", 0) > tokens:
        raise InputError(f"PatchDropout: prefix must be in [0, {tokens}], got {prefix!r}.")
    x, address = opened("PatchDropout", x, key, training)
    free = tokens - prefix
    if address is None or not free:
        return x, torch.arange(tokens, device=x.device).expand(n, tokens)
    pairs = x.detach().new_empty((n, free, 2), device="meta")
    drawn = lanes(address, pairs.shape, shards.window("PatchDropout", pairs, address)).to(
        x.device, torch.int64
    )
    # Two lanes make one number of 32 bits; equal ones keep their order.
    order = (drawn[..., 0] * LANES + drawn[..., 1]).argsort(stable=True, dim=1)
    chosen = order[:, : max(1, round(free * (1 - p)))].sort(1).values + prefix
    index = torch.cat([torch.arange(prefix, device=x.device).expand(n, prefix), chosen], 1)
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2])), index


def r_drop_loss(first: Tensor, second: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return `(KL(p, q) + KL(q, p)) / 2` of the softmaxes of two passes' logits, (…, classes).

    Add it, times a weight of 1 to 5, to the mean of both passes' losses. Classes that are masked with -inf
    count nothing.

    Parameters
    ----------
    first, second : Tensor of one shape
        Logits of one batch under two keys.
    reduction : {"mean", "sum", "none"}
        Of the rows.

    Raises
    ------
    InputError
        Logits of different shapes.

    Examples
    --------
    >>> r_drop_loss(torch.tensor([[0.0, 1.0], [2.0, 2.0]]), torch.tensor([[1.0, 0.0], [5.0, 5.0]]))
    tensor(0.2311)

    References
    ----------
    Liang et al.: R-Drop: regularized dropout for neural networks. NeurIPS 2021, section 2.1,
    equations 2 to 4.
    """
    if first.shape != second.shape or not first.dim():
        raise InputError(
            f"RDrop: logits must both have shape (…, classes), got {tuple(first.shape)} and "
            f"{tuple(second.shape)}."
        )
    if reduction not in ("mean", "sum", "none"):
        raise InputError(f'RDrop: reduction must be "mean", "sum" or "none", got {reduction!r}.')
    log_p, log_q = first.log_softmax(-1), second.log_softmax(-1)
    gap = (log_p - log_q).masked_fill(log_p.isneginf() & log_q.isneginf(), 0)
    rows = ((log_p.exp() - log_q.exp()) * gap).sum(-1) / 2
    return rows if reduction == "none" else rows.mean() if reduction == "mean" else rows.sum()
