"""The network in 15 lines of NumPy, with dropout on its hidden layer: the right gradient, and the tutorials'.

3 inputs, 4 hidden sigmoids, 1 output, no biases, all rows at every step, new masks at every step. Many seeds
are trained at once, along the first axis of each array.

References
----------
Trask: A neural network in 11 lines of Python; Hinton's dropout in 3 lines. iamtrask.github.io, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.random import Key, uniform
from thinnet._drawing import COLOURS
from thinnet.errors import InputError
from thinnet.gallery._exhibit import Exhibit
from thinnet.gallery._text import interval_text, table_lines
from thinnet.variants import dropout

__all__ = ["RULES", "Trained", "run", "step", "train"]

Array: TypeAlias = NDArray[Any]

X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0.0], [1], [1], [0]])
RATE, SPEED, SEEDS, STEPS, HIDDEN = 0.2, 0.5, 40, 60_000, 4
RULES = {
    "none": "no dropout",
    "right": "dropout, h (1 - h) mask",
    "tutorial": "dropout, a (1 - a) of the masked a",
}
_RECORDS = 60


@dataclass(frozen=True)
class Trained:
    """The results of many seeds at the recorded steps and at the end."""

    steps: list[int]
    errors: Array  # (records, seeds), mean absolute error of the mean network
    largest: Array  # (records, seeds), largest absolute weight of the first layer
    solved: Array  # (seeds,), whether every prediction is nearer to its target than to the other class


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2, which cannot overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def step(w1: Array, w2: Array, rule: str, *, key: Key) -> tuple[Array, Array]:
    """Return the gradients of sum((o - y)**2) / 2 with respect to both layers, by a rule.

    Parameters
    ----------
    w1, w2 : ndarray, shapes (seeds, 3, 4) and (seeds, 4, 1)
        Weights.
    rule : {"none", "right", "tutorial"}
        The formula of the hidden layer's slope.
    key : Key
        The address of the masks.
    """
    h = sigmoid(X @ w1)  # (4, 3) @ (s, 3, 4)
    a = h if rule == "none" else dropout(h, RATE, key=key)
    o = sigmoid(a @ w2)  # (s, 4, 4) @ (s, 4, 1)
    out = (o - Y) * o * (1 - o)
    back = out @ w2.swapaxes(1, 2)  # (s, 4, 1) @ (s, 1, 4)
    if rule == "tutorial":
        slope = back * a * (1 - a)
    else:
        slope = back * h * (1 - h)
        slope = slope if rule == "none" else dropout(slope, RATE, key=key)  # the same mask again
    return X.T @ slope, a.swapaxes(1, 2) @ out


def train(rule: str, seeds: int = SEEDS, steps: int = STEPS) -> Trained:
    """Train many networks at once."""
    key = Key(2015).fold("xor")
    w1 = 2 * uniform(key.fold("first"), (seeds, 3, HIDDEN)) - 1
    w2 = 2 * uniform(key.fold("second"), (seeds, HIDDEN, 1)) - 1
    masks = key.fold("masks")
    recorded = sorted({round(steps ** (i / (_RECORDS - 1))) for i in range(_RECORDS)})
    errors: list[Array] = []
    largest: list[Array] = []
    for t in range(1, steps + 1):
        g1, g2 = step(w1, w2, rule, key=masks.at(t))
        w1 -= SPEED * g1
        w2 -= SPEED * g2
        if t == recorded[len(errors)]:
            off = np.abs(_answers(w1, w2) - Y)[:, :, 0]
            errors.append(off.mean(axis=1))
            largest.append(np.abs(w1).max(axis=(1, 2)))
    solved = np.all(np.abs(_answers(w1, w2) - Y) < 0.5, axis=(1, 2))
    return Trained(recorded, np.array(errors), np.array(largest), np.asarray(solved))


def _answers(w1: Array, w2: Array) -> Array:
    return sigmoid(sigmoid(X @ w1) @ w2)


def run(data: tuple[Path, ...] = (), seeds: int = SEEDS, steps: int = STEPS) -> Exhibit:
    """Train by every rule and return the exhibit."""
    if data:
        raise InputError("gallery xor: takes no data files; it has four rows of its own.")
    found = {rule: train(rule, seeds, steps) for rule in RULES}
    rows = [[f"{seeds} seeds, {steps:,} steps", "mean error, 95 % interval", "solved", "median largest |W1|"]]
    for rule, trained in found.items():
        error = interval_text(trained.errors[-1], ".4f")
        median = f"{np.median(trained.largest[-1]):.0f}"
        rows.append([RULES[rule], error, f"{trained.solved.sum()} of {seeds}", median])
    sentence = (
        "Four hidden units are too few to drop any: dropout hurts here, with either gradient. The tutorial's "
        "gradient changes its sign where h > 0.8, and the weights grow without bound."
    )
    return Exhibit(table_lines(rows), sentence, lambda figure: _draw(figure, found))


def _draw(figure: Any, found: dict[str, Trained]) -> None:
    colours = dict(zip(RULES, (COLOURS["without"], COLOURS["dropout"], COLOURS["ink"]), strict=True))
    panels = figure.subplots(1, 2)
    for rule, trained in found.items():
        for panel, values in zip(panels, (trained.errors, trained.largest), strict=True):
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=1)
            panel.fill_between(trained.steps, low, high, color=colours[rule], alpha=0.15, linewidth=0)
            panel.plot(trained.steps, middle, color=colours[rule], label=RULES[rule])
    titles = ("Mean absolute error, no unit dropped", "Largest weight |W1|")
    for panel, title in zip(panels, titles, strict=True):
        panel.set(xscale="log", yscale="log", xlabel="step", title=title)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_formatter("")
    panels[0].legend(loc="lower left")
