"""The recipe, stage by stage: grow without dropout, thin with it, see where, confirm over seeds.

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
from thinnet.study._recipe.search import GENERATION, Trial, best_of, propose
from thinnet.study._trainings.engine import Clock, Engine, Task
from thinnet.study._trainings.settings import (
    SIDES,
    Plan,
    Settings,
    Side,
    random_state,
    settings_of,
    space,
    starts,
)
from thinnet.study._trainings.training import Job, Outcome, Past, Rows, on_all_rows

__all__ = ["Base", "Grown", "Winner", "confirm", "grow", "search", "where"]

_FIRST_WIDTH = 32
# Regression has fitted the training rows when their RMSE is below this part of the target's deviation …
_FITTED = 0.05
# … and makes no more progress when doubling the width takes off less than this part.
_PROGRESS = 0.03
# With a time budget, one training may take this part of it, and the report needs so many seconds.
_SLICE = 1 / 40
_REPORT = 12.0
_LIKELY_GROWTH = 2.5


@dataclass(frozen=True)
class Base:
    """What all stages share."""

    rows: Rows
    plan: Plan
    folder: Path
    seed: int
    trials: int
    seeds: int
    variants: tuple[str, ...]
    clock: Clock

    def job(self, settings: Settings, *, deadline: float | None = None) -> Job:
        """Return the job that validates settings on the plan's folds.

        All of a study's validated trainings share their initial weights and orders of rows, fold by
        fold: what differs between them is the settings.
        """
        state = Key(self.seed).fold("validate").value % 2**32
        folds = tuple(range(self.plan.folds))
        return Job(self.rows, self.plan, settings, state, folds, settings.epochs, deadline=deadline)


@dataclass(frozen=True)
class Grown:
    """Every width that was tried without dropout, and the one that overfits."""

    width: int
    reached: bool
    reason: str
    outcomes: dict[int, Outcome]


@dataclass(frozen=True)
class Winner:
    """A side's best settings."""

    settings: Settings
    outcome: Outcome


def grow(engine: Engine, base: Base) -> Grown:
    """Widen the hidden layers, two widths at a time, until the training rows are fitted."""
    most = base.plan.max_width
    widths = [_FIRST_WIDTH * 2**i for i in range(20) if _FIRST_WIDTH * 2**i <= most] or [most]
    engine.progress.stage("grow", len(widths))
    outcomes: dict[int, Outcome] = {}
    for first in range(0, len(widths), 2):
        pair = widths[first : first + 2]
        done = engine.run(
            [_widened(base, width, narrowest=width == widths[0]) for width in pair],
            lambda task, outcome: f"width {task.slot}: {outcome.score:.4g}",
        )
        outcomes |= {int(slot): outcome for slot, outcome in done.items()}
        grown = _fitted(base, outcomes) or _out_of_time(base, outcomes, everything=len(done) == len(pair))
        if grown is not None:
            return grown
    reason = f"--max-width {most} came before the training rows were fitted"
    return Grown(max(outcomes), False, reason, outcomes)


def _widened(base: Base, width: int, *, narrowest: bool) -> Task:
    # The narrowest is never cut: there has to be one.
    deadline = None if narrowest else base.clock.deadline(0.8 * (base.clock.budget or 0))
    return Task("grow", str(width), base.job(Settings(width, base.plan.epochs), deadline=deadline))


def _out_of_time(base: Base, outcomes: dict[int, Outcome], *, everything: bool) -> Grown | None:
    """Return the widest that leaves time for a search, when the next one would not."""
    most = float("inf") if base.clock.budget is None else base.clock.budget * _SLICE
    each = {width: outcome.seconds / base.plan.folds for width, outcome in outcomes.items()}
    if everything and max(each.values()) * _LIKELY_GROWTH <= most:
        return None
    width = max((width for width in each if each[width] <= most), default=min(each))
    return Grown(width, False, "a wider one would not fit the time budget", outcomes)


def _fitted(base: Base, outcomes: dict[int, Outcome]) -> Grown | None:
    previous: float | None = None
    for width in sorted(outcomes):
        train = _best_train(outcomes[width])
        if base.rows.classification and train == 0:
            return Grown(width, True, "the training rows are fitted without an error", outcomes)
        if not base.rows.classification:
            if train < _FITTED * base.rows.scale:
                return Grown(
                    width, True, "the training RMSE is under 5 % of the target's deviation", outcomes
                )
            if previous is not None and train > (1 - _PROGRESS) * previous:
                return Grown(width // 2, False, "a wider one makes no more progress", outcomes)
        previous = train
    return None


def _best_train(outcome: Outcome) -> float:
    """Return the least training score, the worst fold counting."""
    return max(min(scores) for scores in outcome.curves["train_score"])


def search(engine: Engine, base: Base, width: int) -> dict[Side, list[Trial]]:
    """Try as many settings with dropout as without, generation by generation, on validation loss."""
    engine.progress.stage("thin", 2 * base.trials)
    trials: dict[Side, list[Trial]] = {side: [] for side in SIDES}
    best: dict[str, float] = {}

    def tell(task: Task, outcome: Outcome) -> str:
        if outcome.state == "complete":
            best[task.stage] = min(best.get(task.stage, float("inf")), outcome.value)
        return ", ".join(f"{side} {best[side]:.4g}" for side in SIDES if side in best)

    for first in range(0, base.trials, GENERATION):
        begun = time.time()
        tasks: dict[Side, list[Task]] = {}
        for side in SIDES:
            count = min(GENERATION, base.trials - first)
            chosen = propose(side, base.seed, trials[side], count, base.variants)
            tasks[side] = [
                _trial(base, side, width, (first + i, choice), trials[side])
                for i, choice in enumerate(chosen)
            ]
        # Both sides' first ones first: whatever the clock cuts, it cuts from both alike.
        mixed = [task for pair in zip(*tasks.values(), strict=True) for task in pair]
        done = engine.run(mixed, tell)
        for side in SIDES:
            trials[side] += [Trial(task.choice, done[task.slot]) for task in tasks[side] if task.slot in done]
        took = time.time() - begun
        if len(done) < len(mixed) or base.clock.left() < _reserve(base, trials, engine) + 0.5 * took:
            break
    return trials


def _trial(base: Base, side: Side, width: int, at: tuple[int, dict[str, Any]], earlier: list[Trial]) -> Task:
    number, choice = at
    settings = settings_of(side, choice, width, base.plan)
    # The first of a side is never cut: there has to be one.
    deadline = base.clock.deadline(0.3 * (base.clock.budget or 0)) if number else None
    job = base.job(settings, deadline=deadline)
    if number >= len(starts(side, base.variants)):
        known = tuple((trial.choice, trial.outcome.value, trial.outcome.steps) for trial in earlier)
        job = replace(job, past=Past(side, base.variants, choice, known))
    return Task(side, f"{side}-{width}-{number}", job, choice, space(side, base.variants))


def _reserve(base: Base, trials: dict[Side, list[Trial]], engine: Engine) -> float:
    """Return how many seconds the stages after the search will take, about."""
    if base.clock.budget is None:
        return 0.0
    one = 0.0
    for side in SIDES:
        best = best_of(side, trials[side])
        one += best.outcome.seconds / base.plan.folds * 1.25 if best else 0.0
    return _REPORT + one * -(-base.seeds // engine.workers.count) * 1.2


def winners(base: Base, trials: dict[Side, list[Trial]], width: int) -> dict[Side, Winner]:
    """Return each side's best settings."""
    found: dict[Side, Winner] = {}
    for side in SIDES:
        best = best_of(side, trials[side])
        assert best is not None, "the first trial of a side is never cut or pruned"
        found[side] = Winner(settings_of(side, best.choice, width, base.plan), best.outcome)
    return found


_SITES = {(True, True): "input and hidden", (False, True): "hidden only", (True, False): "input only"}


def where(engine: Engine, base: Base, winner: Winner) -> list[tuple[str, Outcome]]:
    """Take the winner's dropout off the inputs, off the hidden layers and off both, whatever it has."""
    best = winner.settings
    used = bool(best.input_rate), bool(best.hidden_rate)
    compared = [(_SITES[used], winner.outcome)]
    if base.clock.left() < 4 * winner.outcome.seconds + _REPORT:
        return compared
    without = {"neither": replace(best, input_rate=0.0, hidden_rate=0.0)}
    if all(used):
        without["hidden only"] = replace(best, input_rate=0.0)
        without["input only"] = replace(best, hidden_rate=0.0)
    engine.progress.stage("where", len(without))
    tasks = {site: Task("where", _digest(settings), base.job(settings)) for site, settings in without.items()}
    done = engine.run(list(tasks.values()))
    return compared + [(site, done[task.slot]) for site, task in tasks.items()]


def confirm(engine: Engine, base: Base, found: dict[Side, Winner]) -> dict[Side, list[Path]]:
    """Train each side's best on all rows but the test set, with fresh seeds; return the weights' files.

    Seed s is the same for both sides, so their scores are paired.
    """
    engine.progress.stage("confirm", base.seeds * len(SIDES))
    tasks: list[Task] = []
    files: dict[Side, list[Path]] = {side: [] for side in SIDES}
    for seed in range(base.seeds):
        for side in SIDES:
            winner = found[side]
            name = f"{side}-{_digest(winner.settings, winner.outcome.epochs)}-{seed}"
            path = base.folder / f"{name}.safetensors"
            job = replace(base.job(winner.settings), random_state=random_state(base.seed, base.seeds, seed))
            tasks.append(Task("confirm", name, on_all_rows(job, winner.outcome.epochs, path)))
            files[side].append(path)
    engine.run(tasks)
    return files


def _digest(settings: Settings, epochs: int = 0) -> str:
    text = json.dumps([settings.to_json(), epochs], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
