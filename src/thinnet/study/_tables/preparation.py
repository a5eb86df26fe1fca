"""What is done to the columns before a network sees them.

A preparation is a plain list that JSON can hold: no fitted object is kept. Training and prediction walk
the same path, so what is measured on the training rows is all that a new table is treated with.

Features come in this order: the numbers in the order of the columns, then a 0/1 feature for each number
that has missing cells, then categories and dates.
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
from thinnet.study._tables import cells
from thinnet.study._tables.columns import Column, column_from_json, days, slabs, standardise, write_features

__all__ = ["Overrides", "Preparation", "prepare"]

MOST_CATEGORIES = 50
_IDENTIFIER = re.compile(r"(?i:id|index|unnamed: \d+|.*[_\W]id)|.*[a-z]I[Dd]")


@dataclass(frozen=True)
class Overrides:
    """What the user knows better.

    Parameters
    ----------
    categories : tuple of str
        Columns whose values are names, even if they look like numbers.
    drop : tuple of str
        Columns to leave out.
    """

    categories: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


NOTHING = Overrides()


@dataclass(frozen=True)
class Preparation:
    """What is done to the columns of a table; made by `prepare`.

    Parameters
    ----------
    columns : tuple of Column
        In the order of the training table.
    """

    columns: tuple[Column, ...]

    @property
    def features(self) -> list[str]:
        """Names of the features, one a column of what `transform` returns."""
        numeric, others = self._parts()
        flagged = [f"{column.name} (missing)" for column in numeric if column.missing]
        names = [column.name for column in numeric] + flagged
        for column in others:
            names += [*column.features, *[f"{column.name} (missing)"] * column.missing]
        return names

    def transform(self, frame: pd.DataFrame, name: str) -> NDArray[np.float32]:
        """Turn the rows of a table into numbers.

        Parameters
        ----------
        frame : pandas.DataFrame
            Holds the columns of the preparation, in any order; others are ignored.
        name : str
            What to call the table in messages.

        Returns
        -------
        ndarray
            float32, (n, features), finite.

        Raises
        ------
        DataError
            A column is missing, or a cell of a number column is no number.
        """
        names = [str(known) for known in frame.columns]
        cells.check_names(names, name)
        numeric, others = self._parts()
        for column in (*numeric, *others):
            if column.name not in names:
                hint = cells.nearest(column.name, names)
                raise DataError(f"{name}: the column {cells.quoted(column.name)} is missing; {hint}")
        out = np.zeros((len(frame), len(self.features)), dtype=np.float32)
        flagged = len(numeric)
        remedy = "correct the cell, or empty it if the value is missing"
        for start, slab in slabs(frame, [column.name for column in numeric], name, remedy):
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
        """Say in words what is done to each column and how many features come of it."""
        return [
            {
                "column": column.name,
                "kind": column.kind,
                "treatment": column.treatment(),
                "features": column.width,
            }
            for column in self.columns
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the plan as values that JSON holds."""
        return [column.to_json() for column in self.columns]

    @classmethod
    def from_json(cls, data: object) -> Preparation:
        """Rebuild a preparation from what `to_json` returned.

        Raises
        ------
        InputError
            The data are not such a plan.
        """
        if not isinstance(data, list):
            raise InputError(f"preparation: a list of columns is needed, got {type(data).__name__}.")
        entries = cast("list[object]", data)
        plan = cls(tuple(column_from_json(position, entry) for position, entry in enumerate(entries)))
        cells.check_names([column.name for column in plan.columns], "preparation")
        if not plan.features:
            raise InputError("preparation: no column becomes a feature; the plan is incomplete.")
        return plan

    def _parts(self) -> tuple[list[Column], list[Column]]:
        """Return the numeric columns and those with rules of their own."""
        numeric = [column for column in self.columns if column.kind in ("number", "flag")]
        return numeric, [column for column in self.columns if column.kind in ("category", "date")]


def prepare(frame: pd.DataFrame, name: str, *, overrides: Overrides = NOTHING) -> Preparation:
    """Decide what is done to each column and measure what that needs.

    Parameters
    ----------
    frame : pandas.DataFrame
        The training rows, without the target.
    name : str
        What to call the table in messages.
    overrides : Overrides
        Columns to treat as categories or to drop.

    Returns
    -------
    Preparation

    Raises
    ------
    DataError
        A cell of a number column is no number, an override names no column, or no column is left.

    Examples
    --------
    >>> plan = prepare(pd.DataFrame({"area": [50.0, 70.0, None], "same": 1}), "houses.csv")
    >>> plan.features, plan.columns[1].why
    (['area', 'area (missing)'], 'constant')
    """
    names = [str(known) for known in frame.columns]
    cells.check_names(names, name)
    for option, given in (("--category", overrides.categories), ("--drop", overrides.drop)):
        for column in given:
            if column not in names:
                raise DataError(f"{name}: {option} {cells.quoted(column)}: {cells.nearest(column, names)}")
    plan: dict[str, Column] = {}
    numeric: list[str] = []
    for column in names:
        if column in overrides.drop:
            plan[column] = Column(column, "dropped", "asked for with --drop")
        elif column in overrides.categories:
            plan[column] = _category(column, cells.labels(frame[column]), len(frame))
        else:
            decided = _worded(frame[column])
            plan[column] = decided or Column(column, "number")  # keeps its place until it is measured
            numeric += [] if decided else [column]
    plan |= {column.name: column for column in _measured(frame, numeric, name)}
    preparation = Preparation(tuple(plan.values()))
    if not preparation.features:
        reasons = ", ".join(f"{cells.quoted(column.name)} ({column.why})" for column in plan.values())
        raise DataError(
            f"{name}: no column is left to learn from: {cells.shorten(reasons)}; add other columns."
        )
    return preparation


def _worded(column: pd.Series[Any]) -> Column | None:
    """Decide on a column of texts, categories or dates; None for numbers."""
    name, kind = str(column.name), cells.kind_of(column)
    if kind in ("number", "flag"):
        return None
    if kind == "date":
        return _date(name, cells.dates(column))
    labels = cells.labels(column)
    if kind == "category":
        return _category(name, labels, len(column))
    present = [label for label in labels.tolist() if label is not None]
    if not present:
        return Column(name, "dropped", "all cells are missing")
    if cells.share_of_numbers(labels) >= 0.5:
        return None  # numbers, perhaps with bad cells, which are then named
    moments = cells.dates(column)
    if np.count_nonzero(moments.notna()) >= 0.95 * len(present):
        return _date(name, moments)
    distinct = len(set(present)) / len(present)
    if distinct >= 0.95:
        return Column(name, "dropped", "texts that nearly all differ, like an identifier")
    if distinct >= 0.5 and sum(map(len, present)) >= 30 * len(present):
        return Column(name, "dropped", "long texts that mostly differ")
    return _category(name, labels, len(column))


def _category(name: str, labels: cells.Labels, rows: int) -> Column:
    """Keep the categories that are seen often enough, the most frequent first."""
    counts = cast("dict[str, int]", pd.Series(labels, dtype=object).value_counts().to_dict())
    least = max(2, math.ceil(rows / 1000))
    often = sorted(
        (label for label in counts if counts[label] >= least), key=lambda label: (-counts[label], label)
    )
    missing = sum(counts.values()) < rows
    if not counts:
        return Column(name, "dropped", "all cells are missing")
    if len(counts) == 1 and not missing:
        return Column(name, "dropped", "constant")
    if not often:
        return Column(name, "dropped", f"no category is seen {least} times")
    return Column(name, "category", missing=missing, categories=tuple(often[:MOST_CATEGORIES]))


def _date(name: str, moments: pd.DatetimeIndex) -> Column:
    """Measure dates; the hour counts when the times of day differ."""
    counted = days(moments)
    absent = np.isnan(counted)
    if absent.all():
        return Column(name, "dropped", "all cells are missing")
    if np.fmin.reduce(counted) == np.fmax.reduce(counted) and not absent.any():
        return Column(name, "dropped", "constant")
    fill, mean, scale = _moments(counted[:, None])
    hours = len(np.unique(counted[~absent] % 1)) > 1
    return Column(name, "date", "", bool(absent.any()), fill[0], mean[0], scale[0], hours=hours)


def _measured(frame: pd.DataFrame, names: Sequence[str], table: str) -> list[Column]:
    """Decide on the numeric columns and measure those that stay."""
    remedy = "name missing values with --missing {cell}, or keep such texts with --category {column}"
    plan: list[Column] = []
    for start, slab in slabs(frame, names, table, remedy):
        group = names[start : start + slab.shape[1]]
        absent = np.isnan(slab)
        count = len(slab) - absent.sum(axis=0)
        low, high = np.fmin.reduce(slab, axis=0), np.fmax.reduce(slab, axis=0)
        two = (absent | (slab == low) | (slab == high)).all(axis=0)
        whys = [
            _useless(name, slab[:, at], int(count[at]), float(low[at]), float(high[at]))
            for at, name in enumerate(group)
        ]
        kept = [at for at, why in enumerate(whys) if not why]
        plan += [Column(group[at], "dropped", why) for at, why in enumerate(whys) if why]
        if kept:
            for at, fill, mean, scale in zip(kept, *_moments(slab[:, kept]), strict=True):
                kind = "flag" if two[at] else "number"
                plan.append(Column(group[at], kind, "", bool(absent[:, at].any()), fill, mean, scale))
    return plan


def _useless(name: str, values: cells.Floats, count: int, low: float, high: float) -> str:
    """Say why a numeric column is dropped; nothing if it is kept."""
    if not count:
        return "all cells are missing"
    if low == high:
        return "constant" if count == len(values) else ""
    if high - low + 1 < count:  # too few whole numbers lie between for all to differ
        return ""
    present = np.sort(values[~np.isnan(values)])
    steps = np.diff(present)
    if not ((steps > 0).all() and (present == np.floor(present)).all() and high - low < 2**53):
        return ""
    if _IDENTIFIER.fullmatch(name):
        return "distinct whole numbers, named like an identifier"
    # The training rows hold only a part of 1, 2, 3, …: at least every other step is there. Numbers that
    # are measured, if so dense, repeat themselves.
    step = np.gcd.reduce(steps.astype(np.int64))
    return "counts the rows" if count >= 10 and (high - low) / step + 1 <= 2 * count else ""


def _moments(x: cells.Floats) -> tuple[list[float], list[float], list[float]]:
    """Return the median, mean and deviation of each column; missing cells count as the median."""
    imputer, scaler = cast("Any", SimpleImputer(strategy="median")), cast("Any", StandardScaler())
    scaler.fit(imputer.fit_transform(x))
    measured = (imputer.statistics_, scaler.mean_, scaler.scale_)
    fill, mean, scale = ((values + 0.0).tolist() for values in measured)  # -0.0 becomes 0.0
    return fill, mean, scale
