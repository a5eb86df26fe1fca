"""Noise on embeddings, several masks for one batch, and the divergence of two passes."""

from __future__ import annotations

from thinnet._checks import check_choice, check_integer, check_number
from thinnet._core.random import Window
from thinnet.errors import InputError
from thinnet.torch._apply import apply
from thinnet.torch._ops import drop as op
from thinnet.torch._ops import keys
from thinnet.torch._streams import shards
from thinnet.torch.functional._entry import AnyKey, Tensor, check_local, check_p, draw_gains

__all__ = ["multi_sample_dropout", "neftune_noise", "r_drop"]


def neftune_noise(
    x: Tensor, alpha: float, *, key: AnyKey = None, training: bool = True, window: Window | None = None
) -> Tensor:
    """Add uniform noise, `y = x + u * alpha / sqrt(tokens * features)` with u uniform on (-1, 1).

    Evaluation returns x.

    Parameters
    ----------
    x : Tensor of floating point, shape (n, tokens, features)
        Embeddings.
    alpha : float
        The size of the noise, at least 0; 5, 10 or 15 in the paper.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    training : bool
        Add noise, or return x.
    window : Window, optional
        The part of a global array that x is; the global number of tokens and features scales the noise.

    Returns
    -------
    Tensor
        Of the shape and dtype of x.

    Raises
    ------
    InputError
        An x of other axes, a negative alpha.

    Examples
    --------
    >>> import torch, thinnet as tn
    >>> neftune_noise(torch.ones(1, 2, 2), 1.0, key=tn.Key(0)).round(decimals=3)
    tensor([[[1.4100, 0.8990],
             [1.2720, 1.3810]]])

    References
    ----------
    Jain et al.: NEFTune: noisy embeddings improve instruction finetuning. ICLR 2024, section 2, algorithm 1.
    """
    x = check_local("NEFTune", x, axes="n tokens features")
    size = check_number("NEFTune", "alpha", alpha, 0)
    return apply(1.0, draw_gains("NEFTune", x, key, window, options=(size,)), x, 1.0) if training else x


def multi_sample_dropout(
    x: Tensor, p: float, *, key: AnyKey = None, samples: int = 8, training: bool = True
) -> Tensor:
    """Return x under several masks of dropout, along a new first axis.

    Apply the rest of the network and the loss to every sample, and average the losses.

    Parameters
    ----------
    x : Tensor of floating point, any shape
        Activations before the last layers.
    p : float
        Chance that an entry is dropped, in [0, 1].
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    samples : int
        The number of masks, at least 1; 8 in the paper.
    training : bool
        Draw masks, or return x once, along a first axis of length 1.

    Returns
    -------
    Tensor, shape (samples, …)
        Of the dtype of x.

    Raises
    ------
    InputError
        A p outside [0, 1], fewer than one sample.

    Examples
    --------
    >>> import torch, thinnet as tn
    >>> multi_sample_dropout(torch.ones(4), 0.5, key=tn.Key(0), samples=3)
    tensor([[2., 0., 2., 2.],
            [2., 2., 2., 2.],
            [2., 2., 0., 0.]])

    References
    ----------
    Inoue: Multi-sample dropout for accelerated training and better generalization. arXiv:1905.09788, 2019.
    """
    x, p = check_local("MultiSampleDropout", x), check_p("MultiSampleDropout", p)
    count = check_integer("MultiSampleDropout", "samples", samples, 1)
    if not training:
        return x.unsqueeze(0)
    address = keys.key_or_fresh("MultiSampleDropout", key)
    place = shards.window("MultiSampleDropout", x, address)
    if place:  # the rows of x are a part of a batch, the samples are all there
        place = [0, *place[: x.dim()], count, *place[x.dim() :]]
    return op.drop(x.expand(count, *x.shape), None, address, ("Dropout", ()), p, place)


def r_drop(first: Tensor, second: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return `(KL(p, q) + KL(q, p)) / 2` of the softmaxes of two passes' logits.

    Add it, times a weight of 1 to 5, to the mean of the losses of both passes. Classes that are masked with
    -inf are left out.

    Parameters
    ----------
    first, second : Tensor, shape (…, classes)
        Logits of one batch under two keys.
    reduction : {"mean", "sum", "none"}
        Of the rows.

    Returns
    -------
    Tensor, shape () or (…)

    Raises
    ------
    InputError
        Logits of different shapes.

    Examples
    --------
    >>> import torch
    >>> r_drop(torch.tensor([[0.0, 1.0], [2.0, 2.0]]), torch.tensor([[1.0, 0.0], [5.0, 5.0]]))
    tensor(0.2311)

    References
    ----------
    Liang et al.: R-Drop: regularized dropout for neural networks. NeurIPS 2021, section 2.1,
    equations 2 to 4.
    """
    check_local("RDrop", first, "first")
    check_local("RDrop", second, "second")
    if first.shape != second.shape or not first.dim():
        raise InputError(
            f"RDrop: logits must both have shape (…, classes), got {tuple(first.shape)} and "
            f"{tuple(second.shape)}."
        )
    check_choice("RDrop", "reduction", reduction, ("mean", "sum", "none"))
    log_p, log_q = first.log_softmax(-1), second.log_softmax(-1)
    gap = (log_p - log_q).masked_fill(log_p.isneginf() & log_q.isneginf(), 0)
    rows = ((log_p.exp() - log_q.exp()) * gap).sum(-1) / 2
    return rows if reduction == "none" else rows.mean() if reduction == "mean" else rows.sum()
