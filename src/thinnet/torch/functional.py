"""Functions on tensors, with the bits of their NumPy twins: the key is an argument, or drawn from torch."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import torch

from thinnet.errors import InputError
from thinnet.random import Key
from thinnet.torch import op
from thinnet.variants import find

__all__ = ["drop", "dropout", "fresh_key"]

Tensor: TypeAlias = torch.Tensor

_HALF = 1 << 63


def fresh_key() -> Tensor:
    """Return a key from torch's own generator of the CPU: one draw of 64 bits.

    `torch.manual_seed`, `fork_rng` and the workers of a DataLoader act on it as on any draw, and activation
    checkpointing, which brings the generator's state back, draws the same masks again.
    """
    return torch.randint(-_HALF, _HALF - 1, (1,))


def drop(
    name: str,
    x: Tensor,
    rate: float,
    *,
    key: Key | Tensor | None = None,
    other: Tensor | None = None,
    training: bool = True,
    block: int | tuple[int, ...] | None = None,
) -> Tensor:
    """Apply a variant of the catalogue to a tensor; the bits of `thinnet.drop` at the same key.

    Parameters
    ----------
    name : str
        A row of `thinnet.CATALOGUE`.
    x : Tensor of float16, bfloat16, float32 or float64
        What is dropped; its axes have to fit the variant's pattern.
    rate : float
        Chance that an entry is dropped, in [0, 1].
    key : Key, or Tensor of int64 of shape (1,) or (2,), optional
        The address of the randomness; a fresh one from torch's generator if not given, none at all in
        evaluation.
    other : Tensor, optional
        What stands in, of the shape and dtype of x, for variants that ask for it.
    training : bool
        Draw, or apply what the mean network applies.
    block : int or tuple of int, optional
        How long blocks are along each axis that has them.

    Raises
    ------
    InputError
        An unknown name, a rate outside [0, 1], a tensor that does not fit.

    Examples
    --------
    >>> import thinnet
    >>> drop("Dropout2d", torch.ones(1, 4, 1, 1), 0.5, key=thinnet.Key(0)).flatten()
    tensor([2., 0., 2., 2.])
    """
    sizes = () if block is None else _sizes(name, block)
    if training:
        return op.drop(x, other, _tensor(name, key), name, rate, sizes)
    if not torch.compiler.is_compiling():
        op.check(x, other, name, rate, sizes)
    gain, shift = _mean_of(name, float(rate))
    y = x if gain == 1 else torch.zeros_like(x) if gain == 0 else x * gain
    return y if shift == 0 or other is None else y + shift * other


# Plain numbers of plain numbers: a compiler need not look inside.
_constant: Any = cast("Any", torch.compiler).assume_constant_result


@_constant
def _mean_of(name: str, rate: float) -> tuple[float, float]:
    return find(name).mean_of(rate)


@_constant
def _sizes(name: str, block: int | tuple[int, ...]) -> tuple[int, ...]:
    return find(name).sized(block).block


def dropout(
    x: Tensor, rate: float = 0.5, *, key: Key | Tensor | None = None, training: bool = True
) -> Tensor:
    """Zero each entry with chance `rate` and divide the others by keep.

    Examples
    --------
    >>> import thinnet
    >>> dropout(torch.ones(8), 0.5, key=thinnet.Key(0))
    tensor([2., 0., 2., 2., 2., 2., 2., 2.])

    Differs from `torch.nn.functional.dropout`: what is dropped is +0 even where x is infinite or NaN.

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014, sections 4 and 10.
    """
    return drop("Dropout", x, rate, key=key, training=training)


def _tensor(name: str, key: Key | Tensor | None) -> Tensor:
    if key is None:
        return fresh_key()
    if isinstance(key, Key):
        value = key.value - 2 * _HALF if key.value >= _HALF else key.value
        return torch.tensor([value, key.step])
    if not isinstance(key, torch.Tensor) or key.dtype != torch.int64 or key.shape not in ((1,), (2,)):
        raise InputError(f"{name}: key must be a thinnet.Key, got {key!r}; use thinnet.Key(0).")
    return key
