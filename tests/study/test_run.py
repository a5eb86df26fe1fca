"""A whole study: what it writes, and that its numbers depend on nothing but data, options and seed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import thinnet as tn
from thinnet.errors import InputError, RunError
from thinnet.net import Network
from thinnet.study import run as run_module
from thinnet.study.problem import Columns, pose
from thinnet.study.run import Options, study
from thinnet.study.table import load_table

pytestmark = pytest.mark.xdist_group("study")


def test_what_is_written_is_complete(regression_run: SimpleNamespace, written: dict[str, Any]) -> None:
    for name in ("report.html", "results.json", "model.safetensors", "study.json", "work/trainings.sqlite"):
        assert (regression_run.folder / name).stat().st_size > 0
    figures = {path.name for path in (regression_run.folder / "figures").iterdir()}
    assert {
        f"{name}.{kind}" for name in ("curves", "rates", "widths", "scores") for kind in ("svg", "png")
    } == figures
    assert written == json.loads(json.dumps(regression_run.results))
    for side in ("dropout", "baseline"):
        assert len(written[side]["scores"]) == 2
        assert written[side]["mean"] == pytest.approx(np.mean(written[side]["scores"]))
        assert len(written["trials"][side]) == 4
    gap = written["difference"]
    assert gap["mean"] == pytest.approx(written["dropout"]["mean"] - written["baseline"]["mean"])
    assert gap["low"] <= gap["mean"] <= gap["high"]
    assert written["task"] == "regression"
    assert written["metric"] == "rmse"
    assert written["verdict"] in ("dropout helps", "dropout hurts", "no evidence either way")
    assert not list((regression_run.folder / "work").glob("*.npy"))


def test_it_learns_what_is_there_to_learn(written: dict[str, Any]) -> None:
    assert written["baseline"]["mean"] < 0.5 * written["chance"]


def test_the_search_is_fair_and_drops(written: dict[str, Any]) -> None:
    rates = written["dropout"]["settings"]
    assert rates["input_rate"] or rates["hidden_rate"]
    assert rates["weight_decay"] == 0
    assert (
        written["baseline"]["settings"]["hidden_rate"] == written["baseline"]["settings"]["input_rate"] == 0
    )


def test_a_finished_study_is_not_trained_again(regression_run: SimpleNamespace, monkeypatch: Any) -> None:
    monkeypatch.setattr(run_module, "Workers", None)
    assert study(regression_run.options) == regression_run.results


def test_the_code_to_paste_trains_the_recommended_network(
    regression_run: SimpleNamespace, written: Any
) -> None:
    problem = pose(load_table(str(regression_run.data)), Columns("price"), 0)
    space: dict[str, Any] = {"X": problem.x, "Y": problem.y()}
    exec(written["code"], space)
    assert isinstance(space["net"], Network)
    model = Network.load(regression_run.folder / "model.safetensors")
    assert [w.shape for g in space["net"].weights for w in g.values()] == [
        w.shape for g in model.weights for w in g.values()
    ]
    error = (
        space["net"].predict(problem.x_test) * problem.scale + problem.center - problem.target.y[problem.test]
    )
    rmse = float(np.sqrt(np.mean(error**2)))
    side = written["recommended"]["side"]
    assert rmse == pytest.approx(written[side]["mean"], rel=0.5)


def test_another_study_is_refused_and_nothing_changes(regression_run: SimpleNamespace) -> None:
    before = {path: path.stat().st_mtime_ns for path in regression_run.folder.rglob("*") if path.is_file()}
    options = regression_run.options
    for changed in ({"seed": 1}, {"trials": 5}, {"columns": Columns("a")}):
        other = Options(**{**vars(options), **changed})
        with pytest.raises(RunError, match=r"another (seed|trials|target).*--out"):
            study(other)
    with pytest.raises(RunError, match="another data set"):
        study(Options(**{**vars(options), "source": "diabetes", "columns": Columns("target")}))
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(RunError, match="not a run of thinnet"):
        study(Options("wine", tmp_path, quiet=True))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("trials", 0), ("seeds", 1), ("jobs", 0), ("seed", -1), ("time_budget", 1.0), ("max_width", 0)],
)
def test_options_out_of_range(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} must be .* got {value}"):
        Options(**{name: value})


def test_same_numbers_on_one_process(regression_run: SimpleNamespace, written: Any, tmp_path: Path) -> None:
    options = Options(**{**vars(regression_run.options), "out": tmp_path / "one", "jobs": 1})
    assert comparable(study(options)) == comparable(written)
    ours, theirs = (
        load_file(folder / "model.safetensors") for folder in (options.folder, regression_run.folder)
    )
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_time_budget_ends_in_time_with_a_verdict(tmp_path: Path) -> None:
    results = study(Options("digits", tmp_path / "run", trials=500, seeds=2, time_budget=20, quiet=True))
    assert results["seconds"]["total"] < 60
    assert results["verdict"]
    assert 1 <= len(results["trials"]["dropout"]) < 500


def test_groups_stay_together(tmp_path: Path) -> None:
    frame = load_table("wine").frame.assign(person=np.arange(178) // 4)
    frame.to_csv(tmp_path / "people.csv", index=False)
    problem = pose(load_table(str(tmp_path / "people.csv")), Columns("target", group="person"), 0)
    person = frame["person"].to_numpy()
    assert not set(person[problem.test]) & set(person[problem.rows])
    folds = [set(person[problem.rows[problem.fold == number]]) for number in range(5)]
    assert sum(map(len, folds)) == len(set().union(*folds))
    assert not any("person" in name for name in problem.preparation.features)


def test_workers_read_no_test_row(tmp_path: Path) -> None:
    problem = pose(load_table("wine"), Columns("target"), 0)
    problem.write(tmp_path)
    x, fold = np.load(tmp_path / "x.npy"), np.load(tmp_path / "fold.npy")
    assert len(x) == len(fold) == 178 - len(problem.test)
    assert not set(problem.test) & set(problem.rows)
    assert sorted({*problem.test, *problem.rows}) == list(range(178))
    assert set(fold) == set(range(5))


def comparable(results: dict[str, Any]) -> dict[str, Any]:
    """Return what has to be the same from run to run."""
    kept = json.loads(json.dumps(results))
    for name in ("seconds", "created"):
        kept.pop(name)
    return kept


def test_version_is_the_package_s(written: dict[str, Any]) -> None:
    assert written["versions"]["thinnet"] == tn.__version__
