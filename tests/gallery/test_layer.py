from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet._core.random import Key
from thinnet.gallery import _images as images
from thinnet.gallery import _layer as layer


@pytest.mark.parametrize("variant", ["Dropout", "VanillaDropout"])
def test_the_layer_of_the_books_is_ours_to_the_bit(variant: str) -> None:
    x, dy = np.random.default_rng(0).standard_normal((2, 7, 30))
    book, ours = layer.BookDropout(0.3, scaled=variant == "Dropout"), net.Dropout(0.3, variant=variant)
    for key in (Key(4), None):
        y, saved = ours.forward(x, {}, key=key)
        assert np.array_equal(book.forward(x, key=key), y)
        assert np.array_equal(book.backward(dy), ours.backward(dy, saved, {}, {}))


def test_ten_units_by_hand() -> None:
    vanilla, inverted = layer.ten()[1:]
    assert vanilla.split()[-1] == "4"
    assert inverted.split()[-1] == "10"
    assert vanilla.split()[1:11].count("1") == 4
    assert inverted.split()[1:11].count("2.5") == 4


@pytest.mark.parametrize("rate", [0.5, 0.2])
def test_the_geometric_mean_of_one_dropped_layer_is_the_mean_network(rate: float) -> None:
    data = images.digits(200).flat()
    layers = [net.Dense(64, 8), net.Tanh(), net.Dropout(rate), net.Dense(8, 10)]
    network = net.Network(layers, key=Key(1), dtype="float64")
    network.fit(data.x, data.y, epochs=5)
    chances, p = layer.every_thinned(network, data.x_test[:20])
    assert chances.sum() == pytest.approx(1)
    assert p.shape == (256, 20, 10)
    found = layer.means(network, data.x_test[:20])
    assert np.allclose(found.geometric, found.network, atol=1e-13)
    assert np.abs(found.arithmetic - found.network).max() > 1e-3


def test_two_dropped_layers_are_only_near() -> None:
    data = images.digits(300).flat()
    found = layer.means(layer.small((4, 4), data, seed=0, epochs=20), data.x_test[:100])
    near, far = (np.abs(kind - found.network).mean() for kind in (found.geometric, found.arithmetic))
    assert 1e-6 < near < far


def test_vanilla_learns_slower_and_no_dropout_fastest() -> None:
    data = images.digits(300).flat()
    scores = {way: layer.learn(way, data, 0, (40, 60)) for way in layer.WAYS}
    assert all(found.shape == (2, 2) for found in scores.values())
    none, vanilla, inverted = (found[-1, 0] for found in scores.values())
    assert none > inverted > vanilla


def test_it_tells_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    few: dict[str, Any] = {"one layer": (3,), "two layers": (2, 2)}
    monkeypatch.setattr(layer, "SMALL", few)
    exhibit = layer.run(seeds=2, epochs=(2, 4))
    assert sum(line.startswith(tuple(layer.WAYS.values())) for line in exhibit.lines) == 5
    assert any(line.startswith("one layer") and "below 1e-14" in line for line in exhibit.lines)
