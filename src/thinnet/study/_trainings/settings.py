"""What a training is told, what the search may choose, and where it starts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from thinnet.schedules import Cosine
from thinnet.sklearn import MLPClassifier, MLPRegressor

__all__ = [
    "PLAIN",
    "SIDES",
    "STARTS",
    "Plan",
    "Settings",
    "Side",
    "estimator",
    "options",
    "random_state",
    "settings_of",
    "space",
    "starts",
]

Side: TypeAlias = Literal["dropout", "baseline"]
SIDES: tuple[Side, Side] = ("dropout", "baseline")

# Dropout's first trials: rates of the inputs and of the hidden layers. The recipe's come first; those
# without dropout on the inputs make a curve over the hidden rate, all else being the same.
_RATES = ((0.2, 0.5), (0.0, 0.5), (0.0, 0.2), (0.1, 0.2), (0.0, 0.0), (0.0, 0.35), (0.2, 0.0), (0.0, 0.7))
# The rival's first trials: weight decay, times the grown width, patience, length.
_RIVALS = ((1e-2, 4, 0, 0.25), (1e-4, 1, 10, 1.0), (1e-1, 4, 0, 0.5), (1.0, 1, 10, 1.0))
_FEWEST_EPOCHS = 3

PLAIN = "Dropout"
"""The variant that is searched if none is named."""
STARTS = 2
"""How many of a side's first trials every variant gets."""


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
    variant : str
        Which dropout: a row of the catalogue.
    """

    width: int
    epochs: int
    learning_rate: float = 1e-3
    input_rate: float = 0.0
    hidden_rate: float = 0.0
    max_norm: float | None = None
    weight_decay: float = 0.0
    patience: int | None = None
    variant: str = PLAIN

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; a network without dropout has no variant."""
        return {**asdict(self), "variant": self.variant if self.input_rate or self.hidden_rate else None}


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


def options(settings: Settings, plan: Plan, rows: int, epochs: int, random_state: int) -> dict[str, Any]:
    """Return what an estimator is told so that it trains on `rows` rows with some settings.

    The learning rate's cosine spans the settings' epochs, of which `epochs` are gone through.
    """
    updates = -(-rows // plan.batch) * settings.epochs
    told: dict[str, Any] = {
        "hidden_layer_sizes": (settings.width,) * plan.depth,
        "solver": "adamw",
        "alpha": settings.weight_decay,
        "batch_size": min(plan.batch, rows),
        "learning_rate_init": Cosine(settings.learning_rate, 0.0, updates),
        "max_iter": epochs,
        "n_iter_no_change": math.inf,
        "random_state": random_state,
    }
    dropped = {
        "dropout": settings.hidden_rate,
        "input_dropout": settings.input_rate,
        "max_norm": settings.max_norm,
        "variant": "" if settings.variant == PLAIN else settings.variant,
    }
    return told | {name: value for name, value in dropped.items() if value}


def random_state(seed: int, seeds: int, number: int = 0) -> int:
    """Return where the randomness of one of the final networks comes from; the first is the one kept."""
    return (seed * seeds + number) % 2**32


def estimator(classification: bool, told: dict[str, Any]) -> MLPClassifier | MLPRegressor:
    """Return the network of some options, not trained yet."""
    return MLPClassifier(**told) if classification else MLPRegressor(**told)


def space(side: Side, variants: tuple[str, ...] = (PLAIN,)) -> dict[str, Any]:
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
        **({} if variants == (PLAIN,) else {"variant": CategoricalDistribution(variants)}),
    }


def starts(side: Side, variants: tuple[str, ...] = (PLAIN,)) -> list[dict[str, Any]]:
    """Return the trials that come before any sampling.

    Every variant gets the recipe's two; those around them are the first one's.

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
    tried = [(rates, variant) for rates in _RATES[:STARTS] for variant in variants]
    tried += [(rates, variants[0]) for rates in _RATES[STARTS:]]
    return [
        {
            **fixed,
            **{"inputs": rate > 0, "input_rate": rate, "hidden_rate": hidden},
            **({} if variants == (PLAIN,) else {"variant": variant}),
        }
        for (rate, hidden), variant in tried
    ]


def settings_of(side: Side, choice: dict[str, Any], width: int, plan: Plan) -> Settings:
    """Return the settings that a choice of the search stands for.

    Both sides may take the grown width once, twice or four times: the least width that fits the
    training rows is seldom the best. A widened network has width / keep units, so that as many as
    without dropout are kept on average (Srivastava et al., JMLR 15, 2014, appendix A.1). None gets
    wider than the plan's `max_width`.
    """
    # Four digits say all that matters, and code that shows them trains the very same network.
    short: dict[str, Any] = {
        name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in choice.items()
    }
    most = max(width, plan.max_width)
    width = min(width * short["times"], most)
    epochs = max(_FEWEST_EPOCHS, round(short["length"] * plan.epochs))
    if side == "baseline":
        return Settings(
            width,
            epochs,
            learning_rate=short["learning_rate"],
            weight_decay=short["weight_decay"],
            patience=short["patience"] or None,
        )
    hidden = short["hidden_rate"]
    if short["widened"]:
        width = min(most, math.ceil(width / (1 - hidden)))
    return Settings(
        width,
        epochs,
        learning_rate=short["learning_rate"],
        input_rate=short["input_rate"] if short["inputs"] else 0.0,
        hidden_rate=hidden,
        variant=short.get("variant", PLAIN),
        max_norm=short["max_norm"] if short["constrained"] else None,
    )
