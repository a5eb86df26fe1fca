from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from thinnet.errors import DataError
from thinnet.study import TablePreparation, split
from thinnet.study._tables.preparation import prepare
from thinnet.study._tables.problem import Problem


def test_split_is_the_studys(houses: Path, priced: Problem) -> None:
    x_train, x_test, y_train, y_test = split(str(houses), target="price")
    assert np.array_equal(x_train.index, priced.rows)
    assert np.array_equal(x_test.index, priced.test)
    assert np.array_equal(y_train, priced.target.y[priced.rows])
    assert np.array_equal(y_test, priced.target.y[priced.test])
    assert list(x_train.columns) == ["area", "age", "noise"]


def test_split_by_groups(flowers: Path, kinds: Problem) -> None:
    x_train, x_test, y_train, _ = split(str(flowers), target="kind", group="field")
    assert np.array_equal(x_test.index, kinds.test)
    assert "field" not in x_train
    assert np.array_equal(np.unique(y_train, return_inverse=True)[1], kinds.target.y[kinds.rows])


def test_seeds_split_otherwise() -> None:
    first, second = (split("wine", seed=seed)[1].index for seed in (0, 1))
    assert list(first) != list(second)


def test_a_transformer_of_scikit_learns(houses: Path) -> None:
    x_train, x_test, _, _ = split(str(houses), target="price")
    made = TablePreparation(drop=["noise"])
    found = made.fit_transform(x_train)
    plan = prepare(x_train.drop(columns="noise"), "t")
    assert np.array_equal(found, plan.transform(x_train, "t"))
    assert found.dtype == np.float32
    assert np.array_equal(made.transform(x_test), plan.transform(x_test, "t"))
    assert made.get_feature_names_out().tolist() == ["area", "age"]
    assert clone(made).drop == ["noise"]
    framed = made.set_output(transform="pandas").transform(x_test)
    assert list(framed.columns) == ["area", "age"]


def test_what_it_refuses() -> None:
    with pytest.raises(NotFittedError, match="TablePreparation: not fitted yet"):
        TablePreparation().transform(pd.DataFrame({"a": [1.0]}))
    with pytest.raises(DataError, match=r"TablePreparation: drop=\[\"b\"\]"):
        TablePreparation(drop=["b"]).fit(pd.DataFrame({"a": [1.0, 2.0]}))
