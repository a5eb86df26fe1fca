"""Floor 3: what a dropout variant is, and the catalogue of them.

A variant joins a pattern (which entries share a lane), a law (what a lane does to an entry) and what
stands in for what is dropped. `sample.py` applies it; `schedule.py` changes its rate over time.
"""

from thinnet.variants.catalogue import CATALOGUE, find
from thinnet.variants.law import Law, Table, TwoPoint
from thinnet.variants.sample import drop, dropout, mask, mean, sample
from thinnet.variants.variant import Variant

__all__ = [
    "CATALOGUE",
    "Law",
    "Table",
    "TwoPoint",
    "Variant",
    "drop",
    "dropout",
    "find",
    "mask",
    "mean",
    "sample",
]
