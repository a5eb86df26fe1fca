"""The findings of a study: the results of every stage, before they become JSON."""

from __future__ import annotations

from dataclasses import dataclass

from thinnet.study._recipe.scoring import FinalScores
from thinnet.study._recipe.search import SearchTrial
from thinnet.study._recipe.stages import Grown, Winner
from thinnet.study._trainings.job import TrainingOutcome
from thinnet.study._trainings.settings import SIDES, Side

__all__ = ["StudyFindings", "recommend"]


@dataclass(frozen=True)
class StudyFindings:
    """The results of every stage.

    Parameters
    ----------
    grown : Grown
        The width.
    trials : dict of side to list of SearchTrial
        All trials in order.
    winners : dict of side to Winner
        The best settings.
    where : list of (site, outcome)
        The ablation of the winner with dropout.
    scores : FinalScores
        The scores on the test set.
    """

    grown: Grown
    trials: dict[Side, list[SearchTrial]]
    winners: dict[Side, Winner]
    where: list[tuple[str, TrainingOutcome]]
    scores: FinalScores


def recommend(findings: StudyFindings) -> tuple[Side, str]:
    """Return the side whose settings to use, and the reason; results.json holds both."""
    verdict = findings.scores.difference.verdict
    if verdict == "dropout helps":
        return "dropout", "its test score is better than the rival's beyond chance"
    if verdict == "dropout hurts":
        return "baseline", "its test score is better than dropout's beyond chance"
    side = min(SIDES, key=lambda side: findings.winners[side].outcome.value)
    return side, "the test set cannot tell the two apart; its validation loss is lower"
