"""The operator `thinnet::gains`: what NumPy draws for variants that need more than a rate, as a tensor.

Each variant is written once, in `thinnet.variants._beyond`: a function that draws gains (or the indices of
tokens, or a mask of edges) from a key, and for a learned parameter the slope of the gain. The operator calls
the first, its derivatives call the second. Draws take place on the CPU and are copied to other devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from thinnet._core.random import Key, Window
from thinnet.torch._apply import apply
from thinnet.torch._internals import below_autograd, in_eager_mode, register_derivatives
from thinnet.torch._ops import keys
from thinnet.torch._ops.draw import to_array, window_of
from thinnet.variants._beyond import (
    concrete,
    cutout,
    edges,
    heads,
    neftune,
    patch,
    shakedrop,
    standout,
    targeted,
    variational,
)

__all__ = ["gains"]

Tensor: TypeAlias = torch.Tensor
Sizes: TypeAlias = Sequence[Any]


def gains(
    name: str,
    key: keys.AnyKey | None,
    shape: Sizes,
    window: Sizes = (),
    parameter: Tensor | None = None,
    options: Sequence[float] = (),
    device: torch.device | None = None,
) -> Tensor:
    """Return what a variant draws for a tensor of some shape.

    Parameters
    ----------
    name : str
        An entry of the table below.
    key : Key, or Tensor of int64, optional
        The address of the randomness; None for means.
    shape : sequence of int
        The shape of x.
    window : sequence of int
        The index in a global array where x begins, then the shape of that array; empty if x is all of it.
    parameter : Tensor, optional
        What a gain depends on, broadcast against x; where the variant learns it, it gets a gradient.
    options : sequence of float
        The options of the function that draws, in the order of the table.
    device : device, optional
        The device of the result.

    Returns
    -------
    Tensor
        Of float64 for gains, of float32 for gains of 0 and 1; its shape broadcasts against x.

    Examples
    --------
    >>> gains("DropHead", Key(0), (2, 4, 1, 1), options=[0.5])[0, :, 0, 0].round(decimals=3)
    tensor([1.3330, 0.0000, 1.3330, 1.3330], dtype=torch.float64)
    """
    if parameter is not None and parameter.is_meta:
        return _on_meta(None, name, shape, window, parameter, options)
    if parameter is not None:
        kind = torch.float64 if parameter.is_floating_point() else parameter.dtype
        parameter = parameter.to("cpu", kind)
    learned = parameter is not None and parameter.requires_grad and torch.is_grad_enabled()
    if in_eager_mode() and not learned and (parameter is None or type(parameter) in _PLAIN):
        drawn = _draw(key, name, shape, window, parameter, options)
    else:
        address = None if key is None else keys.to_tensor(key)
        drawn = _operator(address, name, list(shape), list(window), parameter, list(options))
    if device is None or device.type == "cpu":
        return drawn
    # Apple's devices have no float64.
    return (
        drawn.float().to(device) if device.type == "mps" and drawn.is_floating_point() else drawn.to(device)
    )


_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


@dataclass(frozen=True)
class _Source:
    """A function that draws, with what torch has to know before it is called.

    Parameters
    ----------
    draw : function of (key, window, parameter, *options)
        Returns an array.
    size : function of (shape, *options)
        The shape of that array.
    dtype : dtype
        Its dtype.
    slope : function of (gain, parameter, *options), optional
        The derivative of the gain with respect to the parameter, on tensors.
    """

    draw: Callable[..., Any]
    size: Callable[..., Sizes]
    dtype: torch.dtype = torch.float64
    slope: Callable[..., Any] | None = None


def _each(shape: Sizes, *options: float) -> Sizes:
    return shape


def _targeted(key: Key, window: Window, weight: Any, rate: float, target: float, units: float) -> Any:
    chosen = targeted.candidates(weight, target=target, units=bool(units), axis=0)
    return targeted.gains(key, Window.whole(chosen.shape), chosen, rate=rate)


def _count_tokens(shape: Sizes, rate: float, prefix: float) -> Sizes:
    return shape[0], patch.count_kept(shape[1], rate=rate, prefix=int(prefix))


# Gains of 0 and 1 alone are float32: their products are exact in any precision.
_SOURCES = {
    "ConcreteDropout": _Source(
        lambda key, window, logit, t: concrete.gains(key, window, logit, temperature=t),
        _each,
        slope=lambda gain, logit, t: concrete.slope(torch, gain, logit, temperature=t),
    ),
    "VariationalDropout": _Source(
        variational.gains, _each, slope=lambda gain, log_alpha: variational.slope(torch, gain, log_alpha)
    ),
    "VariationalDropout noise": _Source(
        lambda key, window, _: variational.normals(key, window), _each, torch.float32
    ),
    "Standout": _Source(
        lambda key, window, logits, a, b: standout.gains(key, window, logits, alpha=a, beta=b),
        _each,
        torch.float32,
    ),
    "Standout mean": _Source(
        lambda key, window, logits, a, b: standout.mean_gain(logits, alpha=a, beta=b),
        _each,
        slope=lambda gain, logits, a, b: standout.mean_slope(torch, logits, alpha=a, beta=b),
    ),
    "ShakeDrop": _Source(
        lambda key, window, _, p, backward: shakedrop.gains(key, window, rate=p, backward=bool(backward)),
        lambda shape, *options: (shape[0], *(min(1, length) for length in shape[1:])),
    ),
    "DropHead": _Source(
        lambda key, window, _, p: heads.gains(key, window, rate=p),
        lambda shape, *options: (shape[0], shape[1], 1, 1),
    ),
    "Cutout": _Source(
        lambda key, window, _, h, w: cutout.gains(key, window, height=int(h), width=int(w)),
        lambda shape, *options: (shape[0], 1, shape[2], shape[3]),
        torch.float32,
    ),
    "TargetedDropout": _Source(
        _targeted,
        lambda shape, p, target, units: (shape[0], *(1 for _ in shape[1:])) if units else shape,
        torch.float32,
    ),
    "PatchDropout": _Source(
        lambda key, window, _, p, prefix: patch.kept_tokens(key, window, rate=p, prefix=int(prefix)),
        _count_tokens,
        torch.int64,
    ),
    "NEFTune": _Source(lambda key, window, _, alpha: neftune.shifts(key, window, alpha=alpha), _each),
    "drop_edges": _Source(
        lambda key, window, listed, p, both: edges.kept_edges(key, listed, rate=p, undirected=bool(both)),
        lambda shape, *options: shape[1:],
        torch.bool,
    ),
}

_LIBRARY: Any = torch.library.Library("thinnet", "FRAGMENT")
_LIBRARY.define(
    "gains(Tensor? key, str name, SymInt[] shape, SymInt[]? window, Tensor? parameter, float[] options)"
    " -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def _draw(
    key: keys.AnyKey | None,
    name: str,
    shape: Sizes,
    window: Sizes | None,  # a package of AOTInductor passes None for an empty list
    parameter: Tensor | None,
    options: Sequence[float],
) -> Tensor:
    source = _SOURCES[name]
    known = None if key is None else keys.to_key(key)
    array = None if parameter is None else to_array(parameter)
    drawn = np.asarray(source.draw(known, window_of(shape, window or ()), array, *options))
    size = tuple(source.size(shape, *options))
    if drawn.shape != size:
        drawn = np.array(np.broadcast_to(drawn, size))
    return torch.from_numpy(drawn).to(source.dtype)


def _on_meta(
    key: Tensor | None,
    name: str,
    shape: Sizes,
    window: Sizes | None,
    parameter: Tensor | None,
    options: Sequence[float],
) -> Tensor:
    source, like = _SOURCES[name], parameter if key is None else key
    assert like is not None
    return like.new_empty(source.size(shape, *options), dtype=source.dtype)


def _vmap(info: Any, in_dims: Any, *inputs: Any) -> tuple[Tensor, int]:
    """Loop over the batch of keys, of parameters, or of both."""

    def entry(value: Any, dim: Any, i: int) -> Any:
        return value.select(dim, i) if isinstance(value, torch.Tensor) and dim is not None else value

    parts = [_operator(*(map(entry, inputs, in_dims, (i,) * len(inputs)))) for i in range(info.batch_size)]
    return torch.stack(parts), 0


class _Gains(torch.autograd.Function):
    """The derivatives with respect to a learned parameter, by the slope of the gain."""

    @staticmethod
    def forward(key: Tensor | None, name: str, *rest: Any) -> Tensor:
        with below_autograd():
            return torch.ops.thinnet.gains.default(key, name, *rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        _, ctx.name, _, _, parameter, ctx.options = inputs
        if _SOURCES[ctx.name].slope is None:
            ctx.mark_non_differentiable(output)
        ctx.save_for_backward(parameter, output)
        ctx.save_for_forward(parameter, output)

    @staticmethod
    def backward(ctx: Any, *d_gains: Tensor) -> Any:
        parameter, gain = ctx.saved_tensors
        d_parameter = apply(_slope(ctx, gain, parameter), 0.0, d_gains[0]).sum_to_size(parameter.shape)
        return None, None, None, None, d_parameter, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        parameter, gain = ctx.saved_tensors
        return apply(_slope(ctx, gain, parameter), 0.0, tangents[4].expand(gain.shape))

    vmap = staticmethod(_vmap)


def _slope(ctx: Any, gain: Tensor, parameter: Tensor) -> Tensor:
    slope = _SOURCES[ctx.name].slope
    assert slope is not None
    return slope(gain, parameter, *ctx.options)


_LIBRARY.impl("gains", _draw, "CPU")
_LIBRARY.impl("gains", _on_meta, "Meta")
_operator: Any = register_derivatives(_LIBRARY, "gains", _Gains, tuple)
_library: Any = torch.library
_library.register_vmap("thinnet::gains", _vmap, lib=_LIBRARY)
