"""Every row of the catalogue against plain dropout: 2**20 entries of float32, one thread, one run.

A row of two points may take 1.3 times as long as Dropout, blocks 3 times, a table of gains 2 times. Arrays
have the axes of the pattern; blocks have 7 entries along each axis, and a second operand is an array of its
own, which is one more to read.
"""

from __future__ import annotations

import math

import numpy as np
from common import Pair, Result, clock, in_turn, keep, report

import thinnet as tn
from thinnet.variants import TwoPoint, Variant
from thinnet.variants._variant import PASSED

RATE, KEY, POWER = 0.3, tn.Key(1), 20
SHAPES = {
    2: (1024, 1024),
    3: (64, 128, 128),
    4: (32, 32, 32, 32),
    5: (8, 8, 16, 32, 32),
}


def shape_of(row: Variant) -> tuple[int, ...]:
    """Return the shape of 2**20 entries that a row takes, of four axes where any number will do."""
    words = row.pattern.split()
    shape = SHAPES[4 if any("..." in word for word in words) else len(words)]
    assert math.prod(shape) == 1 << POWER
    return shape


def budget(row: Variant) -> float:
    if row.block:
        return 3.0
    return 1.3 if isinstance(row.law_of(RATE), TwoPoint) else 2.0


def against_dropout(row: Variant) -> Result:
    shape = shape_of(row)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    ours, theirs = np.empty_like(x), np.empty_like(x)
    more = {"other": x[::-1].copy()} if row.other in PASSED else {}
    pair = Pair(
        f"{row.name} {shape}",
        "Dropout",
        clock(lambda: tn.drop(row, x, RATE, key=KEY, out=ours, **more), 4),
        clock(lambda: tn.dropout(x, RATE, key=KEY, out=theirs), 4),
        rounds=25,
    )
    return in_turn(pair, budget=budget(row))


def main() -> None:
    tn.set_num_threads(1)
    rows = {name: report(against_dropout(row)) for name, row in tn.CATALOGUE.items()}
    keep("rows", {"rows": rows})


if __name__ == "__main__":
    main()
