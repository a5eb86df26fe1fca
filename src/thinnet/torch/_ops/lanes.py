"""The lanes of a key as a tensor, and the keys below it: what variants outside the catalogue are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from thinnet._core import random
from thinnet.torch._ops import drop as op
from thinnet.torch._ops import keys
from thinnet.variants._law import LANES
from thinnet.variants._tables import normal_table

__all__ = ["fold", "lanes", "normals", "shares"]

Tensor: TypeAlias = torch.Tensor

_LIBRARY: Any = torch.library.Library("thinnet", "FRAGMENT")
_TAG = (torch.Tag.pt2_compliant_tag,)
_LIBRARY.define("lanes(Tensor key, SymInt[] shape, SymInt[] window=[]) -> Tensor", tags=_TAG)
_LIBRARY.define("normals(Tensor key, SymInt[] shape, SymInt[] window=[]) -> Tensor", tags=_TAG)
_LIBRARY.define("fold(Tensor key, str name) -> Tensor", tags=_TAG)


def lanes(key: Tensor, shape: Sequence[int], window: Sequence[int] = ()) -> Tensor:
    """Return the lanes of an array, or of a window of one, `[*start, *shape]`; the bits of `thinnet.lanes`.

    Returns
    -------
    Tensor of int32
        Of the shape, on the CPU; uniform on 0 … 65535.

    Examples
    --------
    >>> lanes(torch.tensor([7]), (4,)).tolist(), random.lanes(random.Key(7), (4,)).tolist()
    ([31277, 62560, 63964, 49161], [31277, 62560, 63964, 49161])
    """
    return torch.ops.thinnet.lanes.default(key, list(shape), list(window))


def fold(key: Tensor, name: str) -> Tensor:
    """Return the key of a name under this one, as `Key.fold` does.

    Examples
    --------
    >>> fold(torch.tensor([7]), "hidden").item() == random.Key(7).fold("hidden").value
    True
    """
    return torch.ops.thinnet.fold.default(key, name)


def shares(key: Tensor, like: Tensor, window: Sequence[int] = ()) -> Tensor:
    """Return numbers even on the open interval (0, 1), one for each entry: (lane + 1/2) / 65536 in float32.

    Examples
    --------
    >>> shares(torch.tensor([0]), torch.ones(2)).round(decimals=4)
    tensor([0.9095, 0.3990])
    """
    return ((lanes(key, like.shape, window).float() + 0.5) / LANES).to(like.device)


def normals(key: Tensor, like: Tensor, window: Sequence[int] = ()) -> Tensor:
    """Return standard normal numbers of float32, quantiles from a table, one for each entry.

    Examples
    --------
    >>> normals(torch.tensor([0]), torch.ones(2)).round(decimals=3)
    tensor([ 1.3380, -0.2560])
    """
    return torch.ops.thinnet.normals.default(key, list(like.shape), list(window)).to(like.device)


def _drawn(key: Tensor, shape: Sequence[int], window: Sequence[int]) -> Any:
    return random.lanes(keys.to_key(key), op.part(shape, window) if window else tuple(shape))


def _lanes(key: Tensor, shape: Sequence[int], window: Sequence[int] = ()) -> Tensor:
    return torch.from_numpy(_drawn(key, shape, window).astype(np.int32))


def _normals(key: Tensor, shape: Sequence[int], window: Sequence[int] = ()) -> Tensor:
    return torch.from_numpy(normal_table()[_drawn(key, shape, window)])


def _fold(key: Tensor, name: str) -> Tensor:
    return keys.to_tensor(keys.to_key(key).fold(name))[:1]


def _over_batch(call: Any) -> Any:
    """Go through a batch of keys."""

    def mapped(info: Any, in_dims: Any, key: Tensor, *rest: Any) -> tuple[Tensor, int]:
        return torch.stack([call(key.select(in_dims[0], i), *rest) for i in range(info.batch_size)]), 0

    return mapped


_LIBRARY.impl("lanes", _lanes, "CPU")
_LIBRARY.impl("normals", _normals, "CPU")
_LIBRARY.impl("fold", _fold, "CPU")
_LIBRARY.impl("lanes", lambda key, shape, window=(): key.new_empty(shape, dtype=torch.int32), "Meta")
_LIBRARY.impl("normals", lambda key, shape, window=(): key.new_empty(shape, dtype=torch.float32), "Meta")
_LIBRARY.impl("fold", lambda key, name: key.new_empty(1), "Meta")
for _name in ("lanes", "normals", "fold"):
    _library: Any = torch.library
    _library.register_vmap(f"thinnet::{_name}", _over_batch(getattr(torch.ops.thinnet, _name)), lib=_LIBRARY)
