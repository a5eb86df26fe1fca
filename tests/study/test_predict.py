from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import numpy as safetensors_numpy

from thinnet import _cli as cli
from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import DataError, FileError, InputError
from thinnet.study._predict import Model, load_model, predict, to_csv
from thinnet.study._recipe.scoring import predict_test_rows
from thinnet.study._tables.problem import Problem

from .helpers import copy, finish, start

tensors: Any = safetensors_numpy  # partly untyped


@pytest.fixture
def prices(finished: tuple[Path, str]) -> Model:
    return load_model(finished[0])


@pytest.fixture
def sorts(classified: Path) -> Model:
    return load_model(classified)


def test_predictions_of_the_test_rows_are_those_the_study_scored(
    finished: tuple[Path, str], houses: Path, priced: Problem, tmp_path: Path
) -> None:
    new, out = tmp_path / "new.csv", tmp_path / "out.csv"
    pd.read_csv(houses).iloc[priced.test].drop(columns="price").to_csv(new, index=False)
    assert cli.run(["predict", str(finished[0]), str(new), "--out", str(out)]) == 0
    said = pd.read_csv(out)
    assert list(said) == ["price"]
    known = predict_test_rows(priced, net.Network.load(finished[0] / "model.safetensors"))
    np.testing.assert_allclose(said["price"], known, rtol=1e-6)
    results = json.loads((finished[0] / "results.json").read_text("utf-8"))
    rmse = float(
        np.sqrt(np.mean((np.asarray(said["price"], np.float64) - priced.target.y[priced.test]) ** 2))
    )
    assert rmse == pytest.approx(results[results["recommended"]["side"]]["scores"][0], rel=1e-5)


def test_classes_come_with_their_probabilities(
    sorts: Model, classified: Path, flowers: Path, kinds: Problem
) -> None:
    frame = pd.read_csv(flowers).iloc[kinds.test]
    said = sorts.predict(frame, "new.csv")
    assert list(said) == ["kind", "p(iris)", "p(rose)"]
    p = said[["p(iris)", "p(rose)"]].to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-6)
    assert ((p >= 0) & (p <= 1)).all()
    assert said["kind"].tolist() == [("iris", "rose")[best] for best in p.argmax(axis=1)]
    known = predict_test_rows(kinds, net.Network.load(classified / "model.safetensors"))
    assert said["kind"].tolist() == [("iris", "rose")[best] for best in known]


def test_values_are_in_the_targets_own_unit(prices: Model, houses: Path) -> None:
    # Standardised values lie between -4 and 4; the prices lie around 700.
    frame = pd.read_csv(houses)
    assert frame["price"].min() - 200 < prices.predict(frame, "new.csv")["price"].mean()
    assert prices.predict(frame, "new.csv")["price"].mean() < frame["price"].max() + 200


def test_order_of_columns_and_rows_and_other_columns_do_not_matter(prices: Model, houses: Path) -> None:
    frame = pd.read_csv(houses)
    plain = prices.predict(frame, "new.csv")
    mixed = frame[["noise", "price", "age", "area"]].assign(more="text")
    pd.testing.assert_frame_equal(prices.predict(mixed, "new.csv"), plain)
    turned = prices.predict(frame.iloc[::-1], "new.csv")
    np.testing.assert_allclose(turned["price"][::-1], plain["price"], rtol=1e-5)


def test_unknown_categories_and_missing_cells_are_predicted_for(sorts: Model) -> None:
    frame = pd.DataFrame({"length": [0.5, None, 0.5], "colour": ["green", "red", None]})
    said = sorts.predict(frame, "new.csv")
    assert len(said) == 3
    assert np.isfinite(said[["p(iris)", "p(rose)"]].to_numpy()).all()
    assert said["p(iris)"][0] == said["p(iris)"][2]  # neither is a colour of the study's


def test_without_out_the_table_is_printed(
    finished: tuple[Path, str], houses: Path, prices: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["predict", str(finished[0]), str(houses)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out == to_csv(prices.predict(pd.read_csv(houses), "houses.csv"))
    assert out.count("\n") == 31


def test_the_model_may_be_named_itself_and_moved(
    finished: tuple[Path, str], houses: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "other name.safetensors"
    moved.write_bytes((finished[0] / "model.safetensors").read_bytes())
    pd.testing.assert_frame_equal(
        predict(moved, str(houses)), predict(finished[0], str(houses), out=tmp_path / "out.csv")
    )


def test_names_that_the_terminal_has_no_letters_for(
    finished: tuple[Path, str], houses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, extra = net.Network.load_with_metadata(finished[0] / "model.safetensors")
    network.save(tmp_path / "model.safetensors", metadata={**extra, "target": "größe"})
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    code, out, err = finish(start("predict", tmp_path, houses))
    assert (code, err) == (0, "")
    assert out.startswith("gr\\xf6\\xdfe\n")


# What cannot be predicted


def ask(refusal: Any, model: Model, **columns: Any) -> str:
    return refusal(DataError, model.predict, pd.DataFrame(columns), "new.csv")


def test_a_column_that_is_missing_is_named(prices: Model, refusal: Any) -> None:
    message = ask(refusal, prices, area=[1.0], ages=[2.0], noise=[1.0])
    assert message == 'new.csv: the column "age" is missing; did you mean "ages"?'


def test_a_text_among_numbers_is_named(prices: Model, refusal: Any) -> None:
    message = ask(refusal, prices, area=[1.0, 2.0], age=[1.0, "old"], noise=[1.0, 1.0])
    assert message.startswith('new.csv, row 3, column "age": "old" is not a number')


def failed(arguments: list[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command line, expect one line of refusal, and return it."""
    assert cli.run(list(map(str, arguments))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("kept", [0, 4, 300, -1])
def test_a_model_that_was_cut_short(
    kept: int, finished: tuple[Path, str], houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy(finished[0], tmp_path / "run")
    whole = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(whole[:kept])
    said = failed(["predict", run, houses, "--out", tmp_path / "out.csv"], capsys)
    assert said.startswith(f"{run / 'model.safetensors'}: not a complete safetensors file")
    assert not (tmp_path / "out.csv").exists()


def test_networks_that_are_no_models(houses: Path, tmp_path: Path, refusal: Any) -> None:
    path = tmp_path / "model.safetensors"
    tensors.save_file({"weight": np.zeros(3, np.float32)}, str(path))
    assert "not a network of thinnet" in refusal(FileError, load_model, path)
    net.Network([net.Dense(3, 1)], key=Key(0), loss=net.SquaredError()).save(path)
    assert "not a model of thinnet study" in refusal(FileError, load_model, path)
    assert "there is no model.safetensors in it" in refusal(FileError, load_model, houses.parent)
    assert "no such file" in refusal(FileError, load_model, tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"preparation": []}, "damaged"),
        ({"preparation": None}, "damaged"),
        ({"center": "middle"}, "damaged"),
        ({"classes": 3}, "damaged"),
        ({"classes": ["a", "b", "c"]}, "does not match"),
        ({"preparation": [{"name": "area", "kind": "number"}]}, "does not match"),
    ],
)
def test_a_model_whose_description_is_damaged(
    change: dict[str, Any], word: str, finished: tuple[Path, str], tmp_path: Path, refusal: Any
) -> None:
    network, extra = net.Network.load_with_metadata(finished[0] / "model.safetensors")
    path = tmp_path / "model.safetensors"
    network.save(path, metadata={**extra, **change})
    assert word in refusal(FileError, load_model, path)
    network.save(path, metadata={key: value for key, value in extra.items() if key not in change})
    assert "damaged" in refusal(FileError, load_model, path)


def test_predictions_in_a_folder_that_does_not_exist(
    finished: tuple[Path, str], houses: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "nowhere" / "out.csv"
    said = failed(["predict", finished[0], houses, "--out", out], capsys)
    assert said == f"{out}: cannot be written: no such file or folder.\n"


def test_names_that_are_too_long(houses: Path, refusal: Any) -> None:
    words = "cannot be read: its name is too long."
    assert refusal(FileError, predict, "x" * 5000, str(houses)) == f"{'x' * 200}…: {words}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"run": 3}, "run must be a path, got 3."),
        ({"source": None}, "source must be a path, got None."),
        ({"out": 3}, "out must be a path, got 3."),
        ({"missing": "NA"}, "missing must be a list of texts, got 'NA'."),
    ],
)
def test_arguments_of_other_types(
    finished: tuple[Path, str], houses: Path, options: dict[str, Any], words: str, refusal: Any
) -> None:
    valid: dict[str, Any] = {"run": finished[0], "source": str(houses)}
    assert refusal(InputError, predict, **{**valid, **options}) == f"predict: {words}"
