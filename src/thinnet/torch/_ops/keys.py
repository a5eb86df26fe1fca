"""Keys as torch has them: a `Key` where nobody watches, else a tensor of int64, (1,) or (2,).

A tensor holds the 64 bits as a signed number, and perhaps the step; it can be handed to a compiled function
anew at every call, and is traced, transformed and recorded like any other.
"""

from __future__ import annotations

import threading
from typing import Any, TypeAlias

import torch
from torch.autograd import forward_ad

from thinnet._core.random import Key
from thinnet._core.random.key import bare
from thinnet.errors import InputError

__all__ = ["AnyKey", "checked", "fresh", "fresh_tensor", "to_key", "to_tensor", "watched"]

Tensor: TypeAlias = torch.Tensor
AnyKey: TypeAlias = Key | Tensor

_HALF = 1 << 63
_ADDRESS = (1 << 64) - 1
_inside: Any = torch._C
# Who may want to see operators: modes, transforms of torch.func, tracing; and derivatives forward.
_modes, _transforms = _inside._len_torch_dispatch_stack, _inside._are_functorch_transforms_active
_tracing = _inside._get_tracing_state
_dual: Any = forward_ad


class _Own(threading.local):
    """Room for one number in each thread."""

    def __init__(self) -> None:
        # A thread that first draws in inference mode may train later, and tensors made there stay there.
        with torch.inference_mode(False):
            self.number = torch.empty((), dtype=torch.int64, device="cpu")


_own = _Own()


def watched() -> bool:
    """Say whether somebody wants to see every operator: a compiler, a transform, a mode, a tracer."""
    return (
        torch.compiler.is_compiling()
        or _modes() > 0
        or _transforms()
        or _tracing() is not None
        or _dual._current_level >= 0
    )


def fresh() -> AnyKey:
    """Return a key from torch's own generator of the CPU: one draw of 64 bits.

    `torch.manual_seed`, `fork_rng` and the workers of a DataLoader act on it as on any draw, and activation
    checkpointing, which brings the generator's state back, draws the same masks again.
    """
    if watched():
        return fresh_tensor()
    drawn: Any = _own.number.random_(-_HALF, _HALF - 1).item()
    return bare(drawn & _ADDRESS)


def fresh_tensor() -> Tensor:
    """Return the same as a tensor."""
    return torch.randint(-_HALF, _HALF - 1, (1,), device="cpu")


def to_tensor(key: AnyKey) -> Tensor:
    """Return a key's bits and step.

    Examples
    --------
    >>> to_tensor(Key(2**64 - 1).at(3))
    tensor([-1,  3])
    """
    if isinstance(key, torch.Tensor):
        return key
    value = key.value - 2 * _HALF if key.value >= _HALF else key.value
    return torch.tensor([value, key.step], device="cpu")


def to_key(key: AnyKey) -> Key:
    """Return what `to_tensor` was given.

    Examples
    --------
    >>> to_key(torch.tensor([-1, 3]))
    Key(value=18446744073709551615, step=3)
    """
    if isinstance(key, Key):
        return key
    numbers: Any = key
    value, *step = numbers.tolist()
    return Key(value & _ADDRESS, *step)


def checked(owner: str, key: Any) -> AnyKey:
    """Return a key, a fresh one for None, or say what is wrong with it."""
    if type(key) is Key:
        return key
    if key is None:
        return fresh()
    # a tracer warns of every shape that is looked at
    fits = isinstance(key, torch.Tensor) and (_tracing() is not None or key.shape in ((1,), (2,)))
    if fits and key.dtype == torch.int64:
        return key
    raise InputError(f"{owner}: key must be a thinnet.Key, got {key!r}; use thinnet.Key(0).")
