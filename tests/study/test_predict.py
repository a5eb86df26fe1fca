"""`thinnet predict`: the study's own network, on tables that look a little different."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import thinnet as tn
from thinnet.errors import DataError, FileError
from thinnet.net import Dense, Network, SquaredError
from thinnet.study.predict import load_model, predict

from .conftest import mixed_table

pytestmark = pytest.mark.xdist_group("study")


def test_predictions_are_in_the_target_s_unit_and_good(
    regression_run: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "predictions.csv"
    predict(regression_run.folder, str(regression_run.data), out)
    predicted = pd.read_csv(out)
    truth = mixed_table()["price"]
    assert list(predicted.columns) == ["price"]
    assert np.sqrt(np.mean((predicted["price"] - truth) ** 2)) < 0.5 * truth.std()


def test_order_of_columns_extra_ones_and_new_categories(
    regression_run: SimpleNamespace, tmp_path: Path
) -> None:
    table = mixed_table().drop(columns="price").head(5)
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    table.to_csv(one, index=False)
    table[table.columns[::-1]].assign(extra="x").to_csv(other, index=False)
    first, second = (predict(regression_run.folder, str(path), None) for path in (one, other))
    assert np.array_equal(first, second)
    table.assign(kind="ultraviolet", when="not a date").to_csv(other, index=False)
    assert np.isfinite(predict(regression_run.folder, str(other), None)).all(axis=None)


def test_a_missing_column_is_named(regression_run: SimpleNamespace, tmp_path: Path) -> None:
    table = mixed_table().drop(columns=["price", "kind"]).head(3)
    table.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match=r'new.csv.*"kind"'):
        predict(regression_run.folder, str(tmp_path / "new.csv"), None)


def test_models_that_are_none(regression_run: SimpleNamespace, tmp_path: Path) -> None:
    whole = (regression_run.folder / "model.safetensors").read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole[: len(whole) // 2])
    foreign = tmp_path / "foreign.safetensors"
    Network([Dense(2, 1)], key=tn.Key(0), loss=SquaredError()).save(foreign)
    for path, words in (
        (cut, "not a whole safetensors file"),
        (foreign, "not a model of thinnet study"),
        (tmp_path / "absent", "no such file"),
        (tmp_path, "no model.safetensors"),
    ):
        with pytest.raises(FileError, match=words) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)


def test_nothing_is_written_where_nothing_can_be(regression_run: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        predict(regression_run.folder, str(regression_run.data), tmp_path / "no" / "folder.csv")
    assert not list(tmp_path.iterdir())
