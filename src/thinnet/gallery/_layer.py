"""The dropout layer of the books that build networks from scratch: vanilla and inverted, and the ensemble.

Ten units by hand; all thinned networks of a small one, averaged; and 300 digits learned by six hidden layers.

References
----------
Hinton et al.: Improving neural networks by preventing co-adaptation of feature detectors. arXiv:1207.0580,
2012. Baldi, Sadowski: Understanding dropout. NeurIPS 2013, section 2 (the geometric mean). Saitoh: Deep
learning from scratch. O'Reilly Japan, 2016, section 6.4 (the 300 digits).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet import net
from thinnet._core.random import Key
from thinnet.gallery import _images as images
from thinnet.gallery._images import Images
from thinnet.gallery._shown import Shown, interval, spread, table
from thinnet.net._layers import Layer
from thinnet.variants import TwoPoint, find, mask

__all__ = ["BookDropout", "Means", "every_thinned", "learn", "means", "run"]

Array: TypeAlias = NDArray[Any]

RATE, DIGITS, TEST, BATCH, SPEED, SEEDS, EPOCHS = 0.2, 300, 10_000, 100, 0.01, 5, (301, 1505)
WAYS = {"none": "no dropout", "VanillaDropout": "vanilla", "Dropout": "inverted"}
SMALL = {"one layer": (12,), "two layers": (6, 6)}


class BookDropout:
    """Keep the mask of forward for backward; scale at test (vanilla), or already in training (inverted).

    Parameters
    ----------
    rate : float
        Chance that a unit is dropped.
    inverted : bool
        Divide by keep in training instead of multiplying by it at test.

    Examples
    --------
    >>> layer = BookDropout(0.6)
    >>> layer.forward(np.ones(10)).round(3)
    array([0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])
    """

    def __init__(self, rate: float, inverted: bool = False) -> None:
        law = find("Dropout" if inverted else "VanillaDropout").law_of(rate)
        assert isinstance(law, TwoPoint)
        self.rate, self.gain, self.mean = rate, law.kept[0], law.mean[0]
        self.gains: Any = self.mean

    def forward(self, x: Array, *, key: Key | None = None) -> Array:
        """Return y: with a key some units are dropped, without one none."""
        drawn = None if key is None else mask(x.shape, self.rate, key=key)
        self.gains = self.mean if drawn is None else drawn * self.gain
        return x * self.gains

    def backward(self, dy: Array) -> Array:
        """Return dx, through the mask that forward drew."""
        return dy * self.gains


def ten() -> list[str]:
    """Return ten units at rate 0.6, worked."""
    x, key, rate = np.ones(10), Key(10).fold("ten"), 0.6
    step = next(step for step in itertools.count() if mask((10,), rate, key=key.at(step)).sum() == 4)
    lines = [
        ["ten units of 1 at rate 0.6", "one sample (4 stay)", "its sum", "mean of 10,000 sums", "at test"]
    ]
    for inverted in (False, True):
        layer = BookDropout(rate, inverted)
        y = layer.forward(x, key=key.at(step))
        sums = [layer.forward(x, key=key.at(draw)).sum() for draw in range(10_000)]
        shown = " ".join(f"{value:.3g}" for value in y)
        told = f"10 × {layer.mean:.2g} = {layer.forward(x).sum():.3g}"
        lines.append(
            [
                WAYS["Dropout" if inverted else "VanillaDropout"],
                shown,
                f"{y.sum():.3g}",
                f"{np.mean(sums):.2f}",
                told,
            ]
        )
    return table(lines)


def every_thinned(network: net.Network, x: Array) -> tuple[Array, Array]:
    """Return the chance of every thinned network, (2**units,), and its probabilities, (2**units, n, classes).

    Parameters
    ----------
    network : Network
        With few units behind its dropout layers, all of inverted dropout at one rate.
    x : ndarray, shape (n, inputs)
        Rows.
    """
    layers = [layer for layer in network.layers if isinstance(layer, net.Dropout)]
    law = layers[0].row.law_of(layers[0].rate)
    assert isinstance(law, TwoPoint)
    thin = network.thinned(key=Key(0))
    gates = [group["gain"] for group in thin.weights if "gain" in group]
    cuts = np.cumsum([gate.size for gate in gates])[:-1]
    chances: list[float] = []
    probabilities: list[Array] = []
    for kept in itertools.product((0.0, 1.0), repeat=sum(gate.size for gate in gates)):
        for gate, part in zip(gates, np.split(np.array(kept), cuts), strict=True):
            gate[...] = part * law.kept[0]
        stay = sum(kept)
        chances.append((1 - law.rate) ** stay * law.rate ** (len(kept) - stay))
        probabilities.append(thin.predict_proba(x))
    return np.array(chances), np.array(probabilities)


@dataclass(frozen=True)
class Means:
    """Class probabilities, (n, classes): of all thinned networks averaged, and of the mean network."""

    arithmetic: Array
    geometric: Array
    network: Array


def means(network: net.Network, x: Array) -> Means:
    """Average every thinned network."""
    chances, p = every_thinned(network, x)
    arithmetic = np.einsum("m,mnk->nk", chances, p)
    geometric = np.exp(np.einsum("m,mnk->nk", chances, np.log(p)))
    return Means(arithmetic, geometric / geometric.sum(axis=1, keepdims=True), network.predict_proba(x))


def small(hidden: tuple[int, ...], data: Images, seed: int, epochs: int = 60) -> net.Network:
    """Train a network of few units with dropout 0.5 behind every hidden layer, in float64."""
    network = net.Network(_layers(data, hidden, "Dropout", 0.5), key=Key(seed).fold("small"), dtype="float64")
    network.fit(data.x, data.y, epochs=epochs, batch=BATCH, optimizer=net.Adam(0.01))
    return network


def learn(way: str, data: Images, seed: int, looks: tuple[int, ...]) -> Array:
    """Return accuracy in training and at test after some epochs, (looks, 2)."""
    layers = _layers(data, (100,) * 6, None if way == "none" else way, RATE)
    network = net.Network(layers, key=Key(seed).fold("layer"))
    found: list[list[float]] = []

    def look(epoch: net.Epoch) -> None:
        if epoch.number in looks:
            parts = (data.x, data.y), (data.x_test, data.y_test)
            found.append([float((network.predict(x) == y).mean()) for x, y in parts])

    network.fit(data.x, data.y, epochs=looks[-1], batch=BATCH, optimizer=net.SGD(SPEED), on_epoch=look)
    return np.array(found)


def _layers(data: Images, hidden: tuple[int, ...], variant: str | None, rate: float) -> list[Layer]:
    layers: list[Layer] = []
    for d, k in itertools.pairwise((data.x.shape[1], *hidden)):
        layers += [net.Dense(d, k), net.ReLU(), *([net.Dropout(rate, variant=variant)] if variant else [])]
    return [*layers, net.Dense(hidden[-1], data.classes)]


def run(data: tuple[Path, ...] = (), seeds: int = SEEDS, epochs: tuple[int, int] = EPOCHS) -> Shown:
    """Work ten units, average all thinned networks, learn 300 digits, and tell what came of it."""
    known = images.load("layer", data, DIGITS).some(DIGITS, TEST).flat()
    averaged = {
        name: [means(small(hidden, known, seed), known.x_test[:500]) for seed in range(seeds)]
        for name, hidden in SMALL.items()
    }
    rows = [
        [
            "all 4,096 thinned networks of 12 units",
            "mean gap to the mean network: geometric mean",
            "arithmetic mean",
        ]
    ]
    for name, found in averaged.items():
        cells: list[str] = []
        for kind in ("geometric", "arithmetic"):
            gaps = [float(np.abs(getattr(each, kind) - each.network).mean()) for each in found]
            cells.append("below 1e-14" if max(gaps) < 1e-14 else spread(gaps, ".3f"))
        rows.append([name, *cells])
    looks = tuple(sorted({*epochs, *(round(epochs[-1] ** (i / 23)) for i in range(24))}))
    curves = {way: np.stack([learn(way, known, seed, looks) for seed in range(seeds)]) for way in WAYS}
    told = [
        [f"{len(known.x)} of {known.name}"]
        + [f"{part}, {n} epochs" for n in epochs for part in ("train", "test")]
    ]
    for way, found in curves.items():
        at = [looks.index(n) for n in epochs]
        told.append([WAYS[way], *(spread(found[:, i, part], ".3f") for i in at for part in range(2))])
    sentence = (
        "Vanilla and inverted dropout are the same in expectation, but at one learning rate vanilla learns "
        "slower, since its signal shrinks in every layer; the mean network is the geometric mean of all "
        "thinned networks exactly where one layer is dropped, and nearly where two are."
    )
    lines = [*ten(), "", *table(rows), "", *table(told)]
    return Shown(lines, sentence, lambda figure: _draw(figure, looks, curves, averaged), (9.4, 3.6))


def _draw(
    figure: Any, looks: tuple[int, ...], curves: dict[str, Array], averaged: dict[str, list[Means]]
) -> None:
    from thinnet.study._report.axes import COLOURS

    panels = figure.subplots(1, 3)
    colours = dict(zip(WAYS, (COLOURS["without"], COLOURS["ink"], COLOURS["dropout"]), strict=True))
    for panel, part, title in zip(panels, range(2), ("Accuracy, training", "Accuracy, test"), strict=False):
        for way, found in curves.items():
            middle, low, high = np.transpose([interval(column) for column in found[:, :, part].T])
            panel.fill_between(looks, low, high, color=colours[way], alpha=0.15, linewidth=0)
            panel.plot(looks, middle, color=colours[way], label=WAYS[way])
        panel.set(xscale="log", xlabel="epoch", title=title, ylim=(0, 1.02))
        panel.xaxis.set_major_formatter("{x:,g}")
        panel.xaxis.set_minor_formatter("")
    panels[0].legend(loc="upper left")
    one = averaged["two layers"][0]
    for kind, colour in (("arithmetic", COLOURS["without"]), ("geometric", COLOURS["dropout"])):
        panels[2].plot(
            one.network.ravel(),
            getattr(one, kind).ravel(),
            ".",
            color=colour,
            markersize=2,
            label=f"{kind} mean",
        )
    panels[2].plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=0.7)
    panels[2].set(
        title="Two dropped layers", xlabel="probability, mean network", ylabel="all thinned networks"
    )
    panels[2].legend(loc="upper left", markerscale=4)
