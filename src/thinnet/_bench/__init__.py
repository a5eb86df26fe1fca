"""Time dropout on this machine against a copy, NumPy, PyTorch and JAX: `thinnet bench`.

`measure` returns plain rows; `table`, `bars` and `draw` show them.
"""

from thinnet._bench.command import Options, bench, size_of
from thinnet._bench.measuring import in_turn, measure
from thinnet._bench.rivals import Rival, find_rivals
from thinnet._bench.showing import bars, draw, table

__all__ = [
    "Options",
    "Rival",
    "bars",
    "bench",
    "draw",
    "find_rivals",
    "in_turn",
    "measure",
    "size_of",
    "table",
]
