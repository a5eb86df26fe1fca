"""What a dropout variant is, and the catalogue of them.

A variant joins a pattern (which entries share a lane), a law (what a lane does to an entry) and what
replaces what is dropped. `FUNCTIONS` lists the variants that need more than a rate.
"""

from thinnet.variants._beyond import FUNCTIONS
from thinnet.variants._beyond.function import FunctionVariant
from thinnet.variants._catalogue import CATALOGUE, find
from thinnet.variants._law import Law, Table, TwoPoint
from thinnet.variants._sample import drop, dropout, mask
from thinnet.variants._variant import Variant

__all__ = [
    "CATALOGUE",
    "FUNCTIONS",
    "FunctionVariant",
    "Law",
    "Table",
    "TwoPoint",
    "Variant",
    "drop",
    "dropout",
    "find",
    "mask",
]
