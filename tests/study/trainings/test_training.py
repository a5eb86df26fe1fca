from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet.study._recipe.space import search_space, starts
from thinnet.study._tables.problem import Problem
from thinnet.study._trainings.job import CURVES, EarlierTrials, TrainingJob, TrainingOutcome
from thinnet.study._trainings.settings import NetworkSettings, TrainingPlan, estimator, estimator_arguments
from thinnet.study._trainings.training import run_job

PLAN = TrainingPlan(depth=2, batch=8, epochs=20, folds=3, max_width=8)


@pytest.fixture(scope="module")
def job(priced: Problem, tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    rows = priced.write(tmp_path_factory.mktemp("work"))
    return TrainingJob(rows, PLAN, NetworkSettings(4, 20, learning_rate=1e-2), 0, (0, 1, 2), 20)


@pytest.fixture(scope="module")
def plain(job: TrainingJob) -> TrainingOutcome:
    return run_job(job)


def told(outcome: TrainingOutcome) -> dict[str, Any]:
    return {name: value for name, value in asdict(outcome).items() if name != "seconds"}


# What is read


def test_workers_read_the_rows_outside_the_test_set_alone(job: TrainingJob, priced: Problem) -> None:
    x, y, fold = job.rows.read()
    np.testing.assert_array_equal(x, priced.x)
    np.testing.assert_array_equal(y, priced.y())
    np.testing.assert_array_equal(fold, priced.fold)
    assert {path.name for path in job.rows.folder.iterdir()} == {"x.npy", "y.npy", "fold.npy"}
    held = {row.tobytes() for row in priced.x_test}
    assert not any(np.ascontiguousarray(row).tobytes() in held for row in x)


# What comes of it


def test_every_fold_is_measured_every_epoch(plain: TrainingOutcome) -> None:
    assert plain.state == "complete"
    assert set(plain.curves) == set(CURVES)
    for folds in plain.curves.values():
        assert [len(values) for values in folds] == [20, 20, 20]
    assert plain.epochs == 20
    assert plain.value == pytest.approx(np.mean([v[-1] for v in plain.curves["validation_loss"]]), rel=1e-5)
    assert plain.score == pytest.approx(np.mean([v[-1] for v in plain.curves["validation_score"]]), rel=1e-5)


def test_the_curves_are_those_of_the_network(
    job: TrainingJob, plain: TrainingOutcome, priced: Problem
) -> None:
    """Train the first fold by hand and measure its RMSE, in the target's own unit."""
    inside, outside = priced.fold != 0, priced.fold == 0
    told = estimator_arguments(job.settings, PLAN, int(inside.sum()), 20, 0)
    mlp = estimator(False, told).fit(priced.x[inside], priced.y()[inside])
    errors = mlp.predict(priced.x[outside]) - priced.y()[outside]
    rmse = priced.scale * float(np.sqrt(np.mean(errors**2)))
    assert plain.curves["validation_score"][0][-1] == pytest.approx(rmse, rel=1e-4)


def test_it_learns(plain: TrainingOutcome) -> None:
    for losses in plain.curves["train_loss"]:
        assert losses[-1] < 0.8 * losses[0]


def test_the_same_job_has_the_same_outcome(job: TrainingJob, plain: TrainingOutcome) -> None:
    assert told(run_job(job)) == told(plain)
    assert told(run_job(replace(job, random_state=9))) != told(plain)


def test_a_fold_does_not_depend_on_the_others(job: TrainingJob, plain: TrainingOutcome) -> None:
    alone = run_job(replace(job, folds=(2,)))
    assert alone.curves["validation_loss"][0] == plain.curves["validation_loss"][2]


def test_json_keeps_an_outcome_whole(plain: TrainingOutcome) -> None:
    assert TrainingOutcome(**json.loads(json.dumps(asdict(plain), allow_nan=False))) == plain


def test_steps_are_the_best_so_far_over_the_folds_so_far(plain: TrainingOutcome) -> None:
    assert len(plain.steps) == 30  # ten a fold
    losses = plain.curves["validation_loss"]
    best = [np.minimum.accumulate(values)[1::2] for values in losses]  # of 20 epochs, every other
    expected = np.concatenate(
        [
            best[0],
            (best[0][-1] + best[1]) / 2,
            (best[0][-1] + best[1][-1] + best[2]) / 3,
        ]
    )
    np.testing.assert_allclose(plain.steps, expected, rtol=1e-5)


def test_a_training_that_runs_away_is_finite_in_json(job: TrainingJob) -> None:
    wild = replace(job, settings=replace(job.settings, learning_rate=1e18))
    with np.errstate(all="ignore"):
        outcome = run_job(wild)
    json.dumps(asdict(outcome), allow_nan=False)
    assert outcome.value > 1e6


# Ends


def test_patience_ends_each_fold_and_finds_the_epoch_of_all(job: TrainingJob) -> None:
    settings = replace(job.settings, patience=2, learning_rate=0.1, epochs=60)
    outcome = run_job(replace(job, settings=settings, epochs=60))
    folds = outcome.curves["validation_loss"]
    for losses in folds:
        assert len(losses) == 60 or len(losses) - 1 - int(np.argmin(losses)) == 2
    assert min(map(len, folds)) < 60
    longest = max(map(len, folds))
    mean = np.mean([losses + losses[-1:] * (longest - len(losses)) for losses in folds], axis=0)
    assert outcome.epochs == int(np.argmin(mean)) + 1
    assert outcome.value == pytest.approx(mean.min(), rel=1e-5)
    assert len(outcome.steps) == 30


def test_a_training_past_its_deadline_is_cut(job: TrainingJob) -> None:
    outcome = run_job(replace(job, deadline=1.0))
    assert outcome.state == "cut"
    assert [len(values) for values in outcome.curves["validation_loss"]] == [1]


def test_a_hopeless_trial_is_pruned(job: TrainingJob, plain: TrainingOutcome) -> None:
    choice = starts("baseline")[0]
    assert choice.keys() == search_space("baseline").keys()
    good = tuple((choice, 1e-6, [1e-6] * 30) for _ in range(6))
    bad = tuple((choice, 1e6, [1e6] * 30) for _ in range(6))
    dimensions = search_space("baseline")
    pruned = run_job(replace(job, earlier=EarlierTrials(choice, dimensions, good)))
    assert pruned.state == "pruned"
    assert len(pruned.curves["validation_loss"][0]) < 20
    assert told(run_job(replace(job, earlier=EarlierTrials(choice, dimensions, bad)))) == told(plain)


# On all rows


def test_on_all_rows_a_network_is_trained_and_saved(
    job: TrainingJob, priced: Problem, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    outcome = run_job(job.on_all_rows(7, path))
    assert (outcome.state, outcome.epochs) == ("complete", 7)
    assert len(outcome.curves["train_loss"][0]) == 7
    network = net.Network.load(path)
    assert network.step == 7 * -(-len(priced.rows) // PLAN.batch)
    again = tmp_path / "again.safetensors"
    run_job(job.on_all_rows(7, again))
    assert path.read_bytes() == again.read_bytes()


def test_classes_are_scored_by_the_fraction_missed(kinds: Problem, tmp_path: Path) -> None:
    rows = kinds.write(tmp_path)
    assert (rows.outputs, rows.classification) == (1, True)
    outcome = run_job(TrainingJob(rows, PLAN, NetworkSettings(4, 5), 0, (0, 1), 5))
    sizes = [int((kinds.fold == fold).sum()) for fold in (0, 1)]
    for scores, size in zip(outcome.curves["validation_score"], sizes, strict=True):
        missed = np.array(scores) * size
        np.testing.assert_allclose(missed, missed.round(), atol=1e-3)
        assert 0 <= missed.min() <= missed.max() <= size
