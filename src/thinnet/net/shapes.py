"""What goes through a row of layers: how wide it is, and a table that shows it."""

from __future__ import annotations

import math

from thinnet.errors import InputError
from thinnet.net.layers import Dense, Dropout, Gate, Layer

__all__ = ["rows", "widths"]


def widths(layers: tuple[Layer, ...]) -> list[int]:
    """Return how many features go into each layer, and how many come out at the end."""
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    if not dense:
        raise InputError("Network: there is no Dense layer; a network needs at least one.")
    found = [dense[0].inputs]
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise InputError(f"Network: layer {i} must be a Layer, got {type(layer).__name__}.")
        needs = layer.inputs if isinstance(layer, Dense) else found[-1]
        needs = layer.units if isinstance(layer, Gate) else needs
        if needs != found[-1]:
            raise InputError(
                f"Network: layer {i}, {_brief(layer)}, takes {needs} inputs, but gets {found[-1]}."
            )
        found.append(layer.outputs if isinstance(layer, Dense) else found[-1])
    return found


def rows(layers: tuple[Layer, ...], through: list[int]) -> list[str]:
    """Return a line for each layer: its number, what would be typed, shapes, how many weights it trains."""
    table: list[tuple[str, str, str]] = []
    for i, layer in enumerate(layers):
        into, out = through[i], through[i + 1]
        shape = f"(n, {into}) -> (n, {out})" if isinstance(layer, Dense) else f"(n, {into})"
        count = sum(math.prod(each) for each in layer.shapes().values()) if layer.trainable else 0
        table.append((_brief(layer), shape, f"{count:,}" if count else ""))
    columns = [max(len(row[c]) for row in table) for c in range(2)]
    return [
        f"  {i}  {name:<{columns[0]}}   {shape:<{columns[1]}}   {count}".rstrip()
        for i, (name, shape, count) in enumerate(table)
    ]


def _brief(layer: Layer) -> str:
    """Return a layer as it would be typed, without what is left at its default."""
    if isinstance(layer, Dense):
        norm = "" if layer.max_norm is None else f", max_norm={layer.max_norm:g}"
        return f"Dense({layer.inputs}, {layer.outputs}{norm})"
    if isinstance(layer, Dropout):
        return f"{layer.variant}({layer.rate})"
    return repr(layer)
