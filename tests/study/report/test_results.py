from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thinnet
from thinnet.study._recipe.findings import StudyFindings, recommend
from thinnet.study._recipe.scoring import FinalScores
from thinnet.study._recipe.stages import Grown, Winner
from thinnet.study._recipe.verdict import Difference, Interval
from thinnet.study._trainings.settings import NetworkSettings

from ..helpers import outcome


@pytest.fixture
def houses_results(finished: tuple[Path, str]) -> dict[str, Any]:
    return json.loads((finished[0] / "results.json").read_text("utf-8"))


@pytest.fixture
def flowers_results(classified: Path) -> dict[str, Any]:
    return json.loads((classified / "results.json").read_text("utf-8"))


def test_results_of_a_regression(houses_results: dict[str, Any]) -> None:
    r = houses_results
    assert (r["task"], r["metric"], r["classes"]) == ("regression", "rmse", [])
    assert (r["data"]["rows"], r["data"]["columns"], r["data"]["test_rows"]) == (30, 3, 6)
    assert (r["data"]["name"], r["data"]["target"]) == ("houses.csv", "price")
    assert r["width"] == 4
    assert [len(r["trials"][side]) for side in ("dropout", "baseline")] == [6, 6]
    assert [entry["width"] for entry in r["grow"]["widths"]] == [4]
    gap = r["difference"]
    assert gap["mean"] == pytest.approx(r["dropout"]["mean"] - r["baseline"]["mean"])
    assert gap["low"] < gap["mean"] < gap["high"]
    assert r["versions"]["thinnet"] == thinnet.__version__
    assert r["options"]["seed"] == 0


def test_results_of_a_classification(flowers_results: dict[str, Any]) -> None:
    r = flowers_results
    assert (r["task"], r["metric"], r["classes"]) == ("classification", "error", ["iris", "rose"])
    assert r["data"]["group"] == "field"
    assert all(0 <= error <= 1 for side in ("dropout", "baseline") for error in r[side]["scores"])
    assert {row["column"] for row in r["preparation"]} == {"length", "colour"}


@pytest.mark.parametrize("name", ["houses_results", "flowers_results"])
def test_the_verdict_follows_the_interval(name: str, request: pytest.FixtureRequest) -> None:
    r = request.getfixturevalue(name)
    gap = r["difference"]
    expected = "no evidence either way"
    if gap["high"] < 0:
        expected = "dropout helps"
    elif gap["low"] > 0:
        expected = "dropout hurts"
    assert r["verdict"] == expected
    assert r["sentence"].lower().startswith(expected)


@pytest.mark.parametrize("name", ["houses_results", "flowers_results"])
def test_the_best_trial_is_the_one_confirmed(name: str, request: pytest.FixtureRequest) -> None:
    r = request.getfixturevalue(name)
    complete = [t["validation_loss"] for t in r["trials"]["baseline"] if t["state"] == "complete"]
    assert r["baseline"]["validation_loss"] == min(complete)
    for side in ("dropout", "baseline"):
        losses = [trial["validation_loss"] for trial in r["trials"][side]]
        assert r[side]["validation_loss"] in losses
    chosen = r[r["recommended"]["side"]]
    assert chosen["settings"].items() <= {**r["recommended"], "epochs": chosen["settings"]["epochs"]}.items()


# Which to use


def found(verdict: str, dropout: float, baseline: float) -> StudyFindings:
    low, high = {"helps": (-2.0, -1.0), "hurts": (1.0, 2.0), "none": (-1.0, 1.0)}[verdict]
    gap = Difference((low + high) / 2, Interval(low, high), Interval(low, high))
    winner = Winner(NetworkSettings(4, 5), outcome())
    return StudyFindings(
        Grown(4, True, "", {}),
        {"dropout": [], "baseline": []},
        {
            "dropout": replace(winner, outcome=outcome(dropout)),
            "baseline": replace(winner, outcome=outcome(baseline)),
        },
        [],
        FinalScores({"dropout": [], "baseline": []}, gap, 0.0, 0.0),
    )


@pytest.mark.parametrize(
    ("verdict", "dropout", "baseline", "side"),
    [
        ("helps", 0.9, 0.1, "dropout"),
        ("hurts", 0.1, 0.9, "baseline"),
        ("none", 0.1, 0.9, "dropout"),
        ("none", 0.9, 0.1, "baseline"),
    ],
)
def test_the_test_set_decides_if_it_can_and_else_validation(
    verdict: str, dropout: float, baseline: float, side: str
) -> None:
    chosen, why = recommend(found(verdict, dropout, baseline))
    assert chosen == side
    assert ("validation" in why) == (verdict == "none")


def test_results_are_plain_json_without_nan(houses_results: dict[str, Any]) -> None:
    json.dumps(houses_results, allow_nan=False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", houses_results["created"])
    assert np.isfinite(list(houses_results["seconds"].values())).all()
