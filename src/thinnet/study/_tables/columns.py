"""The treatment of one column: its description and its application."""

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

__all__ = ["ColumnTreatment", "read_slabs", "standardise", "to_days", "treatment_from_json", "write_features"]

LIMIT = 10.0  # standard deviations: one outlier in new data cannot dominate a prediction
HUGE = 1e140  # the square of a number must stay finite
SLAB = 1 << 18  # float64 numbers processed at once: 2 MiB

Kind = Literal["number", "flag", "category", "date", "dropped"]


@dataclass(frozen=True)
class ColumnTreatment:
    """The treatment of one column.

    Parameters
    ----------
    name : str
        The column's name in the table.
    kind : {"number", "flag", "category", "date", "dropped"}
        A flag is a number with two values. Dates are days since 1970.
    why : str
        The reason why the column is dropped.
    missing : bool
        Whether a 0/1 feature marks missing cells.
    fill, mean, scale : float
        A missing number becomes `fill`; a number x becomes ``(x - mean) / scale``.
    categories : tuple of str
        One 0/1 feature each; any other text is 0 in all of them.
    hours : bool
        Whether the hour of the day is a feature.
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
        """Names of the features, the one for missing cells excepted."""
        if self.kind == "category":
            return [f"{self.name} = {category}" for category in self.categories]
        if self.kind == "date":
            cycles = ("month", "weekday", "hour")[: 3 if self.hours else 2]
            waves = [f"{self.name} ({wave} of {cycle})" for cycle in cycles for wave in ("sine", "cosine")]
            return [f"{self.name} (days)", *waves]
        return [self.name] if self.kind in ("number", "flag") else []

    @property
    def width(self) -> int:
        """Number of features, the one for missing cells included."""
        return len(self.features) + self.missing

    def in_words(self) -> str:
        """Return the treatment in words."""
        # This text is part of results.json, where runs of earlier versions have it too.
        if self.kind == "dropped":
            return f"dropped: {self.why}"
        if self.kind == "category":
            words = "one 0/1 feature for each frequent category, any other is 0 in all"
        elif self.kind == "date":
            cycles = "month, weekday and hour" if self.hours else "month and weekday"
            words = f"standardised days; {cycles} as points on a circle"
        else:
            words = "standardised, the median where missing"
        return words + ("; missing cells have a 0/1 feature" if self.missing else "")

    def to_json(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, as JSON values."""
        entry = {key: value for key, value in asdict(self).items() if value != _DEFAULTS.get(key)}
        return entry | {"categories": list(self.categories)} if self.categories else entry


_DEFAULTS = {field.name: field.default for field in fields(ColumnTreatment) if field.default is not MISSING}


def read_slabs(
    frame: pd.DataFrame, names: Sequence[str], table: str, remedy: str
) -> Iterator[tuple[int, cells.Floats]]:
    """Yield a few numeric columns at a time: the position of the first, and float64 (n, few) with NaN.

    A table of images has hundreds of columns; all of them in float64 would dominate the memory in use.
    """
    step = max(1, SLAB // max(1, len(frame)))
    for start in range(0, len(names), step):
        group = names[start : start + step]
        slab = np.empty((len(frame), len(group)), dtype=np.float64, order="F")
        for position, name in enumerate(group):
            slab[:, position] = cells.to_numbers(frame[name], table, remedy)
        # Clipping keeps NaN, which marks a missing cell.
        yield start, np.clip(slab, -HUGE, HUGE, out=slab)


def to_days(moments: pd.DatetimeIndex) -> cells.Floats:
    """Return days since 1970, NaN where missing.

    Examples
    --------
    >>> to_days(pd.DatetimeIndex(["1970-01-02 12:00", None])).tolist()
    [1.5, nan]
    """
    seconds = moments.to_numpy().astype("datetime64[s]")
    counted = seconds.astype(np.int64) / 86400.0
    counted[np.isnat(seconds)] = np.nan
    return counted


def standardise(slab: cells.Floats, group: Sequence[ColumnTreatment]) -> cells.Floats:
    """Fill, centre, scale and clip in place: (x - mean) / scale in [-10, 10]."""
    fill, mean, scale = (
        np.array([getattr(column, key) for column in group]) for key in ("fill", "mean", "scale")
    )
    rows, columns = np.nonzero(np.isnan(slab))
    slab[rows, columns] = fill[columns]
    with np.errstate(over="ignore"):  # an overflow gives infinity, which is clipped like the rest
        slab -= mean
        slab /= scale
    return np.clip(slab, -LIMIT, LIMIT, out=slab)


def write_features(series: pd.Series[Any], column: ColumnTreatment, out: NDArray[np.float32]) -> None:
    """Write the features of a category or a date, the flag for missing cells last."""
    if column.kind == "category":
        labels = cells.to_labels(series)
        absent = cells.find_missing(series)
        if column.categories and len(labels):
            labels[absent] = ""  # matches no category
            categories = np.array(column.categories, dtype=np.object_)
            encoder = cast("Any", OneHotEncoder)(
                categories=[categories], handle_unknown="ignore", sparse_output=False, dtype=np.float32
            )
            hot = encoder.fit(categories[:1, None]).transform(labels[:, None])  # (n, categories)
            out[:, : len(categories)] = hot
    else:
        moments = cells.to_dates(series)
        counted = to_days(moments)
        absent = np.isnan(counted)
        out[:, :1] = standardise(counted[:, None].copy(), [column])
        out[:, 1 : 5 + 2 * column.hours] = _circle_points(moments, absent, column.hours)
    if column.missing:
        out[:, -1] = absent


def _circle_points(moments: pd.DatetimeIndex, absent: NDArray[np.bool_], hours: bool) -> cells.Floats:
    """Return sine and cosine of the month, the weekday and, if wanted, the hour; 0 where missing."""
    at = cast("Any", moments)
    cycles = [(at.month - 1) / 12, at.day_of_week / 7]
    if hours:
        cycles.append((at.hour + at.minute / 60) / 24)
    angles = 2 * np.pi * np.stack([np.asarray(cycle, dtype=np.float64) for cycle in cycles], axis=1)
    points = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(angles), 2 * len(cycles))
    points[absent] = 0.0
    return points


def treatment_from_json(position: int, entry: object) -> ColumnTreatment:
    """Read the treatment of one column from a preparation's JSON."""
    owner = f"preparation, entry {position}"
    if not isinstance(entry, dict):
        raise InputError(f"{owner}: must be an object, got {type(entry).__name__}.")
    given = cast("dict[str, Any]", entry)
    known = {field.name for field in fields(ColumnTreatment)}
    for key, value in given.items():
        if key not in known or not _is_valid(key, value):
            raise InputError(f"{owner}: {cells.quote(key)} cannot be {cells.quote(value)}.")
    for key in ("name", "kind"):
        if key not in given:
            raise InputError(f"{owner}: {cells.quote(key)} is missing.")
    values: dict[str, Any] = given | {"categories": tuple(given.get("categories", ()))}
    return ColumnTreatment(**values)


def _is_valid(key: str, value: Any) -> bool:
    """Return whether a value is valid for a key of a treatment."""
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
