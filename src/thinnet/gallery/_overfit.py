"""A curve through twenty noisy points, learned with and without dropout, at two learning rates.

References
----------
Morvan Zhou: PyTorch tutorial, 503_dropout, 2017: two networks 1-300-300-1, Adam, 500 steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet import net
from thinnet._core.random import Key, lanes, uniform
from thinnet._drawing import COLOURS
from thinnet._statistics import mean_interval
from thinnet.errors import InputError
from thinnet.gallery._backend import NUMPY, Backend, Losses, LossesByNetwork
from thinnet.gallery._exhibit import Animation, Exhibit
from thinnet.gallery._text import interval_text, table_lines
from thinnet.net._layers import Layer
from thinnet.variants._tables import normal_table

__all__ = ["Trajectory", "learn", "network", "points", "run"]

Array: TypeAlias = NDArray[Any]

POINTS, NOISE, HIDDEN, RATE, STEPS, SEEDS = 20, 0.3, 300, 0.5, 500, 20
SPEEDS = (0.01, 0.1)
SIDES = {"without": "no dropout", "dropout": "dropout 0.5"}
_EVERY = 10
_LINE = np.linspace(-1, 1, 101, dtype=np.float32)[:, None]


@dataclass(frozen=True)
class Trajectory:
    """The test loss and the curve of a network at steps 0, 10, 20 … and after the last step."""

    loss: Array  # (records,), mean squared error of the mean network on test points
    curve: Array  # (records, 101), the predictions of the mean network on [-1, 1]


Results: TypeAlias = dict[tuple[float, str], list[Trajectory]]


def points(key: Key) -> tuple[Array, Array, Array]:
    """Return x, training y and test y, (20, 1) each: `y = x + 0.3 * noise`, x equidistant on [-1, 1]."""
    x = np.linspace(-1, 1, POINTS, dtype=np.float32)[:, None]
    y, y_test = (x + NOISE * normal_table()[lanes(key.fold(part), x.shape)] for part in ("train", "test"))
    return x, y, y_test


def network(rate: float, key: Key) -> net.Network:
    """Return 1-300-300-1 with initial weights and biases uniform on ±1 / sqrt(inputs), as in PyTorch.

    With biases of 0 the kink of every unit would lie at x = 0.
    """
    layers: list[Layer] = []
    for d in (1, HIDDEN):
        layers += [net.Dense(d, HIDDEN), net.ReLU(), *([net.Dropout(rate)] if rate else [])]
    made = net.Network([*layers, net.Dense(HIDDEN, 1)], key=key, loss=net.SquaredError())
    for i, group in enumerate(made.weights):
        for name, place in group.items():
            first = uniform(key.fold("first").fold(i).fold(name), place.shape)
            place[...] = (2 * first - 1) / math.sqrt(len(group["weight"]))
    return made


def learn(rate: float, speed: float, seed: int, steps: int = STEPS, backend: Backend = NUMPY) -> Trajectory:
    """Train on all points at every step."""
    key = Key(seed).fold("overfit")
    x, y, y_test = points(key)
    made = backend.trainable(network(rate, key))
    losses: list[float] = []
    curves: list[Array] = []

    def record(epoch: net.Epoch | None) -> None:
        if epoch is None or epoch.number % _EVERY == 0 or epoch.number == steps:
            losses.append(float(np.square(made.logits(x) - y_test).mean()))
            curves.append(made.logits(_LINE)[:, 0])

    record(None)
    made.fit(x, y, epochs=steps, batch=POINTS, optimizer=net.Adam(speed), on_epoch=record)
    return Trajectory(np.array(losses), np.array(curves))


def run(
    data: tuple[Path, ...] = (), seeds: int = SEEDS, steps: int = STEPS, backend: Backend = NUMPY
) -> Exhibit:
    """Train both networks on the points of each seed at both learning rates, and return the exhibit."""
    if data:
        raise InputError("gallery overfit: takes no data files; it draws its own points.")
    found = _train_all(seeds, steps, backend)
    rows = [[f"test loss after {steps} steps, {seeds} seeds", *SIDES.values(), "dropout minus none"]]
    for speed in SPEEDS:
        last = {side: np.array([each.loss[-1] for each in found[speed, side]]) for side in SIDES}
        gap = interval_text(last["dropout"] - last["without"], "+.4f")
        rows.append(
            [f"learning rate {speed:g}", *(interval_text(losses, ".4f") for losses in last.values()), gap]
        )
    sentence = (
        "Without dropout the curve passes through the noise and the test loss rises again; with dropout the "
        "curve stays near the line, but at the larger learning rate the two test losses do not differ."
    )
    lines = [*table_lines(rows), f"the line y = x itself: {NOISE**2:.4f} on average"]
    early = f"at step {min(_EVERY, steps)}"
    lines += backend.comparison(early, _losses(found), lambda other: _losses(_train_all(seeds, steps, other)))
    return Exhibit(
        lines,
        sentence,
        lambda figure: _draw(figure, found, steps),
        animate=lambda figure: _animate(figure, found),
    )


def _train_all(seeds: int, steps: int, backend: Backend) -> Results:
    rates = {"without": 0.0, "dropout": RATE}
    return {
        (speed, side): [learn(rate, speed, seed, steps, backend) for seed in range(seeds)]
        for speed in SPEEDS
        for side, rate in rates.items()
    }


def _losses(found: Results) -> LossesByNetwork:
    return {
        f"learning rate {speed:g}, {SIDES[side]}": Losses(
            [each.loss[1] for each in several], [each.loss[-1] for each in several]
        )
        for (speed, side), several in found.items()
    }


def _draw(figure: Any, found: Results, steps: int) -> None:
    panels = figure.subplots(1, 1 + len(SPEEDS))
    _points(panels[0])
    for side, label in SIDES.items():
        panels[0].plot(_LINE, found[SPEEDS[0], side][0].curve[-1], color=COLOURS[side], label=label)
    panels[0].set(title="One seed, after training")
    panels[0].legend(loc="upper left")
    for panel, speed in zip(panels[1:], SPEEDS, strict=True):
        for side, label in SIDES.items():
            losses = np.transpose([each.loss for each in found[speed, side]])
            at = [min(_EVERY * i, steps) for i in range(len(losses))]
            middle, low, high = np.transpose([mean_interval(column) for column in losses])
            panel.fill_between(at, low, high, color=COLOURS[side], alpha=0.15, linewidth=0)
            panel.plot(at, middle, color=COLOURS[side], label=label)
        panel.axhline(NOISE**2, color=COLOURS["muted"], linewidth=0.7)
        panel.set(title=f"Test loss, learning rate {speed:g}", xlabel="step", ylim=(0, 0.5))


def _animate(figure: Any, found: Results) -> Animation:
    panel = figure.subplots()
    _points(panel)
    sides = {side: found[SPEEDS[0], side][0] for side in SIDES}
    lines = {
        side: panel.plot(_LINE, learned.curve[0], color=COLOURS[side])[0] for side, learned in sides.items()
    }
    notes = {
        side: panel.text(0.02, 0.94 - 0.08 * i, "", transform=panel.transAxes, color=COLOURS[side])
        for i, side in enumerate(SIDES)
    }
    panel.set(xlabel="x")

    def draw(i: int) -> None:
        for side, learned in sides.items():
            lines[side].set_ydata(learned.curve[i])
            notes[side].set_text(f"{SIDES[side]}: test loss {learned.loss[i]:.3f}")
        panel.set_title(f"step {_EVERY * i}")

    return draw, len(sides["dropout"].loss)


def _points(panel: Any) -> None:
    x, y, y_test = points(Key(0).fold("overfit"))
    panel.plot(x, y, "o", color=COLOURS["ink"], markersize=4, label="training")
    panel.plot(x, y_test, "o", markerfacecolor="none", color=COLOURS["muted"], markersize=4, label="test")
    panel.set(ylim=(-1.7, 1.7))
