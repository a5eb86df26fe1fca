"""Floor 2: the hot loops of dropout.

Every caller goes through the names below. Behind `laws.py` stand compiled kernels and, in `twin/`, the NumPy
passes that any compiled body has to equal to the bit; `dense.py` and `update.py` are compiled alone, and
their twins are the layers and optimisers of `thinnet.net`.
"""

from thinnet.kernels.dense import ACTIVATIONS, NEEDS_INPUT, End, dense_backward, dense_forward
from thinnet.kernels.laws import Lane, Pair, mask, read, table, two_point, write
from thinnet.kernels.update import Rule, update

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
