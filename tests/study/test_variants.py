"""A search over variants of dropout: every one gets the recipe, and the best network says which it has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet import _cli as cli
from thinnet import net
from thinnet.errors import InputError
from thinnet.study import Options
from thinnet.study._recipe.search import GENERATION, SearchTrial, propose
from thinnet.study._recipe.space import search_space, settings_from_choice, starts
from thinnet.study._trainings.settings import NetworkSettings, TrainingPlan, estimator_arguments

from .helpers import finish, outcome, start
from .report.test_code import ran

THREE = ("GaussianDropout", "Dropout", "UnitDropout")
TWO = THREE[:2]
PLAN = TrainingPlan(depth=2, batch=32, epochs=100, folds=5, max_width=64)


def test_every_variant_starts_with_the_recipe() -> None:
    first = starts("dropout", THREE)
    assert [choice["variant"] for choice in first[:6]] == [*THREE, *THREE]
    assert [(c["input_rate"], c["hidden_rate"]) for c in first[:6]] == [(0.2, 0.5)] * 3 + [(0.0, 0.5)] * 3
    assert {choice["variant"] for choice in first[6:]} == {THREE[0]}
    assert [c["hidden_rate"] for c in first if c["variant"] == THREE[0]] == [
        c["hidden_rate"] for c in starts("dropout")
    ]
    assert starts("baseline", THREE) == starts("baseline")
    assert search_space("baseline", THREE) == search_space("baseline")


def test_one_plain_variant_is_no_dimension() -> None:
    assert "variant" not in search_space("dropout")
    assert all("variant" not in choice for choice in starts("dropout"))
    assert "variant" in search_space("dropout", ("GaussianDropout",))
    assert settings_from_choice("dropout", starts("dropout")[0], 8, PLAN).variant == "Dropout"


def test_the_search_finds_the_better_variant() -> None:
    trials: list[SearchTrial] = []
    while len(trials) < 40:
        for choice in propose("dropout", 0, trials, GENERATION, THREE):
            assert choice.keys() == search_space("dropout", THREE).keys()
            value = 0.1 if choice["variant"] == "UnitDropout" else 1.0
            trials.append(SearchTrial(choice, outcome(value + abs(choice["hidden_rate"] - 0.3))))
    sampled = Counter(trial.choice["variant"] for trial in trials[12:])
    assert sampled["UnitDropout"] > len(trials[12:]) / 2


def test_an_estimator_is_told_its_variant() -> None:
    told = estimator_arguments(NetworkSettings(8, 10, hidden_rate=0.5, variant="UnitDropout"), PLAN, 40, 6, 0)
    assert (told["variant"], told["dropout"]) == ("UnitDropout", 0.5)
    assert "variant" not in estimator_arguments(NetworkSettings(8, 10, hidden_rate=0.5), PLAN, 40, 6, 0)
    assert NetworkSettings(8, 10, variant="UnitDropout").to_json()["variant"] is None


def test_a_study_over_variants(houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    few = ("--target", "price", "--trials", "4", "--seeds", "2", "--max-width", "4", "--jobs", "1")
    more = ("--variants", ",".join(TWO), "--time-budget", "10h")
    code, out, err = finish(start("study", houses, *few, *more, "--out", run))
    assert (code, err) == (0, "")
    results: dict[str, Any] = json.loads((run / "results.json").read_text("utf-8"))
    losses = [row["validation_loss"] for row in results["variants"]]
    assert {row["variant"] for row in results["variants"]} <= set(TWO)
    assert losses == sorted(losses)
    assert losses[0] == results["dropout"]["validation_loss"]
    assert results["dropout"]["settings"]["variant"] == results["variants"][0]["variant"]
    assert results["baseline"]["settings"]["variant"] is None
    assert {point["rate"] for point in results["sweep"]} == {0.5}  # four trials: two for each variant
    assert results["options"]["time_budget"] == 36_000  # no limit here
    assert [len(results["trials"][side]) for side in ("dropout", "baseline")] == [4, 4]
    assert "least validation loss of each variant" in out
    page = (run / "report.html").read_text("utf-8")
    assert "Which dropout" in page
    assert all(row["variant"] in page for row in results["variants"])
    pipeline, _ = ran(results["code"], houses.parent)
    kept = net.Network.load(run / "model.safetensors")
    assert np.array_equal(pipeline[-1].network_.flat, kept.flat)
    # Another choice of variants is another study.
    assert cli.run(["study", str(houses), *few, "--out", str(run)]) == 2
    assert "this run has variants ['GaussianDropout', " in capsys.readouterr().err


def test_a_study_of_one_variant_says_nothing_of_variants(finished: tuple[Path, str]) -> None:
    results = json.loads((finished[0] / "results.json").read_text("utf-8"))
    assert results["variants"] == []
    assert "Which dropout" not in (finished[0] / "report.html").read_text("utf-8")
    assert results["options"]["variants"] == ["Dropout"]


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ((), "study: variants must be a non-empty list without repetitions, got none."),
        (("Dropout", "Dropout"), "got Dropout,Dropout."),
        (("Zoneout",), "study: variants: Zoneout does not act on the rows of a table; choose from Dropout, "),
        (("Dropout", "Dropuot"), "did you mean 'Dropout'?"),
        (THREE, "study: trials must be at least 6 for 3 variants, got 4."),
        ("Dropout", "study: variants must be a list of texts, got 'Dropout'."),
    ],
)
def test_variants_that_are_refused(
    variants: tuple[str, ...] | str, said: str, refusal: Callable[..., str]
) -> None:
    assert said in refusal(InputError, Options, variants=variants, trials=4)
