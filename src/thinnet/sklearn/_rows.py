"""Checks of rows, targets and weights of rows: those of scikit-learn, and our own."""

from __future__ import annotations

from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import validate_data

from thinnet.errors import InputError

__all__ = ["check_row_weights", "check_rows", "to_network_dtype"]

Array: TypeAlias = NDArray[Any]


def check_rows(mlp: Any, X: Any, y: Any, *, first: bool) -> tuple[Any, Any]:
    """Return rows, an array or a sparse matrix, and targets; a first fit also stores the features."""
    checked: Any = validate_data(
        mlp,
        X,
        y,
        accept_sparse="csr",
        multi_output=True,
        y_numeric=isinstance(mlp, RegressorMixin),
        dtype=np.float64 if mlp.solver == "lbfgs" else (np.float64, np.float32),
        reset=first,
    )
    x, y = checked
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return (x if first else to_network_dtype(mlp, x)), y


def to_network_dtype(mlp: Any, x: Any) -> Any:
    """Return rows in the dtype of the network."""
    dtype = mlp.network_.dtype
    if x.dtype == dtype:
        return x
    with np.errstate(over="ignore"):
        cast_down = x.astype(dtype)
    values = cast_down if isinstance(x, np.ndarray) else cast_down.data
    if not np.isfinite(values).all():
        raise InputError(
            f"{type(mlp).__name__}: X has values beyond {dtype}, the dtype of the fitted network; scale X, "
            "or fit on float64 rows."
        )
    return cast_down


def check_row_weights(mlp: Any, sample_weight: Any, X: Any) -> Array | None:
    """Return the weight of each row, or None."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(X.shape[0], sample_weight)
    weight = np.asarray(
        check_array(sample_weight, ensure_2d=False, dtype=X.dtype, input_name="sample_weight")
    )
    if weight.ndim != 1:
        raise ValueError(f"{type(mlp).__name__}: sample_weight must have shape (n,), got {weight.shape}.")
    check_consistent_length(X, weight)
    if not weight.sum() > 0:
        raise InputError(
            f"{type(mlp).__name__}: sample_weight must have a sum greater than zero, got {weight.sum():g}."
        )
    return weight
