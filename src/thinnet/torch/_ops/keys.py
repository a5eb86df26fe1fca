"""Keys for torch: a `Key` in eager mode, an int64 tensor of one or two elements while tracing.

A tensor holds the 64 bits as a signed number, and optionally the step. A compiled function takes a new one at
every call, and it is traced, transformed and recorded like any other tensor.
"""

from __future__ import annotations

import threading
from typing import Any, TypeAlias

import torch

from thinnet._checks import format_value
from thinnet._core.random import Key
from thinnet._core.random.key import bare
from thinnet.errors import InputError
from thinnet.torch._internals import in_eager_mode, in_transform, is_tracing
from thinnet.torch._ops import tickets

__all__ = [
    "ADDRESS",
    "AnyKey",
    "draw_bits",
    "fresh",
    "fresh_tensor",
    "is_compiling",
    "key_or_fresh",
    "known",
    "of_numbers",
    "to_key",
    "to_numbers",
    "to_tensor",
]

Tensor: TypeAlias = torch.Tensor
AnyKey: TypeAlias = Key | Tensor

_HALF = 1 << 63
ADDRESS = (1 << 64) - 1
"""All 64 bits."""


class _Own(threading.local):
    """One number for each thread, which torch's generator writes to."""

    def __init__(self) -> None:
        # A thread that first draws in inference mode may train later; a tensor made in it would stay in it.
        with torch.inference_mode(False):
            self.number = torch.empty((), dtype=torch.int64, device="cpu")


_own = _Own()


def fresh() -> AnyKey:
    """Return a key from torch's own generator of the CPU: one draw of 64 bits.

    `torch.manual_seed`, `fork_rng` and the workers of a DataLoader act on it as on any draw, and activation
    checkpointing, which restores the state of the generator, draws the same masks again.
    """
    if not in_eager_mode():
        return fresh_tensor()
    return bare(draw_bits() & ADDRESS)


def fresh_tensor() -> Tensor:
    """Return a fresh key as a tensor."""
    if is_compiling() and not tickets.in_batch():  # torch's own operations follow the randomness of vmap
        operator = torch.ops.thinnet.fresh_key
        ticket, site = tickets.current(), tickets.new_site()
        if tickets.takes_writes():
            return operator.default(ticket, site)
        return operator.unordered(ticket, site)
    return torch.randint(-_HALF, _HALF - 1, (1,), device="cpu")


def is_compiling() -> bool:
    """Return whether `torch.compile` traces this call, for this process alone: not for torch.export."""
    compiler: Any = torch.compiler
    return compiler.is_dynamo_compiling() and not compiler.is_exporting()


def draw_bits() -> int:
    """Return 64 bits of torch's generator of the CPU as a signed number."""
    drawn: Any = _own.number.random_(-_HALF, _HALF - 1).item()
    return drawn


def to_tensor(key: AnyKey) -> Tensor:
    """Return the bits and the step of a key as a tensor.

    Examples
    --------
    >>> to_tensor(Key(2**64 - 1).at(3))
    tensor([-1,  3])
    """
    if isinstance(key, torch.Tensor):
        return key
    return torch.tensor(to_numbers(key), device="cpu")


def to_numbers(key: Key) -> tuple[int, int]:
    """Return the bits of a key as a signed number, and its step."""
    return key.value - 2 * _HALF if key.value >= _HALF else key.value, key.step


def to_key(key: AnyKey) -> Key:
    """Return the key of a tensor, the inverse of `to_tensor`.

    Examples
    --------
    >>> to_key(torch.tensor([-1, 3]))
    Key(value=18446744073709551615, step=3)
    """
    if isinstance(key, Key):
        return key
    numbers: Any = key
    return of_numbers(*numbers.tolist())


def of_numbers(value: int, step: int = 0) -> Key:
    """Return the key of its bits as a signed number, and its step."""
    return Key(value & ADDRESS, step) if step else bare(value & ADDRESS)


def known(key: AnyKey) -> Key | None:
    """Return the key if its bits can be read now: not while compiling or tracing, nor in a batch."""
    if isinstance(key, Key):
        return key
    if torch.compiler.is_compiling() or is_tracing() or in_transform() or type(key) is not torch.Tensor:
        return None
    try:
        return to_key(key)
    except RuntimeError:  # a mode that records a graph
        return None


def key_or_fresh(owner: str, key: Any) -> AnyKey:
    """Return a key, a fresh one for None; raise InputError for anything else."""
    if type(key) is Key:
        return key
    if key is None:
        return fresh()
    # A tracer warns of every shape that is read.
    fits = isinstance(key, torch.Tensor) and (is_tracing() or key.shape in ((1,), (2,)))
    if fits and key.dtype == torch.int64:
        return key
    raise InputError(f"{owner}: key must be a thinnet.Key, got {format_value(key)}; use thinnet.Key(0).")


def _fresh_key(ticket: Tensor, site: int) -> Tensor:
    call, found = tickets.find(ticket, site)
    if found is not None:
        return torch.tensor(found, device="cpu")
    key = torch.empty(1, dtype=torch.int64, device="cpu").random_(-_HALF, _HALF - 1)
    bits: Any = key.item()
    tickets.remember(call, site, (bits,))
    return key


# Opaque to compilers, which would draw other bits from a generator of their own.
_LIBRARY: Any = torch.library.Library("thinnet", "FRAGMENT")
tickets.define(_LIBRARY, "fresh_key", "", _fresh_key, 1)
