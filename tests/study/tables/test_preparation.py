from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from thinnet.errors import DataError, InputError
from thinnet.study._tables.preparation import Preparation, prepare
from thinnet.study._tables.table import load_table


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def treated(values: Any, name: str = "a", **overrides: Any) -> dict[str, Any]:
    """Return the row that describes one column, beside one that is always kept."""
    frame = pd.DataFrame({name: values})
    frame["beside"] = np.random.default_rng(0).normal(size=len(frame))
    return prepare(frame, "houses.csv", **overrides).describe()[0]


def refusal(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    return message


def again(plan: Preparation) -> Preparation:
    return Preparation.from_json(json.loads(json.dumps(plan.to_json(), allow_nan=False)))


# What is dropped

NAMES = [f"person {position}" for position in range(40)]
LONG = [f"a long and winding text about house {position // 2}" for position in range(40)]
SHUFFLED = np.random.default_rng(0).permutation(np.arange(1, 51) * 10)[:40]
CUBES = np.arange(40) ** 3


@pytest.mark.parametrize(
    ("name", "values", "word"),
    [
        ("a", [1.5] * 40, "constant"),
        ("a", ["x"] * 40, "constant"),
        ("a", [pd.Timestamp("2024-01-01")] * 40, "constant"),
        ("a", [None] * 40, "missing"),
        ("a", ["  "] * 40, "missing"),
        ("a", NAMES, "identifier"),
        ("a", np.arange(40), "counts"),
        ("a", SHUFFLED, "counts"),
        ("a", [float(value) for value in range(39)] + [None], "counts"),
        ("id", CUBES, "identifier"),
        ("house_id", CUBES, "identifier"),
        ("PassengerId", CUBES, "identifier"),
        ("Index", CUBES, "identifier"),
        ("Unnamed: 0", CUBES, "identifier"),
        ("a", LONG, "long"),
    ],
)
def test_useless_columns_are_dropped(name: str, values: Any, word: str) -> None:
    row = treated(values, name)
    assert row["kind"] == "dropped"
    assert row["features"] == 0
    assert word in row["treatment"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("grid", CUBES),
        ("paid", CUBES),
        ("id", [1, 1, 2, 3] * 10),
        ("a", np.arange(40) + 0.5),
        ("a", [1, 2, 3, 4] * 10),
        ("a", [5.0] * 39 + [None]),
        ("a", np.arange(40) ** 2),
    ],
)
def test_useful_columns_are_kept(name: str, values: Any) -> None:
    assert treated(values, name)["features"] > 0


def test_rows_are_counted_in_any_part_of_the_table() -> None:
    rng = np.random.default_rng(1)
    frame = frame_of(nr=range(1, 201), x=rng.normal(size=200))
    part = frame.iloc[rng.permutation(200)[:120]]
    assert prepare(part, "houses.csv").features == ["x"]


def test_drop_is_obeyed() -> None:
    row = treated([1.5, 2.5, 4.0], drop=("a",))
    assert row["treatment"] == "dropped: asked for with --drop"
    assert row["features"] == 0


def test_nothing_left_is_refused() -> None:
    message = refusal(prepare, frame_of(a=[1.0] * 30, name=[f"n {i}" for i in range(30)]), "houses.csv")
    assert message.startswith("houses.csv: no column is left")
    assert '"a" (constant)' in message


# What is refused


def test_a_bad_cell_is_named_with_its_row() -> None:
    frame = frame_of(area=["50", "70", "n/a", "90"])
    assert refusal(prepare, frame, "houses.csv") == (
        'houses.csv, row 4, column "area": "n/a" is not a number; '
        'name missing values with missing=["n/a"], or keep such texts with categories=["area"].'
    )
    assert "row 4," in refusal(prepare, frame.iloc[[3, 2, 0]], "houses.csv")
    assert prepare(frame_of(a=["x", "y", "x", "y", "7"]), "houses.csv").describe()[0]["kind"] == "category"


def test_an_infinite_cell_is_named_with_its_row() -> None:
    assert refusal(prepare, frame_of(area=[1, 2, -np.inf]), "houses.csv").startswith(
        'houses.csv, row 4, column "area": '
    )


@pytest.mark.parametrize(
    ("new", "needles"),
    [
        (frame_of(b=[1.0]), ['new.csv: the column "area" is missing', 'the columns are "b"']),
        (frame_of(aera=[1.0]), ['"area" is missing', 'did you mean "aera"?']),
        (frame_of(area=[1.0, "big"]), ['new.csv, row 3, column "area": "big" is not a number']),
        (frame_of(area=pd.to_datetime(["2024-01-01"])), ["row 2", '"2024-01-01" is not a number']),
        (frame_of(area=[1.0, np.inf]), ["row 3", "infinite"]),
        (pd.DataFrame([[1.0, 2.0]], columns=["area", "area"]), ["two columns"]),
    ],
)
def test_new_tables_that_do_not_fit(new: pd.DataFrame, needles: list[str]) -> None:
    plan = prepare(frame_of(area=[1.0, 2.0, 4.0]), "houses.csv")
    message = refusal(plan.transform, new, "new.csv")
    assert all(needle in message for needle in needles), message


@pytest.mark.parametrize("option", ["drop", "categories"])
def test_options_must_name_columns(option: str) -> None:
    frame = frame_of(area=[1.0, 2.0])
    said = refusal(prepare, frame, "houses.csv", **{option: ("aera",)})
    assert said == f'houses.csv: {option}=["aera"]: did you mean "area"?'


def test_extra_columns_and_order_do_not_matter() -> None:
    frame = mixed(50)
    plan = prepare(frame, "houses.csv")
    other = frame[frame.columns[::-1]].assign(extra="?")
    assert np.array_equal(plan.transform(frame, "a"), plan.transform(other, "b"))


def test_dropped_columns_need_not_be_there() -> None:
    plan = prepare(frame_of(a=[1.0, 2.0, 4.0], same=1), "houses.csv")
    assert plan.transform(frame_of(a=[1.0]), "new.csv").shape == (1, 1)


# The whole


def mixed(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(rows)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90_000, rows), unit="h")
    frame = frame_of(
        area=rng.lognormal(size=rows),
        rooms=rng.integers(1, 7, rows),
        lift=rng.random(rows) < 0.3,
        town=rng.choice(["Bonn", "Köln", "Ulm"], rows),
        sold=day,
        built=pd.Series(day).dt.strftime("%Y-%m-%d"),
        number=np.arange(rows),
    )
    return frame.mask(rng.random(frame.shape) < 0.1)


def test_a_plan_survives_json_to_the_bit() -> None:
    frame = mixed(300)
    plan = prepare(frame, "houses.csv")
    kinds = [row["kind"] for row in plan.describe()]
    assert kinds == ["number", "number", "flag", "category", "date", "date", "dropped"]
    rebuilt = again(plan)
    assert rebuilt == plan
    new = mixed(123)
    assert rebuilt.transform(new, "new.csv").tobytes() == plan.transform(new, "new.csv").tobytes()


def test_description_counts_the_features() -> None:
    plan = prepare(mixed(300), "houses.csv")
    rows = plan.describe()
    assert sum(row["features"] for row in rows) == len(plan.features) == len(set(plan.features))
    assert all(set(row) == {"column", "kind", "treatment", "features"} for row in rows)


def test_a_row_does_not_depend_on_the_others() -> None:
    frame = mixed(60)
    plan = prepare(frame, "houses.csv")
    whole = plan.transform(frame, "houses.csv")
    rows = [plan.transform(frame.iloc[[position]], "houses.csv")[0] for position in range(60)]
    assert np.array_equal(whole, np.stack(rows))
    assert plan.transform(frame.iloc[:0], "houses.csv").shape == (0, whole.shape[1])


def test_the_table_is_left_as_it_was() -> None:
    frame = mixed(60)
    before = frame.copy(deep=True)
    prepare(frame, "houses.csv").transform(frame, "houses.csv")
    pd.testing.assert_frame_equal(frame, before)


CELLS = {
    "floats": st.none() | st.floats(allow_infinity=False, width=64),
    "integers": st.integers(-(2**62), 2**62),
    "few": st.integers(0, 3),
    "booleans": st.booleans() | st.none(),
    "texts": st.none() | st.text(max_size=3),
    "words": st.sampled_from(["red", "blue", "", " red", "nan", "7"]),
    "dates": st.none() | st.datetimes().map(str) | st.sampled_from(["2024-02-30", "soon"]),
    "moments": st.none() | st.datetimes(pd.Timestamp(1700, 1, 1), pd.Timestamp(2200, 1, 1)),
    "mixture": st.none() | st.booleans() | st.floats() | st.text(max_size=2) | st.dates(),
}


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    rows, new = draw(st.integers(2, 30)), draw(st.integers(1, 5))
    columns = {
        f"{kind} {position}": draw(st.lists(CELLS[kind], min_size=rows + new, max_size=rows + new))
        for position, kind in enumerate(kinds)
    }
    frame = pd.DataFrame({name: pd.Series(cells) for name, cells in columns.items()})
    return frame.iloc[:rows], frame.iloc[rows:]


@settings(max_examples=300, deadline=None)
@given(frames())
def test_any_table_becomes_finite_numbers(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    frame, new = pair
    try:
        plan = prepare(frame, "houses.csv")
    except DataError:
        assume(False)
        return
    for table in (frame, new):
        try:
            out = plan.transform(table, "houses.csv")
        except DataError:
            assert table is new  # a cell that training had no like of
            continue
        assert out.dtype == np.float32
        assert out.shape == (len(table), len(plan.features))
        assert np.isfinite(out).all()
        assert again(plan).transform(table, "houses.csv").tobytes() == out.tobytes()


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "diabetes", "wine"])
def test_builtin_tables_are_standardised(name: str) -> None:
    frame = load_table(name).frame.drop(columns="target")
    plan = prepare(frame, name)
    out = plan.transform(frame, name)
    unclipped = np.abs(out).max(axis=0) < 10
    assert np.allclose(out[:, unclipped].std(axis=0), 1, atol=1e-3)
    assert unclipped.mean() > 0.8


def test_wide_tables_are_fast() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 256, (6_000, 784)).astype(np.uint8)).add_prefix("x")
    began = time.process_time()
    plan = prepare(frame, "faces.npz")
    assert plan.transform(frame, "faces.npz").shape == (6_000, 784)
    assert time.process_time() - began < 5
