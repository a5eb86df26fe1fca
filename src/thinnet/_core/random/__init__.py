"""Random lanes from a key, without any knowledge of dropout.

`philox.py` defines the generator, `key.py` keys, `blocks.py` the blocks of a key, `windows.py` windows and
their lanes, `numbers.py` uniform numbers and permutations.
"""

from thinnet._core.random.blocks import words
from thinnet._core.random.key import Key
from thinnet._core.random.numbers import permutation, uniform
from thinnet._core.random.philox import philox4x32
from thinnet._core.random.windows import Window, lanes

__all__ = ["Key", "Window", "lanes", "permutation", "philox4x32", "uniform", "words"]
