"""Which part of a global array a tensor is: a share of the batch, or what a DTensor's placements say."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from numbers import Integral
from typing import Any, TypeAlias

import torch

from thinnet.errors import InputError
from thinnet.torch._internals import in_backward
from thinnet.torch._ops import keys

__all__ = ["active", "is_distributed", "local", "shard", "window"]

Tensor: TypeAlias = torch.Tensor


class _Rows(threading.local):
    whole = 0
    start = 0


_rows = _Rows()
_REMEMBERED = 4096
# What was said when a key was drawn with, for the forward that is repeated in backward, behind the `with` and
# perhaps in another thread.
_said: dict[tuple[int, int], tuple[int, int]] = {}


@contextlib.contextmanager
def shard(global_batch: int, start: int) -> Generator[None]:
    """Say that rows here are rows start, start + 1, … of a larger batch: then each gets its part of one mask.

    Within, whatever drops activations takes the first axis of what it is given for the batch. All processes
    need the same keys: the same `torch.manual_seed` before the forward, or `thinnet.torch.seed`. Weights are
    no rows: their masks are whole.

    Parameters
    ----------
    global_batch : int
        Rows of all processes together.
    start : int
        Where the rows of this process begin.

    Raises
    ------
    InputError
        Numbers that are none, or a tensor, inside, that does not fit into the batch.

    Examples
    --------
    >>> import thinnet as tn, thinnet.torch as tt
    >>> x, key = torch.ones(4, 5), tn.Key(0)
    >>> whole = tt.functional.dropout(x, 0.5, key=key)
    >>> with shard(global_batch=4, start=2):
    ...     part = tt.functional.dropout(x[2:], 0.5, key=key)
    >>> torch.equal(part, whole[2:])
    True
    """
    for name, value, least in (("global_batch", global_batch, 1), ("start", start, 0)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(f"shard: {name} must be a whole number of at least {least}, got {value!r}.")
    before = _rows.whole, _rows.start
    _rows.whole, _rows.start = int(global_batch), int(start)
    try:
        yield
    finally:
        _rows.whole, _rows.start = before


def active() -> bool:
    """Say whether rows are a part of a larger batch, or have been."""
    return _rows.whole != 0 or len(_said) > 0


def window(owner: str, x: Tensor, key: keys.AnyKey) -> list[int]:
    """Return `[*start, *shape]` of the part that the rows of x are, or an empty list if they are all."""
    whole, start = _rows_of(key) if active() else (0, 0)
    if not whole or not x.dim():
        return []
    rows, *rest = x.shape
    if start + rows > whole:
        raise InputError(
            f"{owner}: rows {start} to {start + rows} do not fit into shard(global_batch={whole}); its first "
            "axis has to be the batch."
        )
    return [start, *(0 for _ in rest), whole, *rest]


def _rows_of(key: keys.AnyKey) -> tuple[int, int]:
    here = _rows.whole, _rows.start
    known = keys.known(key)
    if known is None:
        return here
    name = known.value, known.step
    if in_backward():
        return _said.get(name, here)
    if here[0]:
        if len(_said) >= _REMEMBERED:
            _said.pop(next(iter(_said)), None)
        _said[name] = here
    return here


def is_distributed(x: Any) -> bool:
    """Say whether this is a DTensor, without loading what knows them."""
    return type(x).__name__ == "DTensor"


def local(owner: str, x: Any) -> tuple[Tensor, list[int], Any]:
    """Return a DTensor's own part, which window of the whole it is, and how to put the answer back.

    Raises
    ------
    InputError
        A tensor whose parts have yet to be summed.
    """
    from torch.distributed.tensor import DTensor, Shard

    if not all(place.is_replicate() or type(place) is Shard for place in x.placements):
        raise InputError(
            f"{owner}: x must be replicated or sharded, got {x.placements}; use x.redistribute()."
        )

    def back(y: Tensor) -> Any:
        return DTensor.from_local(
            y, x.device_mesh, x.placements, run_check=False, shape=x.shape, stride=x.stride()
        )

    return x.to_local(), [*_start_of(x), *x.shape], back


def _start_of(x: Any) -> list[int]:
    """Return the index in a DTensor at which this process' part begins.

    `Shard` cuts as `torch.chunk` does, and cuts again what an earlier axis of the mesh left.
    """
    start, size = [0] * x.dim(), list(x.shape)
    for axis, (place, number) in enumerate(zip(x.placements, x.device_mesh.get_coordinate(), strict=True)):
        if place.is_replicate():
            continue
        chunk = -(-size[place.dim] // x.device_mesh.size(axis))
        before = min(chunk * number, size[place.dim])
        start[place.dim] += before
        size[place.dim] = min(chunk, size[place.dim] - before)
    return start
