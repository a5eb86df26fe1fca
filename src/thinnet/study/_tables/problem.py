"""A learning problem made of a table: target, groups, hold-out, folds, prepared rows."""

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
from thinnet.study._spelling import spell_option
from thinnet.study._tables.cells import quote, suggest_name
from thinnet.study._tables.preparation import Preparation, prepare
from thinnet.study._tables.rows import TrainingRows
from thinnet.study._tables.table import Table
from thinnet.study._tables.target import Target, count_outputs, read_target

__all__ = ["ColumnRoles", "Problem", "make_problem", "split_table"]

Array: TypeAlias = NDArray[Any]

_FOLDS = 5
_TEST = 0.2


@dataclass(frozen=True)
class ColumnRoles:
    """The role of each column that has one.

    Parameters
    ----------
    target : str, optional
        The column to predict.
    task : {"classification", "regression"}, optional
        The kind of prediction; decided from the target if None.
    group : str, optional
        Rows with the same value in this column stay together in every split.
    categories : tuple of str
        Columns whose values are names, even if they look like numbers.
    drop : tuple of str
        Columns to leave out.
    """

    target: str | None = None
    task: str | None = None
    group: str | None = None
    categories: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Problem:
    """A table with its target, its split and its prepared features; follows from table, roles and seed.

    Parameters
    ----------
    table : str
        The table's name.
    shape : (int, int)
        Rows and feature columns of the table.
    target : Target
        Name, task, classes; its y covers all rows.
    preparation : Preparation
        The treatment of the columns, measured outside the test set.
    x, fold, rows : ndarray
        Outside the test set: prepared features (n, d), each row's validation fold, its position in the table.
    x_test, test : ndarray
        In the test set: prepared features, each row's position in the table.
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
        """Whether the target is a class."""
        return self.target.task == "classification"

    @property
    def outputs(self) -> int:
        """Number of a network's outputs."""
        return count_outputs(self.target.classes)

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

    def write(self, folder: Path) -> TrainingRows:
        """Write the rows outside the test set to `folder`, for the workers."""
        for name, values in (("x", self.x), ("y", self.y()), ("fold", self.fold)):
            with files.replacing(folder / f"{name}.npy") as temporary:
                np.save(temporary, values, allow_pickle=False)
        return TrainingRows(folder, self.outputs, self.classification, self.scale)


def make_problem(table: Table, roles: ColumnRoles, seed: int) -> Problem:
    """Read the target, split the rows and prepare the features of a table.

    Raises
    ------
    DataError
        A column does not exist, a target or a cell cannot be used, or there are too few groups.
    """
    features, target, groups, (inside, test) = split_table(table, roles, seed)
    train = features.iloc[inside]
    preparation = prepare(train, table.name, categories=roles.categories, drop=roles.drop)
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


def split_table(
    table: Table, roles: ColumnRoles, seed: int
) -> tuple[pd.DataFrame, Target, Array | None, tuple[Array, Array]]:
    """Return features, target, groups if any, and the positions of the rows (outside, in) the test set."""
    target = read_target(table, roles.target, roles.task)
    groups = _read_groups(table, roles.group, target.name)
    features = table.frame.drop(columns=[target.name, *([roles.group] if roles.group else [])])
    inside, test = _hold_out(target, groups, seed)
    _check_training_target(table.name, target, inside)
    return features, target, groups, (inside, test)


def _read_groups(table: Table, group: str | None, target: str) -> Array | None:
    """Return the number of each row's group, or None."""
    if group is None:
        return None
    option = spell_option("group")
    if group not in table.frame.columns:
        hint = suggest_name(group, table.frame.columns)
        raise DataError(f'{table.name}: there is no column "{group}" for {option}; {hint}')
    if group == target:
        raise DataError(f'{table.name}: column "{group}" is the target; {option} needs another column.')
    codes, names = cast("tuple[Array, Any]", pd.factorize(table.frame[group], use_na_sentinel=False))
    if len(names) < 2 * _FOLDS:
        raise DataError(
            f'{table.name}: column "{group}" holds {len(names)} groups; {option} needs at least {2 * _FOLDS}.'
        )
    return codes


def _hold_out(target: Target, groups: Array | None, seed: int) -> tuple[Array, Array]:
    """Return the positions of the rows (outside, in) the test set, both in the table's order."""
    from sklearn import model_selection

    sklearn: Any = model_selection
    positions = np.arange(len(target.y))
    if groups is None:
        stratify = target.y if target.task == "classification" else None
        inside, test = cast(
            "list[Array]",
            sklearn.train_test_split(positions, test_size=_TEST, stratify=stratify, random_state=seed),
        )
    else:
        inside, test = next(
            sklearn.GroupShuffleSplit(1, test_size=_TEST, random_state=seed).split(positions, groups=groups)
        )
    return np.sort(inside), np.sort(test)


def _check_training_target(name: str, target: Target, inside: Array) -> None:
    """Refuse a target that cannot be learned from the rows outside the test set."""
    owner = f"{name}: the target {quote(target.name)}"
    y: Array = target.y[inside]
    if target.task == "classification":
        absent = sorted(set(range(len(target.classes))) - set(y.tolist()))
        if absent:
            raise DataError(
                f"{owner}: class {quote(target.classes[absent[0]])} occurs only in held-out groups; "
                f"merge it with another or leave out {spell_option('group')}."
            )
    elif float(y.std()) == 0:
        raise DataError(f"{owner} is {y[0]:g} in every training row; there is nothing to learn.")


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
    splits = splitter.split(inside, y, None if groups is None else groups[inside])
    for number, (_, validation) in enumerate(splits):
        fold[validation] = number
    return fold
