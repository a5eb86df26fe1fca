"""The verdict: a 95 % interval of the paired difference of test scores, and its three words.

Two things are random: the seeds, and the choice of the rows in the test set. The interval covers both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._statistics import t_interval

__all__ = ["Difference", "Interval", "difference", "row_scores"]

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Dropout's score minus the rival's; lower scores are better, so a negative one favours dropout.

    Parameters
    ----------
    mean : float
        Mean over seeds and test rows.
    both : Interval
        Interval over seeds and test rows.
    seeds : Interval
        Interval over seeds alone, for these test rows.
    """

    mean: float
    both: Interval
    seeds: Interval

    @property
    def verdict(self) -> str:
        """The verdict that the interval supports."""
        if self.both.high < 0:
            return "dropout helps"
        if self.both.low > 0:
            return "dropout hurts"
        return "no evidence either way"


def row_scores(errors: Array) -> Array:
    """Return the contribution of each row to its seed's RMSE, so that a seed's mean is its RMSE.

    `u = rmse + (e**2 - rmse**2) / (2 * rmse)`, the first two terms of the root's expansion.

    Parameters
    ----------
    errors : ndarray, shape (seeds, rows)
        Predicted minus true values.

    Examples
    --------
    >>> errors = np.array([[3.0, 4.0, 5.0]])
    >>> bool(np.isclose(row_scores(errors).mean(), np.sqrt(50 / 3)))
    True
    """
    squares = errors * errors
    rmse = np.sqrt(squares.mean(axis=1, keepdims=True))
    return rmse + (squares - rmse * rmse) / (2 * np.where(rmse > 0, rmse, 1.0))


def difference(ours: Array, theirs: Array, groups: NDArray[Any] | None = None) -> Difference:
    """Return the mean difference with its intervals.

    Seeds and rows are crossed: with d the (seeds, rows) table of differences, its mean has the variance
    `(MS_seeds + MS_rows - MS_rest) / (S * R)`, from the mean squares of the two-way layout, and
    Satterthwaite's degrees of freedom.

    Parameters
    ----------
    ours, theirs : ndarray, shape (seeds, rows)
        FinalScores row by row; row s of both has the same seed.
    groups : ndarray, shape (rows,), optional
        The rows of one group count as one, since they are similar.

    Examples
    --------
    >>> ours, theirs = np.zeros((5, 400)), np.zeros((5, 400))
    >>> theirs[:, :20] = 1.0
    >>> difference(ours, theirs).verdict
    'dropout helps'

    References
    ----------
    Searle, Casella, McCulloch: Variance Components. Wiley 1992, chapter 4 (two-way crossed, random).
    Satterthwaite: An approximate distribution of estimates of variance components. Biometrics 2, 1946.
    """
    table = ours - theirs
    if groups is not None:
        _, index = np.unique(groups, return_inverse=True)
        count = int(index.max()) + 1
        sums = np.stack([np.bincount(index, weights=row, minlength=count) for row in table])
        table = sums * (count / table.shape[1])
    seeds, rows = table.shape
    mean = float(table.mean())
    by_seed, by_row = table.mean(axis=1), table.mean(axis=0)
    rest = table - by_seed[:, None] - by_row[None, :] + mean
    squares = (
        rows * float(by_seed.var(ddof=1)),
        seeds * float(by_row.var(ddof=1)),
        float((rest * rest).sum()) / ((seeds - 1) * (rows - 1)),
    )
    # A variance component is never negative, so the sum is at least as large as either main term.
    total = max(squares[0] + squares[1] - squares[2], squares[0], squares[1])
    freedom = (seeds - 1, rows - 1, (seeds - 1) * (rows - 1))
    spread = sum(square**2 / df for square, df in zip(squares, freedom, strict=True))
    df = max(min(total**2 / spread, rows - 1.0), seeds - 1.0) if spread else rows - 1.0
    return Difference(
        mean,
        _interval_around(mean, math.sqrt(total / (seeds * rows)), df),
        _interval_around(mean, float(by_seed.std(ddof=1)) / math.sqrt(seeds), seeds - 1.0),
    )


def _interval_around(mean: float, error: float, df: float) -> Interval:
    return Interval(*t_interval(mean, error, df))
