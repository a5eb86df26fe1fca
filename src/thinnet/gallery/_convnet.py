"""Dropout on images: in dense layers; in a small convnet by entry, channel and block; in VGG.

References
----------
Stanford CS231n, assignment 2: Dropout; Convolutional networks. Tompson et al.: Efficient object localization
using convolutional networks. CVPR 2015. Ghiasi et al.: DropBlock. NeurIPS 2018. Simonyan, Zisserman: Very
deep convolutional networks for large-scale image recognition. ICLR 2015.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet import net
from thinnet._core.random import Key
from thinnet._drawing import COLOURS
from thinnet._statistics import mean_interval
from thinnet.errors import InputError
from thinnet.gallery import _images as images
from thinnet.gallery._backend import NUMPY, Backend, Losses, LossesByNetwork
from thinnet.gallery._exhibit import Exhibit
from thinnet.gallery._images import Images
from thinnet.gallery._scaling import Masked
from thinnet.gallery._text import interval_text, table_lines
from thinnet.net._layers import Layer
from thinnet.schedules import Cosine
from thinnet.variants import drop

__all__ = ["FAMILIES", "Family", "Scores", "enlarge", "fixed_masks", "learn", "run"]

Array: TypeAlias = NDArray[Any]

KEEPS, BATCH, TRAIN, TEST, SIDE = (0.25, 0.4, 0.7), 32, 5000, 2000, 32
_ENTRY, _CHANNEL = net.Dropout(0.25), net.Dropout(0.25, variant="Dropout2d")
_BLOCK = net.Dropout(0.25, variant="DropBlock2d", block=2)


@dataclass(frozen=True)
class Family:
    """One architecture, and the kinds of dropout that are compared in it.

    Parameters
    ----------
    title : str
        The name in tables.
    ways : dict
        The argument `dropout` of `make` for each kind.
    make : function of (images, dropout, key)
        Returns the network.
    rate : float
        The initial learning rate of Adam, which falls to 0 along half a cosine.
    epochs : (int, int)
        Number of epochs on digits, and on larger data sets.
    seeds : int
        Number of seeds.
    """

    title: str
    ways: dict[str, Any]
    make: Callable[[Images, Any, Key], net.Network]
    rate: float
    epochs: tuple[int, int]
    seeds: int


def _dense(data: Images, variant: str | None, key: Key) -> net.Network:
    layers: list[Layer] = [net.Flatten()]
    for d, k in itertools.pairwise((int(np.prod(data.shape)), 256, 256)):
        layers += [net.Dense(d, k), net.ReLU(), *([net.Dropout(0.5, variant=variant)] if variant else [])]
    return net.Network([*layers, net.Dense(256, data.classes)], key=key, input_shape=data.shape)


def _convnet(data: Images, dropout: Layer | None, key: Key) -> net.Network:
    return net.three_layer_convnet(data.shape, outputs=data.classes, kernel_size=3, dropout=dropout, key=key)


def _vgg(data: Images, dropouts: tuple[float, Layer | None], key: Key) -> net.Network:
    dense, pools = dropouts
    shape = (data.shape[0], SIDE, SIDE)
    return net.vgg(
        11, input_shape=shape, outputs=data.classes, width=1 / 8, dropout=dense, pools=pools, key=key
    )


FAMILIES = {
    "dense": Family(
        "Three dense layers",
        {"no dropout": None, "vanilla 0.5": "VanillaDropout", "inverted 0.5": "Dropout"},
        _dense,
        2e-3,
        (60, 20),
        5,
    ),
    "convnet": Family(
        "Three-layer convnet",
        {"no dropout": None, "entries 0.25": _ENTRY, "channels 0.25": _CHANNEL, "2 × 2 blocks 0.25": _BLOCK},
        _convnet,
        2e-3,
        (60, 10),
        5,
    ),
    "vgg": Family(
        "VGG-11, width 1/8",
        {
            "no dropout": (0.0, None),
            "0.5, dense layers": (0.5, None),
            "and after pools": (0.5, net.Dropout(0.05, variant="DropBlock2d", block=3)),
        },
        _vgg,
        1e-3,
        (12, 10),
        3,
    ),
}


def fixed_masks() -> list[list[str]]:
    """Return the mean and the share of zeros after the fixed masks of CS231n, and after ours, by row."""
    generator = np.random.RandomState(231)
    x = generator.randn(500, 500) + 10
    rows = [["x of mean 10, keep", "their mask: mean", "zeros", "our mask: mean", "zeros"]]
    for keep in KEEPS:
        gains = (generator.rand(*x.shape) < keep) / keep
        cells = [f"{keep:g}"]
        for layer in (Masked(gains), net.Dropout(1 - keep)):
            y, _ = layer.forward(x, {}, key=Key(231))
            cells += [f"{y.mean():.6f}", f"{(y == 0).mean():.6f}"]
        rows.append(cells)
    return rows


def enlarge(x: Array) -> Array:
    """Return images with each pixel repeated as often as fits into 32 x 32, centred on black."""
    times = [max(1, SIDE // length) for length in x.shape[2:]]
    large = x.repeat(times[0], axis=2).repeat(times[1], axis=3)
    margins = [SIDE - length for length in large.shape[2:]]
    padding = [(margin // 2, margin - margin // 2) for margin in margins]
    return np.pad(large, [(0, 0), (0, 0), *padding])


class Scores(NamedTuple):
    """The test error and test loss of a network, and the training loss of its first epoch."""

    error: float
    loss: float
    first: float


Results: TypeAlias = dict[str, dict[str, list[Scores]]]


def learn(
    family: Family, dropout: Any, data: Images, seed: int, epochs: int, backend: Backend = NUMPY
) -> Scores:
    """Train one network and test it."""
    x, x_test = (enlarge(part) if family.make is _vgg else part for part in (data.x, data.x_test))
    network = backend.trainable(family.make(data, dropout, Key(seed).fold("convnet")))
    rate = Cosine(family.rate, 0.0, epochs * -(-len(x) // BATCH))
    history = network.fit(x, data.y, epochs=epochs, batch=BATCH, optimizer=net.Adam(rate))
    z = network.logits(x_test)
    each, _ = net.SoftmaxCrossEntropy().rows(z, data.y_test)
    return Scores(float((z.argmax(axis=1) != data.y_test).mean()), float(each.mean()), history.loss[0])


def run(
    data: tuple[Path, ...] = (),
    seeds: int | None = None,
    epochs: int | None = None,
    backend: Backend = NUMPY,
) -> Exhibit:
    """Train every family with each kind of dropout, over seeds, and return the exhibit."""
    sides = images.load("convnet", data).shape[1:]
    if max(sides) > SIDE:
        raise InputError(f"gallery convnet: images must be at most {SIDE} high and wide, got {sides}.")
    most = seeds or max(family.seeds for family in FAMILIES.values())
    parts = [images.load("convnet", data, seed=seed).some(TRAIN, TEST) for seed in range(most)]
    plans = [
        (family, parts[: seeds or family.seeds], epochs or family.epochs[bool(data)])
        for family in FAMILIES.values()
    ]
    found = _train_all(plans, backend)
    lines = table_lines(fixed_masks())
    for family, some, long in plans:
        title = f"{family.title}, {some[0].name}, {long} epochs, {len(some)} seeds"
        lines += ["", *table_lines(_rows(title, found[family.title]))]
    lines += backend.comparison(
        "loss of epoch 1", _losses(found), lambda other: _losses(_train_all(plans, other))
    )
    sentence = (
        "Compare the intervals, not the best row: a few seeds separate few of these rows, and dropout "
        "underfits where training is short."
    )
    return Exhibit(lines, sentence, lambda figure: _draw(figure, found), (10.4, 4.8))


def _train_all(plans: list[tuple[Family, list[Images], int]], backend: Backend) -> Results:
    return {
        family.title: {
            name: [learn(family, dropout, part, seed, epochs, backend) for seed, part in enumerate(parts)]
            for name, dropout in family.ways.items()
        }
        for family, parts, epochs in plans
    }


def _rows(title: str, ways: dict[str, list[Scores]]) -> list[list[str]]:
    errors = {name: np.array([each.error for each in several]) for name, several in ways.items()}
    rows = [[title, "test error", "minus no dropout"]]
    for name, found in errors.items():
        gap = "" if name == "no dropout" else interval_text(found - errors["no dropout"], "+.2f", 100, " %")
        rows.append([name, interval_text(found, ".2f", 100, " %"), gap])
    return rows


def _losses(found: Results) -> LossesByNetwork:
    return {
        f"{title}, {name}": Losses([each.first for each in several], [each.loss for each in several])
        for title, ways in found.items()
        for name, several in ways.items()
    }


def _draw(figure: Any, found: Results) -> None:
    panels = figure.subplots(2, 3, height_ratios=(3, 1))
    for panel, (title, ways) in zip(panels[0], found.items(), strict=True):
        for i, (name, several) in enumerate(ways.items()):
            colour = COLOURS["without" if name == "no dropout" else "dropout"]
            percent = 100 * np.array([each.error for each in several])
            mean, low, high = mean_interval(percent)
            panel.plot([low, high], [i, i], color=colour, linewidth=4, alpha=0.25, solid_capstyle="butt")
            panel.plot(percent, [i] * len(percent), "o", color=colour, markersize=3, alpha=0.6)
            panel.plot([mean], [i], "|", color=colour, markersize=14, markeredgewidth=2)
        panel.set_yticks(range(len(ways)), list(ways))
        panel.set(title=title, xlabel="test error, %", ylim=(len(ways) - 0.5, -0.5))
        panel.grid(visible=True, axis="x")
        panel.grid(visible=False, axis="y")
    kinds = {
        "entries": ("Dropout", None),
        "channels": ("Dropout2d", None),
        "7 × 7 blocks": ("DropBlock2d", 7),
    }
    for panel, (title, (variant, block)) in zip(panels[1], kinds.items(), strict=True):
        kept = drop(variant, np.ones((1, 12, 20, 20)), 0.25, key=Key(12), block=block)[0] > 0
        tiles = np.pad(kept.astype(float), [(0, 0), (0, 3), (0, 3)], constant_values=np.nan)
        rows = np.concatenate([np.concatenate(list(tiles[i : i + 6]), axis=1) for i in (0, 6)], axis=0)
        grey = {"cmap": "gray", "vmin": -0.2, "vmax": 1.15, "interpolation": "nearest"}
        panel.imshow(rows, **grey)
        panel.set_axis_off()
        panel.set_title(f"dropped at rate 0.25: {title}", fontsize=9, fontweight="normal")
