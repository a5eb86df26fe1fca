"""How surprising a statistic is, in standard deviations of the normal distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A true stream passes this bound but for one statistic in 1.7 million (two-sided).
SIGMAS = 5.0


def chi_square(counts: NDArray[Any]) -> float:
    """Return the z-score of counts that should be equal (Wilson and Hilferty's cube root)."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    statistic = float(((counts - expected) ** 2).sum() / expected)
    return ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the z-score of the correlation of two samples that should have none."""
    return float(np.corrcoef(a.astype(np.float64), b.astype(np.float64))[0, 1]) * math.sqrt(a.size)


def bits(values: NDArray[Any], width: int) -> NDArray[np.float64]:
    """Return the z-score of each bit's frequency, which should be one half."""
    ones = np.array([int((values >> values.dtype.type(bit) & 1).sum()) for bit in range(width)])
    return (2 * ones - values.size) / math.sqrt(values.size)
