"""The code to paste trains the study's own network, to the bit."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet.study import _run as module
from thinnet.study import study
from thinnet.study._recipe.stages import Winner
from thinnet.study._report.code import make_code
from thinnet.study._tables.problem import ColumnRoles, Problem, make_problem
from thinnet.study._tables.table import load_table
from thinnet.study._trainings.settings import NetworkSettings, TrainingPlan

from ..helpers import outcome

GIVEN: dict[str, Any] = {
    "seed": 0,
    "seeds": 3,
    "target": None,
    "task": None,
    "group": None,
    "categories": [],
    "drop": [],
}


def ran(source: str, folder: Path) -> tuple[Any, str]:
    """Run source in a folder; return its pipeline and what it prints."""
    names: dict[str, Any] = {}
    here, printed = Path.cwd(), io.StringIO()
    try:
        os.chdir(folder)
        with contextlib.redirect_stdout(printed):
            exec(source, names)
    finally:
        os.chdir(here)
    return getattr(names["model"], "regressor_", names["model"]), printed.getvalue()


@pytest.mark.parametrize(("run", "table"), [("finished", "houses"), ("classified", "flowers")])
def test_it_trains_the_recommended_network(run: str, table: str, request: pytest.FixtureRequest) -> None:
    folder, data = request.getfixturevalue(run), request.getfixturevalue(table)
    folder = folder[0] if isinstance(folder, tuple) else folder
    results = json.loads((folder / "results.json").read_text("utf-8"))
    pipeline, printed = ran(results["code"], data.parent)
    kept = net.Network.load(folder / "model.safetensors")
    network = pipeline[-1].network_
    assert [type(layer) for layer in network.layers] == [type(layer) for layer in kept.layers]
    assert np.array_equal(network.flat, kept.flat)
    score = results[results["recommended"]["side"]]["scores"][0]
    assert float(printed) == pytest.approx(score, rel=1e-5, abs=1e-12)


def test_it_does_so_for_every_kind_of_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, flags, categories, dates with hours, missing words, classes that are numbers."""
    monkeypatch.setattr(module, "write_report", lambda *_: None)  # takes seconds
    rng = np.random.default_rng(0)
    lines = ["when,size,flag,town,code,noise,points"]
    for row in range(60):
        day, size = f"2024-{1 + row % 12:02}-{1 + row % 28:02} {row % 24:02}:00", rng.normal()
        cell = "?" if row % 7 == 3 else f"{size:.3f}"
        town, code_, points = ("Ulm", "Rom", "Łódź")[row % 3], row % 4, 5 * (row % 3)
        lines.append(f"{day},{cell},{row % 2},{town},{code_},{rng.normal():.3f},{points}")
    (tmp_path / "mixed.csv").write_text("\n".join(lines) + "\n", "utf-8")
    columns = {"target": "points", "categories": ["code"], "drop": ["noise"], "missing": ["?"]}
    few = {"seed": 3, "trials": 2, "seeds": 2, "max_width": 4, "jobs": 1}
    results = study(str(tmp_path / "mixed.csv"), out=tmp_path / "run", quiet=True, **columns, **few)
    assert 'split("mixed.csv", target="points", missing=["?"], seed=3)' in results["code"]
    assert 'TablePreparation(categories=["code"], drop=["noise"])' in results["code"]
    pipeline, _ = ran(results["code"], tmp_path)
    kept = net.Network.load(tmp_path / "run" / "model.safetensors")
    assert np.array_equal(pipeline[-1].network_.flat, kept.flat)
    assert pipeline[-1].classes_.tolist() == [0, 5, 10]


def test_it_says_all_that_was_chosen(kinds: Problem) -> None:
    settings = NetworkSettings(6, 4, 0.001235, 0.1, 0.25, 2.5, 0.03)
    source = make_code(
        kinds, TrainingPlan(2, 16, 10, 5, 8), Winner(settings, outcome(epochs=3)), {**GIVEN, "seed": 11}
    )
    updates = 4 * -(-len(kinds.rows) // 16)
    for line in (
        "hidden_layer_sizes=(6, 6),",
        'solver="adamw",',
        "alpha=0.03,",
        "batch_size=16,",
        f"learning_rate_init=Cosine(start=0.001235, stop=0.0, steps={updates}),",
        "max_iter=3,",
        "random_state=33,",
        "dropout=0.25,",
        "input_dropout=0.1,",
        "max_norm=2.5,",
    ):
        assert f"        {line}\n" in source


def test_names_are_written_as_python(houses: Path, tmp_path: Path) -> None:
    hostile = 'a"); import os; ("'
    table = tmp_path / "table.csv"
    quoted = hostile.replace('"', '""')
    table.write_text(houses.read_text("utf-8").replace("price", f'"{quoted}"'), "utf-8")
    problem = make_problem(load_table(str(table)), ColumnRoles(hostile), 0)
    source = make_code(
        problem,
        TrainingPlan(2, 16, 10, 5, 8),
        Winner(NetworkSettings(4, 4), outcome()),
        {**GIVEN, "target": hostile},
    )
    assert f"target={hostile!r}" in source
    compile(source, "pasted", "exec")
