"""The shapes of rows between the layers of a network, and the table that prints them."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from typing import Any, cast

from thinnet._checks import format_value
from thinnet._constraints import Number
from thinnet.errors import InputError
from thinnet.net._connect import DropConnect
from thinnet.net._conv import Conv2d
from thinnet.net._dropout import Dropout, Gate
from thinnet.net._layers import Dense, Layer, Shape
from thinnet.net._norm import BatchNorm
from thinnet.net._pool import Pool2d
from thinnet.net._residual import Residual

__all__ = ["layer_shapes", "summary_lines"]


def layer_shapes(layers: tuple[Layer, ...], input_shape: Shape | None) -> list[Shape]:
    """Return the shape of a row before each layer, and after the last.

    Parameters
    ----------
    layers : tuple of Layer
        In their order.
    input_shape : tuple of int, optional
        The shape of one row; inferred where a Dense layer comes first.
    """
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise InputError(f"Network: layer {i} must be a Layer, got {type(layer).__name__}.")
    if not any(layer.trainable for layer in layers):
        raise InputError("Network: there is no Dense layer; a network needs at least one.")
    found = [_first_shape(layers) if input_shape is None else _check_shape(input_shape)]
    for i, layer in enumerate(layers):
        try:
            found.append(layer.output_shape(found[-1]))
        except InputError as error:
            reason = str(error).removesuffix(".")
            raise InputError(f"Network: layer {i}, {layer_text(layer)}, {reason}.") from None
    if len(found[-1]) > 1:
        raise InputError(
            f"Network: the last layer returns rows of shape {found[-1]}; end with Flatten() or "
            "GlobalAvgPool2d()."
        )
    return found


def _check_shape(shape: Any) -> Shape:
    size = Number(1, whole=True)
    if not isinstance(shape, tuple | list) or not shape or not all(map(size.accepts, cast("Any", shape))):
        raise InputError(
            "Network: input_shape must be the shape of one row, such as (channels, height, width), got "
            f"{format_value(shape)}."
        )
    return tuple(map(int, cast("tuple[int, ...]", shape)))


def _first_shape(layers: tuple[Layer, ...]) -> Shape:
    """Return the shape of one row, inferred from the first layer that determines it."""
    for outer in layers:
        layer = outer.layer if isinstance(outer, DropConnect) else outer
        if isinstance(layer, Dense):
            return (layer.inputs,)
        if isinstance(layer, Gate):
            return layer.shape
        if type(layer).output_shape is not Layer.output_shape and not isinstance(layer, Dropout):
            break
    raise InputError(
        "Network: pass input_shape=(channels, height, width), the shape of one row; only Dense implies it."
    )


def summary_lines(layers: tuple[Layer, ...], known: list[Shape]) -> list[str]:
    """Return a line for each layer: its number, its repr, the shapes, the number of trained weights."""
    table: list[tuple[str, str, str]] = []
    for i, layer in enumerate(layers):
        into, out = (f"(n, {', '.join(map(str, shape))})" for shape in known[i : i + 2])
        shape = f"{into} -> {out}" if into != out or isinstance(layer, Dense) else into
        count = sum(math.prod(each) for each in layer.shapes().values()) if layer.trainable else 0
        table.append((layer_text(layer), shape, f"{count:,}" if count else ""))
    columns = [max(len(row[c]) for row in table) for c in range(2)]
    digits = len(str(len(table) - 1))
    return [
        f"  {i:>{digits}}  {name:<{columns[0]}}   {shape:<{columns[1]}}   {count}".rstrip()
        for i, (name, shape, count) in enumerate(table)
    ]


def layer_text(layer: Layer) -> str:
    """Return a layer as a summary prints it: the variant's name, and arguments without the defaults."""
    if isinstance(layer, Dense):
        norm = "" if layer.max_norm is None else f", max_norm={layer.max_norm:g}"
        return f"Dense({layer.inputs}, {layer.outputs}{norm})"
    if isinstance(layer, Dropout):
        block = "" if layer.block is None else f", block={layer.block}"
        return f"{layer.row.name}({layer.rate}{block}{_pattern_text(layer.pattern)})"
    if isinstance(layer, DropConnect):
        options = (", per_sample=True" if layer.per_sample else "") + _pattern_text(layer.pattern)
        return f"{layer.row.name}({layer_text(layer.layer)}, {layer.rate}{options})"
    if isinstance(layer, Residual):
        return f"Residual({', '.join(map(layer_text, layer.branch))})"
    if isinstance(layer, Conv2d | Pool2d | BatchNorm):
        return _call_text(layer)
    return repr(layer)


def _pattern_text(pattern: str | None) -> str:
    return "" if pattern is None else f', pattern="{pattern}"'


def _call_text(layer: Layer) -> str:
    """Return the layer's repr: required arguments by position, changed defaults by name."""
    arguments: list[str] = []
    defaults = {"stride": getattr(layer, "kernel_size", 1)} if isinstance(layer, Pool2d) else {}
    for field in fields(layer):
        value: Any = getattr(layer, field.name)
        if field.default is MISSING:
            arguments.append(str(value))
        elif value != defaults.get(field.name, field.default):
            arguments.append(f"{field.name}={value}")
    return f"{type(layer).__name__}({', '.join(arguments)})"
