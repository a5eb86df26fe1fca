"""What a training is told, what the search may choose, and where it starts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from thinnet import net
from thinnet.random import Key
from thinnet.variants.schedule import Cosine

__all__ = ["SIDES", "Plan", "Settings", "Side", "build", "optimizer", "settings_of", "space", "starts"]

Side: TypeAlias = Literal["dropout", "baseline"]
SIDES: tuple[Side, Side] = ("dropout", "baseline")

# Dropout's first trials: rates of the inputs and of the hidden layers. The recipe's come first; those
# without dropout on the inputs make a curve over the hidden rate, all else being the same.
_RATES = ((0.2, 0.5), (0.0, 0.5), (0.0, 0.2), (0.1, 0.2), (0.0, 0.0), (0.0, 0.35), (0.2, 0.0), (0.0, 0.7))
# The rival's first trials: weight decay, times the grown width, patience, length.
_RIVALS = ((1e-2, 4, 0, 0.25), (1e-4, 1, 10, 1.0), (1e-1, 4, 0, 0.5), (1.0, 1, 10, 1.0))
_FEWEST_EPOCHS = 3


@dataclass(frozen=True)
class Settings:
    """What makes one network: its width and how it is kept from overfitting.

    Parameters
    ----------
    width : int
        Units in each hidden layer.
    epochs : int
        Passes over the rows.
    learning_rate : float
        Of AdamW at the start; it falls to 0 along half a cosine over these epochs.
    input_rate, hidden_rate : float
        Dropout rates of the inputs and of every hidden layer.
    max_norm : float or None
        Longest incoming weights of a hidden unit.
    weight_decay : float
        Decoupled, times the learning rate.
    patience : int or None
        Epochs without a better validation loss before training stops.
    """

    width: int
    epochs: int
    learning_rate: float = 1e-3
    input_rate: float = 0.0
    hidden_rate: float = 0.0
    max_norm: float | None = None
    weight_decay: float = 0.0
    patience: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What all trainings of a study share; follows from the number of rows alone.

    Parameters
    ----------
    depth : int
        Hidden layers.
    batch, epochs : int
        Rows per update; passes over the rows, at most.
    folds : int
        How many of the five validation folds a trial is tried on.
    max_width : int
        The widest hidden layer.
    """

    depth: int
    batch: int
    epochs: int
    folds: int
    max_width: int

    @classmethod
    def for_rows(cls, rows: int, max_width: int) -> Plan:
        """Return the plan for `rows` rows outside the test set.

        Small tables get more folds, so that at least 500 rows are validated where there are as many.
        All folds of a trial together make about 12,000 updates at most, in 30 to 300 epochs.
        """
        batch = next(
            size for size, most in ((32, 5_000), (64, 20_000), (128, 100_000), (256, rows + 1)) if rows < most
        )
        folds = min(5, max(1, math.ceil(500 / (rows / 5))))
        updates = math.ceil(0.8 * rows / batch)
        epochs = min(300, max(30, math.ceil(12_000 / folds / updates)))
        return cls(depth=2, batch=batch, epochs=epochs, folds=folds, max_width=max_width)


def build(settings: Settings, plan: Plan, inputs: int, outputs: int, key: Key) -> net.Network:
    """Return the network of some settings: ReLU layers, dropout on the inputs and after each of them."""
    layers: list[net.Layer] = []
    if settings.input_rate:
        layers.append(net.Dropout(settings.input_rate))
    width = inputs
    for _ in range(plan.depth):
        layers += [net.Dense(width, settings.width, settings.max_norm), net.ReLU()]
        if settings.hidden_rate:
            layers.append(net.Dropout(settings.hidden_rate))
        width = settings.width
    layers.append(net.Dense(width, outputs))
    return net.Network(layers, key=key)


def optimizer(settings: Settings, updates: int) -> net.Optimizer:
    """Return AdamW whose learning rate falls to 0 over `updates` updates."""
    rate = Cosine(settings.learning_rate, 0.0, steps=updates)
    return net.AdamW(rate, weight_decay=settings.weight_decay)


def space(side: Side) -> dict[str, Any]:
    """Return what the search may choose for a side, as Optuna's distributions."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    rate = FloatDistribution(1e-4, 1e-2, log=True)
    times = CategoricalDistribution([1, 2, 4])
    length = FloatDistribution(0.1, 1.0, log=True)
    if side == "baseline":
        return {
            "learning_rate": rate,
            "times": times,
            "length": length,
            "weight_decay": FloatDistribution(1e-4, 3.0, log=True),
            "patience": CategoricalDistribution([0, 5, 10, 20]),
        }
    return {
        "learning_rate": rate,
        "times": times,
        "length": length,
        "inputs": CategoricalDistribution([False, True]),
        "input_rate": FloatDistribution(0.0, 0.5),
        "hidden_rate": FloatDistribution(0.0, 0.8),
        "max_norm": FloatDistribution(1.0, 5.0),
        "constrained": CategoricalDistribution([False, True]),
        "widened": CategoricalDistribution([False, True]),
    }


def starts(side: Side) -> list[dict[str, Any]]:
    """Return the trials that come before any sampling.

    Dropout: the recipe's rates, 0.2 on the inputs and 0.5 on the hidden layers (Hinton et al.,
    arXiv:1207.0580), then others around them. The rival: weight decays over four decades, with and
    without early stopping.
    """
    if side == "baseline":
        return [
            {
                "learning_rate": 1e-3,
                "times": times,
                "length": length,
                "weight_decay": decay,
                "patience": patience,
            }
            for decay, times, patience, length in _RIVALS
        ]
    fixed = {
        "learning_rate": 1e-3,
        "times": 4,
        "length": 0.5,
        "max_norm": 3.0,
        "constrained": False,
        "widened": False,
    }
    return [
        {**fixed, "inputs": rate > 0, "input_rate": rate, "hidden_rate": hidden} for rate, hidden in _RATES
    ]


def settings_of(side: Side, choice: dict[str, Any], width: int, plan: Plan) -> Settings:
    """Return the settings that a choice of the search stands for.

    Both sides may take the grown width once, twice or four times: the least width that fits the
    training rows is seldom the best. A widened network has width / keep units, so that as many as
    without dropout are kept on average (Srivastava et al., JMLR 15, 2014, appendix A.1). None gets
    wider than the plan's `max_width`.
    """
    most = max(width, plan.max_width)
    width = min(width * choice["times"], most)
    epochs = max(_FEWEST_EPOCHS, round(choice["length"] * plan.epochs))
    if side == "baseline":
        return Settings(
            width,
            epochs,
            learning_rate=choice["learning_rate"],
            weight_decay=choice["weight_decay"],
            patience=choice["patience"] or None,
        )
    hidden = choice["hidden_rate"]
    if choice["widened"]:
        width = min(most, math.ceil(width / (1 - hidden)))
    return Settings(
        width,
        epochs,
        learning_rate=choice["learning_rate"],
        input_rate=choice["input_rate"] if choice["inputs"] else 0.0,
        hidden_rate=hidden,
        max_norm=choice["max_norm"] if choice["constrained"] else None,
    )
