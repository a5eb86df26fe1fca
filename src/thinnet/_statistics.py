"""Intervals of means, from Student's t distribution. SciPy is imported where it is used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["mean_interval", "t_interval"]


def t_interval(mean: float, error: float, df: float) -> tuple[float, float]:
    """Return the 95 % interval of a mean, `mean ± t * error`.

    Parameters
    ----------
    mean, error : float
        The mean and its standard error.
    df : float
        Degrees of freedom of the standard error.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> t_interval(2.0, 0.5, 4)
    (0.6117..., 3.3882...)
    """
    from scipy import stats

    student: Any = stats.t
    half = float(student.ppf(0.975, df)) * error
    return mean - half, mean + half


def mean_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Return the mean of a sample and its 95 % interval, (mean, low, high).

    Examples
    --------
    >>> mean_interval([1.0, 2.0, 3.0])
    (2.0, -0.4841..., 4.4841...)
    """
    sample = np.asarray(values, np.float64)
    mean = float(sample.mean())
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return mean, *t_interval(mean, error, sample.size - 1.0)
