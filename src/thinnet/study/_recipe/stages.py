"""The recipe in stages: grow without dropout, search with and without it, ablate it, confirm over seeds.

Hinton et al., arXiv:1207.0580, and Srivastava et al., JMLR 15, 2014, appendix A: make the network
large enough to overfit, then turn dropout on at that size.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thinnet._core.random import Key
from thinnet.study._recipe.search import GENERATION, SearchTrial, best_of, propose
from thinnet.study._recipe.space import search_space, settings_from_choice, starts
from thinnet.study._tables.rows import TrainingRows
from thinnet.study._trainings.engine import Clock, Engine, StageTask
from thinnet.study._trainings.job import EarlierTrials, TrainingJob, TrainingOutcome
from thinnet.study._trainings.settings import SIDES, NetworkSettings, Side, TrainingPlan, confirmation_seed

__all__ = ["Grown", "Recipe", "Winner", "ablate", "confirm", "grow", "search", "select_winners"]

_FIRST_WIDTH = 32
# Regression has fitted the training rows when their RMSE is below this fraction of the target's deviation.
_FITTED = 0.05
# Growth stops when doubling the width lowers the training RMSE by less than this fraction.
_PROGRESS = 0.03
# With a time budget, one training may take this fraction of it, and the report needs so many seconds.
_SLICE = 1 / 40
_REPORT = 12.0
_LIKELY_GROWTH = 2.5


@dataclass(frozen=True)
class Recipe:
    """The inputs of all stages.

    Parameters
    ----------
    rows, plan
        The data and the settings that all trainings share.
    folder : Path
        Folder for the weights of the confirmed networks.
    seed, trials, seeds, variants
        The study's options.
    clock : Clock
        The time budget.
    """

    rows: TrainingRows
    plan: TrainingPlan
    folder: Path
    seed: int
    trials: int
    seeds: int
    variants: tuple[str, ...]
    clock: Clock

    def job(self, settings: NetworkSettings, *, deadline: float | None = None) -> TrainingJob:
        """Return the job that validates settings on the plan's folds.

        All validated trainings of a study share initial weights and orders of rows, fold by fold: only the
        settings differ.
        """
        state = Key(self.seed).fold("validate").value % 2**32
        folds = tuple(range(self.plan.folds))
        return TrainingJob(self.rows, self.plan, settings, state, folds, settings.epochs, deadline=deadline)


@dataclass(frozen=True)
class Grown:
    """The width that overfits without dropout, and the outcome of every width that was trained.

    Parameters
    ----------
    width : int
        The chosen width.
    reached : bool
        Whether the training rows were fitted at that width.
    reason : str
        Why growth ended there.
    outcomes : dict
        Width → outcome.
    """

    width: int
    reached: bool
    reason: str
    outcomes: dict[int, TrainingOutcome]


@dataclass(frozen=True)
class Winner:
    """The best settings of a side, and the outcome of their training."""

    settings: NetworkSettings
    outcome: TrainingOutcome


# --- grow ---------------------------------------------------------------------------------------


def grow(engine: Engine, recipe: Recipe) -> Grown:
    """Widen the hidden layers, two widths at a time, until the training rows are fitted."""
    widest = recipe.plan.max_width
    widths = [_FIRST_WIDTH * 2**i for i in range(20) if _FIRST_WIDTH * 2**i <= widest] or [widest]
    engine.progress.begin_stage("grow", len(widths))
    outcomes: dict[int, TrainingOutcome] = {}
    for first in range(0, len(widths), 2):
        pair = widths[first : first + 2]
        finished = engine.run(
            [_width_task(recipe, width, narrowest=width == widths[0]) for width in pair],
            lambda task, outcome: f"width {task.slot}: validation error {outcome.score:.4g}",
        )
        outcomes |= {int(slot): outcome for slot, outcome in finished.items()}
        complete = len(finished) == len(pair)
        grown = _fitted(recipe, outcomes) or _out_of_time(recipe, outcomes, complete=complete)
        if grown is not None:
            return grown
    # This text is part of results.json, where runs of earlier versions have it too.
    reason = f"--max-width {widest} came before the training rows were fitted"
    return Grown(max(outcomes), False, reason, outcomes)


def _width_task(recipe: Recipe, width: int, *, narrowest: bool) -> StageTask:
    # The narrowest width is never cut: the study needs at least one.
    deadline = None if narrowest else recipe.clock.deadline(0.8 * (recipe.clock.budget or 0))
    job = recipe.job(NetworkSettings(width, recipe.plan.epochs), deadline=deadline)
    return StageTask("grow", str(width), job)


def _out_of_time(recipe: Recipe, outcomes: dict[int, TrainingOutcome], *, complete: bool) -> Grown | None:
    """Return the widest that leaves time for a search, if the next width would not."""
    limit = float("inf") if recipe.clock.budget is None else recipe.clock.budget * _SLICE
    seconds = {width: outcome.seconds / recipe.plan.folds for width, outcome in outcomes.items()}
    if complete and max(seconds.values()) * _LIKELY_GROWTH <= limit:
        return None
    width = max((width for width in seconds if seconds[width] <= limit), default=min(seconds))
    return Grown(width, False, "a wider one would not fit the time budget", outcomes)


def _fitted(recipe: Recipe, outcomes: dict[int, TrainingOutcome]) -> Grown | None:
    """Return the first width that fits the training rows, or that the next width hardly improves on."""
    rows, previous = recipe.rows, None
    for width in sorted(outcomes):
        score = _least_training_score(outcomes[width])
        if rows.classification and score == 0:
            return Grown(width, True, "the training rows are fitted without an error", outcomes)
        if not rows.classification:
            if score < _FITTED * rows.scale:
                reason = "the training RMSE is under 5 % of the target's deviation"
                return Grown(width, True, reason, outcomes)
            if previous is not None and score > (1 - _PROGRESS) * previous:
                return Grown(width // 2, False, "a wider one makes no more progress", outcomes)
        previous = score
    return None


def _least_training_score(outcome: TrainingOutcome) -> float:
    """Return the least training score over epochs, of the worst fold."""
    return max(min(scores) for scores in outcome.curves["train_score"])


# --- search -------------------------------------------------------------------------------------


def search(engine: Engine, recipe: Recipe, width: int) -> dict[Side, list[SearchTrial]]:
    """Run as many trials with dropout as without, generation by generation, on validation loss."""
    engine.progress.begin_stage("thin", 2 * recipe.trials)
    trials: dict[Side, list[SearchTrial]] = {side: [] for side in SIDES}
    least: dict[str, float] = {}

    def describe(task: StageTask, outcome: TrainingOutcome) -> str:
        if outcome.state == "complete":
            least[task.stage] = min(least.get(task.stage, float("inf")), outcome.value)
        losses = ", ".join(f"{side} {least[side]:.4g}" for side in SIDES if side in least)
        return f"least validation loss: {losses}" if losses else ""

    for first in range(0, recipe.trials, GENERATION):
        started = time.time()
        tasks = {side: _generation(recipe, side, width, first, trials[side]) for side in SIDES}
        # The sides alternate, so that a deadline cuts both alike.
        alternating = [task for pair in zip(*tasks.values(), strict=True) for task in pair]
        finished = engine.run(alternating, describe)
        for side in SIDES:
            done = [task for task in tasks[side] if task.slot in finished]
            trials[side] += [SearchTrial(task.choice, finished[task.slot]) for task in done]
        took = time.time() - started
        if len(finished) < len(alternating):
            break
        if recipe.clock.seconds_left() < _reserve(recipe, trials, engine) + 0.5 * took:
            break
    return trials


def _generation(
    recipe: Recipe, side: Side, width: int, first: int, earlier: list[SearchTrial]
) -> list[StageTask]:
    """Return the tasks of a side's next generation, whose first trial has the number `first`."""
    count = min(GENERATION, recipe.trials - first)
    choices = propose(side, recipe.seed, earlier, count, recipe.variants)
    return [
        _trial_task(recipe, side, width, (first + i, choice), earlier) for i, choice in enumerate(choices)
    ]


def _trial_task(
    recipe: Recipe, side: Side, width: int, numbered: tuple[int, dict[str, Any]], earlier: list[SearchTrial]
) -> StageTask:
    number, choice = numbered
    settings = settings_from_choice(side, choice, width, recipe.plan)
    dimensions = search_space(side, recipe.variants)
    # The first trial of a side is never cut: the study needs at least one.
    deadline = recipe.clock.deadline(0.3 * (recipe.clock.budget or 0)) if number else None
    job = recipe.job(settings, deadline=deadline)
    if number >= len(starts(side, recipe.variants)):
        known = tuple((trial.choice, trial.outcome.value, trial.outcome.steps) for trial in earlier)
        job = replace(job, earlier=EarlierTrials(choice, dimensions, known))
    return StageTask(side, f"{side}-{width}-{number}", job, choice, dimensions)


def _reserve(recipe: Recipe, trials: dict[Side, list[SearchTrial]], engine: Engine) -> float:
    """Return an estimate of the seconds that the stages after the search will take."""
    if recipe.clock.budget is None:
        return 0.0
    one = 0.0
    for side in SIDES:
        best = best_of(side, trials[side])
        one += best.outcome.seconds / recipe.plan.folds * 1.25 if best else 0.0
    return _REPORT + one * -(-recipe.seeds // engine.workers.count) * 1.2


def select_winners(recipe: Recipe, trials: dict[Side, list[SearchTrial]], width: int) -> dict[Side, Winner]:
    """Return the best settings of each side."""
    winners: dict[Side, Winner] = {}
    for side in SIDES:
        best = best_of(side, trials[side])
        assert best is not None, "the first trial of a side is never cut or pruned"
        settings = settings_from_choice(side, best.choice, width, recipe.plan)
        winners[side] = Winner(settings, best.outcome)
    return winners


# --- ablate and confirm -------------------------------------------------------------------------

_SITES = {(True, True): "input and hidden", (False, True): "hidden only", (True, False): "input only"}


def ablate(engine: Engine, recipe: Recipe, winner: Winner) -> list[tuple[str, TrainingOutcome]]:
    """Train the winner without its dropout on the inputs, on the hidden layers and on both."""
    best = winner.settings
    used = bool(best.input_rate), bool(best.hidden_rate)
    compared = [(_SITES[used], winner.outcome)]
    if recipe.clock.seconds_left() < 4 * winner.outcome.seconds + _REPORT:
        return compared
    without = {"neither": replace(best, input_rate=0.0, hidden_rate=0.0)}
    if all(used):
        without["hidden only"] = replace(best, input_rate=0.0)
        without["input only"] = replace(best, hidden_rate=0.0)
    engine.progress.begin_stage("where", len(without))
    tasks = {
        site: StageTask("where", _digest(settings), recipe.job(settings))
        for site, settings in without.items()
    }
    finished = engine.run(list(tasks.values()))
    return compared + [(site, finished[task.slot]) for site, task in tasks.items()]


def confirm(engine: Engine, recipe: Recipe, winners: dict[Side, Winner]) -> dict[Side, list[Path]]:
    """Train each side's best on all rows outside the test set, with fresh seeds; return the weights' files.

    Both sides use the same seeds, so their scores are paired.
    """
    engine.progress.begin_stage("confirm", recipe.seeds * len(SIDES))
    tasks: list[StageTask] = []
    files: dict[Side, list[Path]] = {side: [] for side in SIDES}
    for number in range(recipe.seeds):
        for side in SIDES:
            winner = winners[side]
            name = f"{side}-{_digest(winner.settings, winner.outcome.epochs)}-{number}"
            path = recipe.folder / f"{name}.safetensors"
            state = confirmation_seed(recipe.seed, recipe.seeds, number)
            job = replace(recipe.job(winner.settings), random_state=state)
            tasks.append(StageTask("confirm", name, job.on_all_rows(winner.outcome.epochs, path)))
            files[side].append(path)
    engine.run(tasks)
    return files


def _digest(settings: NetworkSettings, epochs: int = 0) -> str:
    text = json.dumps([settings.to_json(), epochs], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
