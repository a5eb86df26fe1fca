"""The target: the column that is to be predicted, as classes or as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thinnet.errors import DataError, InputError
from thinnet.study._spelling import spell_option
from thinnet.study._tables import cells
from thinnet.study._tables.columns import HUGE
from thinnet.study._tables.table import BUILTIN, Table

__all__ = ["Target", "count_outputs", "read_target"]

ROWS = 20
# One row in five is held out, rounded up: of 5 rows of a class 1 or 2 are held out, and each of 3 folds of
# the others still holds one. With 4 rows, a fold could lack the class.
ROWS_PER_CLASS = 5
MOST_CLASSES = 20


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Parameters
    ----------
    name : str
        The column's name.
    task : {"classification", "regression"}
        Whether classes or numbers are predicted.
    classes : tuple of str
        Names of the classes in order; empty for regression.
    y : ndarray
        int64 positions in `classes`, or float64 values.
    why : str
        The property of the column that decided the task.
    """

    name: str
    task: Literal["classification", "regression"]
    classes: tuple[str, ...]
    y: NDArray[np.int64] | NDArray[np.float64]
    why: str


def count_outputs(classes: Sequence[str]) -> int:
    """Return the number of a network's outputs: one for a number or for two classes, else one a class."""
    return len(classes) if len(classes) > 2 else 1


def read_target(table: Table, name: str | None, task: str | None = None) -> Target:
    """Find the target and decide between classes and numbers.

    Texts and booleans are classes, numbers with fractions are numbers. Whole numbers are classes if there
    are at most 20 distinct ones, with at least 5 rows each on average.

    Parameters
    ----------
    table : Table
        At least 20 rows.
    name : str or None
        The column; None means "target" in a built-in table and "y" in an .npz file.
    task : {"classification", "regression"}, optional
        Overrides the decision.

    Returns
    -------
    Target

    Raises
    ------
    DataError
        The column does not exist or cannot be learned from.

    Examples
    --------
    >>> from thinnet.study._tables.table import load_table
    >>> target = read_target(load_table("wine"), None)
    >>> target.task, target.classes, target.why
    ('classification', ('class_0', 'class_1', 'class_2'), '3 distinct texts')
    """
    if task not in (None, "classification", "regression"):
        raise InputError(
            f"study: {spell_option('task')} must be classification or regression, got {cells.quote(task)}."
        )
    name = _find_target_name(table, name)
    column = table.frame[name]
    if table.frame.shape[1] < 2:
        raise DataError(f"{table.name}: {cells.quote(name)} is the only column; predicting it needs others.")
    if len(column) < ROWS:
        raise DataError(f"{table.name}: at least {ROWS} rows are needed, and it has {len(column)}.")
    kind = cells.cell_type_of(column)
    blank = cells.find_missing(column)
    if blank.any():
        where = cells.locate_cell(column, cells.first_true(blank), table.name)
        raise DataError(f"{where}: the target is missing; remove such rows ({int(blank.sum())} in all).")
    if kind == "date":
        raise DataError(
            f"{table.name}: the target {cells.quote(name)} is a date; choose a class or a number."
        )
    if kind == "text" and task != "classification" and cells.share_of_numbers(cells.to_labels(column)) >= 0.5:
        kind = "number"
    if kind == "number" or task == "regression":
        target = _from_numbers(table, column, task)
    else:
        noun = {"flag": "booleans", "category": "categories"}.get(kind, "texts")
        target = _from_classes(table, column, f"{column.nunique()} distinct {noun}")
    return target if task is None else replace(target, why=f"set by {spell_option('task')}")


def _from_numbers(table: Table, column: pd.Series[Any], task: str | None) -> Target:
    """Decide whether numbers are classes or values."""
    remedy = f"correct the cell or remove the row, or choose {spell_option('task', 'classification')}"
    values = cells.to_numbers(column, table.name, remedy)
    distinct = len(np.unique(values))
    whole = bool((values == np.floor(values)).all())
    few = whole and distinct <= MOST_CLASSES and distinct * ROWS_PER_CLASS <= len(values)
    why = f"{distinct} distinct whole numbers" if few else f"whole numbers with {distinct} distinct values"
    why = why if whole else f"numbers with fractions, {distinct} of them distinct"
    if task == "classification" or (task is None and few):
        return _from_classes(table, column, why)
    if distinct == 1:
        value = cells.quote(cells.to_labels(column)[0])
        raise DataError(f"{table.name}: the target {cells.quote(column.name)} is {value} in every row.")
    huge = np.abs(values) > HUGE
    if huge.any():
        where = cells.locate_cell(column, cells.first_true(huge), table.name)
        value = f"{values[huge][0]:g}"
        raise DataError(f"{where}: {value} is too large for a target; correct it or change the unit.")
    return Target(str(column.name), "regression", (), values, why)


def _from_classes(table: Table, column: pd.Series[Any], why: str) -> Target:
    """Return a target of classes, each with enough rows for the hold-out and for every fold."""
    labels = cast("list[str]", cells.to_labels(column).tolist())
    classes = sorted(set(labels))
    as_numbers = [cells.parse_number(label) for label in classes]
    if not np.isnan(as_numbers).any():
        classes.sort(key=cells.parse_number)
    positions = {label: position for position, label in enumerate(classes)}
    y = np.array([positions[label] for label in labels], dtype=np.int64)
    owner = f"{table.name}: the target {cells.quote(column.name)}"
    if len(classes) == 1:
        raise DataError(f"{owner} is {cells.quote(classes[0])} in every row.")
    counts = np.bincount(y)
    rare = int(np.argmin(counts))
    if counts[rare] < ROWS_PER_CLASS:
        rows = "1 row" if counts[rare] == 1 else f"{counts[rare]} rows"
        others = int((counts < ROWS_PER_CLASS).sum()) - 1
        more = f" ({others} more have too few)" if others else ""
        regression = f", or choose {spell_option('task', 'regression')}"
        numeric = regression if cells.cell_type_of(column) == "number" else ""
        raise DataError(
            f"{owner}: class {cells.quote(classes[rare])} has {rows}{more}; a class needs {ROWS_PER_CLASS}, "
            f"for the hold-out and every fold; merge it with another or remove it{numeric}."
        )
    return Target(str(column.name), "classification", tuple(classes), y, why)


def _find_target_name(table: Table, name: str | None) -> str:
    """Return the name of the target column, which must exist."""
    names = [str(column) for column in table.frame.columns]
    if name is None:
        if table.name in BUILTIN:
            return "target"
        if not table.name.lower().endswith(".npz"):
            hint = cells.suggest_name("", names)
            raise DataError(f"{table.name}: name the target with {spell_option('target', 'COLUMN')}; {hint}")
        name = "y"
    if name not in names:
        if table.name.lower().endswith(".npz") and name == "y":
            raise DataError(f'{table.name}: holds no array "y"; training needs one value for each row of X.')
        raise DataError(
            f"{table.name}: there is no column {cells.quote(name)}; {cells.suggest_name(name, names)}"
        )
    return name
