"""The treatment of a table's columns, from cells to the features of a network.

A preparation is a list of plain values, stored as JSON; it holds no fitted object. Training and prediction
run the same code, with medians, means and scales measured on the training rows alone.

The features are in this order: numbers in the order of the columns, a 0/1 feature for each number that has
missing cells, then categories and dates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from thinnet.errors import DataError, InputError
from thinnet.study._spelling import spell_option
from thinnet.study._tables import cells
from thinnet.study._tables.columns import (
    ColumnTreatment,
    read_slabs,
    standardise,
    to_days,
    treatment_from_json,
    write_features,
)

__all__ = ["Preparation", "prepare"]

MOST_CATEGORIES = 50
_IDENTIFIER = re.compile(r"(?i:id|index|unnamed: \d+|.*[_\W]id)|.*[a-z]I[Dd]")


@dataclass(frozen=True)
class Preparation:
    """The treatment of a table's columns; made by `prepare`.

    Parameters
    ----------
    columns : tuple of ColumnTreatment
        The treatments in the order of the training table.
    """

    columns: tuple[ColumnTreatment, ...]

    @property
    def features(self) -> list[str]:
        """Names of the features, one for each column of the array that `transform` returns."""
        numeric, others = self._split_columns()
        flagged = [f"{column.name} (missing)" for column in numeric if column.missing]
        names = [column.name for column in numeric] + flagged
        for column in others:
            names += [*column.features, *[f"{column.name} (missing)"] * column.missing]
        return names

    def transform(self, frame: pd.DataFrame, name: str) -> NDArray[np.float32]:
        """Convert the rows of a table to features.

        Parameters
        ----------
        frame : pandas.DataFrame
            Holds the columns of the preparation, in any order; other columns are ignored.
        name : str
            The table's name, for messages.

        Returns
        -------
        ndarray
            float32, (n, features), finite.

        Raises
        ------
        DataError
            A column is missing, or a cell of a number column is not a number.
        """
        names = [str(known) for known in frame.columns]
        cells.check_names(names, name)
        numeric, others = self._split_columns()
        for column in (*numeric, *others):
            if column.name not in names:
                hint = cells.suggest_name(column.name, names)
                raise DataError(f"{name}: the column {cells.quote(column.name)} is missing; {hint}")
        out = np.zeros((len(frame), len(self.features)), dtype=np.float32)
        flagged = len(numeric)
        remedy = "correct the cell, or empty it if the value is missing"
        for start, slab in read_slabs(frame, [column.name for column in numeric], name, remedy):
            group = numeric[start : start + slab.shape[1]]
            for position, column in enumerate(group):
                if column.missing:
                    out[:, flagged] = np.isnan(slab[:, position])
                    flagged += 1
            out[:, start : start + len(group)] = standardise(slab, group)
        at = flagged
        for column in others:
            write_features(frame[column.name], column, out[:, at : at + column.width])
            at += column.width
        return out

    def describe(self) -> list[dict[str, Any]]:
        """Return the kind, the treatment in words and the number of features of each column."""
        return [
            {
                "column": column.name,
                "kind": column.kind,
                "treatment": column.in_words(),
                "features": column.width,
            }
            for column in self.columns
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the treatments as JSON values."""
        return [column.to_json() for column in self.columns]

    @classmethod
    def from_json(cls, data: object) -> Preparation:
        """Return the preparation for which `to_json` returned these data.

        Raises
        ------
        InputError
            The data do not describe a preparation.
        """
        if not isinstance(data, list):
            raise InputError(f"preparation: must be a list of columns, got {type(data).__name__}.")
        entries = cast("list[object]", data)
        preparation = cls(tuple(treatment_from_json(at, entry) for at, entry in enumerate(entries)))
        cells.check_names([column.name for column in preparation.columns], "preparation")
        if not preparation.features:
            raise InputError("preparation: must turn at least one column into features, and has none.")
        return preparation

    def _split_columns(self) -> tuple[list[ColumnTreatment], list[ColumnTreatment]]:
        """Return the numeric columns, and the categories and dates."""
        numeric = [column for column in self.columns if column.kind in ("number", "flag")]
        return numeric, [column for column in self.columns if column.kind in ("category", "date")]


def prepare(
    frame: pd.DataFrame, name: str, *, categories: Sequence[str] = (), drop: Sequence[str] = ()
) -> Preparation:
    """Choose the treatment of each column, and measure its median, mean and scale or its categories.

    Parameters
    ----------
    frame : pandas.DataFrame
        The training rows, without the target.
    name : str
        The table's name, for messages.
    categories : sequence of str
        Columns whose values are names, even if they look like numbers.
    drop : sequence of str
        Columns to leave out.

    Returns
    -------
    Preparation

    Raises
    ------
    DataError
        A cell of a number column is not a number, a column in `categories` or `drop` does not exist, or no
        column is left.

    Examples
    --------
    >>> plan = prepare(pd.DataFrame({"area": [50.0, 70.0, None], "same": 1}), "houses.csv")
    >>> plan.features, plan.columns[1].why
    (['area', 'area (missing)'], 'constant')
    """
    names = [str(known) for known in frame.columns]
    cells.check_names(names, name)
    _check_columns(names, name, categories=categories, drop=drop)
    plan: dict[str, ColumnTreatment] = {}
    numeric: list[str] = []
    for column in names:
        if column in drop:
            plan[column] = ColumnTreatment(column, "dropped", "asked for with --drop")
        elif column in categories:
            plan[column] = _treat_category(column, cells.to_labels(frame[column]), len(frame))
        else:
            decided = _treat_text_or_date(frame[column])
            plan[column] = decided or ColumnTreatment(column, "number")  # a placeholder, measured below
            numeric += [] if decided else [column]
    plan |= {column.name: column for column in _treat_numbers(frame, numeric, name)}
    preparation = Preparation(tuple(plan.values()))
    if not preparation.features:
        reasons = ", ".join(f"{cells.quote(column.name)} ({column.why})" for column in plan.values())
        raise DataError(
            f"{name}: no column is left to learn from: {cells.shorten(reasons)}; add other columns."
        )
    return preparation


def _check_columns(names: Sequence[str], table: str, **options: Sequence[str]) -> None:
    """Refuse options that name a column which the table does not have."""
    for option, given in options.items():
        for column in given:
            if column not in names:
                owner = f"{table}: {spell_option(option, cells.quote(column))}"
                raise DataError(f"{owner}: {cells.suggest_name(column, names)}")


def _treat_text_or_date(column: pd.Series[Any]) -> ColumnTreatment | None:
    """Return the treatment of a column of texts, categories or dates; None for numbers."""
    name, kind = str(column.name), cells.cell_type_of(column)
    if kind in ("number", "flag"):
        return None
    if kind == "date":
        return _treat_date(name, cells.to_dates(column))
    labels = cells.to_labels(column)
    if kind == "category":
        return _treat_category(name, labels, len(column))
    present = [label for label in labels.tolist() if label is not None]
    if not present:
        return ColumnTreatment(name, "dropped", "all cells are missing")
    if cells.share_of_numbers(labels) >= 0.5:
        return None  # numbers, perhaps with bad cells, which an error will name
    moments = cells.to_dates(column)
    if np.count_nonzero(moments.notna()) >= 0.95 * len(present):
        return _treat_date(name, moments)
    distinct = len(set(present)) / len(present)
    if distinct >= 0.95:
        return ColumnTreatment(name, "dropped", "texts that nearly all differ, like an identifier")
    if distinct >= 0.5 and sum(map(len, present)) >= 30 * len(present):
        return ColumnTreatment(name, "dropped", "long texts that mostly differ")
    return _treat_category(name, labels, len(column))


def _treat_category(name: str, labels: cells.Labels, rows: int) -> ColumnTreatment:
    """Return the treatment of a category: the frequent values, the most frequent first."""
    counts = cast("dict[str, int]", pd.Series(labels, dtype=object).value_counts().to_dict())
    least = max(2, math.ceil(rows / 1000))
    frequent = sorted(
        (label for label in counts if counts[label] >= least), key=lambda label: (-counts[label], label)
    )
    missing = sum(counts.values()) < rows
    if not counts:
        return ColumnTreatment(name, "dropped", "all cells are missing")
    if len(counts) == 1 and not missing:
        return ColumnTreatment(name, "dropped", "constant")
    if not frequent:
        return ColumnTreatment(name, "dropped", f"no category is seen {least} times")
    return ColumnTreatment(name, "category", missing=missing, categories=tuple(frequent[:MOST_CATEGORIES]))


def _treat_date(name: str, moments: pd.DatetimeIndex) -> ColumnTreatment:
    """Return the treatment of dates; the hour is a feature if the times of day differ."""
    counted = to_days(moments)
    absent = np.isnan(counted)
    if absent.all():
        return ColumnTreatment(name, "dropped", "all cells are missing")
    if np.fmin.reduce(counted) == np.fmax.reduce(counted) and not absent.any():
        return ColumnTreatment(name, "dropped", "constant")
    fill, mean, scale = _measure(counted[:, None])
    hours = len(np.unique(counted[~absent] % 1)) > 1
    return ColumnTreatment(name, "date", "", bool(absent.any()), fill[0], mean[0], scale[0], hours=hours)


def _treat_numbers(frame: pd.DataFrame, names: Sequence[str], table: str) -> list[ColumnTreatment]:
    """Return the treatments of the numeric columns."""
    options = spell_option("missing", "{cell}"), spell_option("categories", "{column}")
    remedy = f"name missing values with {options[0]}, or keep such texts with {options[1]}"
    plan: list[ColumnTreatment] = []
    for start, slab in read_slabs(frame, names, table, remedy):
        group = names[start : start + slab.shape[1]]
        absent = np.isnan(slab)
        count = len(slab) - absent.sum(axis=0)
        low, high = np.fmin.reduce(slab, axis=0), np.fmax.reduce(slab, axis=0)
        two = (absent | (slab == low) | (slab == high)).all(axis=0)
        whys = [
            _why_dropped(name, slab[:, at], int(count[at]), float(low[at]), float(high[at]))
            for at, name in enumerate(group)
        ]
        kept = [at for at, why in enumerate(whys) if not why]
        plan += [ColumnTreatment(group[at], "dropped", why) for at, why in enumerate(whys) if why]
        if kept:
            for at, fill, mean, scale in zip(kept, *_measure(slab[:, kept]), strict=True):
                kind = "flag" if two[at] else "number"
                missing = bool(absent[:, at].any())
                plan.append(ColumnTreatment(group[at], kind, "", missing, fill, mean, scale))
    return plan


def _why_dropped(name: str, values: cells.Floats, count: int, low: float, high: float) -> str:
    """Return the reason why a numeric column is dropped; an empty text if it is kept."""
    if not count:
        return "all cells are missing"
    if low == high:
        return "constant" if count == len(values) else ""
    if high - low + 1 < count:  # fewer whole numbers in the range than cells: some repeat
        return ""
    present = np.sort(values[~np.isnan(values)])
    steps = np.diff(present)
    if not ((steps > 0).all() and (present == np.floor(present)).all() and high - low < 2**53):
        return ""
    if _IDENTIFIER.fullmatch(name):
        return "distinct whole numbers, named like an identifier"
    # The training rows hold a part of 1, 2, 3, …, at least every second number of it. Measured values that
    # are so dense repeat themselves.
    step = np.gcd.reduce(steps.astype(np.int64))
    return "counts the rows" if count >= 10 and (high - low) / step + 1 <= 2 * count else ""


def _measure(x: cells.Floats) -> tuple[list[float], list[float], list[float]]:
    """Return the median, mean and standard deviation of each column; missing cells count as the median."""
    imputer, scaler = cast("Any", SimpleImputer(strategy="median")), cast("Any", StandardScaler())
    scaler.fit(imputer.fit_transform(x))
    measured = (imputer.statistics_, scaler.mean_, scaler.scale_)
    fill, mean, scale = ((values + 0.0).tolist() for values in measured)  # -0.0 becomes 0.0
    return fill, mean, scale
