"""What a study does to a table, for scikit-learn's pipelines: its split and its preparation of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from thinnet.study._tables import cells
from thinnet.study._tables.preparation import Overrides, Preparation, prepare
from thinnet.study._tables.problem import Columns, divide
from thinnet.study._tables.table import Target, load_table

if TYPE_CHECKING:
    from typing import Self

__all__ = ["TablePreparation", "split"]

Array: TypeAlias = NDArray[Any]

_NAME = "the table"


class TablePreparation(TransformerMixin, BaseEstimator):
    """Turn a table into numbers as `thinnet study` does.

    Numbers are standardised, their median taken where they miss; categories get a 0/1 feature each; dates
    are counted in days, with month, weekday and hour as points on a circle; columns that tell nothing are
    dropped.

    Parameters
    ----------
    categories : sequence of str
        Columns whose values are names, even if they look like numbers.
    drop : sequence of str
        Columns to leave out.

    Attributes
    ----------
    preparation_ : thinnet.study._tables.preparation.Preparation
        What is done to each column; `preparation_.describe()` says it in words.

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
        """Decide what is done to each column of X and measure what that needs.

        Raises
        ------
        DataError
            A cell of a number column is no number, or no column is left.
        """
        overrides = Overrides(tuple(self.categories), tuple(self.drop))
        self.preparation_ = prepare(pd.DataFrame(X), _NAME, overrides=overrides)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the features of X, float32 (n, features), finite."""
        return self._fitted().transform(pd.DataFrame(X), _NAME)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the features."""
        return np.array(self._fitted().features, object)

    def _fitted(self) -> Preparation:
        if not hasattr(self, "preparation_"):
            raise NotFittedError("TablePreparation: it has not seen a table yet; call fit first.")
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
        As for the command.

    Returns
    -------
    X_train, X_test : pandas.DataFrame
        The columns that are no target and no group.
    y_train, y_test : ndarray
        Classes, as numbers if all their names are numbers, or values.

    Raises
    ------
    ThinnetError
        A file or a column that cannot be used.

    Examples
    --------
    >>> X_train, X_test, y_train, y_test = split("wine")
    >>> X_train.shape, X_test.shape, y_test[:2].tolist()
    ((142, 13), (36, 13), ['class_0', 'class_0'])
    """
    table = load_table(source, missing)
    features, found, _, (inside, test) = divide(table, Columns(target, task, group), seed)
    y = _answers(found)
    return features.iloc[inside], features.iloc[test], y[inside], y[test]


def _answers(target: Target) -> Array:
    """Return the target as scikit-learn takes it, its classes in the order of the study's."""
    y: Array = target.y
    if not target.classes:
        return y
    spelled = np.array([cells.number_of(name) for name in target.classes])
    if np.isnan(spelled).any():
        return np.array(target.classes)[y]
    whole = bool((spelled == np.floor(spelled)).all() and np.abs(spelled).max() < 2**53)
    return (spelled.astype(np.int64) if whole else spelled)[y]
