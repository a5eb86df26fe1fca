"""What a dropout variant is, the catalogue of them, and `register`, which adds your own.

A variant joins a pattern (which entries share a lane), a law (the gain and shift of a lane) and the
replacement of dropped entries. `FUNCTIONS` lists the variants that need more than a rate: they have functions
of their own.
"""

from thinnet.variants._beyond import FUNCTIONS
from thinnet.variants._beyond.function import FunctionVariant
from thinnet.variants._catalogue import CATALOGUE, find, register
from thinnet.variants._law import (
    Formula,
    Law,
    Table,
    TwoPoint,
    alpha,
    formula,
    hold,
    inverted,
    mixed,
    threshold_of,
    unscaled,
)
from thinnet.variants._sample import drop, dropout, mask
from thinnet.variants._tables import gaussian, log_normal, shake, uniform
from thinnet.variants._variant import Variant

__all__ = [
    "CATALOGUE",
    "FUNCTIONS",
    "Formula",
    "FunctionVariant",
    "Law",
    "Table",
    "TwoPoint",
    "Variant",
    "alpha",
    "drop",
    "dropout",
    "find",
    "formula",
    "gaussian",
    "hold",
    "inverted",
    "log_normal",
    "mask",
    "mixed",
    "register",
    "shake",
    "threshold_of",
    "uniform",
    "unscaled",
]
