"""The types of the arguments of kernels: factors, laws of two points, sources and placements of lanes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from thinnet._core.random.key import Key
from thinnet._core.random.windows import Window

__all__ = ["Blocks", "Pair", "Placement", "Source", "TwoPoint", "new_source"]


class Pair(NamedTuple):
    """The factors of `gain * x + shift * other`: two numbers, or arrays that broadcast against x."""

    gain: Any
    shift: Any


@dataclass(frozen=True, eq=False)
class TwoPoint:
    """Apply the factors `dropped` where `lane < threshold`, and `kept` elsewhere.

    Parameters
    ----------
    threshold : int or ndarray of int
        In [0, 65536]; an array broadcasts against x.
    dropped, kept : Pair
        The factors of dropped and of kept entries: numbers, or arrays that broadcast against x.
    """

    threshold: Any
    dropped: Pair
    kept: Pair

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", Pair(*self.dropped))
        object.__setattr__(self, "kept", Pair(*self.kept))

    @functools.cached_property
    def numbers(self) -> tuple[int, float, float, float, float] | None:
        """The threshold, the dropped and the kept factors, or None if one of them is an array."""
        factors = (*self.dropped, *self.kept)
        if type(self.threshold) is not int or any(type(factor) is not float for factor in factors):
            return None
        return (self.threshold, *factors)

    @functools.cached_property
    def zeroes(self) -> bool:
        """Whether a dropped entry is 0 and a kept one `gain * x`, for every rate of the law."""
        shift = self.kept.shift
        return all(type(factor) is float and factor == 0 for factor in (*self.dropped, shift))


class Source(NamedTuple):
    """The source of the lanes that decide about the entries of x.

    Parameters
    ----------
    key : Key
        The address of the randomness.
    window : Window, optional
        The window of lanes, which broadcasts against x; None stands for one lane for each entry of x.
    block : tuple of int
        Sizes of blocks along the last axes; empty without blocks. With blocks, a place whose lane is below
        the threshold is a seed, and an entry is dropped if a block that begins at a seed covers it.
    """

    key: Key
    window: Window | None = None
    block: tuple[int, ...] = ()


_tuple: Any = tuple
new_source: Callable[[tuple[Key, Window | None, tuple[int, ...]]], Source]
new_source = functools.partial(_tuple.__new__, Source)
"""Make a Source of a tuple in half the time of its class, for arrays that take no longer than the call."""


class Blocks(NamedTuple):
    """Blocks as the compiled kernels read them.

    Parameters
    ----------
    shape : tuple of int
        The global shape of the grid of seeds.
    start, size : tuple of int
        The window of entries.
    block : tuple of int
        The size of a block along every axis, 1 along axes without blocks.
    over : int
        The number of last axes with blocks.
    threshold : int
        Seeds have lanes below it.
    """

    shape: tuple[int, ...]
    start: tuple[int, ...]
    size: tuple[int, ...]
    block: tuple[int, ...]
    over: int
    threshold: int


class Placement(NamedTuple):
    """The numbers of the lanes of an array as compiled kernels read them; () stands for 0, 1, 2 and so on.

    Parameters
    ----------
    start : int
        The number of the lane of the first entry.
    strides : tuple of int
        The distance of lanes along each axis of the array; 0 along an axis that shares its lanes.
    blocks : Blocks, optional
        With blocks, entries are numbered inside their window and get lane 0 (dropped) or 65535 (kept).
    """

    start: int
    strides: tuple[int, ...]
    blocks: Blocks | None = None
