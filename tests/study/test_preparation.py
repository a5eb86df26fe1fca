from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from thinnet.errors import DataError, InputError
from thinnet.study.preparation import Overrides, Preparation, prepare
from thinnet.study.table import load_table


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def treated(values: Any, name: str = "a", **overrides: Any) -> dict[str, Any]:
    """Return the row that describes one column, beside one that is always kept."""
    frame = pd.DataFrame({name: values})
    frame["beside"] = np.random.default_rng(0).normal(size=len(frame))
    return prepare(frame, "houses.csv", overrides=Overrides(**overrides)).describe()[0]


def refusal(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    return message


def again(plan: Preparation) -> Preparation:
    return Preparation.from_json(json.loads(json.dumps(plan.to_json(), allow_nan=False)))


# Numbers


def test_numbers_are_treated_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 5, size=(200, 4))
    x[rng.random(x.shape) < 0.2] = np.nan
    x[:, 2] = rng.normal(size=200)
    frame = pd.DataFrame(x, columns=list("abcd"))
    plan = prepare(frame, "houses.csv")
    assert plan.features == ["a", "b", "c", "d", "a (missing)", "b (missing)", "d (missing)"]
    expected = make_pipeline(SimpleImputer(strategy="median", add_indicator=False), StandardScaler())
    out = plan.transform(frame, "houses.csv")
    assert np.allclose(out[:, :4], expected.fit_transform(x), atol=1e-6)
    assert np.array_equal(out[:, 4:], np.isnan(x[:, [0, 1, 3]]))
    new = rng.normal(3, 5, size=(9, 4))
    new[0] = np.nan
    told = plan.transform(pd.DataFrame(new, columns=list("abcd")), "new.csv")
    assert np.allclose(told[:, :4], expected.transform(new), atol=1e-6)


def test_wild_values_are_clipped() -> None:
    plan = prepare(frame_of(a=[1.0, 2.0, 4.0]), "houses.csv")
    out = plan.transform(frame_of(a=[1e308, -1e308, 3.0]), "new.csv")
    assert out[:2, 0].tolist() == [10.0, -10.0]
    assert abs(out[2, 0]) < 2


@pytest.mark.parametrize("values", [[1e308, -1e308, 0.0], [5e-324, 0.0, 1.0], [1e-200, 2e-200, 3e-200]])
def test_extreme_numbers_stay_finite(values: list[float]) -> None:
    frame = frame_of(a=values)
    assert np.isfinite(prepare(frame, "houses.csv").transform(frame, "houses.csv")).all()


@pytest.mark.parametrize("values", [[True, False, True], [0, 1, 1], [2.5, None, 7.5, 7.5]])
def test_two_values_are_a_flag(values: list[Any]) -> None:
    row = treated(values)
    assert row["kind"] == "flag"
    assert row["features"] == 1 + (None in values)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "object"])
def test_types_that_hold_missing_cells(dtype: str) -> None:
    frame = frame_of(a=pd.array([True, False, None, True], dtype=dtype))
    plan = prepare(frame, "houses.parquet")
    out = plan.transform(frame, "houses.parquet")
    assert plan.features == ["a", "a (missing)"]
    assert out[0, 0] == out[2, 0] == out[3, 0] > out[1, 0]  # the median is 1
    assert out[:, 1].tolist() == [0, 0, 1, 0]


def test_numbers_spelled_as_texts_are_numbers() -> None:
    spelled, plain = frame_of(a=["1.5", " 2", None, "4e1"]), frame_of(a=[1.5, 2, None, 40])
    plan = prepare(spelled, "houses.parquet")
    assert plan == prepare(plain, "houses.parquet")
    assert np.array_equal(plan.transform(spelled, "a"), plan.transform(plain, "b"))


# Categories


def test_categories_are_one_hot_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    frame = frame_of(town=rng.choice(["Bonn", "Köln", "Ulm"], 60))
    plan = prepare(frame, "houses.csv")
    out = plan.transform(frame, "houses.csv")
    order = [plan.features.index(f"town = {town}") for town in ("Bonn", "Köln", "Ulm")]
    expected = OneHotEncoder(sparse_output=False).fit_transform(frame)
    assert np.array_equal(out[:, order], expected)


def test_rare_unknown_and_missing_categories() -> None:
    values = ["red"] * 4 + ["blue"] * 3 + ["odd", None, " "]
    plan = prepare(frame_of(colour=values), "houses.csv")
    assert plan.features == ["colour = red", "colour = blue", "colour (missing)"]
    out = plan.transform(frame_of(colour=["blue", "odd", "never seen", None, "red "]), "new.csv")
    assert out.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_missing_category_that_training_never_saw() -> None:
    plan = prepare(frame_of(colour=["red", "blue"] * 5), "houses.csv")
    assert plan.transform(frame_of(colour=[None, "red"]), "new.csv").tolist() == [[0, 0], [0, 1]]
    assert plan.transform(frame_of(colour=[None, None]), "new.csv").tolist() == [[0, 0], [0, 0]]


def test_a_category_must_be_seen_often_and_at_most_fifty_are_kept() -> None:
    often = ["a"] * 2997 + ["b"] * 3 + ["c"] * 2
    assert treated(often)["features"] == 1  # a thousandth of 3,002 rows is 4
    assert treated([*often[:2996], "b"] + ["b"] * 3)["features"] == 2
    many = [f"k{position % 80}" for position in range(240)] + ["k7"]
    frame = frame_of(a=many)
    plan = prepare(frame, "houses.csv")
    assert len(plan.features) == 50
    assert plan.features[0] == "a = k7"


@pytest.mark.parametrize(
    "other", [[53113, 10115], [53113.0, 10115.0], ["53113", "10115"], [" 53113", "10115.0"]]
)
def test_a_zip_code_is_the_same_category_however_it_is_read(other: list[Any]) -> None:
    values = [53113, 10115] * 5
    assert treated(values, categories=("a",))["kind"] == "category"
    plan = prepare(frame_of(a=values), "houses.csv", overrides=Overrides(categories=("a",)))
    assert plan.transform(frame_of(a=other), "new.csv").tolist() == [[0, 1], [1, 0]]


def test_categorical_type_is_a_category_even_of_numbers() -> None:
    assert treated(pd.Categorical([1, 2, 3] * 5))["kind"] == "category"


# Dates


@pytest.mark.parametrize("as_text", [False, True])
def test_dates(as_text: bool) -> None:
    days = pd.date_range("2024-01-01", "2024-12-31", freq="D")
    values: Any = days.strftime("%Y-%m-%d").to_numpy(dtype=object) if as_text else days
    frame = frame_of(day=values)
    plan = prepare(frame, "houses.csv")
    assert plan.features[0] == "day (days)"
    assert len(plan.features) == 5
    out = plan.transform(frame, "houses.csv")
    assert np.allclose(out[:, 0].mean(), 0, atol=1e-5)
    assert np.allclose(out[:, 0].std(), 1, atol=1e-5)
    assert (np.diff(out[:, 0]) > 0).all()
    month, weekday = days.month - 1, days.day_of_week
    assert np.allclose(out[:, 1], np.sin(2 * np.pi * month / 12), atol=1e-6)
    assert np.allclose(out[:, 2], np.cos(2 * np.pi * month / 12), atol=1e-6)
    assert np.allclose(out[:, 3], np.sin(2 * np.pi * weekday / 7), atol=1e-6)
    assert np.allclose(out[:, 4], np.cos(2 * np.pi * weekday / 7), atol=1e-6)


def test_the_hour_counts_where_it_differs() -> None:
    frame = frame_of(at=["2024-01-01 00:00", "2024-01-01T06:00:00", "2024-01-02 12:00:00+00:00"])
    plan = prepare(frame, "houses.csv")
    assert plan.features[5:] == ["at (sine of hour)", "at (cosine of hour)"]
    hours = plan.transform(frame, "houses.csv")[:, 5:]
    assert np.allclose(hours, [[0, 1], [1, 0], [0, -1]], atol=1e-6)
    noon = frame_of(at=["2024-01-01 12:00", "2024-01-02 12:00", "2024-01-04 12:00"])
    assert len(prepare(noon, "houses.csv").features) == 5


def test_what_is_no_date_is_missing() -> None:
    good = [f"2024-{month:02}-15" for month in range(1, 13)] * 2
    plan = prepare(frame_of(day=[*good, "soon"]), "houses.csv")
    assert plan.features[-1] == "day (missing)"
    out = plan.transform(frame_of(day=["2024-03-04", "soon", None, "2024-13-45"]), "new.csv")
    assert out[:, -1].tolist() == [0, 1, 1, 1]
    assert (out[1:, 1:-1] == 0).all()
    assert len(np.unique(out[1:, 0])) == 1
    assert plan.transform(frame_of(day=[None, None]), "new.csv")[:, -1].tolist() == [1, 1]


def test_zones_do_not_matter() -> None:
    zoned = pd.date_range("2024-01-01", periods=30, freq="36h", tz="Europe/Berlin")
    plain = frame_of(day=zoned.tz_convert(None))
    plan = prepare(frame_of(day=zoned), "houses.parquet")
    assert plan == prepare(plain, "houses.parquet")
    assert np.array_equal(plan.transform(frame_of(day=zoned), "a"), plan.transform(plain, "b"))


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
        'name missing values with --missing "n/a", or keep such texts with --category "area".'
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


@pytest.mark.parametrize("overrides", [Overrides(drop=("aera",)), Overrides(categories=("aera",))])
def test_overrides_must_name_columns(overrides: Overrides) -> None:
    frame = frame_of(area=[1.0, 2.0])
    assert 'did you mean "area"?' in refusal(prepare, frame, "houses.csv", overrides=overrides)


def test_extra_columns_and_order_do_not_matter() -> None:
    frame = mixed(50)
    plan = prepare(frame, "houses.csv")
    other = frame[frame.columns[::-1]].assign(extra="?")
    assert np.array_equal(plan.transform(frame, "a"), plan.transform(other, "b"))


def test_dropped_columns_need_not_be_there() -> None:
    plan = prepare(frame_of(a=[1.0, 2.0, 4.0], same=1), "houses.csv")
    assert plan.transform(frame_of(a=[1.0]), "new.csv").shape == (1, 1)


GOOD = [{"name": "a", "kind": "number"}]


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        "plan",
        [],
        [1],
        [{}],
        [{"name": "a"}],
        [{"name": "a", "kind": "dropped"}],
        [{"name": "a", "kind": "pickle"}],
        [{"name": 1, "kind": "number"}],
        [{"name": "a", "kind": "number", "colour": 1}],
        [{"name": "a", "kind": "number", "scale": 0.0}],
        [{"name": "a", "kind": "number", "mean": float("nan")}],
        [{"name": "a", "kind": "number", "mean": 10**400}],
        [{"name": "a", "kind": "number", "fill": "0"}],
        [{"name": "a", "kind": "number", "missing": 1}],
        [{"name": "a", "kind": "category", "categories": "ab"}],
        [{"name": "a", "kind": "category", "categories": ["x", "x"]}],
        [{"name": "a", "kind": "category", "categories": [["x"]]}],
        [{"name": "a", "kind": "category", "categories": [""]}],
        [{"name": "a", "kind": "category"}],
        GOOD + GOOD,
    ],
)
def test_foreign_plans_are_refused(data: Any) -> None:
    refusal(Preparation.from_json, data)
    assert Preparation.from_json(GOOD).features == ["a"]


@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.sampled_from(["number", "date"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "kind", "fill", "categories", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_no_plan_crashes(data: Any) -> None:
    try:
        plan = Preparation.from_json(data)
    except InputError:
        return
    assert plan.features


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
