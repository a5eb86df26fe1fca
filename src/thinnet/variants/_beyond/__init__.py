"""Variants that need more than a rate, one file each, and the reason why each is not a row of the catalogue.

A row is `gain * x + shift * other` with a law of the rate alone. Here the rate is learned or computed from x,
the replacement is computed, entries are removed instead of zeroed, or backward is not the derivative of
forward. These functions hold no parameters; the penalties of learned variants stand in the same file.

Each file draws in one function that never sees x: `gains(key, window, ...)`, which returns gains in float64
(`kept_tokens`, `kept_edges`, `normals`, `shifts` where a variant needs something else). NumPy and PyTorch
both call it and multiply by their own `apply`. `slope(xp, gain, ...)` is the derivative with respect to a
learned parameter, and `mean_gain` the gain of evaluation where that is not 1.
"""

from types import MappingProxyType

from thinnet.variants._beyond import (
    concrete,
    cutout,
    dare,
    edges,
    heads,
    maxpool,
    multisample,
    neftune,
    patch,
    rdrop,
    shakedrop,
    shakeout,
    sparse,
    standout,
    targeted,
    variational,
)
from thinnet.variants._catalogue import announce

__all__ = ["FUNCTIONS"]

_FILES = (
    concrete,
    variational,
    sparse,
    standout,
    targeted,
    maxpool,
    shakedrop,
    shakeout,
    patch,
    rdrop,
    cutout,
    heads,
    edges,
    neftune,
    multisample,
    dare,
)

FUNCTIONS = MappingProxyType({file.ROW.name: file.ROW for file in _FILES})
"""Every variant that has functions of its own, by name."""

for _row in FUNCTIONS.values():
    announce(_row.name, _row.functions[0].__name__)
