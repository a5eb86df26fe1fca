from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from thinnet.errors import DataError
from thinnet.study._tables.problem import ColumnRoles, Problem, make_problem
from thinnet.study._tables.table import Table, load_table


def table_of(**columns: Any) -> Table:
    return Table("houses.csv", pd.DataFrame(columns), "")


def grouped(rows: int = 120, groups: int = 24, task: str = "classification", seed: int = 0) -> Table:
    """A table whose column `row` numbers the rows, and whose groups are of different sizes."""
    rng = np.random.default_rng(seed)
    who = rng.integers(groups, size=rows)
    who[:groups] = np.arange(groups)
    target = rng.choice(["no", "yes"], rows) if task == "classification" else rng.normal(size=rows)
    return table_of(x=rng.normal(size=rows), who=[f"p{number}" for number in who], y=target)


def parts(problem: Problem) -> list[set[Any]]:
    """Return the rows of the table in the test set and in each fold."""
    return [set(problem.test), *(set(problem.rows[problem.fold == fold]) for fold in range(5))]


@pytest.mark.parametrize("name", ["wine", "diabetes"])
@pytest.mark.parametrize("seed", [0, 1])
def test_each_row_is_in_the_test_set_or_in_one_fold(name: str, seed: int) -> None:
    table = load_table(name)
    problem = make_problem(table, ColumnRoles(), seed)
    places = parts(problem)
    assert sum(map(len, places)) == len(table.frame)
    assert set().union(*places) == set(range(len(table.frame)))
    assert len(places[0]) == -(-len(table.frame) // 5)
    sizes = [len(place) for place in places[1:]]
    assert max(sizes) - min(sizes) <= len(problem.target.classes) + 1
    assert problem.x.shape == (len(problem.rows), len(problem.preparation.features))
    assert problem.x_test.shape == (len(problem.test), len(problem.preparation.features))


def test_features_belong_to_their_rows() -> None:
    table = load_table("wine")
    problem = make_problem(table, ColumnRoles(), 0)
    order = np.argsort(table.frame["alcohol"].to_numpy()[problem.rows], kind="stable")
    assert (np.diff(problem.x[order, 0]) >= 0).all()
    order = np.argsort(table.frame["alcohol"].to_numpy()[problem.test], kind="stable")
    assert (np.diff(problem.x_test[order, 0]) >= 0).all()


def test_the_seed_decides() -> None:
    table = load_table("wine")
    one, same, other = (make_problem(table, ColumnRoles(), seed) for seed in (0, 0, 1))
    assert parts(one) == parts(same)
    assert parts(one)[0] != parts(other)[0]


def test_classes_keep_their_shares() -> None:
    problem = make_problem(load_table("wine"), ColumnRoles(), 0)
    shares = np.bincount(problem.target.y) / len(problem.target.y)
    for place in parts(problem):
        counts = np.bincount(problem.target.y[sorted(place)], minlength=3)
        assert np.abs(counts - shares * len(place)).max() < 1.5


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("seed", range(4))
def test_no_group_is_in_two_parts(task: str, seed: int) -> None:
    table = grouped(task=task, seed=seed)
    problem = make_problem(table, ColumnRoles("y", group="who"), seed)
    who = table.frame["who"].to_numpy()
    places = parts(problem)
    assert sum(map(len, places)) == len(table.frame)
    assert all(places)
    names = [set(who[sorted(place)]) for place in places]
    assert sum(map(len, names)) == len(set(who))
    assert problem.preparation.features == ["x"]  # whose row it is does not count


def test_values_are_standardised_outside_the_test_set_alone() -> None:
    problem = make_problem(load_table("diabetes"), ColumnRoles(), 0)
    y = problem.y()
    assert y.dtype == np.float32
    assert (float(y.mean()), float(y.std())) == pytest.approx((0, 1), abs=1e-4)
    truth = problem.target.y[problem.rows]
    np.testing.assert_allclose(y * problem.scale + problem.center, truth, rtol=1e-5)
    assert problem.center != pytest.approx(problem.target.y.mean(), abs=1e-6)


def test_the_preparation_never_saw_the_test_set() -> None:
    rng = np.random.default_rng(0)
    table = table_of(a=rng.normal(size=100), y=rng.normal(size=100))
    problem = make_problem(table, ColumnRoles("y"), 0)
    changed = table.frame.copy()
    changed.loc[problem.test, "a"] = 1e6
    again = make_problem(Table("houses.csv", changed, ""), ColumnRoles("y"), 0)
    np.testing.assert_array_equal(problem.x, again.x)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    problem = make_problem(load_table("wine"), ColumnRoles(), 0)
    rows = problem.write(tmp_path)
    assert (rows.outputs, rows.classification) == (3, True)
    for written, known in zip(rows.read(), (problem.x, problem.y(), problem.fold), strict=True):
        np.testing.assert_array_equal(written, known)


# What cannot be posed


def posed(table: Table, *columns: Any, **more: Any) -> Problem:
    return make_problem(table, ColumnRoles(*columns, **more), 0)


def test_groups_that_cannot_be_used(refusal: Any) -> None:
    table = grouped()
    assert 'did you mean "who"?' in refusal(DataError, posed, table, "y", group="woh")
    assert "is the target" in refusal(DataError, posed, table, "y", group="y")
    few = grouped(groups=9)
    assert "holds 9 groups; group needs at least 10" in refusal(DataError, posed, few, "y", group="who")


def test_a_class_in_held_out_groups_alone_is_refused(refusal: Any) -> None:
    table = grouped()
    held = make_problem(table, ColumnRoles("y", group="who"), 0).test
    table.frame.loc[held, "y"] = "only here"
    message = refusal(DataError, posed, table, "y", group="who")
    assert message.startswith('houses.csv: the target "y": class "only here" occurs only in held-out groups')


def test_a_target_that_varies_in_the_test_set_alone_is_refused(refusal: Any) -> None:
    rng = np.random.default_rng(0)
    table = table_of(a=rng.normal(size=40), y=np.zeros(40))
    held = make_problem(table_of(a=table.frame["a"], y=rng.normal(size=40)), ColumnRoles("y"), 0).test
    table.frame.loc[held[0], "y"] = 1.0
    message = refusal(DataError, posed, table, "y", "regression")
    assert message.startswith('houses.csv: the target "y" is 0')


@pytest.mark.parametrize("huge", [1e200, -1e308])
def test_a_target_too_large_to_square_is_refused(huge: float, refusal: Any) -> None:
    rng = np.random.default_rng(0)
    table = table_of(a=rng.normal(size=40), y=rng.normal(size=40))
    table.frame.loc[17, "y"] = huge
    message = refusal(DataError, posed, table, "y")
    assert message.startswith('houses.csv, row 19, column "y": ')


def test_a_group_may_be_missing_in_some_rows() -> None:
    table = grouped()
    table.frame.loc[[5, 50, 70], "who"] = None
    problem = make_problem(table, ColumnRoles("y", group="who"), 0)
    assert sum({5, 50, 70} <= place for place in parts(problem)) == 1
