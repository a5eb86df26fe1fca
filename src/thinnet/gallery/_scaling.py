"""Why inverted dropout divides by keep, on points in the plane: boundaries, cost curves, accuracy over masks.

References
----------
The regularisation exercise of deeplearning.ai's "Improving deep neural networks" (2-20-3-1, keep 0.86), whose
mask is drawn once and never again. Srivastava et al.: Dropout. JMLR 15, 2014, section 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet import net
from thinnet._core.apply import apply
from thinnet._core.random import Key, uniform
from thinnet._drawing import COLOURS
from thinnet._files import explain
from thinnet.errors import FileError, InputError
from thinnet.gallery._exhibit import Exhibit
from thinnet.gallery._text import interval_text, table_lines
from thinnet.net._layers import Layer, Weights

__all__ = ["Masked", "network", "points", "run"]

Array: TypeAlias = NDArray[Any]

DIMS, KEEP, SPEED, STEPS, SEEDS = (2, 20, 3, 1), 0.86, 0.3, 30_000, 20
L2 = 0.7
WAYS = {
    "none": "none",
    "l2": "L2",
    "Dropout": "dropout, divided by keep",
    "UnscaledDropout": "not divided",
    "VanillaDropout": "not divided, × keep at test",
}
_EVERY = 100


@dataclass(frozen=True, eq=False)
class Masked(Layer):
    """Multiply by the same gains, (n, units), whenever a key is given: a fixed mask."""

    gains: Array

    draws: ClassVar[bool] = True

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        return (x, False) if key is None else (apply(self.gains, 0.0, x), True)

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return apply(self.gains, 0.0, dy) if saved else dy


def network(first: Sequence[Array], dropouts: Sequence[Layer | None], *, key: Key) -> net.Network:
    """Return 2-20-3-1 whose final sigmoid is part of the loss.

    Parameters
    ----------
    first : sequence of ndarray
        Initial weights of each layer, (outputs, inputs); biases are 0.
    dropouts : (Layer or None, Layer or None)
        The layer after the rectifiers of each hidden layer.
    key : Key
        The address of masks.
    """
    layers: list[Layer] = []
    for i, (d, k) in enumerate(pairwise(DIMS)):
        layers.append(net.Dense(d, k))
        if i < len(dropouts):
            layers += [net.ReLU(), *filter(None, [dropouts[i]])]
    made = net.Network(layers, key=key, loss=net.BinaryCrossEntropy(), dtype="float64")
    dense = [group for group in made.weights if "weight" in group]
    for group, w in zip(dense, first, strict=True):
        group["weight"][:], group["bias"][:] = w.T, 0
    return made


def points(count: int, *, key: Key) -> tuple[Array, Array]:
    """Return points of two noisy regions, (n, 2), and their classes, (n, 1), of which 1 in 20 is wrong."""
    x = uniform(key.fold("points"), (count, 2)) - 0.5
    y = x[:, 1] > 0.6 * np.sin(4 * x[:, 0]) * x[:, 0] - 0.05
    wrong = uniform(key.fold("wrong"), (count,)) < 0.05
    return x, (y ^ wrong)[:, None].astype(float)


def read(path: Path) -> tuple[Array, Array]:
    """Return points and classes of a CSV file with a line of names and three columns: x1, x2, label."""
    try:
        with path.open(encoding="utf-8") as lines:
            table = np.loadtxt(lines, delimiter=",", skiprows=1, ndmin=2)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {explain(error)}.") from error
    except ValueError as error:
        raise InputError(f"{path}: not a table of numbers under a line of names ({error}).") from None
    if table.shape[1] != 3 or not set(np.unique(table[:, 2])) <= {0.0, 1.0}:
        raise InputError(f"{path}: must have three columns, x1, x2 and a label of 0 or 1.")
    return table[:, :2], table[:, 2:]


@dataclass(frozen=True)
class _Fitted:
    network: net.Network
    cost: list[float]
    train: float
    test: float


Data: TypeAlias = tuple[Array, Array]


def _initial_network(way: str, seed: int) -> net.Network:
    generator = np.random.RandomState(3)  # the initial weights of the exercise
    first = [generator.randn(k, d) / np.sqrt(d) for d, k in pairwise(DIMS)]
    dropouts = [net.Dropout(1 - KEEP, variant=way) if way.endswith("Dropout") else None] * 2
    return network(first, dropouts, key=Key(seed))


def _vanilla(fit: _Fitted, data: Data, test: Data) -> _Fitted:
    made = _initial_network("VanillaDropout", 0)
    made.flat[:] = fit.network.flat
    return _Fitted(made, fit.cost, *_scores(made, data, test))


def _scores(made: net.Network, *parts: Data) -> list[float]:
    return [float((made.predict(x) == y[:, 0]).mean()) for x, y in parts]


def _fit(way: str, seed: int, data: Data, test: Data, steps: int) -> _Fitted:
    made = _initial_network(way, seed)
    count = len(data[0])
    optimizer = net.SGD(SPEED, l2=L2 / count if way == "l2" else 0.0)
    history = made.fit(*data, epochs=steps, batch=count, optimizer=optimizer)
    return _Fitted(made, history.loss[::_EVERY], *_scores(made, data, test))


def run(data: tuple[Path, ...] = (), seeds: int = SEEDS, steps: int = STEPS) -> Exhibit:
    """Train each way, dropout with new masks over seeds, and return the exhibit."""
    if len(data) not in (0, 2):
        raise InputError(f"gallery scaling: data must be two files, for training and test, got {len(data)}.")
    train, test = (
        (read(path) for path in data) if data else (points(211, key=Key(1)), points(2000, key=Key(2)))
    )
    found: dict[str, list[_Fitted]] = {}
    for way in WAYS:
        if way == "VanillaDropout":  # the same training as above, scaled at test
            found[way] = [_vanilla(fit, train, test) for fit in found["UnscaledDropout"]]
            continue
        several = range(seeds if way.endswith("Dropout") else 1)
        found[way] = [_fit(way, seed, train, test, steps) for seed in several]
    rows = [[f"{steps:,} steps", "train", "test, 95 % interval over masks"]]
    for way, fits in found.items():
        tested = [fit.test for fit in fits]
        test_cell = interval_text(tested, ".3f") if len(tested) > 1 else f"{tested[0]:.3f}"
        rows.append([WAYS[way], f"{np.mean([fit.train for fit in fits]):.3f}", test_cell])
    sentence = (
        "With new masks at every step the three ways to scale agree within their intervals. The advantage of "
        "dividing by keep is that the network needs no change at test."
    )
    return Exhibit(table_lines(rows), sentence, lambda figure: _draw(figure, found, train), (9.4, 6.2))


def _draw(figure: Any, found: dict[str, list[_Fitted]], data: Data) -> None:
    panels: Any = figure.subplots(2, 3).ravel()
    x, y = data
    low: Any = x.min(axis=0) - 0.1
    high: Any = x.max(axis=0) + 0.1
    across, up = (np.linspace(float(low[i]), float(high[i]), 160) for i in range(2))
    grid = np.stack([np.tile(across, 160), np.repeat(up, 160)], axis=1)
    pair = [COLOURS["without"], COLOURS["dropout"]]
    for panel, (way, fits) in zip(panels, found.items(), strict=False):
        p = fits[0].network.predict_proba(grid)[:, 1].reshape(160, 160)
        panel.contourf(across, up, p, levels=[0, 0.5, 1], colors=pair, alpha=0.18)
        panel.contour(across, up, p, levels=[0.5], colors=[COLOURS["ink"]], linewidths=1)
        panel.scatter(*x.T, c=[pair[int(label)] for label in y[:, 0]], s=7, linewidths=0)
        panel.set(title=WAYS[way], xticks=[], yticks=[])
    curves = {"none": "without", "l2": "muted", "Dropout": "dropout", "UnscaledDropout": "ink"}
    for way, colour in curves.items():
        cost = found[way][0].cost
        at = _EVERY * np.arange(len(cost))
        panels[5].plot(at, cost, color=COLOURS[colour], label=WAYS[way], linewidth=0.9)
    panels[5].set(title="Cost in training", xlabel="step", ylim=(0, 0.7))
    panels[5].legend(loc="upper right")
