"""The hot loops of dropout: each compiled kernel and its NumPy definition.

`laws.py`, `dense.py` and `updates.py` call the compiled kernels; `laws_numpy.py`, `dense_numpy.py` and
`updates_numpy.py` define them. `records.py` holds the types of their arguments.
"""

from thinnet._core.kernels.dense import ACTIVATIONS, NEEDS_INPUT, End, dense_backward, dense_forward
from thinnet._core.kernels.laws import mask, table, two_point
from thinnet._core.kernels.records import Pair, Source, TwoPoint, new_source
from thinnet._core.kernels.updates import Rule, update

__all__ = [
    "ACTIVATIONS",
    "NEEDS_INPUT",
    "End",
    "Pair",
    "Rule",
    "Source",
    "TwoPoint",
    "dense_backward",
    "dense_forward",
    "mask",
    "new_source",
    "table",
    "two_point",
    "update",
]
