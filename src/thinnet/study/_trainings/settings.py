"""The settings of a training: one network's, the study's plan, and the estimator's arguments for both."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from thinnet.schedules import Cosine
from thinnet.sklearn import MLPClassifier, MLPRegressor

__all__ = [
    "PLAIN",
    "SIDES",
    "NetworkSettings",
    "Side",
    "TrainingPlan",
    "confirmation_seed",
    "estimator",
    "estimator_arguments",
]

Side: TypeAlias = Literal["dropout", "baseline"]
SIDES: tuple[Side, Side] = ("dropout", "baseline")

PLAIN = "Dropout"
"""The variant that is searched by default."""


@dataclass(frozen=True)
class NetworkSettings:
    """The settings of one network: its width and its regularisation.

    Parameters
    ----------
    width : int
        Units in each hidden layer.
    epochs : int
        Passes over the rows.
    learning_rate : float
        AdamW's learning rate at the start; it falls to 0 along half a cosine over these epochs.
    input_rate, hidden_rate : float
        Dropout rates of the inputs and of every hidden layer.
    max_norm : float or None
        Largest norm of a hidden unit's incoming weights.
    weight_decay : float
        Decoupled weight decay, multiplied by the learning rate.
    patience : int or None
        Epochs without a better validation loss before training stops.
    variant : str
        The variant of dropout: a row of the catalogue that acts on activations.
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
        """Return JSON values; a network without dropout has no variant."""
        return {**asdict(self), "variant": self.variant if self.input_rate or self.hidden_rate else None}


@dataclass(frozen=True)
class TrainingPlan:
    """The settings that all trainings of a study share; they follow from the number of rows alone.

    Parameters
    ----------
    depth : int
        Number of hidden layers.
    batch, epochs : int
        Rows per update; largest number of passes over the rows.
    folds : int
        Number of the five validation folds that a trial uses.
    max_width : int
        Width of the widest hidden layer.
    """

    depth: int
    batch: int
    epochs: int
    folds: int
    max_width: int

    @classmethod
    def for_rows(cls, rows: int, max_width: int) -> TrainingPlan:
        """Return the plan for `rows` rows outside the test set.

        Small tables get more folds, so that at least 500 rows, or all of them, are used for validation.
        All folds of a trial together make about 12,000 updates at most, in 30 to 300 epochs.
        """
        batch = next(
            size for size, most in ((32, 5_000), (64, 20_000), (128, 100_000), (256, rows + 1)) if rows < most
        )
        folds = min(5, max(1, math.ceil(500 / (rows / 5))))
        updates = math.ceil(0.8 * rows / batch)
        epochs = min(300, max(30, math.ceil(12_000 / folds / updates)))
        return cls(depth=2, batch=batch, epochs=epochs, folds=folds, max_width=max_width)


def estimator_arguments(
    settings: NetworkSettings, plan: TrainingPlan, rows: int, epochs: int, random_state: int
) -> dict[str, Any]:
    """Return the arguments of an estimator that trains on `rows` rows with some settings.

    The learning rate's cosine spans the settings' epochs, of which the training runs `epochs`.
    """
    updates = -(-rows // plan.batch) * settings.epochs
    arguments: dict[str, Any] = {
        "hidden_layer_sizes": (settings.width,) * plan.depth,
        "solver": "adamw",
        "alpha": settings.weight_decay,
        "batch_size": min(plan.batch, rows),
        "learning_rate_init": Cosine(settings.learning_rate, 0.0, updates),
        "max_iter": epochs,
        "n_iter_no_change": math.inf,
        "random_state": random_state,
    }
    regularisers = {
        "dropout": settings.hidden_rate,
        "input_dropout": settings.input_rate,
        "max_norm": settings.max_norm,
        "variant": "" if settings.variant == PLAIN else settings.variant,
    }
    return arguments | {name: value for name, value in regularisers.items() if value}


def confirmation_seed(seed: int, seeds: int, number: int = 0) -> int:
    """Return the seed of one of a side's final networks; the network of number 0 is the one kept."""
    return (seed * seeds + number) % 2**32


def estimator(classification: bool, arguments: dict[str, Any]) -> MLPClassifier | MLPRegressor:
    """Return an untrained estimator with these arguments."""
    return MLPClassifier(**arguments) if classification else MLPRegressor(**arguments)
