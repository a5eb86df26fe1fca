"""The hot loops of dropout: each compiled kernel and, beside it, the NumPy twin that it equals to the bit.

`laws.py` chooses between the compiled laws and `laws_numpy.py`; `dense.py` and `updates.py` are called where
kernels are compiled.
"""

from thinnet._core.kernels.dense import ACTIVATIONS, NEEDS_INPUT, End, dense_backward, dense_forward
from thinnet._core.kernels.laws import Lane, Pair, mask, read, table, two_point, write
from thinnet._core.kernels.updates import Rule, update

__all__ = [
    "ACTIVATIONS",
    "NEEDS_INPUT",
    "End",
    "Lane",
    "Pair",
    "Rule",
    "dense_backward",
    "dense_forward",
    "mask",
    "read",
    "table",
    "two_point",
    "update",
    "write",
]
