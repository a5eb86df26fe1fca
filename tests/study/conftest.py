"""A small table and one finished study of it, shared by the tests that only look."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from thinnet.study.problem import Columns
from thinnet.study.run import Options, study


def mixed_table(rows: int = 150) -> pd.DataFrame:
    """Return numbers with gaps, a category, a date, a constant and a counter, with a target in them."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(rows, 3))
    kind = rng.choice(["red", "green", "blue"], rows)
    price = 3 * x[:, 0] - x[:, 1] * (kind == "red") + rng.normal(size=rows) / 4 + 100
    frame = pd.DataFrame(x.round(4), columns=["a", "b", "c"])
    frame.loc[::17, "b"] = np.nan
    frame["kind"] = kind
    frame["when"] = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    frame["same"] = 1
    frame["id"] = np.arange(rows)
    frame["price"] = price.round(3)
    return frame


@pytest.fixture(scope="session")
def regression_run(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder: Path = tmp_path_factory.mktemp("houses")
    data = folder / "houses.csv"
    mixed_table().to_csv(data, index=False)
    options = Options(
        str(data), folder / "run", Columns("price"), trials=4, seeds=2, max_width=64, jobs=2, quiet=True
    )
    results = study(options)
    return SimpleNamespace(folder=folder / "run", data=data, options=options, results=results)


@pytest.fixture(scope="session")
def written(regression_run: SimpleNamespace) -> dict[str, object]:
    return json.loads((regression_run.folder / "results.json").read_text())
