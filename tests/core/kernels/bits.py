"""Helpers of the tests of compiled bodies: arrays of every layout, and equality to the bit."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from thinnet import get_num_threads, set_num_threads
from thinnet._core import native
from thinnet._core.random import Key

Array = NDArray[Any]

COMPILED = [body for body in native.bodies() if body != native.NUMPY]
KEYS = st.builds(Key, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
# uint16 stands for the bits of bfloat16.
DTYPES = ["float16", "float32", "float64", "uint16"]

_INTEGERS = {2: np.uint16, 4: np.uint32, 8: np.uint64}
_SPECIAL = [0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 6e-8, -1e-45, 5e-324, 65504.0, -3.4e38, 1.7e308]
# More entries than a kernel could write past an end by mistake.
_GUARD = 64


def alike(a: Array, b: Array) -> bool:
    """Return whether two arrays are equal to the bit; all NaN count as equal."""
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    if a.dtype == np.bool_:
        return np.array_equal(a, b)
    bits = [np.ascontiguousarray(array).view(_INTEGERS[a.dtype.itemsize]) for array in (a, b)]
    if a.dtype == np.uint16:
        nan = [(array & 0x7FFF) > 0x7F80 for array in bits]
    else:
        nan = [np.isnan(array) for array in (a, b)]
    return bool(np.all((bits[0] == bits[1]) | (nan[0] & nan[1])))


def numbers(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """Return ordinary numbers, special ones and random bits, mixed."""
    rng, kind = np.random.default_rng(seed), np.dtype(dtype)
    anything = rng.integers(0, 256, (*shape, kind.itemsize), np.uint8).view(kind)[..., 0]
    with np.errstate(over="ignore"):
        special = np.array(_SPECIAL).astype(np.float32 if kind == np.uint16 else kind)
    ordinary = rng.standard_normal(shape).astype(special.dtype)
    if kind == np.uint16:
        special, ordinary = ((floats.view(np.uint32) >> 16).astype(kind) for floats in (special, ordinary))
    which = rng.integers(0, 8, shape)
    chosen = np.where(which == 0, rng.choice(special, shape), ordinary)
    return np.asarray(np.where(which == 1, anything, chosen), kind)


@st.composite
def thresholds(draw: st.DrawFn, drawn: NDArray[np.uint16]) -> int:
    """Draw a threshold, often one that a lane is equal to or exceeds by one."""
    if drawn.size and draw(st.booleans()):
        lane = drawn.reshape(-1)[draw(st.integers(0, drawn.size - 1))]
        return int(lane) + draw(st.sampled_from([0, 1]))
    return draw(st.one_of(st.sampled_from([0, 1, 65535, 65536]), st.integers(0, 65536)))


@contextlib.contextmanager
def threads(count: int, least: int = 100) -> Iterator[None]:
    """Split work over `count` threads, even if each has only `least` entries."""
    laws, dense, update = (
        importlib.import_module(f"thinnet._core.kernels.{name}") for name in ("laws", "dense", "updates")
    )
    before = get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        for module in (laws, dense):
            patch.setattr(module, "_ENTRIES", least)
            patch.setattr(module, "_SMALL", 2 * least)
        patch.setattr(update, "_WEIGHTS", least)
        set_num_threads(count)
        try:
            yield
        finally:
            set_num_threads(before)


@dataclass(frozen=True)
class Layout:
    """How an array lies in memory: a step along each axis, the order of axes, where it begins."""

    steps: tuple[int, ...]
    order: tuple[int, ...]
    offset: int = 0
    swapped: bool = False

    def place(self, values: Array) -> Placed:
        """Lay values out like this, with a guarded margin around them and between them."""
        dtype = values.dtype.newbyteorder() if self.swapped else values.dtype
        roomy = [n * abs(step) for n, step in zip(values.shape, self.steps, strict=True)]
        raw = np.full(math.prod(roomy) * dtype.itemsize + 2 * _GUARD, 0xA5, np.uint8)
        inside = raw[_GUARD + self.offset : raw.size - _GUARD + self.offset].view(dtype)
        base = inside.reshape([roomy[axis] for axis in self.order]).transpose(np.argsort(self.order))
        array = base[(*(slice(None, None, step) for step in self.steps), ...)]
        array[...] = 0
        empty = raw.copy()
        array[...] = values
        return Placed(array, raw, empty)


@dataclass
class Placed:
    """An array somewhere in a larger piece of memory."""

    array: Array
    raw: NDArray[np.uint8]
    empty: NDArray[np.uint8]

    def taken(self) -> Array:
        """Return the entries; fail if a kernel wrote outside of the array."""
        values = np.array(self.array.astype(self.array.dtype.newbyteorder("=")))
        self.array[...] = 0
        assert np.array_equal(self.raw, self.empty), "written outside the array"
        return values


@st.composite
def layouts(draw: st.DrawFn, axes: int) -> Layout:
    """Draw a layout; most are ones that the kernels take as they are."""
    steps = [1] * axes
    order = list(range(axes))
    how = draw(st.sampled_from(["plain", "plain", "leading", "any", "order", "offset", "swapped"]))
    if how in ("leading", "any") and axes:
        strided = axes if how == "any" else axes - 1
        steps[:strided] = [draw(st.sampled_from([1, 2, -1, -2])) for _ in range(strided)]
    if how == "order":
        order = draw(st.permutations(order))
    offset = draw(st.sampled_from([1, 2, 4])) if how == "offset" else 0
    return Layout(tuple(steps), tuple(order), offset, how == "swapped")
