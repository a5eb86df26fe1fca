"""Floor 1: random lanes from a key; knows no dropout.

`key.py` is the address, `philox.py` the generator, `lanes.py` the lanes of any window of any array.
"""

from thinnet._core.random.key import Key, Stream
from thinnet._core.random.numbers import permutation, uniform
from thinnet._core.random.philox import philox4x32, words
from thinnet._core.random.windows import Window, lanes

__all__ = ["Key", "Stream", "Window", "lanes", "permutation", "philox4x32", "uniform", "words"]
