"""Tables that people bring, and the column in them that is to be predicted.

Everything that can be wrong with a file is said here, once, in one line that names the file, the row and
the remedy. Rows are numbered as a spreadsheet numbers them: the header is row 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thinnet._files import explain
from thinnet.errors import DataError, FileError, InputError
from thinnet.study._tables import cells
from thinnet.study._tables.columns import HUGE
from thinnet.study._tables.reading import READERS

__all__ = ["BUILTIN", "Table", "Target", "load_table", "read_target"]

BUILTIN = ("digits", "breast_cancer", "diabetes", "wine")
ROWS = 20
# One row in five is held out, rounded up: of 5 rows of a class 1 or 2 go, and 3 folds of the rest still
# hold one each. With 4, a fold could lack the class.
ROWS_PER_CLASS = 5
MOST_CLASSES = 20


@dataclass(frozen=True)
class Table:
    """A table and what it is called.

    Parameters
    ----------
    name : str
        The file's name without its folder, or the name of a built-in table.
    frame : pandas.DataFrame
        The cells. Its index counts the rows of the file from the header on, so rows that hold nothing
        and are left out leave a gap: index 0 is row 2.
    fingerprint : str
        Hash of names, types and values, wherever the file lies.
    """

    name: str
    frame: pd.DataFrame
    fingerprint: str


@dataclass(frozen=True)
class Target:
    """What is to be predicted.

    Parameters
    ----------
    name : str
        The column.
    task : {"classification", "regression"}
        What kind of prediction it is.
    classes : tuple of str
        Names of the classes in order; empty for regression.
    y : ndarray
        int64 positions in `classes`, or float64 values.
    why : str
        What in the column decided the task.
    """

    name: str
    task: Literal["classification", "regression"]
    classes: tuple[str, ...]
    y: NDArray[np.int64] | NDArray[np.float64]
    why: str


def outputs_of(classes: Sequence[str]) -> int:
    """Return how many outputs a network for some classes has; without classes it predicts a value."""
    return len(classes) if len(classes) > 2 else 1


def load_table(source: str, missing: Sequence[str] = ()) -> Table:
    """Read a table.

    Parameters
    ----------
    source : str
        Path of a .csv, .tsv, .parquet or .npz file, or one of `BUILTIN`. An .npz holds `X`, (n, ...),
        flattened to columns x0, x1, …, and for training `y`, (n,).
    missing : sequence of str
        What else stands for a missing value, as text; an empty cell, NA, NaN and null always do in a
        text file.

    Returns
    -------
    Table

    Raises
    ------
    FileError
        The file is absent, unreadable or not what its suffix says.
    DataError
        It is a table, but a cell, a row or a name is wrong.

    Examples
    --------
    >>> load_table("wine").frame.shape
    (178, 14)
    """
    if source in BUILTIN:
        frame, name = _builtin(source), source
    else:
        path = Path(source)
        name = path.name
        read = READERS.get(path.suffix.lower())
        if read is None:
            known = f"a {', '.join(READERS)} file or one of {', '.join(BUILTIN)}"
            raise FileError(f"{source}: not a table that thinnet reads; name {known}.")
        if not path.exists():
            raise FileError(f"{source}: no such file.")
        try:
            frame = read(path, missing)
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"{source}: cannot be read: {explain(error)}.") from error
    if not len(frame):
        raise DataError(f"{name}: empty table: it has no rows.")
    frame = _without(frame, missing)
    return Table(name, frame, _fingerprint(frame))


def read_target(table: Table, name: str | None, task: str | None = None) -> Target:
    """Find the target and decide between classes and numbers.

    Texts and booleans are classes, numbers with fractions are numbers. Whole numbers are classes when at
    most 20 distinct ones stand for at least 5 rows each on average.

    Parameters
    ----------
    table : Table
        At least 20 rows.
    name : str or None
        The column; None means "target" in a built-in table and "y" in an .npz.
    task : {"classification", "regression"}, optional
        Overrides the decision.

    Returns
    -------
    Target

    Raises
    ------
    DataError
        There is no such column, or it cannot be learned from.

    Examples
    --------
    >>> target = read_target(load_table("wine"), None)
    >>> target.task, target.classes, target.why
    ('classification', ('class_0', 'class_1', 'class_2'), '3 distinct texts')
    """
    if task not in (None, "classification", "regression"):
        raise InputError(f"task must be classification or regression, got {cells.quoted(task)}.")
    name = _target_name(table, name)
    column = table.frame[name]
    if table.frame.shape[1] < 2:
        raise DataError(f"{table.name}: {cells.quoted(name)} is the only column; predicting it needs others.")
    if len(column) < ROWS:
        raise DataError(f"{table.name}: at least {ROWS} rows are needed, and it has {len(column)}.")
    kind = cells.kind_of(column)
    blank = cells.absent(column)
    if blank.any():
        where = cells.place(column, cells.first(blank), table.name)
        raise DataError(f"{where}: the target is missing; remove such rows ({int(blank.sum())} in all).")
    if kind == "date":
        raise DataError(
            f"{table.name}: the target {cells.quoted(name)} is a date; choose a class or a number."
        )
    if kind == "text" and task != "classification" and cells.share_of_numbers(cells.labels(column)) >= 0.5:
        kind = "number"
    if kind == "number" or task == "regression":
        target = _from_numbers(table, column, task)
    else:
        named = {"flag": "booleans", "category": "categories"}.get(kind, "texts")
        target = _classes(table, column, f"{column.nunique()} distinct {named}")
    return target if task is None else replace(target, why="asked for with --task")


def _from_numbers(table: Table, column: pd.Series[Any], task: str | None) -> Target:
    """Decide what numbers are."""
    remedy = "correct the cell or remove the row, or choose --task classification"
    values = cells.numbers(column, table.name, remedy)
    distinct = len(np.unique(values))
    whole = bool((values == np.floor(values)).all())
    few = whole and distinct <= MOST_CLASSES and distinct * ROWS_PER_CLASS <= len(values)
    why = f"{distinct} distinct whole numbers" if few else f"whole numbers with {distinct} distinct values"
    why = why if whole else f"numbers with fractions, {distinct} of them distinct"
    if task == "classification" or (task is None and few):
        return _classes(table, column, why)
    if distinct == 1:
        value = cells.quoted(cells.labels(column)[0])
        raise DataError(f"{table.name}: the target {cells.quoted(column.name)} is {value} in every row.")
    huge = np.abs(values) > HUGE
    if huge.any():
        where = cells.place(column, cells.first(huge), table.name)
        value = f"{values[huge][0]:g}"
        raise DataError(f"{where}: {value} is too large for a target; correct it or change the unit.")
    return Target(str(column.name), "regression", (), values, why)


def _classes(table: Table, column: pd.Series[Any], why: str) -> Target:
    """Give each class a number; each must be frequent enough to be held out and folded."""
    labels = cast("list[str]", cells.labels(column).tolist())
    classes = sorted(set(labels))
    spelled = [cells.number_of(label) for label in classes]
    if not np.isnan(spelled).any():
        classes.sort(key=cells.number_of)
    positions = {label: position for position, label in enumerate(classes)}
    y = np.array([positions[label] for label in labels], dtype=np.int64)
    owner = f"{table.name}: the target {cells.quoted(column.name)}"
    if len(classes) == 1:
        raise DataError(f"{owner} is {cells.quoted(classes[0])} in every row.")
    counts = np.bincount(y)
    rare = int(np.argmin(counts))
    if counts[rare] < ROWS_PER_CLASS:
        rows = "1 row" if counts[rare] == 1 else f"{counts[rare]} rows"
        others = int((counts < ROWS_PER_CLASS).sum()) - 1
        more = f" ({others} more have too few)" if others else ""
        numeric = ", or choose --task regression" if cells.kind_of(column) == "number" else ""
        raise DataError(
            f"{owner}: class {cells.quoted(classes[rare])} has {rows}{more}; a class needs {ROWS_PER_CLASS}, "
            f"to be in the hold-out and in every fold; merge it with another or remove it{numeric}."
        )
    return Target(str(column.name), "classification", tuple(classes), y, why)


def _target_name(table: Table, name: str | None) -> str:
    """Return the name of the target column, which exists."""
    names = [str(column) for column in table.frame.columns]
    if name is None:
        if table.name in BUILTIN:
            return "target"
        if not table.name.lower().endswith(".npz"):
            raise DataError(f"{table.name}: name the target with --target; {cells.nearest('', names)}")
        name = "y"
    if name not in names:
        if table.name.lower().endswith(".npz") and name == "y":
            raise DataError(f'{table.name}: holds no array "y"; training needs one value in it a row of X.')
        raise DataError(
            f"{table.name}: there is no column {cells.quoted(name)}; {cells.nearest(name, names)}"
        )
    return name


def _builtin(name: str) -> pd.DataFrame:
    """Return one of scikit-learn's tables with its classes named."""
    from sklearn import datasets  # half a second, for these tables only

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = cast("pd.DataFrame", bunch.frame)
    names = getattr(bunch, "target_names", None)
    if names is not None and np.asarray(names).dtype.kind == "U":
        frame["target"] = [str(names[position]) for position in bunch.target]
    return frame


def _without(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """Leave the cells empty that hold one of the words for a missing value."""
    spelled = [number for number in map(cells.number_of, missing) if not np.isnan(number)]
    for name in frame.columns if missing else ():
        column = frame[name]
        kind = cells.kind_of(column)
        named = column.isin(spelled if kind == "number" else list(missing))
        if kind in ("number", "text", "category") and named.any():
            frame[name] = column.mask(named)
    return frame


def _fingerprint(frame: pd.DataFrame) -> str:
    """Hash names, types and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, np.dtype) and column.dtype != object:
            values, said = column.to_numpy(), [name, column.dtype.str]
        else:
            values, distinct = cells.factorise(column)
            kind = cells.kind_of(column)
            said = [name, kind if kind in ("text", "category") else str(column.dtype), *map(str, distinct)]
        digest.update(json.dumps(said).encode())
        digest.update(cast("Any", np.ascontiguousarray(values).view(np.uint8)))
    return digest.hexdigest()
