"""A study's split and its treatment of columns, for scikit-learn's pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from thinnet._checks import check, check_path, check_texts, check_type
from thinnet._constraints import Number
from thinnet.study._tables import cells
from thinnet.study._tables.preparation import Preparation, prepare
from thinnet.study._tables.problem import ColumnRoles, split_table
from thinnet.study._tables.table import load_table
from thinnet.study._tables.target import Target

if TYPE_CHECKING:
    from typing import Self

__all__ = ["TablePreparation", "split"]

Array: TypeAlias = NDArray[Any]

_OWNER = "TablePreparation"


class TablePreparation(TransformerMixin, BaseEstimator):
    """Convert a table to features as `thinnet study` does.

    Numbers are standardised, and the median replaces missing ones; each frequent category becomes a 0/1
    feature; dates become days since 1970, with month, weekday and hour as points on a circle; constants and
    identifiers are dropped.

    Parameters
    ----------
    categories : sequence of str
        Columns whose values are names, even if they look like numbers.
    drop : sequence of str
        Columns to leave out.

    Attributes
    ----------
    preparation_ : thinnet.study._tables.preparation.Preparation
        The treatment of each column; `preparation_.describe()` returns it in words.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"area": [50.0, 70.0, None, 60.0], "town": ["Ulm", "Ulm", "Rom", "Rom"]})
    >>> TablePreparation().fit(table).get_feature_names_out().tolist()
    ['area', 'area (missing)', 'town = Rom', 'town = Ulm']
    """

    preparation_: Preparation

    def __init__(self, *, categories: Any = (), drop: Any = ()) -> None:
        self.categories = categories
        self.drop = drop

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Choose the treatment of each column of X and measure medians, means, scales and categories.

        Parameters
        ----------
        X : pandas.DataFrame, shape (n, columns)
            The training rows, without the target.
        y : ignored

        Raises
        ------
        DataError
            A cell of a number column is not a number, or no column is left.
        """
        categories = check_texts(_OWNER, "categories", self.categories)
        drop = check_texts(_OWNER, "drop", self.drop)
        self.preparation_ = prepare(pd.DataFrame(X), _OWNER, categories=categories, drop=drop)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the features of X, float32 (n, features), all finite.

        Raises
        ------
        DataError
            A column is missing, or a cell of a number column is not a number.
        """
        return self._fitted().transform(pd.DataFrame(X), _OWNER)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the features."""
        return np.array(self._fitted().features, object)

    def _fitted(self) -> Preparation:
        if not hasattr(self, "preparation_"):
            raise NotFittedError("TablePreparation: not fitted yet; call fit first.")
        return self.preparation_


def split(
    source: str,
    target: str | None = None,
    *,
    task: str | None = None,
    group: str | None = None,
    missing: Sequence[str] = (),
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame, Array, Array]:
    """Split a table as `thinnet study` does: a fifth of the rows, or of the groups, is the test set.

    Parameters
    ----------
    source : str
        A .csv, .tsv, .parquet or .npz file, or the name of a built-in table.
    target, task, group, missing, seed
        The options of the study; see `thinnet.study.Options`.

    Returns
    -------
    X_train, X_test : pandas.DataFrame
        All columns except the target and the group.
    y_train, y_test : ndarray
        Values, or classes: as numbers if all their names are numbers.

    Raises
    ------
    ThinnetError
        A file or a column cannot be used.

    Examples
    --------
    >>> X_train, X_test, y_train, y_test = split("wine")
    >>> X_train.shape, X_test.shape, y_test[:2].tolist()
    ((142, 13), (36, 13), ['class_0', 'class_0'])
    """
    source = str(check_path("split", "source", source))
    for name, value in (("target", target), ("task", task), ("group", group)):
        if value is not None:
            check_type("split", name, value, str)
    check("split", "seed", seed, Number(0, 2**32, "[)", whole=True))
    table = load_table(source, check_texts("split", "missing", missing))
    features, column, _, (inside, test) = split_table(table, ColumnRoles(target, task, group), seed)
    y = _to_sklearn(column)
    return features.iloc[inside], features.iloc[test], y[inside], y[test]


def _to_sklearn(target: Target) -> Array:
    """Return the target for scikit-learn, which sorts the classes as the study does."""
    y: Array = target.y
    if not target.classes:
        return y
    as_numbers = np.array([cells.parse_number(name) for name in target.classes])
    if np.isnan(as_numbers).any():
        return np.array(target.classes)[y]
    whole = bool((as_numbers == np.floor(as_numbers)).all() and np.abs(as_numbers).max() < 2**53)
    return (as_numbers.astype(np.int64) if whole else as_numbers)[y]
