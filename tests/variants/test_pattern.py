"""Patterns: which entries share one lane."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from thinnet._core.random import Key, Window, lanes
from thinnet.errors import InputError
from thinnet.variants import Variant, drop
from thinnet.variants._law import inverted
from thinnet.variants._pattern import lane_window


@pytest.mark.parametrize(
    ("pattern", "shape", "lanes_of"),
    [
        ("...", (), ()),
        ("...", (4, 5, 6), (4, 5, 6)),
        ("n c 1 1", (4, 3, 8, 8), (4, 3, 1, 1)),
        ("n 1 f", (4, 7, 5), (4, 1, 5)),
        ("n ...", (4, 7, 5), (4, 7, 5)),
        ("n ... 1", (4, 7, 5), (4, 7, 1)),
        ("1 ...", (4,), (1,)),
        ("n 1", (0, 5), (0, 1)),
        ("n 1", (5, 0), (5, 0)),
    ],
)
def test_shared_axes_have_one_lane(pattern: str, shape: tuple[int, ...], lanes_of: tuple[int, ...]) -> None:
    assert lane_window(pattern, Window.whole(shape), "X").size == lanes_of


def test_a_shard_looks_for_its_lanes_where_the_whole_has_them() -> None:
    window = Window((8, 6, 5), (2, 3, 1), (4, 3, 4))
    part = lane_window("n 1 f", window, "X")
    assert part == Window((8, 1, 5), (2, 0, 1), (4, 1, 4))
    whole = lanes(Key(0), lane_window("n 1 f", Window.whole(window.shape), "X"))
    assert np.array_equal(lanes(Key(0), part), whole[2:6, :, 1:5])


@pytest.mark.parametrize(
    ("pattern", "shape", "needed"),
    [
        ("n c 1 1", (4, 3), "4 axes"),
        ("n", (4, 3), "1 axis"),
        ("n c ... 1", (4, 3), "at least 3 axes"),
        ("n", (), "1 axis"),
        ("n 1...", (), "at least 1 axis"),
    ],
)
def test_an_error_shows_the_pattern_and_the_shape(
    pattern: str, shape: tuple[int, ...], needed: str, refusal: Callable[..., str]
) -> None:
    row = Variant("Odd", "activation", pattern, inverted, cite="none", doc="none")
    line = refusal(InputError, drop, row, np.ones(shape), 0.5, key=Key(0))
    assert line == f"Odd: the pattern {pattern!r} needs {needed}, got an array of shape {shape}."


def test_a_row_with_shared_axes_drops_them_together() -> None:
    row = Variant("Channels", "activation", "n c 1 1", inverted, cite="none", doc="none")
    y = drop(row, np.ones((40, 8, 3, 5)), 0.5, key=Key(0))
    assert np.array_equal(y, np.broadcast_to(y[..., :1, :1], y.shape))
    assert set(np.unique(y)) == {0.0, 2.0}
