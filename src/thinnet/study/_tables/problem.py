"""A table made into a problem: target, groups, hold-out, folds, prepared rows."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thinnet import _files as files
from thinnet.errors import DataError
from thinnet.study._tables.cells import nearest, quoted
from thinnet.study._tables.preparation import Overrides, Preparation, prepare
from thinnet.study._tables.table import Table, Target, outputs_of, read_target
from thinnet.study._trainings.training import Rows

__all__ = ["Columns", "Problem", "divide", "pose"]

Array: TypeAlias = NDArray[Any]

_FOLDS = 5
_TEST = 0.2


@dataclass(frozen=True)
class Columns:
    """What the user says of the columns."""

    target: str | None = None
    task: str | None = None
    group: str | None = None
    categories: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that follows from a table, what was said of its columns, and the seed.

    Parameters
    ----------
    table : str
        Its name.
    shape : (int, int)
        Rows and feature columns of the table.
    target : Target
        Name, task, classes; its y covers all rows.
    preparation : Preparation
        What is done to the columns; measured outside the test set.
    x, fold, rows
        Prepared features outside the test set (n, d), each row's validation fold, and which rows these are.
    x_test, test
        Prepared features of the test set, and which rows these are.
    groups : ndarray or None
        Group of each row of the table.
    """

    table: str
    shape: tuple[int, int]
    target: Target
    preparation: Preparation
    x: Array
    fold: Array
    rows: Array
    x_test: Array
    test: Array
    groups: Array | None

    @property
    def classification(self) -> bool:
        """Whether the target is one of classes."""
        return self.target.task == "classification"

    @property
    def outputs(self) -> int:
        """How many outputs a network has."""
        return outputs_of(self.target.classes)

    @property
    def center(self) -> float:
        """The target's mean outside the test set; 0 for classes."""
        return 0.0 if self.classification else float(self._scaler.mean_[0])

    @property
    def scale(self) -> float:
        """The target's standard deviation outside the test set; 1 for classes."""
        return 1.0 if self.classification else float(self._scaler.scale_[0])

    @functools.cached_property
    def _scaler(self) -> Any:
        from sklearn.preprocessing import StandardScaler

        scaler: Any = StandardScaler()
        return scaler.fit(self.target.y[self.rows, None])

    def y(self) -> Array:
        """Return the targets outside the test set: classes, or standardised values as float32."""
        y = self.target.y[self.rows]
        return y if self.classification else ((y - self.center) / self.scale).astype(np.float32)

    def write(self, folder: Path) -> Rows:
        """Write what workers need to `folder`: the rows outside the test set alone."""
        for name, values in (("x", self.x), ("y", self.y()), ("fold", self.fold)):
            with files.replacing(folder / f"{name}.npy") as temporary:
                np.save(temporary, values, allow_pickle=False)
        return Rows(folder, self.outputs, self.classification, self.scale)


def pose(table: Table, columns: Columns, seed: int) -> Problem:
    """Make a problem of a table.

    Raises
    ------
    DataError
        A column that does not exist, a target or a cell that cannot be used, too few groups.
    """
    features, target, groups, (inside, test) = divide(table, columns, seed)
    train = features.iloc[inside]
    preparation = prepare(train, table.name, overrides=Overrides(columns.categories, columns.drop))
    return Problem(
        table.name,
        (len(features), features.shape[1]),
        target,
        preparation,
        preparation.transform(train, table.name),
        _folds(target, groups, inside, seed),
        inside,
        preparation.transform(features.iloc[test], table.name),
        test,
        groups,
    )


def divide(
    table: Table, columns: Columns, seed: int
) -> tuple[pd.DataFrame, Target, Array | None, tuple[Array, Array]]:
    """Return features, target, groups if any, and (rows outside the test set, rows in it)."""
    target = read_target(table, columns.target, columns.task)
    groups = _groups(table, columns.group, target.name)
    features = table.frame.drop(columns=[target.name, *([columns.group] if columns.group else [])])
    inside, test = _hold_out(target, groups, seed)
    _check_inside(table.name, target, inside)
    return features, target, groups, (inside, test)


def _groups(table: Table, group: str | None, target: str) -> Array | None:
    if group is None:
        return None
    if group not in table.frame.columns:
        raise DataError(
            f'{table.name}: there is no column "{group}" for --group; {nearest(group, table.frame.columns)}'
        )
    if group == target:
        raise DataError(f'{table.name}: column "{group}" is the target; --group needs another column.')
    codes, names = cast("tuple[Array, Any]", pd.factorize(table.frame[group], use_na_sentinel=False))
    if len(names) < 2 * _FOLDS:
        raise DataError(
            f'{table.name}: column "{group}" holds {len(names)} groups; --group needs at least {2 * _FOLDS}.'
        )
    return codes


def _hold_out(target: Target, groups: Array | None, seed: int) -> tuple[Array, Array]:
    """Return (rows outside, rows of the test set), both in the table's order."""
    from sklearn import model_selection

    sklearn: Any = model_selection
    everything = np.arange(len(target.y))
    if groups is None:
        stratify = target.y if target.task == "classification" else None
        inside, test = cast(
            "list[Array]",
            sklearn.train_test_split(everything, test_size=_TEST, stratify=stratify, random_state=seed),
        )
    else:
        inside, test = next(
            sklearn.GroupShuffleSplit(1, test_size=_TEST, random_state=seed).split(everything, groups=groups)
        )
    return np.sort(inside), np.sort(test)


def _check_inside(name: str, target: Target, inside: Array) -> None:
    """Refuse a target that cannot be learned from the rows outside the test set."""
    owner = f"{name}: the target {quoted(target.name)}"
    y: Array = target.y[inside]
    if target.task == "classification":
        absent = sorted(set(range(len(target.classes))) - set(y.tolist()))
        if absent:
            raise DataError(
                f"{owner}: class {quoted(target.classes[absent[0]])} is in held-out groups alone; "
                "merge it with another or leave out --group."
            )
    elif float(y.std()) == 0:
        raise DataError(f"{owner} is {y[0]:g} in every row but held-out ones; there is nothing to learn.")


def _folds(target: Target, groups: Array | None, inside: Array, seed: int) -> Array:
    """Return the validation fold, 0 … 4, of each row outside the test set."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    y = target.y[inside]
    if groups is not None:
        splitter: Any = GroupKFold(_FOLDS, shuffle=True, random_state=seed)
    elif target.task == "classification" and int(np.bincount(y.astype(np.intp)).min()) >= _FOLDS:
        splitter = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    else:
        splitter = KFold(_FOLDS, shuffle=True, random_state=seed)
    fold = np.empty(len(inside), np.int8)
    for number, (_, out) in enumerate(splitter.split(inside, y, None if groups is None else groups[inside])):
        fold[out] = number
    return fold
