"""The dropout layer of books that build networks from scratch: vanilla, inverted, and the ensemble.

Ten units worked by hand; the average of all thinned networks of a small one; and 300 digits learned by six
hidden layers.

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
from thinnet._core.apply import apply
from thinnet._core.random import Key
from thinnet._drawing import COLOURS
from thinnet._statistics import mean_interval
from thinnet.gallery import _images as images
from thinnet.gallery._exhibit import Exhibit
from thinnet.gallery._images import Images
from thinnet.gallery._text import interval_text, table_lines
from thinnet.net._layers import Layer
from thinnet.variants import inverted, mask, unscaled

__all__ = ["BookDropout", "Means", "every_thinned", "learn", "means", "run"]

Array: TypeAlias = NDArray[Any]

RATE, DIGITS, TEST, BATCH, SPEED, SEEDS, EPOCHS = 0.2, 300, 10_000, 100, 0.01, 5, (301, 1505)
WAYS = {"none": "no dropout", "VanillaDropout": "vanilla", "Dropout": "inverted"}
SMALL = {"one layer": (12,), "two layers": (6, 6)}


class BookDropout:
    """Dropout that stores its mask for backward; it scales at test (vanilla) or in training (inverted).

    Parameters
    ----------
    rate : float
        Chance that a unit is dropped.
    scaled : bool
        Divide by keep in training (inverted dropout) instead of multiplying by keep at test.

    Examples
    --------
    >>> layer = BookDropout(0.6)
    >>> layer.forward(np.ones(10)).round(3)
    array([0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])
    """

    def __init__(self, rate: float, *, scaled: bool = False) -> None:
        law = inverted(rate) if scaled else unscaled(rate)
        self.rate, self.gain, self.mean = rate, law.kept[0], law.mean[0]
        self.gains: Any = self.mean

    def forward(self, x: Array, *, key: Key | None = None) -> Array:
        """Return y: with a key some units are dropped, without one the mean is applied."""
        drawn = None if key is None else mask(x.shape, self.rate, key=key)
        self.gains = self.mean if drawn is None else drawn * self.gain
        return apply(self.gains, 0.0, x)

    def backward(self, dy: Array) -> Array:
        """Return dx, with the mask of forward."""
        return apply(self.gains, 0.0, dy)


def ten() -> list[str]:
    """Return the table of ten units at rate 0.6."""
    x, key, rate = np.ones(10), Key(10).fold("ten"), 0.6
    step = next(step for step in itertools.count() if mask((10,), rate, key=key.at(step)).sum() == 4)
    lines = [
        ["ten units of 1 at rate 0.6", "one sample (4 stay)", "its sum", "mean of 10,000 sums", "at test"]
    ]
    for scaled in (False, True):
        layer = BookDropout(rate, scaled=scaled)
        y = layer.forward(x, key=key.at(step))
        sums = [layer.forward(x, key=key.at(draw)).sum() for draw in range(10_000)]
        values = " ".join(f"{value:.3g}" for value in y)
        at_test = f"10 × {layer.mean:.2g} = {layer.forward(x).sum():.3g}"
        lines.append(
            [
                WAYS["Dropout" if scaled else "VanillaDropout"],
                values,
                f"{y.sum():.3g}",
                f"{np.mean(sums):.2f}",
                at_test,
            ]
        )
    return table_lines(lines)


def every_thinned(network: net.Network, x: Array) -> tuple[Array, Array]:
    """Return the chance of every thinned network, (2**units,), and its probabilities, (…, n, classes).

    Parameters
    ----------
    network : Network
        A network with few dropped units, all of inverted dropout at one rate.
    x : ndarray, shape (n, inputs)
        Rows.
    """
    layers = [layer for layer in network.layers if isinstance(layer, net.Dropout)]
    law = inverted(layers[0].final_rate)
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
    """Train a network of few units with dropout 0.5 after every hidden layer, in float64."""
    network = net.Network(_layers(data, hidden, "Dropout", 0.5), key=Key(seed).fold("small"), dtype="float64")
    network.fit(data.x, data.y, epochs=epochs, batch=BATCH, optimizer=net.Adam(0.01))
    return network


def learn(way: str, data: Images, seed: int, recorded: tuple[int, ...]) -> Array:
    """Return training and test accuracy after the recorded epochs, (recorded, 2)."""
    layers = _layers(data, (100,) * 6, None if way == "none" else way, RATE)
    network = net.Network(layers, key=Key(seed).fold("layer"))
    found: list[list[float]] = []

    def record(epoch: net.Epoch) -> None:
        if epoch.number in recorded:
            parts = (data.x, data.y), (data.x_test, data.y_test)
            found.append([float((network.predict(x) == y).mean()) for x, y in parts])

    network.fit(data.x, data.y, epochs=recorded[-1], batch=BATCH, optimizer=net.SGD(SPEED), on_epoch=record)
    return np.array(found)


def _layers(data: Images, hidden: tuple[int, ...], variant: str | None, rate: float) -> list[Layer]:
    layers: list[Layer] = []
    for d, k in itertools.pairwise((data.x.shape[1], *hidden)):
        layers += [net.Dense(d, k), net.ReLU(), *([net.Dropout(rate, variant=variant)] if variant else [])]
    return [*layers, net.Dense(hidden[-1], data.classes)]


def run(data: tuple[Path, ...] = (), seeds: int = SEEDS, epochs: tuple[int, int] = EPOCHS) -> Exhibit:
    """Compute ten units, average all thinned networks, learn 300 digits, and return the exhibit."""
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
            cells.append("below 1e-14" if max(gaps) < 1e-14 else interval_text(gaps, ".3f"))
        rows.append([name, *cells])
    recorded = tuple(sorted({*epochs, *(round(epochs[-1] ** (i / 23)) for i in range(24))}))
    curves = {way: np.stack([learn(way, known, seed, recorded) for seed in range(seeds)]) for way in WAYS}
    accuracies = [
        [f"{len(known.x)} of {known.name}"]
        + [f"{part}, {n} epochs" for n in epochs for part in ("train", "test")]
    ]
    for way, found in curves.items():
        at = [recorded.index(n) for n in epochs]
        accuracies.append(
            [WAYS[way], *(interval_text(found[:, i, part], ".3f") for i in at for part in range(2))]
        )
    sentence = (
        "Vanilla and inverted dropout have the same expectation, but at one learning rate vanilla learns "
        "more slowly, since its signal shrinks in every layer. The mean network equals the geometric mean of "
        "all thinned networks where one layer is dropped, and is close to it where two are."
    )
    lines = [*ten(), "", *table_lines(rows), "", *table_lines(accuracies)]
    return Exhibit(lines, sentence, lambda figure: _draw(figure, recorded, curves, averaged), (9.4, 3.6))


def _draw(
    figure: Any, recorded: tuple[int, ...], curves: dict[str, Array], averaged: dict[str, list[Means]]
) -> None:
    panels = figure.subplots(1, 3)
    colours = dict(zip(WAYS, (COLOURS["without"], COLOURS["ink"], COLOURS["dropout"]), strict=True))
    for panel, part, title in zip(panels, range(2), ("Accuracy, training", "Accuracy, test"), strict=False):
        for way, found in curves.items():
            middle, low, high = np.transpose([mean_interval(column) for column in found[:, :, part].T])
            panel.fill_between(recorded, low, high, color=colours[way], alpha=0.15, linewidth=0)
            panel.plot(recorded, middle, color=colours[way], label=WAYS[way])
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
