"""Small tensors in eager mode: one call of a kernel between torch's module and its engine of derivatives.

The code for every row, device and transform takes longer than dropping ten thousand entries. A row that draws
one lane for each entry and has no second term needs a key, a threshold and two gains alone; it is drawn here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from thinnet._core import native
from thinnet._core.random import Key
from thinnet.torch._internals import direct_apply, is_plain_in_eager_mode
from thinnet.torch._ops import drop as op
from thinnet.torch._ops import keys
from thinnet.torch._ops.draw import TYPES
from thinnet.variants import CATALOGUE
from thinnet.variants._law import TwoPoint

__all__ = ["SMALL", "drop", "law_of"]

Tensor: TypeAlias = torch.Tensor
_Law: TypeAlias = tuple[str, float, int, float, float]
_Call: TypeAlias = tuple[int, int, _Law]

SMALL = 1 << 16
"""The largest number of entries; larger tensors gain from reused output buffers and several threads."""

_REMEMBERED = 256  # laws
_laws: dict[tuple[str, float], _Law | None] = {}
# The rows that `register` adds may be replaced.
_ROWS = {name: row for name, row in CATALOGUE.items() if row.pattern == "..." and not row.needs_other}


def law_of(name: str, rate: float) -> _Law | None:
    """Return (name, rate, threshold, dropped gain, kept gain); None for rows that are not drawn here.

    Examples
    --------
    >>> law_of("Dropout", 0.5)
    ('Dropout', 0.5, 32768, 0.0, 2.0)
    >>> law_of("Dropout2d", 0.5), law_of("GaussianDropout", 0.5)
    (None, None)
    """
    if name not in _ROWS or not 0 < rate <= 1:  # at rate 0 nothing is drawn
        return None
    if len(_laws) >= _REMEMBERED:
        _laws.clear()
    law, found = _ROWS[name].law_of(rate), None
    if isinstance(law, TwoPoint) and not law.dropped[1] and not law.kept[1]:
        found = name, rate, law.threshold, law.dropped[0], law.kept[0]
    _laws[name, rate] = found
    return found


def drop(name: Any, x: Tensor, rate: Any, stream: Any = None, key: Any = None) -> Tensor | None:
    """Return a sample, or None where the general code has to serve.

    The caller guarantees `is_plain_in_eager_mode(x)`, and that no shard is active.

    Parameters
    ----------
    name : str
        A row; anything else returns None.
    x : Tensor
        Any tensor of the CPU.
    rate : float
        Chance that an entry is dropped; anything else returns None.
    stream : ModuleStream, optional
        The source of the key.
    key : Key, optional
        The key itself; without both it is drawn from torch's generator.
    """
    if type(rate) is not float or type(name) is not str:
        return None
    law = _laws.get((name, rate)) or law_of(name, rate)
    if law is None or x.numel() > SMALL or x.dtype not in TYPES or not x.is_contiguous():
        return None
    if native.library is None:
        return None
    if key is None:
        bits = keys.draw_bits() & keys.ADDRESS
        if stream is None:
            return _sample(x, (bits, 0, law))
        key = stream.next(bits)
    elif type(key) is not Key:
        return None
    return _sample(x, (key.value, key.step, law))


def _sample(x: Tensor, call: _Call) -> Tensor:
    if x.requires_grad and torch.is_grad_enabled():
        return _apply(x, call)
    return _draw(x, call)


def _draw(x: Tensor, call: _Call) -> Tensor:
    out, library = torch.empty_like(x), native.compiled
    assert library is not None
    value, step, (_, _, threshold, dropped, kept) = call
    library.two_point_at(
        x.data_ptr(), out.data_ptr(), x.numel(), TYPES[x.dtype], value, step, threshold, dropped, kept
    )
    return out


class _Small(torch.autograd.Function):
    """The derivative of a sample is the same sample of the gradient."""

    # One method for the result and the context: a `setup_context` of its own is another call.
    @staticmethod
    def forward(ctx: Any, x: Tensor, call: _Call) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.call = call
        return _draw(x, call)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        call = ctx.call
        if is_plain_in_eager_mode(dy) and dy.is_contiguous():
            return _sample(dy, call), None
        value, step, (name, rate, *_) = call
        return op.drop(dy, None, Key(value, step), CATALOGUE[name], rate, shifted=False), None


_apply: Any = direct_apply(_Small)
