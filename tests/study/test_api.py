"""The study from Python: what is returned, and errors that name arguments and not flags."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import thinnet as tn
from thinnet.errors import DataError, InputError, MissingPackage, RunError
from thinnet.study import Options, predict, study
from thinnet.study import _run as module
from thinnet.study._spelling import as_flags, spell_option

SETTINGS: dict[str, Any] = {"target": "price", "trials": 6, "seeds": 3, "max_width": 4}


def test_a_finished_study_is_returned_without_training(
    finished: tuple[Path, str], houses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Workers", None)
    expected = json.loads((finished[0] / "results.json").read_text("utf-8"))
    assert study(str(houses), out=finished[0], quiet=True, **SETTINGS) == expected
    assert study(Options(str(houses), out=finished[0], quiet=True, **SETTINGS)) == expected
    assert tn.study.study is study


def test_predictions_are_a_frame(finished: tuple[Path, str], houses: Path, tmp_path: Path) -> None:
    found = predict(finished[0], str(houses), out=tmp_path / "out.csv")
    assert list(found) == ["price"]
    assert len(found) == 30
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out.csv"), found, rtol=1e-8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": 0}, "study: trials must be a whole number of at least 1, got 0."),
        ({"trials": 2.5}, "study: trials must be a whole number of at least 1, got 2.5."),
        ({"seeds": 1}, "study: seeds must be a whole number of at least 2, got 1."),
        ({"max_width": "8"}, "study: max_width must be a whole number of at least 1, got '8'."),
        ({"jobs": 0}, "study: jobs must be a whole number of at least 1, got 0."),
        ({"time_budget": 5}, "study: time_budget must be a number of at least 10, got 5."),
        ({"seed": -1}, "study: seed must be a whole number in [0, 2**32), got -1."),
        ({"drop": "id"}, "study: drop must be a list of texts, got 'id'."),
        ({"missing": [1]}, "study: missing must be a list of texts, got [1]."),
        ({"categories": 3}, "study: categories must be a list of texts, got 3."),
        ({"source": 3}, "study: source must be a path, got 3."),
        ({"out": 3}, "study: out must be a path, got 3."),
        ({"target": 3}, "study: target must be a str, got 3."),
        ({"group": 3}, "study: group must be a str, got 3."),
        ({"storage": 3}, "study: storage must be a str, got 3."),
        ({"quiet": "no"}, "study: quiet must be True or False, got 'no'."),
    ],
)
def test_options_are_checked_when_made(
    options: dict[str, Any], said: str, refusal: Callable[..., str]
) -> None:
    assert refusal(InputError, Options, **options) == said
    assert refusal(InputError, study, **options) == said


def test_errors_name_arguments(houses: Path, finished: tuple[Path, str], refusal: Callable[..., str]) -> None:
    def refused(kind: type[InputError], **options: Any) -> str:
        return refusal(kind, study, str(houses), **options)

    message = refused(DataError)
    assert message.startswith('houses.csv: name the target with target="COLUMN"; the columns are ')
    assert "there is no column" in refused(DataError, target="price", group="field")
    message = refused(DataError, target="price", drop=["aera"])
    assert message == 'houses.csv: drop=["aera"]: did you mean "area"?'
    message = refused(RunError, **{**SETTINGS, "seed": 1}, out=finished[0])
    assert message.endswith("this run has seed 0, not 1; give another folder as out.")
    assert "--" not in message
    assert "not both" in refusal(InputError, study, Options(), trials=3)


def test_options_are_spelled_as_flags_for_the_command_alone() -> None:
    assert spell_option("categories", '"zip"') == 'categories=["zip"]'
    with as_flags():
        assert spell_option("categories", '"zip"') == '--category "zip"'
        assert spell_option("max_width") == "--max-width"
    assert spell_option("max_width") == "max_width"


def test_a_script_without_a_guard_is_told_about_it(tmp_path: Path, houses: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from thinnet.study import study\n"
        f"study({str(houses)!r}, out={str(tmp_path / 'run')!r}, jobs=1, quiet=True, **{SETTINGS})\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert 'call study() within if __name__ == "__main__".' in done.stderr


def test_the_namespace_loads_little_and_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, thinnet.study; print(sorted({'pandas', 'sklearn', 'optuna'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    for name in [name for name in sys.modules if name.startswith("thinnet.study._tables.pipeline")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(tn.study), "split", raising=False)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackage) as caught:
        _ = tn.study.split
    remedy = 'run: pip install "thinnet[study]"'
    assert str(caught.value) == f"thinnet.study: the package pandas is not installed; {remedy}"
