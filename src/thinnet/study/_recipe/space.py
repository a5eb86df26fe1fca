"""The search space of each side, its first trials, and the settings that a choice stands for."""

from __future__ import annotations

import math
from typing import Any

from thinnet.study._trainings.settings import PLAIN, NetworkSettings, Side, TrainingPlan

__all__ = ["STARTS", "search_space", "settings_from_choice", "starts"]

# Dropout's first trials: rates of the inputs and of the hidden layers. The recipe's rates come first. The
# trials without dropout on the inputs give a curve over the hidden rate, all other settings being equal.
_RATES = ((0.2, 0.5), (0.0, 0.5), (0.0, 0.2), (0.1, 0.2), (0.0, 0.0), (0.0, 0.35), (0.2, 0.0), (0.0, 0.7))
# The rival's first trials: weight decay, width as a multiple of the grown width, patience, length.
_RIVALS = ((1e-2, 4, 0, 0.25), (1e-4, 1, 10, 1.0), (1e-1, 4, 0, 0.5), (1.0, 1, 10, 1.0))
_FEWEST_EPOCHS = 3

STARTS = 2
"""Number of the first trials that every variant gets."""


def search_space(side: Side, variants: tuple[str, ...] = (PLAIN,)) -> dict[str, Any]:
    """Return the dimensions of a side's search, as Optuna's distributions."""
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
    """Return the choices of the first trials, which are fixed; the sampler proposes all later ones.

    Dropout starts with the recipe's rates, 0.2 on the inputs and 0.5 on the hidden layers (Hinton et al.,
    arXiv:1207.0580), and then varies them. Every variant gets the recipe's two trials, the first variant the
    others too. The rival starts with weight decays over four decades, with and without early stopping.
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
    trials = [(rates, variant) for rates in _RATES[:STARTS] for variant in variants]
    trials += [(rates, variants[0]) for rates in _RATES[STARTS:]]
    return [
        {
            **fixed,
            **{"inputs": rate > 0, "input_rate": rate, "hidden_rate": hidden},
            **({} if variants == (PLAIN,) else {"variant": variant}),
        }
        for (rate, hidden), variant in trials
    ]


def settings_from_choice(
    side: Side, choice: dict[str, Any], width: int, plan: TrainingPlan
) -> NetworkSettings:
    """Return the settings of a choice of the search.

    The width is once, twice or four times the grown width on both sides, since the least width that fits
    the training rows is seldom the best. A widened network has width / keep units, so that on average it
    keeps as many units as a network without dropout has (Srivastava et al., JMLR 15, 2014, appendix A.1).
    No network is wider than the plan's `max_width`.
    """
    # Rounded to four digits, so that code which shows the settings trains exactly the same network.
    short: dict[str, Any] = {
        name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in choice.items()
    }
    most = max(width, plan.max_width)
    width = min(width * short["times"], most)
    epochs = max(_FEWEST_EPOCHS, round(short["length"] * plan.epochs))
    if side == "baseline":
        return NetworkSettings(
            width,
            epochs,
            learning_rate=short["learning_rate"],
            weight_decay=short["weight_decay"],
            patience=short["patience"] or None,
        )
    hidden = short["hidden_rate"]
    if short["widened"]:
        width = min(most, math.ceil(width / (1 - hidden)))
    return NetworkSettings(
        width,
        epochs,
        learning_rate=short["learning_rate"],
        input_rate=short["input_rate"] if short["inputs"] else 0.0,
        hidden_rate=hidden,
        variant=short.get("variant", PLAIN),
        max_norm=short["max_norm"] if short["constrained"] else None,
    )
