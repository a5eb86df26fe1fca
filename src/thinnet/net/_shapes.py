"""What goes through a row of layers: how wide it is, and a table that shows it."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from numbers import Integral
from typing import Any

from thinnet.errors import InputError
from thinnet.net._connect import DropConnect
from thinnet.net._conv import Conv2d
from thinnet.net._dropout import Dropout, Gate
from thinnet.net._layers import Dense, Layer, Shape
from thinnet.net._norm import BatchNorm
from thinnet.net._pool import Pool2d
from thinnet.net._residual import Residual

__all__ = ["rows", "through"]


def through(layers: tuple[Layer, ...], inputs: Shape | None) -> list[Shape]:
    """Return the shape of a row before each layer, and behind the last.

    Parameters
    ----------
    layers : tuple of Layer
        In a row.
    inputs : tuple of int, optional
        The shape of a row; where a Dense layer comes first, it says so itself.
    """
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise InputError(f"Network: layer {i} must be a Layer, got {type(layer).__name__}.")
    if not any(layer.trainable for layer in layers):
        raise InputError("Network: there is no Dense layer; a network needs at least one.")
    if inputs is not None:
        whole = isinstance(inputs, tuple | list) and all(isinstance(each, Integral) for each in inputs)
        if not whole or not inputs or min(inputs) < 1:
            raise InputError(
                f"Network: inputs must be the shape of a row, as (channels, height, width), got {inputs!r}."
            )
        inputs = tuple(map(int, inputs))
    found = [_first(layers) if inputs is None else inputs]
    for i, layer in enumerate(layers):
        try:
            found.append(layer.out(found[-1]))
        except InputError as error:
            reason = str(error).removesuffix(".")
            raise InputError(f"Network: layer {i}, {_brief(layer)}, {reason}.") from None
    if len(found[-1]) > 1:
        raise InputError(
            f"Network: the last layer makes rows of {found[-1]}; end with Flatten() or GlobalAvgPool2d()."
        )
    return found


def _first(layers: tuple[Layer, ...]) -> Shape:
    """Return the shape of a row, as the first layer that knows it says."""
    for outer in layers:
        layer = outer.layer if isinstance(outer, DropConnect) else outer
        if isinstance(layer, Dense):
            return (layer.inputs,)
        if isinstance(layer, Gate):
            return layer.shape
        if type(layer).out is not Layer.out and not isinstance(layer, Dropout):
            break
    raise InputError(
        "Network: pass inputs=(channels, height, width), the shape of a row; only Dense knows its own."
    )


def rows(layers: tuple[Layer, ...], known: list[Shape]) -> list[str]:
    """Return a line for each layer: its number, what would be typed, shapes, how many weights it trains."""
    table: list[tuple[str, str, str]] = []
    for i, layer in enumerate(layers):
        into, out = (f"(n, {', '.join(map(str, shape))})" for shape in known[i : i + 2])
        shape = f"{into} -> {out}" if into != out or isinstance(layer, Dense) else into
        count = sum(math.prod(each) for each in layer.shapes().values()) if layer.trainable else 0
        table.append((_brief(layer), shape, f"{count:,}" if count else ""))
    columns = [max(len(row[c]) for row in table) for c in range(2)]
    digits = len(str(len(table) - 1))
    return [
        f"  {i:>{digits}}  {name:<{columns[0]}}   {shape:<{columns[1]}}   {count}".rstrip()
        for i, (name, shape, count) in enumerate(table)
    ]


def _brief(layer: Layer) -> str:
    """Return a layer as it would be typed, without what is left at its default."""
    if isinstance(layer, Dense):
        norm = "" if layer.max_norm is None else f", max_norm={layer.max_norm:g}"
        return f"Dense({layer.inputs}, {layer.outputs}{norm})"
    if isinstance(layer, Dropout):
        block = "" if layer.block is None else f", block={layer.block}"
        return f"{layer.variant}({layer.rate}{block})"
    if isinstance(layer, DropConnect):
        options = ", per_sample=True" if layer.per_sample else ""
        return f"{layer.variant}({_brief(layer.layer)}, {layer.rate}{options})"
    if isinstance(layer, Residual):
        return f"Residual({', '.join(map(_brief, layer.branch))})"
    if isinstance(layer, Conv2d | Pool2d | BatchNorm):
        return _short(layer)
    return repr(layer)


def _short(layer: Layer) -> str:
    """Return what has no default by position, and by name what is not left at it."""
    said: list[str] = []
    usual = {"stride": getattr(layer, "kernel_size", 1)} if isinstance(layer, Pool2d) else {}
    for field in fields(layer):
        value: Any = getattr(layer, field.name)
        if field.default is MISSING:
            said.append(str(value))
        elif value != usual.get(field.name, field.default):
            said.append(f"{field.name}={value}")
    return f"{type(layer).__name__}({', '.join(said)})"
