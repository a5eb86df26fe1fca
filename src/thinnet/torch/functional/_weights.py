"""Variants of weights that need more than a rate, with the bits of NumPy's functions.

The first axis of a weight is the outputs and the second the inputs, as in `torch.nn.Linear` and `Conv2d`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from thinnet._checks import check_boolean, check_integer, check_number
from thinnet.errors import InputError
from thinnet.torch._apply import apply, round_once
from thinnet.torch._ops import keys
from thinnet.torch._ops.draw import to_array
from thinnet.torch._ops.gains import gains
from thinnet.torch.functional._entry import AnyKey, Tensor, check_local, check_p, check_parameter
from thinnet.torch.functional._rows import drop
from thinnet.variants._beyond.dare import dare_merge as merge

__all__ = ["dare_merge", "shakeout", "sparse_prune", "targeted_dropout"]


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

    Candidates are the `target` share of the weights of each output that are smallest in magnitude or, with
    `units`, the outputs whose weights are shortest. Evaluation returns the weight.

    Parameters
    ----------
    weight : Tensor of floating point, shape (outputs, …)
        Of one layer.
    p : float
        Chance that a candidate is dropped, in [0, 1]; the paper's alpha.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    target : float
        Share of candidates, in [0, 1]; the paper's gamma.
    units : bool
        Drop whole outputs instead of single weights.
    training : bool
        Draw a mask, or return the weight.

    Returns
    -------
    Tensor
        Of the shape and dtype of the weight.

    Raises
    ------
    InputError
        A p or a target outside [0, 1], a weight without axes.

    Examples
    --------
    >>> targeted_dropout(torch.tensor([[0.1, -3.0, 0.2, 2.0]]), 1.0)
    tensor([[ 0., -3.,  0.,  2.]])

    References
    ----------
    Gomez et al.: Learning sparse networks using targeted dropout. arXiv:1905.13678, 2019, section 3.
    """
    weight, p = check_local("TargetedDropout", weight, "weight"), check_p("TargetedDropout", p)
    if not weight.dim():
        raise InputError("TargetedDropout: weight must have shape (outputs, …), got ().")
    share = check_p("TargetedDropout", target, "target")
    by_outputs = float(check_boolean("TargetedDropout", "units", units))
    if not training or not weight.numel():
        return weight
    address = keys.key_or_fresh("TargetedDropout", key)
    rows = weight.detach()
    rows = rows if rows.dim() > 1 else rows.reshape(-1, 1)
    options = p, share, by_outputs
    gain = gains("TargetedDropout", address, rows.shape, (), rows, options, weight.device)
    return apply(gain if weight.dim() > 1 else gain.reshape(weight.shape), 0.0, weight)


def shakeout(
    weight: Tensor, p: float, *, key: AnyKey = None, c: float = 0.1, axis: int = 1, training: bool = True
) -> Tensor:
    """Set the weights of an input to `-c * sign(w)` with chance p, else to `(w + p * c * sign(w)) / keep`.

    The mean is w, except at p = 1. The constant has no gradient. Evaluation returns the mean.

    Parameters
    ----------
    weight : Tensor of floating point
        Of one layer.
    p : float
        Chance of the constant, in [0, 1]; the paper's tau.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    c : float
        The size of the constant, at least 0.
    axis : int
        The axis of the inputs: 1 for `torch.nn.Linear` and `Conv2d`.
    training : bool
        Draw weights, or return their mean.

    Returns
    -------
    Tensor
        Of the shape and dtype of the weight.

    Raises
    ------
    InputError
        A p outside [0, 1], a negative c, an axis that the weight does not have.

    Examples
    --------
    >>> import thinnet as tn
    >>> shakeout(torch.tensor([[1.0, 3.0], [-2.0, 4.0]]), 0.5, key=tn.Key(0))
    tensor([[ 2.1000, -0.1000],
            [-4.1000, -0.1000]])

    References
    ----------
    Kang et al.: Shakeout: a new regularized deep neural network training scheme. AAAI 2016, section 3,
    equation 5.
    """
    weight, p = check_local("Shakeout", weight, "weight"), check_p("Shakeout", p)
    axis = check_integer("Shakeout", "axis", axis, -weight.dim(), weight.dim() - 1) % weight.dim()
    size = torch.tensor(-check_number("Shakeout", "c", c, 0), dtype=weight.dtype, device=weight.device)
    fixed = weight.detach()
    other = size * torch.where(fixed.isnan(), fixed, fixed.sign())
    pattern = " ".join("f" if i == axis else "1" for i in range(weight.dim()))
    return drop("Mixout", weight, p, key=key, other=other, training=training, pattern=pattern)


def dare_merge(
    base: Tensor,
    tuned: Sequence[Tensor],
    p: float,
    *,
    key: AnyKey = None,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Merge fine-tuned weights: `base + sum over k of weights[k] * (DARE(tuned[k]) - base)`.

    Model k is dropped under `key.fold(k)`, so its mask does not depend on the other models. Give each tensor
    of a network a key of its own: `key.fold(name)`. The result is a constant: it has no gradient.

    Parameters
    ----------
    base : Tensor of floating point
        The pretrained weights.
    tuned : sequence of Tensor, of the shape of base
        The weights of the fine-tuned models.
    p : float
        Chance that a change is dropped, in [0, 1]; 0.9 and more in the paper.
    key : Key, or Tensor of int64, optional
        The address of the randomness; the default is a fresh key from torch's generator.
    weights : sequence of float, optional
        The weight of each model; 1 for each if not given, which adds all changes (task arithmetic).

    Returns
    -------
    Tensor
        Of the shape and dtype of base; computed in float64.

    Raises
    ------
    InputError
        Tensors of other shapes, no model, weights that are not one number for each model.

    Examples
    --------
    >>> import thinnet as tn
    >>> dare_merge(torch.ones(6), [torch.ones(6) + 0.25], 0.5, key=tn.Key(0))
    tensor([1.0000, 1.0000, 1.5000, 1.0000, 1.0000, 1.5000])

    References
    ----------
    Yu et al.: Language models are super Mario: absorbing abilities from homologous models as a free lunch.
    ICML 2024.
    """
    check_local("dare_merge", base, "base")
    for k, one in enumerate(tuned):
        check_local("dare_merge", one, f"tuned[{k}]")
    if base.is_meta:
        return torch.empty_like(base)
    address = keys.to_key(keys.key_or_fresh("dare_merge", key))
    arrays = (to_array(one.detach().cpu().double()) for one in (base, *tuned))
    merged = merge(next(arrays), list(arrays), check_p("dare_merge", p), key=address, weights=weights)
    return round_once(torch.from_numpy(merged), base.dtype).to(base.device)


def sparse_prune(weight: Tensor, log_alpha: Tensor | float, *, threshold: float = 3.0) -> Tensor:
    """Zero the weights whose log(alpha) is above a threshold: they are mostly noise.

    Parameters
    ----------
    weight : Tensor of floating point
        Means of the weights.
    log_alpha : Tensor or float
        Logarithm of the relative variance, broadcast against the weight.
    threshold : float
        3 in the paper, a rate of 0.95.

    Returns
    -------
    Tensor
        Of the shape and dtype of the weight.

    Raises
    ------
    InputError
        A log_alpha that does not broadcast against the weight.

    Examples
    --------
    >>> sparse_prune(torch.tensor([0.5, -2.0]), torch.tensor([4.0, -1.0]))
    tensor([ 0., -2.])

    References
    ----------
    Molchanov et al.: Variational dropout sparsifies deep neural networks. ICML 2017, section 4.3.
    """
    owner = "SparseVariationalDropout"
    weight = check_local(owner, weight, "weight")
    logs = check_parameter(owner, "log_alpha", log_alpha, weight)
    pruned = logs.detach() > check_number(owner, "threshold", threshold)
    return apply((~pruned).to(weight.dtype), 0.0, weight)
