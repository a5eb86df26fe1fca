"""Floor 1: random lanes from a key; knows no dropout.

`key.py` is the address, `philox.py` the generator, `lanes.py` the lanes of any window of any array.
"""

from thinnet.random.key import Key, Stream
from thinnet.random.lanes import Window, lanes
from thinnet.random.numbers import permutation, uniform
from thinnet.random.philox import philox4x32, words

__all__ = ["Key", "Stream", "Window", "lanes", "permutation", "philox4x32", "uniform", "words"]
