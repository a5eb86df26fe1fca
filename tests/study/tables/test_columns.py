from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from thinnet.errors import InputError
from thinnet.study._tables.preparation import Preparation, prepare


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def treated(values: Any, **overrides: Any) -> dict[str, Any]:
    """Return the row that describes one column, beside one that is always kept."""
    frame = pd.DataFrame({"a": values})
    frame["beside"] = np.random.default_rng(0).normal(size=len(frame))
    return prepare(frame, "houses.csv", **overrides).describe()[0]


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
    plan = prepare(frame_of(a=values), "houses.csv", categories=("a",))
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


# Plans

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
    with pytest.raises(InputError) as caught:
        Preparation.from_json(data)
    assert "\n" not in str(caught.value)
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
