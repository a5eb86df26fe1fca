"""Pools: what their gradients do not show."""

from __future__ import annotations

import numpy as np

from thinnet import net


def test_windows_of_more_entries_than_a_byte_counts() -> None:
    layer, x = net.MaxPool2d(257, stride=1), np.random.default_rng(0).random((1, 1, 258, 258))
    y, saved = layer.forward(x, {})
    dx = layer.backward(np.ones_like(y), saved, {}, {})
    assert dx.sum() == y.size == 4
    assert np.array_equal(np.sort(x[dx > 0]), np.unique(y))


def test_no_images_are_flattened_too() -> None:
    assert net.Flatten().forward(np.zeros((0, 2, 3, 3)), {})[0].shape == (0, 18)
