"""What is done to one column, and doing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder

from thinnet.errors import InputError
from thinnet.study._tables import cells

__all__ = ["Column", "column_from_json", "days", "slabs", "standardise", "write_features"]

LIMIT = 10.0  # standard deviations: a wild new value cannot wreck a prediction
HUGE = 1e140  # the square of a number must stay finite
SLAB = 1 << 18  # float64 numbers treated at once: 8 MiB

Kind = Literal["number", "flag", "category", "date", "dropped"]


@dataclass(frozen=True)
class Column:
    """What is done to one column.

    Parameters
    ----------
    name : str
        Its name in the table.
    kind : {"number", "flag", "category", "date", "dropped"}
        A flag is a number with two values. Dates are counted in days since 1970.
    why : str
        Why it is dropped.
    missing : bool
        Whether a 0/1 feature tells that the cell is missing.
    fill, mean, scale : float
        What a missing number becomes, then ``(x - mean) / scale``.
    categories : tuple of str
        One 0/1 feature each; any other text is 0 in all of them.
    hours : bool
        Whether the hour of the day counts.
    """

    name: str
    kind: Kind
    why: str = ""
    missing: bool = False
    fill: float = 0.0
    mean: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    hours: bool = False

    @property
    def features(self) -> list[str]:
        """Names of the features without the one for missing cells."""
        if self.kind == "category":
            return [f"{self.name} = {category}" for category in self.categories]
        if self.kind == "date":
            cycles = ("month", "weekday", "hour")[: 3 if self.hours else 2]
            turns = [f"{self.name} ({wave} of {cycle})" for cycle in cycles for wave in ("sine", "cosine")]
            return [f"{self.name} (days)", *turns]
        return [self.name] if self.kind in ("number", "flag") else []

    @property
    def width(self) -> int:
        """How many features there are, the one for missing cells included."""
        return len(self.features) + self.missing

    def treatment(self) -> str:
        """Say in words what is done."""
        if self.kind == "dropped":
            return f"dropped: {self.why}"
        if self.kind == "category":
            said = "one 0/1 feature for each frequent category, any other is 0 in all"
        elif self.kind == "date":
            cycles = "month, weekday and hour" if self.hours else "month and weekday"
            said = f"standardised days; {cycles} as points on a circle"
        else:
            said = "standardised, the median where missing"
        return said + ("; missing cells have a 0/1 feature" if self.missing else "")

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are not as they usually are, as values that JSON holds."""
        said = {key: value for key, value in asdict(self).items() if value != _USUAL.get(key)}
        return said | {"categories": list(self.categories)} if self.categories else said


_USUAL = {field.name: field.default for field in fields(Column) if field.default is not MISSING}


def slabs(
    frame: pd.DataFrame, names: Sequence[str], table: str, remedy: str
) -> Iterator[tuple[int, cells.Floats]]:
    """Yield a few numeric columns at a time: the position of the first, and float64 (n, some) with NaN.

    A table of images has hundreds of columns; together in float64 they would be the largest thing in memory.
    """
    step = max(1, SLAB // max(1, len(frame)))
    for start in range(0, len(names), step):
        group = names[start : start + step]
        slab = np.empty((len(frame), len(group)), dtype=np.float64, order="F")
        for position, name in enumerate(group):
            slab[:, position] = cells.numbers(frame[name], table, remedy)
        # A missing cell is NaN and stays NaN.
        yield start, np.clip(slab, -HUGE, HUGE, out=slab)


def days(moments: pd.DatetimeIndex) -> cells.Floats:
    """Return days since 1970, NaN where missing.

    Examples
    --------
    >>> days(pd.DatetimeIndex(["1970-01-02 12:00", None])).tolist()
    [1.5, nan]
    """
    seconds = moments.to_numpy().astype("datetime64[s]")
    counted = seconds.astype(np.int64) / 86400.0
    counted[np.isnat(seconds)] = np.nan
    return counted


def standardise(slab: cells.Floats, group: Sequence[Column]) -> cells.Floats:
    """Fill, centre, scale and clip in place: (x - mean) / scale in [-10, 10]."""
    fill, mean, scale = (
        np.array([getattr(column, key) for column in group]) for key in ("fill", "mean", "scale")
    )
    rows, held = np.nonzero(np.isnan(slab))
    slab[rows, held] = fill[held]
    with np.errstate(over="ignore"):  # an overflow is infinite and is clipped like the rest
        slab -= mean
        slab /= scale
    return np.clip(slab, -LIMIT, LIMIT, out=slab)


def write_features(series: pd.Series[Any], column: Column, out: NDArray[np.float32]) -> None:
    """Write the features of a category or a date, the flag for missing cells last."""
    if column.kind == "category":
        labels = cells.labels(series)
        absent = cells.absent(series)
        if column.categories and len(labels):
            labels[absent] = ""  # never a category
            categories = np.array(column.categories, dtype=np.object_)
            encoder = cast("Any", OneHotEncoder)(
                categories=[categories], handle_unknown="ignore", sparse_output=False, dtype=np.float32
            )
            hot = encoder.fit(categories[:1, None]).transform(labels[:, None])  # (n, categories)
            out[:, : len(categories)] = hot
    else:
        moments = cells.dates(series)
        counted = days(moments)
        absent = np.isnan(counted)
        out[:, :1] = standardise(counted[:, None].copy(), [column])
        out[:, 1 : 5 + 2 * column.hours] = _turns(moments, absent, column.hours)
    if column.missing:
        out[:, -1] = absent


def _turns(moments: pd.DatetimeIndex, absent: NDArray[np.bool_], hours: bool) -> cells.Floats:
    """Return sine and cosine of the month, the weekday and perhaps the hour; 0 where missing."""
    at = cast("Any", moments)
    cycles = [(at.month - 1) / 12, at.day_of_week / 7]
    if hours:
        cycles.append((at.hour + at.minute / 60) / 24)
    angles = 2 * np.pi * np.stack([np.asarray(cycle, dtype=np.float64) for cycle in cycles], axis=1)
    turns = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(angles), 2 * len(cycles))
    turns[absent] = 0.0
    return turns


def column_from_json(position: int, entry: object) -> Column:
    """Read one column of a plan."""
    owner = f"preparation, entry {position}"
    if not isinstance(entry, dict):
        raise InputError(f"{owner}: an object is needed, got {type(entry).__name__}.")
    given = cast("dict[str, Any]", entry)
    known = {field.name for field in fields(Column)}
    for key, value in given.items():
        if key not in known or not _fits(key, value):
            raise InputError(f"{owner}: {cells.quoted(key)} cannot be {cells.quoted(value)}.")
    for key in ("name", "kind"):
        if key not in given:
            raise InputError(f"{owner}: {cells.quoted(key)} is missing.")
    fitting: dict[str, Any] = given | {"categories": tuple(given.get("categories", ()))}
    return Column(**fitting)


def _fits(key: str, value: Any) -> bool:
    """Tell whether a value may stand under a key of a plan."""
    if key == "kind":
        return isinstance(value, str) and value in get_args(Kind)
    if key in ("name", "why"):
        return isinstance(value, str)
    if key in ("missing", "hours"):
        return isinstance(value, bool)
    if key == "categories":
        texts = cast("list[Any]", value) if isinstance(value, list | tuple) else [None]
        return all(isinstance(text, str) and text for text in texts) and len(set(texts)) == len(texts)
    number = isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300
    return number and (key != "scale" or value > 0)
