"""Which part of a global array a tensor is: a share of the batch, or the local part of a DTensor."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias

import torch

from thinnet._checks import check_integer
from thinnet.errors import InputError
from thinnet.torch._internals import in_backward
from thinnet.torch._ops import keys

__all__ = ["active", "is_distributed", "local", "shard", "window"]

Tensor: TypeAlias = torch.Tensor


class _Rows(NamedTuple):
    """The rows of this process: `start`, `start + 1`, … of `total` rows; all rows where the total is 0."""

    total: int = 0
    start: int = 0


class _Current(threading.local):
    rows = _Rows()


_current = _Current()
_REMEMBERED = 4096  # keys
# The shard at the time a key was first used, for recomputation in backward, which may run after the `with`
# block and in another thread. Keys are (value, step).
_used: dict[tuple[int, int], _Rows] = {}


@contextlib.contextmanager
def shard(global_batch: int, start: int) -> Generator[None]:
    """Declare the rows of this process to be rows start, start + 1, … of a larger batch that shares one mask.

    Inside the context the first axis of every tensor of activations is the batch, and each process draws its
    part of the mask of the global batch. All processes need the same keys: the same `torch.manual_seed`
    before the forward, or `thinnet.torch.seed`. Masks of weights have no batch; every process draws all of
    them.

    Parameters
    ----------
    global_batch : int
        Number of rows of all processes together.
    start : int
        Number of the first row of this process.

    Raises
    ------
    InputError
        A number of rows below 1, a start outside the batch, or a tensor inside that reaches beyond the batch.

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
    before = _current.rows
    total = check_integer("shard", "global_batch", global_batch, 1)
    _current.rows = _Rows(total, check_integer("shard", "start", start, 0, total))
    try:
        yield
    finally:
        _current.rows = before


def active() -> bool:
    """Return whether rows are part of a larger batch, or were when a remembered key was used."""
    return _current.rows.total != 0 or len(_used) > 0


def window(owner: str, x: Tensor, key: keys.AnyKey) -> list[int]:
    """Return `[*start, *shape]` of the rows of x in the global batch, or an empty list if x is all of it."""
    total, start = _rows_of(key) if active() else _Rows()
    if not total or not x.dim():
        return []
    rows, *rest = x.shape
    if start + rows > total:
        raise InputError(
            f"{owner}: rows {start} to {start + rows} do not fit into shard(global_batch={total}); the first "
            "axis must be the batch."
        )
    return [start, *(0 for _ in rest), total, *rest]


def _rows_of(key: keys.AnyKey) -> _Rows:
    here = _current.rows
    known = keys.known(key)
    if known is None:
        return here
    name = known.value, known.step
    if in_backward():
        return _used.get(name, here)
    if here.total:
        if len(_used) >= _REMEMBERED:
            _used.pop(next(iter(_used)), None)
        _used[name] = here
    return here


def is_distributed(x: Any) -> bool:
    """Return whether x is a DTensor, without importing torch.distributed."""
    return type(x).__name__ == "DTensor"


def local(owner: str, x: Any) -> tuple[Tensor, list[int], Any]:
    """Return the local part of a DTensor, its window `[*start, *shape]`, and a function back to a DTensor.

    Raises
    ------
    InputError
        A placement that is neither replicated nor sharded, as of partial sums.
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
    """Return the index in a DTensor at which the local part begins.

    `Shard` cuts as `torch.chunk` does; each axis of the mesh cuts the part that the axes before it left.
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
