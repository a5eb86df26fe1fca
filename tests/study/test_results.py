from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thinnet
from thinnet import net
from thinnet.study.problem import Problem
from thinnet.study.results import Findings, code, recommend
from thinnet.study.scoring import Scores
from thinnet.study.settings import Plan, Settings
from thinnet.study.stages import Grown, Winner
from thinnet.study.verdict import Difference, Interval

from .helpers import outcome


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


# Code to copy


def ran(source: str, problem: Problem) -> net.Network:
    names: dict[str, Any] = {"X": problem.x, "Y": problem.y()}
    exec(source, names)
    return names["net"]


@pytest.mark.parametrize(("run", "problem"), [("houses_results", "priced"), ("flowers_results", "kinds")])
def test_the_code_of_a_study_trains_the_recommended_network(
    run: str, problem: str, request: pytest.FixtureRequest
) -> None:
    results, posed = request.getfixturevalue(run), request.getfixturevalue(problem)
    network = ran(results["code"], posed)
    best = results["recommended"]
    widths = [layer.inputs for layer in network.layers if isinstance(layer, net.Dense)]
    assert "-".join(map(str, [*widths, network.outputs])) == results[best["side"]]["network"]
    assert network.step == best["epochs"] * -(-len(posed.rows) // best["batch"])
    rates = [layer.rate for layer in network.layers if isinstance(layer, net.Dropout)]
    wanted = [best["input_rate"], best["hidden_rate"], best["hidden_rate"]]
    assert rates == pytest.approx([rate for rate in wanted if rate], rel=1e-3)
    x, y = network.check(posed.x, posed.y(), "test")
    untrained = net.Network(network.layers, key=network.key, loss=network.loss)
    assert network.loss_of(x, y) < untrained.loss_of(x, y)


def test_the_code_says_all_that_was_chosen(kinds: Problem) -> None:
    settings = Settings(6, 4, 0.00123456, 0.1, 0.25, 2.5, 0.03)
    winner = Winner(settings, outcome(epochs=3))
    network = ran(code(kinds, Plan(2, 16, 10, 5, 8), winner, 11), kinds)
    assert network.key == thinnet.Key(11)
    assert [repr(layer) for layer in network.layers if isinstance(layer, net.Dropout)]
    norms = [layer.max_norm for layer in network.layers if isinstance(layer, net.Dense)]
    assert norms == [2.5, 2.5, None]
    source = code(kinds, Plan(2, 16, 10, 5, 8), winner, 11)
    updates = 4 * -(-len(kinds.rows) // 16)
    assert f"Cosine(0.001235, 0.0, steps={updates})" in source
    assert "weight_decay=0.03" in source
    assert "epochs=3, batch=16" in source


# Which to use


def found(verdict: str, dropout: float, baseline: float) -> Findings:
    low, high = {"helps": (-2.0, -1.0), "hurts": (1.0, 2.0), "none": (-1.0, 1.0)}[verdict]
    gap = Difference((low + high) / 2, Interval(low, high), Interval(low, high))
    winner = Winner(Settings(4, 5), outcome())
    return Findings(
        Grown(4, True, "", {}),
        {"dropout": [], "baseline": []},
        {
            "dropout": replace(winner, outcome=outcome(dropout)),
            "baseline": replace(winner, outcome=outcome(baseline)),
        },
        [],
        Scores({"dropout": [], "baseline": []}, gap, 0.0, 0.0),
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
