"""Keys as tensors of int64, (1,) or (2,): the 64 bits as a signed number, and perhaps the step.

A tensor can be handed to a compiled function anew at every call.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from thinnet.errors import InputError
from thinnet.random import Key

__all__ = ["address", "fresh", "numbers", "to_key", "to_tensor"]

Tensor: TypeAlias = torch.Tensor

_HALF = 1 << 63
_ADDRESS = (1 << 64) - 1


def fresh() -> Tensor:
    """Return a key from torch's own generator of the CPU: one draw of 64 bits.

    `torch.manual_seed`, `fork_rng` and the workers of a DataLoader act on it as on any draw, and activation
    checkpointing, which brings the generator's state back, draws the same masks again.
    """
    return torch.randint(-_HALF, _HALF - 1, (1,), device="cpu")


def to_tensor(key: Key) -> Tensor:
    """Return a key's bits and step.

    Examples
    --------
    >>> to_tensor(Key(2**64 - 1).at(3))
    tensor([-1,  3])
    """
    value = key.value - 2 * _HALF if key.value >= _HALF else key.value
    return torch.tensor([value, key.step], device="cpu")


def to_key(tensor: Tensor) -> Key:
    """Return what `to_tensor` was given.

    Examples
    --------
    >>> to_key(torch.tensor([-1, 3]))
    Key(value=18446744073709551615, step=3)
    """
    return Key(*numbers(tensor))


def numbers(tensor: Any) -> tuple[int, int]:
    """Return the 64 bits, unsigned, and the step."""
    value, *step = tensor.tolist()
    return value & _ADDRESS, step[0] if step else 0


def address(owner: str, key: Any) -> Tensor:
    """Return a key of any kind as a tensor, a fresh one for None, or say what is wrong with it."""
    if key is None:
        return fresh()
    if isinstance(key, Key):
        return to_tensor(key)
    if not isinstance(key, torch.Tensor) or key.dtype != torch.int64 or key.shape not in ((1,), (2,)):
        raise InputError(f"{owner}: key must be a thinnet.Key, got {key!r}; use thinnet.Key(0).")
    return key
