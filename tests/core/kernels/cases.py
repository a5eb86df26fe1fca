"""Cases of the tests of compiled bodies: arrays of every layout with the source of their lanes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from thinnet._core import native
from thinnet._core.kernels import Source
from thinnet._core.random import Window, lanes

from .bits import COMPILED, DTYPES, KEYS, Array, Layout, alike, layouts, numbers, thresholds

# Lengths about the borders of blocks, of groups of blocks, of chunks and of the long runs' least length.
LONG = [31, 63, 64, 65, 127, 255, 256, 257, 319, 320, 321, 640, 2047, 2048, 2049, 2561, 5003]
GAINS = np.linspace(-3, 3, 65536).astype(np.float32)
GAINS[::3] = 0


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """Draw a shape of up to four axes: short ones, or one long and others of at most three entries."""
    if draw(st.booleans()):
        return tuple(draw(st.lists(st.integers(0, 7), max_size=4)))
    shape = draw(st.lists(st.integers(1, 3), max_size=3))
    shape.insert(draw(st.integers(0, len(shape))), draw(st.sampled_from(LONG)))
    return tuple(shape)


@st.composite
def windows(draw: st.DrawFn, shape: tuple[int, ...]) -> Window | None:
    """Draw a window that broadcasts against a shape, perhaps one of a global array as large as there are."""
    if draw(st.integers(0, 4)) == 0:
        return None
    own = shape[draw(st.integers(0, len(shape))) :] if draw(st.integers(0, 3)) == 0 else shape
    size = tuple(1 if draw(st.integers(0, 2)) == 0 else n for n in own)
    start = [draw(st.integers(0, 9)) for _ in size]
    whole = [a + n + draw(st.integers(0, 3)) for a, n in zip(start, size, strict=True)]
    where = draw(st.sampled_from(["near", "far", "border"]))
    if size and where != "near":
        axis = draw(st.integers(0, len(size) - 1))
        inner, outer = math.prod(whole[axis + 1 :]), math.prod(whole[:axis])
        if where == "far":  # up to the last lane
            most = draw(st.sampled_from([2**63 - 1, 2**36 + 5])) // max(1, inner * outer)
            start[axis] = most - size[axis] - draw(st.sampled_from([0, 0, 1, 3, 1000]))
        else:  # across a border of 2**32 blocks
            border = draw(st.integers(1, 1000)) * 2**35 // max(1, inner)
            start[axis] = border - draw(st.integers(0, size[axis] + 1))
            most = start[axis] + size[axis] + 3
        whole[axis] = most
    return Window(tuple(whole), tuple(start), size)


@dataclass(frozen=True)
class Case:
    """Arrays by their layouts, and whose lanes decide."""

    x: Array
    source: Source
    into: Layout
    out: Layout
    own: bool
    threshold: int

    def run(self, kernel: Callable[[Array, Array], Array]) -> Array:
        """Return the output of a kernel: in place if `own`, else in an array of another layout."""
        x = self.into.place(self.x)
        out = x if self.own else self.out.place(np.zeros_like(self.x))
        assert kernel(x.array, out.array) is out.array
        y = out.taken()
        assert self.own or alike(x.taken(), self.x), "x was changed"
        return y


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(shapes())
    x = numbers(draw(st.sampled_from(DTYPES)), shape, draw(st.integers(0, 99)))
    swapped = draw(layouts(len(shape)))
    out = draw(layouts(len(shape)))
    out = Layout(out.steps, out.order, out.offset, swapped.swapped)  # x and out have one dtype
    key, window = draw(KEYS), draw(windows(shape))
    threshold = draw(thresholds(lanes(key, window or shape)))
    return Case(x, Source(key, window), swapped, out, draw(st.booleans()), threshold)


def by_twin(call: Callable[[], Array]) -> Array:
    with native.using(native.NUMPY):
        return call()


def assert_bodies_give(expected: Array, call: Callable[[], Array]) -> None:
    for body in COMPILED:
        with native.using(body):
            assert alike(call(), expected), body
