"""Laws that are tables: one gain, and perhaps one shift, for each of the 65,536 values of a lane.

No logarithm and no cosine is taken while drawing, so noise has the same bits on every device.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check_rate
from thinnet._core.kernels import Pair
from thinnet.variants._law import LANES, Table, formula

__all__ = ["gaussian", "log_normal", "normal_table", "shake", "uniform"]


@formula("g * x", "", "x", where="g from N(1, rate / keep)")
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
    return _noise(rate, lambda spread: 1 + spread * normal_table().astype(np.float64))


@formula("g * x", "", "x", where="g uniform on (1 - s, 1 + s), s = (3 * rate / keep)**0.5")
@functools.lru_cache(maxsize=64)
def uniform(rate: float) -> Table:
    """Return a gain that is uniform on (1 - s, 1 + s), `s = sqrt(3 * rate / keep)`: the variance of dropout.

    Above a rate of 1/4 some gains are negative. At rate 1 everything is zero.

    Examples
    --------
    >>> law = uniform(0.2)
    >>> round(float(law.gains.max()), 4), round(law.variance, 6)
    (1.866, 0.25)
    """
    return _noise(rate, lambda spread: 1 + spread * math.sqrt(3 / (1 - LANES**-2.0)) * _uniform())


@formula("g * x", "", "x", where="g = exp(h), h from N(-v / 2, v), v = -log(keep)")
@functools.lru_cache(maxsize=64)
def log_normal(rate: float) -> Table:
    """Return a gain exp(N(m, v)) with mean 1 and the variance of dropout, `v = -log(keep)`, `m = -v / 2`.

    Never negative. The tails end at 4.3 standard deviations, so the variance falls short where v is large,
    and the mean is scaled to 1 again. At rate 1 everything is zero.

    Examples
    --------
    >>> law = log_normal(0.2)
    >>> law.mean, round(law.variance, 3), bool(law.gains.min() > 0)
    (Pair(gain=1.0, shift=0.0), 0.25, True)
    """

    def gains(spread: float) -> NDArray[np.float64]:
        wide = np.exp(math.sqrt(math.log1p(spread**2)) * normal_table().astype(np.float64))
        return wide / wide.mean()

    return _noise(rate, gains)


@formula(
    "g * x + (1 - g) * other",
    "",
    "(x + other) / 2",
    where="g uniform on ((1 - rate) / 2, (1 + rate) / 2)",
)
@functools.lru_cache(maxsize=64)
def shake(rate: float) -> Table:
    """Return `g * x + (1 - g) * other`, g uniform on ((1 - rate) / 2, (1 + rate) / 2).

    The paper has rate 1; rate 0 is the mean.

    Examples
    --------
    >>> law = shake(1.0)
    >>> law.mean, round(law.variance, 4)
    (Pair(gain=0.5, shift=0.5), 0.0833)

    References
    ----------
    Gastaldi: Shake-shake regularization. arXiv:1705.07485, 2017, section 1.
    """
    rate = check_rate("law", rate)
    gains = (0.5 + rate / 2 * _uniform()).astype(np.float32)
    return Table(_read_only(gains), Pair(0.5, 0.5), _read_only(1 - gains))


def _noise(rate: float, gains: Callable[[float], NDArray[np.float64]]) -> Table:
    """Return gains around 1 with the standard deviation of dropout as a table; zeros at rate 1."""
    rate = check_rate("law", rate)
    if rate == 1:
        return Table(_read_only(np.zeros(LANES, np.float32)), Pair(0.0, 0.0))
    return Table(_read_only(gains(math.sqrt(rate / (1 - rate))).astype(np.float32)), Pair(1.0, 0.0))


def _read_only(table: NDArray[np.float32]) -> NDArray[np.float32]:
    table.flags.writeable = False
    return table


def _uniform() -> NDArray[np.float64]:
    """Return 65,536 uniform numbers on (-1, 1), the midpoints of as many equal parts."""
    return (2 * np.arange(LANES) + 1) / LANES - 1


@functools.cache
def normal_table() -> NDArray[np.float32]:
    """Return the standard normal as a table over lanes: 65,536 float32 values, exactly symmetric.

    Entry i is the quantile at (i + ½) / 65536, divided by the standard deviation of all quantiles, so that
    the mean of the table is 0 and its variance 1.
    """
    import statistics  # not at the top: it imports fractions and decimal

    quantile = statistics.NormalDist().inv_cdf
    upper = np.array([quantile((i + 0.5) / LANES) for i in range(LANES // 2, LANES)])
    upper = (upper / math.sqrt(math.fsum((upper * upper).tolist()) / upper.size)).astype(np.float32)
    return _read_only(np.concatenate([-upper[::-1], upper]))
