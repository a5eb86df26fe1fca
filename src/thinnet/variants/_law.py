"""Laws: the map from a lane to a gain and a shift, `y = gain * x + shift * other`.

A law is four numbers and a threshold (`TwoPoint`) or a table of 65,536 gains (`Table`); both know
their mean and variance. The mean is stated, not computed, so that rounding cannot turn 1 into 1 - 1e-16.
The functions below make a law of two points from a rate; those in `_tables.py` make a table. Each carries
its formula, which documentation prints and which states properties that no evaluation has to find out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check_integer, check_rate, format_value
from thinnet._core import kernels
from thinnet._core.kernels import Pair
from thinnet.errors import InputError

__all__ = [
    "ALPHA",
    "LANES",
    "Formula",
    "Law",
    "LawOfRate",
    "Table",
    "TwoPoint",
    "alpha",
    "formula",
    "hold",
    "inverted",
    "mixed",
    "threshold_of",
    "unscaled",
]

LANES = 65536
"""The number of values of a lane."""


@dataclass(frozen=True, eq=False)
class TwoPoint(kernels.TwoPoint):
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
        The number of lanes that decide over an entry, which is dropped if one of them is below the threshold:
        the number of entries of a block.
    """

    mean: Pair
    lanes: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.threshold, np.ndarray):
            check_integer("TwoPoint", "threshold", self.threshold, 0, LANES)
        for name in ("dropped", "kept", "mean"):
            _check_pair("TwoPoint", name, getattr(self, name))
        super().__post_init__()
        object.__setattr__(self, "mean", Pair(*self.mean))

    @functools.cached_property
    def unshifted(self) -> TwoPoint:
        """The law without its shifts, which the gradient of x follows."""
        if not np.any(self.dropped[1]) and not np.any(self.kept[1]):
            return self
        return replace(self, dropped=(self.dropped[0], 0.0), kept=(self.kept[0], 0.0))

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
    """`gains[lane] * x`, and `shifts[lane] * other` where there are shifts.

    Parameters
    ----------
    gains : ndarray of float32, shape (65536,)
        The gain of each lane value.
    mean : (gain, shift)
        The expected (gain, shift).
    shifts : ndarray of float32, shape (65536,), optional
        The shift of each lane value.
    """

    gains: NDArray[np.float32]
    mean: Pair
    shifts: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in ("gains", "shifts"):
            _check_table(name, getattr(self, name))
        _check_pair("Table", "mean", self.mean)
        object.__setattr__(self, "mean", Pair(*self.mean))

    @functools.cached_property
    def unshifted(self) -> Table:
        """The law without its shifts, which the gradient of x follows."""
        return self if self.shifts is None else replace(self, shifts=None)

    @property
    def variance(self) -> float:
        """The variance of the gain."""
        return float(self.gains.var(dtype=np.float64))


def _check_pair(owner: str, name: str, value: Any) -> None:
    if not isinstance(value, tuple | list) or len(cast("Any", value)) != 2:
        raise InputError(f"{owner}: {name} must be two numbers (gain, shift), got {format_value(value)}.")


def _check_table(name: str, value: Any) -> None:
    if name == "shifts" and value is None:
        return
    table: Any = value
    if not isinstance(value, np.ndarray) or table.dtype != np.float32 or table.shape != (LANES,):
        raise InputError(
            f"Table: {name} must be an array of float32 and shape ({LANES},), got {format_value(value)}."
        )


Law: TypeAlias = TwoPoint | Table
LawOfRate: TypeAlias = Callable[..., Law]
"""A function of a rate; for blocks also of the number of lanes that decide over an entry."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Formula:
    """The formulas of a law, in the letters x, other, rate and keep.

    Parameters
    ----------
    kept, dropped : str
        The value of a kept and of a dropped entry; for a table both are one, and `dropped` is empty.
    mean : str
        The expected value.
    where : str
        The meaning of further letters.

    Examples
    --------
    >>> Formula("x / keep", "0", "x").zeroes, Formula("x", "0", "keep * x").keeps_mean
    (True, False)
    """

    kept: str
    dropped: str
    mean: str
    where: str = ""

    @property
    def keeps_mean(self) -> bool:
        """Whether the expected value is x at every rate below 1."""
        return self.mean == "x"

    @property
    def zeroes(self) -> bool:
        """Whether dropped entries are 0 and kept ones a multiple of x."""
        return self.dropped == "0" and re.fullmatch(r"(\w+ \* )?x( / \w+)?", self.kept) is not None


def formula(kept: str, dropped: str, mean: str, *, where: str = "") -> Callable[[_Function], _Function]:
    """Return a decorator that gives a law its formula; the arguments are those of `Formula`.

    Examples
    --------
    >>> formula("x", "0", "keep * x")(lambda rate: unscaled(rate)).formula.mean
    'keep * x'
    """

    def attach(law: _Function) -> _Function:
        law.formula = Formula(kept, dropped, mean, where)  # pyright: ignore[reportFunctionMemberAccess]
        return law

    return attach


def _cached(law: Callable[..., TwoPoint]) -> Callable[..., TwoPoint]:
    """Cache the laws of the latest rates that are numbers: making one takes longer than a small array."""
    cached = functools.lru_cache(maxsize=256)(law)

    @functools.wraps(law)
    def of(rate: Any, lanes: int = 1) -> TwoPoint:
        return cached(rate, lanes) if type(rate) is float else law(rate, lanes)

    return of


def threshold_of(rate: Any, lanes: int = 1) -> Any:
    """Return round(s * 65536) with `(1 - s)**lanes = 1 - rate`: an entry is dropped where `lane < threshold`.

    Parameters
    ----------
    rate : float or ndarray of float64
        Chances in [0, 1].
    lanes : int
        The number of lanes that decide over an entry.

    Returns
    -------
    int or ndarray of int32
        In [0, 65536].

    Examples
    --------
    >>> threshold_of(0.5), threshold_of(0.5, lanes=4)
    (32768, 10427)
    """
    known: Any = rate
    if not isinstance(rate, np.ndarray):
        known = check_rate("law", rate)
    if lanes != 1:
        check_integer("law", "lanes", lanes, 1)
    share = known if lanes == 1 else 1 - (1 - known) ** (1 / lanes)
    if isinstance(share, float):
        return round(share * LANES)
    return np.rint(np.asarray(share, np.float64) * LANES).astype(np.int32)


def _keep(threshold: Any, lanes: int) -> Any:
    """Return the chance that none of an entry's lanes is below the threshold."""
    keep = 1 - threshold / LANES
    return keep if lanes == 1 else keep**lanes


@formula("x / keep", "0", "x")
@_cached
def inverted(rate: Any, lanes: int = 1) -> TwoPoint:
    """Return zero with probability `rate`, else 1 / keep, so that the mean is 1.

    `gain = 1 / (1 - T / 65536)**lanes` with the realised threshold T; at rate 1 everything is zero.

    Examples
    --------
    >>> inverted(0.5).kept, inverted(0.5).mean
    (Pair(gain=2.0, shift=0.0), Pair(gain=1.0, shift=0.0))
    """
    threshold = threshold_of(rate, lanes)
    keep = _keep(threshold, lanes)
    if isinstance(keep, float):
        gain, mean = (1 / keep, 1.0) if keep else (0.0, 0.0)
    else:
        gain = np.divide(1.0, keep, out=np.zeros_like(keep), where=keep > 0)
        mean = np.where(keep > 0, 1.0, 0.0)
    return TwoPoint(threshold, Pair(0.0, 0.0), Pair(gain, 0.0), Pair(mean, 0.0), lanes)


@formula("x", "0", "keep * x")
@_cached
def unscaled(rate: Any, lanes: int = 1) -> TwoPoint:
    """Return zero with probability `rate`, else 1; the mean is keep.

    Examples
    --------
    >>> unscaled(0.25).mean
    Pair(gain=0.75, shift=0.0)
    """
    threshold = threshold_of(rate, lanes)
    return TwoPoint(threshold, Pair(0.0, 0.0), Pair(1.0, 0.0), Pair(_keep(threshold, lanes), 0.0), lanes)


@formula("x", "other", "keep * x + rate * other")
@_cached
def hold(rate: Any, lanes: int = 1) -> TwoPoint:
    """Return `other` with probability `rate`, else x; the mean mixes them.

    Examples
    --------
    >>> hold(0.25).dropped, hold(0.25).mean
    (Pair(gain=0.0, shift=1.0), Pair(gain=0.75, shift=0.25))
    """
    threshold = threshold_of(rate, lanes)
    keep = _keep(threshold, lanes)
    return TwoPoint(threshold, Pair(0.0, 1.0), Pair(1.0, 0.0), Pair(keep, 1 - keep), lanes)


@formula("(x - rate * other) / keep", "other", "x")
@_cached
def mixed(rate: Any, lanes: int = 1) -> TwoPoint:
    """Return `other` with probability `rate`, else `(x - rate * other) / keep`, so that the mean is x.

    At rate 1 everything is `other`.

    Examples
    --------
    >>> mixed(0.5).kept, mixed(0.5).mean
    (Pair(gain=2.0, shift=-1.0), Pair(gain=1.0, shift=0.0))

    References
    ----------
    Lee et al.: Mixout. ICLR 2020, equation 5.
    """
    threshold = threshold_of(rate, lanes)
    keep = _keep(threshold, lanes)
    some = np.asarray(keep) > 0
    gain = np.divide(1.0, keep, out=np.zeros(some.shape), where=some)
    shift = np.where(some, 1 - gain, 1.0)
    kept, mean = _plain_pair(gain, shift), _plain_pair(np.where(some, 1.0, 0.0), np.where(some, 0.0, 1.0))
    return TwoPoint(threshold, Pair(0.0, 1.0), kept, mean, lanes)


ALPHA = -1.7580993408473766
"""The limit of SELU at -infinity: -scale * alpha."""


@formula(
    "a * x + b",
    "a * A + b",
    "keep * a * x",
    where="A = -1.7580993, a = (keep + keep * rate * A**2)**-0.5, b = -a * A * rate",
)
@_cached
def alpha(rate: Any, lanes: int = 1) -> TwoPoint:
    """Return `ALPHA` with probability `rate`, else x, scaled and shifted to keep mean 0 and variance 1.

    `y = a * (m * x + (1 - m) * ALPHA) + b` with `a = (keep * (1 + rate * ALPHA**2))**-0.5` and
    `b = -a * rate * ALPHA`; at rate 1 everything is 0, the limit.

    Examples
    --------
    >>> law = alpha(0.5)
    >>> round(law.kept[0], 4), round(law.kept[1], 4), round(law.mean[1], 12)
    (0.8864, 0.7792, 0.0)

    References
    ----------
    Klambauer et al.: Self-normalizing neural networks. NeurIPS 2017, section 2, "New dropout technique".
    """
    threshold = threshold_of(rate, lanes)
    keep = _keep(threshold, lanes)
    drop = 1 - keep
    some = np.asarray(keep) > 0
    scale = np.divide(1.0, keep * (1 + drop * ALPHA**2), out=np.zeros(some.shape), where=some) ** 0.5
    shift = -scale * drop * ALPHA
    dropped, mean = _plain_pair(0.0 * scale, scale * ALPHA * keep), _plain_pair(keep * scale, 0.0 * scale)
    return TwoPoint(threshold, dropped, _plain_pair(scale, shift), mean, lanes)


def _plain_pair(gain: Any, shift: Any) -> Pair:
    """Return numbers as floats, which the kernels take; arrays are returned as they are."""
    return Pair(*(value if np.ndim(value) else float(value) for value in (gain, shift)))
