"""The search: generations of a fixed size, proposed by Optuna's sampler from the ones before.

What a generation holds follows from the seed and the finished generations alone. So the numbers do not
depend on how many processes work, on which ends first, or on how often the study was interrupted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from thinnet._core.random import Key
from thinnet.study._trainings.settings import PLAIN, Side, space, starts
from thinnet.study._trainings.training import Outcome

__all__ = ["GENERATION", "Trial", "best_of", "propose"]

GENERATION = 4
# So many trials are asked for at random before the sampler models what it has seen.
_RANDOM = 8


@dataclass(frozen=True)
class Trial:
    """One point of the search: what was chosen and what came of it."""

    choice: dict[str, Any]
    outcome: Outcome


def propose(
    side: Side, seed: int, trials: list[Trial], count: int, variants: tuple[str, ...] = (PLAIN,)
) -> list[dict[str, Any]]:
    """Return the choices of the next generation.

    Parameters
    ----------
    side : str
        Whose search it is.
    seed : int
        The study's seed.
    trials : list of Trial
        All trials of earlier generations, in order.
    count : int
        How many to propose.
    variants : tuple of str
        Which variants of dropout are searched.
    """
    fixed = starts(side, variants)[len(trials) : len(trials) + count]
    return fixed + _sampled(side, seed, trials, count - len(fixed), space(side, variants))


def _sampled(
    side: Side, seed: int, trials: list[Trial], count: int, dimensions: dict[str, Any]
) -> list[dict[str, Any]]:
    if count <= 0:
        return []
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        drawn = Key(seed).fold("search").fold(side).fold(len(trials)).value % 2**32
        sampler = optuna.samplers.TPESampler(
            seed=drawn, n_startup_trials=_RANDOM, multivariate=True, constant_liar=True
        )
        study = optuna.create_study(sampler=sampler)
        for trial in trials:
            study.add_trial(_frozen(trial, dimensions))
        return [study.ask(dimensions).params for _ in range(count)]


def _frozen(trial: Trial, dimensions: dict[str, Any]) -> Any:
    from optuna.trial import TrialState, create_trial

    pruned = trial.outcome.state == "pruned"
    return create_trial(
        params=trial.choice,
        distributions=dimensions,
        value=None if pruned else trial.outcome.value,
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        intermediate_values=dict(enumerate(trial.outcome.steps)),
    )


def best_of(side: Side, trials: list[Trial]) -> Trial | None:
    """Return the trial of least validation loss that went all the way; the earliest of equals.

    A dropout trial whose rates are both 0 is a point of the sweep, but no network with dropout.
    """

    def stands(trial: Trial) -> bool:
        dropped = side == "baseline" or trial.choice["inputs"] or trial.choice["hidden_rate"] > 0
        return trial.outcome.state == "complete" and bool(dropped)

    return min(filter(stands, trials), key=lambda trial: trial.outcome.value, default=None)
