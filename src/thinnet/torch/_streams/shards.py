"""Which part of a global array a tensor is: a share of the batch, or the local part of a DTensor."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias

import torch

from thinnet._checks import check_integer
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._internals import in_backward, may_be_recomputed
from thinnet.torch._ops import keys, tickets
from thinnet.torch._streams.streams import token_of

__all__ = ["active", "batch_on", "is_distributed", "local", "shard", "window"]

Tensor: TypeAlias = torch.Tensor


class _Share(NamedTuple):
    """The rows of this process: `start`, `start + 1`, … of `total` rows; all rows where the total is 0."""

    total: int = 0
    start: int = 0
    rows: int | None = None
    axis: int | None = None


class _Use(NamedTuple):
    """The share of a key's forward, None if forwards differ; whether it has been recomputed since."""

    share: _Share | None
    recomputed: bool = False


class _Current(threading.local):
    def __init__(self) -> None:  # a compiler does not notice an attribute that begins to hide the class's
        self.share = _Share()


_current = _Current()
_REMEMBERED = 1 << 16  # keys
# The share at the time a checkpointed forward used a key, for its recomputation in backward, which may run
# after the `with` block and in another thread. Addresses are (value, step, token of the call).
_used: dict[tuple[int, int, int | None], _Use] = {}
_forgotten = threading.Event()


@contextlib.contextmanager
def shard(
    global_batch: int, start: int, *, rows: int | None = None, axis: int | None = None
) -> Generator[None]:
    """Declare the rows of this process to be rows start, start + 1, … of a larger batch that shares one mask.

    Inside the context one axis of every tensor of activations is the batch, and each process draws its part
    of the mask of the global batch. All processes need the same keys: the same `torch.manual_seed` before the
    forward, or `thinnet.torch.seed`. Masks of weights have no batch; every process draws all of them.

    With `rows`, other tensors are refused, except those that fold something into the batch, sample by
    sample: k * rows entries, as the windows of a Swin transformer or the heads of attention.

    Parameters
    ----------
    global_batch : int
        Number of rows of all processes together.
    start : int
        Number of the first row of this process.
    rows : int, optional
        Number of rows of this process. Without it there is a warning, as a tensor whose batch is on another
        axis may fit by chance.
    axis : int, optional
        The axis of the batch: 1 for models with the sequence first. The default is 0, and then tensors are
        refused, too, that could have the batch on another axis.

    Raises
    ------
    InputError
        A number of rows below 1, rows outside the batch, or a tensor inside that has other rows.

    Examples
    --------
    >>> import thinnet as tn, thinnet.torch as tt
    >>> x, key = torch.ones(4, 5), tn.Key(0)
    >>> whole = tt.functional.dropout(x, 0.5, key=key)
    >>> with shard(global_batch=4, start=2, rows=2):
    ...     part = tt.functional.dropout(x[2:], 0.5, key=key)
    >>> torch.equal(part, whole[2:])
    True
    """
    before = _current.share
    total = check_integer("shard", "global_batch", global_batch, 1)
    start = check_integer("shard", "start", start, 0, total)
    if rows is None:
        warnings.warn(
            "shard: rows is missing, and tensors with the batch on another axis are not noticed; pass rows=, "
            "the number of rows of this process.",
            stacklevel=3,
        )
    else:
        rows = check_integer("shard", "rows", rows, 0, total - start)
    axis = None if axis is None else check_integer("shard", "axis", axis, 0)
    _current.share = _Share(total, start, rows, axis)
    try:
        yield
    finally:
        _current.share = before


@contextlib.contextmanager
def batch_on(axis: int) -> Generator[None]:
    """Let the batch of the present shard lie on another axis: for modules that know where it is."""
    before = _current.share
    _current.share = before._replace(axis=axis)
    try:
        yield
    finally:
        _current.share = before


def active() -> bool:
    """Return whether rows are part of a larger batch, or were when a remembered key was used."""
    if _current.share.total:
        return True
    return not torch.compiler.is_compiling() and len(_used) > 0


def window(owner: str, x: Tensor, key: keys.AnyKey, axis: int | None = None) -> list[int]:
    """Return `[*start, *shape]` of the rows of x in the global batch, or an empty list if x is all of it.

    Parameters
    ----------
    axis : int, optional
        The axis of the batch where it is known; the default is that of the shard.
    """
    share = _share_of(owner, key) if active() else _Share()
    if not share.total or not x.dim():
        return []
    if axis is not None:
        share = share._replace(axis=axis)
    fold, axis = _fold(owner, x, share), share.axis or 0
    begin, whole = [0] * x.dim(), list(x.shape)
    begin[axis], whole[axis] = share.start * fold, share.total * fold
    return [*begin, *whole]


def _fold(owner: str, x: Tensor, share: _Share) -> int:
    """Return how many entries of the axis each row has."""
    total, start, rows, given = share
    axis = given or 0
    if axis >= x.dim():
        raise InputError(f"{owner}: x must have axis {axis}, the batch of this shard, got {tuple(x.shape)}.")
    size = x.shape[axis]
    if rows is None and start + size > total:
        raise InputError(
            f"{owner}: rows {start} to {start + size} do not fit into shard(global_batch={total}); axis "
            f"{axis} must be the batch."
        )
    if rows is None or size == rows:
        return 1
    if not rows or size % rows or not size:
        raise InputError(
            f"{owner}: axis {axis} must be the {rows} rows of this shard, got {tuple(x.shape)}; use "
            "shard(…, axis=) for the axis of the batch, or window= here."
        )
    if given is None and rows in x.shape[1:]:
        raise InputError(
            f"{owner}: x of shape {tuple(x.shape)} may have the {rows} rows of this shard on two axes; use "
            "shard(…, axis=0) if other axes are folded into the batch, else the axis of the batch."
        )
    return size // rows


def _share_of(owner: str, key: keys.AnyKey) -> _Share:
    """Return the share of a call: the present one, or that of the forward that is recomputed."""
    here, known = _current.share, keys.known(key)
    if known is None:
        return here
    address = known.value, known.step, token_of(known)
    if in_backward():
        return _recomputed(owner, address, here)
    if may_be_recomputed():
        before = _used.pop(address, None)
        while len(_used) >= _REMEMBERED:
            _used.pop(next(iter(_used)), None)
            _forgotten.set()
        same = before is None or before.recomputed or before.share == here
        _used[address] = _Use(here if same else None)
    return here


def _check_compiled(numbers: tickets.Numbers) -> None:
    """Refuse to recompute a compiled forward under another share: the share is a constant of its graph."""
    if active():
        value, *step = numbers
        key, here = Key(value & keys.ADDRESS, *step), _current.share
        if _share_of(_COMPILED, key) != here:
            raise _other_share(_COMPILED)


_COMPILED = "torch.compile"
tickets.observers.append(_check_compiled)


def _recomputed(owner: str, address: tuple[int, int, int | None], here: _Share) -> _Share:
    use = _used.get(address)
    if use is None and not here.total and not _forgotten.is_set():
        return here
    if use is not None:
        _used[address] = _Use(use.share, recomputed=True)
    if use is None or use.share is None:
        raise _other_share(owner)
    return use.share


def _other_share(owner: str) -> InputError:
    return InputError(
        f"{owner}: cannot tell the shard of the forward that is being recomputed; run backward inside the "
        "same thinnet.torch.shard, before other forwards with this key."
    )


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
