from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from thinnet.errors import DataError, InputError
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source": 3}, "source must be a path, got 3."),
        ({"target": 3}, "target must be a str, got 3."),
        ({"seed": "a"}, "seed must be a whole number in [0, 2**32), got 'a'."),
        ({"missing": "NA"}, "missing must be a list of texts, got 'NA'."),
    ],
)
def test_arguments_of_a_split_of_other_types(
    options: dict[str, Any], words: str, refusal: Callable[..., str]
) -> None:
    assert refusal(InputError, split, **{"source": "wine", **options}) == f"split: {words}"


def test_columns_of_other_types(refusal: Callable[..., str]) -> None:
    table = pd.DataFrame({"a": [1.0, 2.0]})
    line = refusal(InputError, TablePreparation(categories=3).fit, table)
    assert line == "TablePreparation: categories must be a list of texts, got 3."
