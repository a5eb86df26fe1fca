"""The search: generations of a fixed size, proposed by Optuna's sampler from the earlier ones.

A generation follows from the seed and the finished generations alone. The numbers therefore do not depend on
the number of processes, on the order in which they finish, or on interruptions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from thinnet._core.random import Key
from thinnet.study._recipe.space import search_space, starts
from thinnet.study._trainings.job import TrainingOutcome
from thinnet.study._trainings.settings import PLAIN, Side

__all__ = ["GENERATION", "SearchTrial", "best_of", "propose"]

GENERATION = 4
# So many trials are drawn at random before the sampler fits its model.
_RANDOM = 8


@dataclass(frozen=True)
class SearchTrial:
    """One point of the search: a choice of settings and the outcome of its training."""

    choice: dict[str, Any]
    outcome: TrainingOutcome


def propose(
    side: Side, seed: int, trials: list[SearchTrial], count: int, variants: tuple[str, ...] = (PLAIN,)
) -> list[dict[str, Any]]:
    """Return the choices of the next generation.

    Parameters
    ----------
    side : str
        The side that is searched.
    seed : int
        The study's seed.
    trials : list of SearchTrial
        All trials of earlier generations, in order.
    count : int
        Number of choices.
    variants : tuple of str
        The variants of dropout that are searched.
    """
    fixed = starts(side, variants)[len(trials) : len(trials) + count]
    return fixed + _sample_choices(side, seed, trials, count - len(fixed), search_space(side, variants))


def _sample_choices(
    side: Side, seed: int, trials: list[SearchTrial], count: int, dimensions: dict[str, Any]
) -> list[dict[str, Any]]:
    if count <= 0:
        return []
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler_seed = Key(seed).fold("search").fold(side).fold(len(trials)).value % 2**32
        sampler = optuna.samplers.TPESampler(
            seed=sampler_seed, n_startup_trials=_RANDOM, multivariate=True, constant_liar=True
        )
        study = optuna.create_study(sampler=sampler)
        for trial in trials:
            study.add_trial(_to_optuna_trial(trial, dimensions))
        return [study.ask(dimensions).params for _ in range(count)]


def _to_optuna_trial(trial: SearchTrial, dimensions: dict[str, Any]) -> Any:
    from optuna.trial import TrialState, create_trial

    pruned = trial.outcome.state == "pruned"
    return create_trial(
        params=trial.choice,
        distributions=dimensions,
        value=None if pruned else trial.outcome.value,
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        intermediate_values=dict(enumerate(trial.outcome.steps)),
    )


def best_of(side: Side, trials: list[SearchTrial]) -> SearchTrial | None:
    """Return the complete trial of least validation loss; among equal ones the earliest.

    A trial of the dropout side with both rates 0 is a point of the sweep, but not a network with dropout.
    """

    def is_eligible(trial: SearchTrial) -> bool:
        eligible = side == "baseline" or trial.choice["inputs"] or trial.choice["hidden_rate"] > 0
        return trial.outcome.state == "complete" and bool(eligible)

    return min(filter(is_eligible, trials), key=lambda trial: trial.outcome.value, default=None)
