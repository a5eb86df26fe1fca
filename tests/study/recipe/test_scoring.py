from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet import net
from thinnet.study._recipe.scoring import FinalScores, predict_test_rows, score
from thinnet.study._recipe.verdict import difference
from thinnet.study._tables.problem import Problem
from thinnet.study._trainings.settings import (
    SIDES,
    NetworkSettings,
    Side,
    TrainingPlan,
    estimator,
    estimator_arguments,
)

PLAN = TrainingPlan(2, 8, 5, 2, 8)


def trained(problem: Problem, seed: int, epochs: int) -> net.Network:
    told = estimator_arguments(
        NetworkSettings(4, epochs, learning_rate=1e-2), PLAN, len(problem.rows), epochs, seed
    )
    return estimator(problem.classification, told).fit(problem.x, problem.y()).network_


def scored(problem: Problem, folder: Path) -> tuple[FinalScores, dict[Side, list[net.Network]]]:
    """Score three long trainings as dropout's, three short ones as the rival's."""
    lengths: dict[Side, int] = {"dropout": 40, "baseline": 2}
    networks: dict[Side, list[net.Network]] = {
        side: [trained(problem, seed, epochs) for seed in range(3)] for side, epochs in lengths.items()
    }
    files: dict[Side, list[Path]] = {
        side: [folder / f"{side}-{i}.safetensors" for i in range(3)] for side in networks
    }
    for side, made in networks.items():
        for network, path in zip(made, files[side], strict=True):
            network.save(path)
    return score(problem, files), networks


def test_values_are_scored_by_rmse_in_their_own_unit(priced: Problem, tmp_path: Path) -> None:
    found, networks = scored(priced, tmp_path)
    truth = priced.target.y[priced.test]
    for side, made in networks.items():
        for network, said in zip(made, found.seeds[side], strict=True):
            predicted = network.predict(priced.x_test) * priced.scale + priced.center
            assert said == pytest.approx(float(np.sqrt(np.mean((predicted - truth) ** 2))), rel=1e-5)
    means = [float(np.mean(found.seeds[side])) for side in SIDES]
    assert found.difference.mean == pytest.approx(means[0] - means[1])
    guess = float(priced.target.y[priced.rows].mean())
    assert found.chance == pytest.approx(float(np.sqrt(np.mean((guess - truth) ** 2))))


def test_classes_are_scored_by_the_share_missed_and_grouped(kinds: Problem, tmp_path: Path) -> None:
    found, networks = scored(kinds, tmp_path)
    truth = kinds.target.y[kinds.test]
    missed: dict[Side, NDArray[np.float64]] = {
        side: np.stack([network.predict(kinds.x_test) != truth for network in made]).astype(float)
        for side, made in networks.items()
    }
    for side, table in missed.items():
        assert found.seeds[side] == table.mean(axis=1).tolist()
    assert kinds.groups is not None
    groups = kinds.groups[kinds.test]
    assert found.difference == difference(missed["dropout"], missed["baseline"], groups)
    assert found.difference.both != difference(missed["dropout"], missed["baseline"]).both
    commonest = np.bincount(kinds.target.y[kinds.rows]).argmax()
    assert found.chance == np.mean(truth != commonest)
    assert 0 <= found.boosting <= 1


def test_answers_are_in_the_targets_unit(priced: Problem) -> None:
    network = trained(priced, 0, 1)
    mean = float(predict_test_rows(priced, network).mean())
    assert 300 < mean < 1100


@pytest.mark.parametrize("side", SIDES)
def test_a_study_scores_each_seed(side: str, finished: tuple[Path, str]) -> None:
    results = json.loads((finished[0] / "results.json").read_text("utf-8"))
    assert len(set(results[side]["scores"])) == 3
    assert results[side]["mean"] == pytest.approx(sum(results[side]["scores"]) / 3)
