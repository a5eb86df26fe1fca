"""Laws: what a lane does to an entry, `y = gain * x + shift * other`.

A law is four numbers and a threshold (`TwoPoint`) or a table of 65,536 gains (`Table`); both know
their mean and variance. The mean is stated, not computed, so that rounding cannot turn 1 into 1 - 1e-16.
The functions below make a law from a rate.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet.kernels import Pair

__all__ = [
    "LANES",
    "Law",
    "LawOfRate",
    "Table",
    "TwoPoint",
    "gaussian",
    "inverted",
    "normal_table",
    "unscaled",
]

LANES = 65536
"""How many values a lane takes."""


@dataclass(frozen=True, eq=False)
class TwoPoint:
    """Drop where `lane < threshold`, keep elsewhere; each side has its (gain, shift).

    Parameters
    ----------
    threshold : int or ndarray of int
        In [0, 65536]; the realised rate is `1 - (1 - threshold / 65536)**lanes`.
    dropped, kept : (gain, shift)
        Numbers, or arrays of the threshold's shape.
    mean : (gain, shift)
        The expected (gain, shift).
    lanes : int
        How many lanes decide over an entry, which is dropped if one of them is below the threshold: as
        many as a block has entries.
    """

    threshold: Any
    dropped: Pair
    kept: Pair
    mean: Pair
    lanes: int = 1

    @property
    def rate(self) -> Any:
        """The realised rate: the exact chance that an entry is dropped."""
        return 1 - _keep(self.threshold, self.lanes)

    @property
    def variance(self) -> Any:
        """The variance of the gain."""
        return self.rate * (1 - self.rate) * (self.kept[0] - self.dropped[0]) ** 2


@dataclass(frozen=True, eq=False)
class Table:
    """Multiply by `gains[lane]`; the shift is always 0.

    Parameters
    ----------
    gains : ndarray of float32, shape (65536,)
        The gain of each lane value.
    mean : (gain, shift)
        The expected (gain, shift).
    """

    gains: NDArray[np.float32]
    mean: Pair

    @property
    def variance(self) -> float:
        """The variance of the gain."""
        return float(self.gains.var(dtype=np.float64))


Law: TypeAlias = TwoPoint | Table
LawOfRate: TypeAlias = Callable[..., Law]
"""Of a rate, and of how many lanes decide over an entry where that is not one."""


def _remembered(law: Callable[..., TwoPoint]) -> Callable[..., TwoPoint]:
    """Keep the laws of the latest rates that are numbers: making one takes longer than a small array."""
    kept = functools.lru_cache(maxsize=256)(law)

    @functools.wraps(law)
    def of(rate: Any, lanes: int = 1) -> TwoPoint:
        return kept(rate, lanes) if type(rate) is float else law(rate, lanes)

    return of


def _threshold(rate: Any, lanes: int) -> Any:
    """Return round(s * 65536) with `(1 - s)**lanes = 1 - rate`: integers are compared, never floats."""
    share = rate if lanes == 1 else 1 - (1 - rate) ** (1 / lanes)
    if isinstance(share, float):
        return round(share * LANES)
    return np.rint(np.asarray(share, np.float64) * LANES).astype(np.int32)


def _keep(threshold: Any, lanes: int) -> Any:
    """Return the chance that none of an entry's lanes is below the threshold."""
    return (1 - threshold / LANES) ** lanes


@_remembered
def inverted(rate: Any, lanes: int = 1) -> TwoPoint:
    """Return zero with probability `rate`, else 1 / keep, so that the mean is 1.

    `gain = 1 / (1 - T / 65536)**lanes` with the realised threshold T; at rate 1 everything is zero.

    Examples
    --------
    >>> inverted(0.5).kept, inverted(0.5).mean
    ((2.0, 0.0), (1.0, 0.0))
    """
    threshold = _threshold(rate, lanes)
    keep = _keep(threshold, lanes)
    if isinstance(keep, float):
        gain, mean = (1 / keep, 1.0) if keep else (0.0, 0.0)
    else:
        gain = np.divide(1.0, keep, out=np.zeros_like(keep), where=keep > 0)
        mean = np.where(keep > 0, 1.0, 0.0)
    return TwoPoint(threshold, (0.0, 0.0), (gain, 0.0), (mean, 0.0), lanes)


@_remembered
def unscaled(rate: Any, lanes: int = 1) -> TwoPoint:
    """Return zero with probability `rate`, else 1; the mean is keep.

    Examples
    --------
    >>> unscaled(0.25).mean
    (0.75, 0.0)
    """
    threshold = _threshold(rate, lanes)
    return TwoPoint(threshold, (0.0, 0.0), (1.0, 0.0), (_keep(threshold, lanes), 0.0), lanes)


@functools.lru_cache(maxsize=64)
def gaussian(rate: float) -> Table:
    """Return a gain drawn from N(1, rate / keep), the mean and variance of inverted dropout.

    The normal distribution is a table of quantiles (`normal_table`), so its tails end at 4.3 standard
    deviations. At rate 1, where the variance would be infinite, everything is zero.

    Examples
    --------
    >>> law = gaussian(0.5)
    >>> round(law.mean[0], 6), round(law.variance, 6)
    (1.0, 1.0)
    """
    if rate == 1:
        return Table(np.zeros(LANES, np.float32), (0.0, 0.0))
    gains = (1 + math.sqrt(rate / (1 - rate)) * normal_table().astype(np.float64)).astype(np.float32)
    gains.flags.writeable = False
    return Table(gains, (1.0, 0.0))


@functools.cache
def normal_table() -> NDArray[np.float32]:
    """Return the standard normal as a table over lanes: 65,536 float32 values, exactly symmetric.

    Entry i is the quantile at (i + ½) / 65536, divided by the standard deviation of them all, so that
    the table's mean is 0 and its variance 1.
    """
    import statistics  # not at the top: it brings fractions and decimal along

    quantile = statistics.NormalDist().inv_cdf
    upper = np.array([quantile((i + 0.5) / LANES) for i in range(LANES // 2, LANES)])
    upper = (upper / math.sqrt(math.fsum((upper * upper).tolist()) / upper.size)).astype(np.float32)
    table = np.concatenate([-upper[::-1], upper])
    table.flags.writeable = False
    return table
