"""Floor 2: the hot loops of dropout.

Every caller goes through the names below. Behind them stands the NumPy twin, `twin.py`: the slow
path that any compiled body has to equal to the bit.
"""

from thinnet.kernels.twin import Pair, table, two_point

__all__ = ["Pair", "table", "two_point"]
