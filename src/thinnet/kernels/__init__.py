"""Floor 2: the hot loops of dropout.

Every caller goes through the names below. Behind them stand compiled kernels, and the NumPy twins in
`twin/`: the slow paths that any compiled body has to equal to the bit.
"""

from thinnet.kernels.laws import Lane, Pair, mask, table, two_point

__all__ = ["Lane", "Pair", "mask", "table", "two_point"]
