"""The law in torch, `gain * x + shift * other`: the only multiplication by a gain in `thinnet.torch`.

The arithmetic is that of `thinnet._core.apply`, so the bits are NumPy's:

- a term whose factor is 0 is left out, and where both are, y is +0: a dropped NaN, infinity or sign has no
  effect, forward or backward;
- both terms are rounded one by one, then their sum;
- the computation runs in the common dtype of the gain, the shift and x, in float32 at least, and its result
  is rounded once to the dtype of x.
"""

from __future__ import annotations

from typing import TypeAlias

import torch

__all__ = ["apply", "round_once"]

Tensor: TypeAlias = torch.Tensor


def apply(
    gain: Tensor | float, shift: Tensor | float, x: Tensor, other: Tensor | float | None = None
) -> Tensor:
    """Return `gain * x + shift * other` in the dtype of x; a factor of 0 leaves its term out.

    Every derivative follows from torch's own operations. A dropped entry passes a gradient of +0, even where
    the gradient of y is infinite or NaN.

    Parameters
    ----------
    gain, shift : float, or Tensor that broadcasts against x
        A float counts as a number of the dtype of x, a tensor takes part in the common dtype.
    x : Tensor of floating point
        The entries.
    other : Tensor that broadcasts against x, or float, optional
        The replacement; without one there is no second term.

    Returns
    -------
    Tensor
        Of the shape and dtype of x; x itself where the gain is the float 1 and there is no shift.

    Examples
    --------
    >>> apply(torch.tensor([0.0, 2.0]), 0.0, torch.tensor([-torch.inf, 1.5]))
    tensor([0., 3.])
    >>> apply(0.5, 0.5, torch.tensor([1.0, 2.0]), 4.0)
    tensor([2.5000, 3.0000])
    """
    if other is None:
        if isinstance(gain, torch.Tensor):
            return _scale(gain, x)
        if gain == 1:
            return x
    work = torch.promote_types(x.dtype, torch.float32)
    for factor in (gain, shift):
        if isinstance(factor, torch.Tensor):
            work = torch.promote_types(work, factor.dtype)
    first = _term(gain, x.to(work))
    second = None if other is None else _term(shift, torch.as_tensor(other, dtype=work, device=x.device))
    if first is None:
        return _instead_of(x, 0 if second is None else round_once(second, x.dtype))
    if second is None:
        return x if gain == 1 else round_once(first, x.dtype)
    y = first + second
    # The sum of a term and +0 would lose the sign of a zero.
    if isinstance(gain, torch.Tensor):
        y = torch.where(gain == 0, second, y)
    if isinstance(shift, torch.Tensor):
        y = torch.where(shift == 0, first, y)
    return round_once(y, x.dtype)


def _scale(gain: Tensor, x: Tensor) -> Tensor:
    """Return `apply(gain, 0.0, x)`, faster: the product is rounded before dropped entries are set."""
    work = torch.promote_types(torch.promote_types(x.dtype, torch.float32), gain.dtype)
    dropped = gain == 0
    kept = torch.where(dropped, 0, x) if gain.requires_grad else x
    # A tensor without axes does not take part in the common dtype.
    product = gain.to(work) * (kept if gain.dim() and kept.dim() and gain.dtype == work else kept.to(work))
    return torch.where(dropped, 0, round_once(product, x.dtype))


def round_once(y: Tensor, dtype: torch.dtype) -> Tensor:
    """Return y in a narrower dtype, rounded to nearest, ties to even.

    torch converts float64 to float16 by way of float32, which rounds twice. Here the way is taken by a number
    of float32 that is rounded to odd: it lies on the side of every tie where y lies.

    Examples
    --------
    >>> y = torch.tensor(1 + 2**-11 + 2**-40, dtype=torch.float64)
    >>> y.to(torch.float16).item(), round_once(y, torch.float16).item()
    (1.0, 1.0009765625)
    """
    if dtype != torch.float16 or y.dtype != torch.float64:
        return y.to(dtype)
    exact = y.detach()
    near = exact.float()
    off = near.double() - exact
    even = (near.view(torch.int32) & 1) == 0
    odd = torch.nextafter(near, torch.where(off > 0, -torch.inf, torch.inf).float())
    moved = (torch.where((off != 0) & even & near.isfinite(), odd, near).double() - exact).nan_to_num(0.0)
    # Adding -0 changes no number, not even a zero.
    return (y + torch.where(moved == 0, -0.0, moved)).to(dtype)


def _term(factor: Tensor | float, value: Tensor) -> Tensor | None:
    """Return `factor * value`, +0 where a tensor's factor is 0; None for the float 0."""
    if isinstance(factor, torch.Tensor):
        dropped = factor == 0
        # The inner choice guards the gradient of the factor, the outer one that of the value.
        return torch.where(dropped, 0, factor.to(value.dtype) * torch.where(dropped, 0, value))
    return None if factor == 0 else value if factor == 1 else value * factor


def _instead_of(x: Tensor, value: Tensor | int) -> Tensor:
    """Return a value in the shape of x, with a gradient of zeros for x: without it x would get none."""
    return torch.where(torch.ones((), dtype=torch.bool, device=x.device), value, x)
