"""Cells of a column as numbers, labels or dates, and where to find them in the file.

The index of a frame carries the row of the file that each row came from, so that a message about the
40th training row names the row that a spreadsheet shows: index 0 is row 2, under the header.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thinnet.errors import DataError

__all__ = [
    "Floats",
    "Kind",
    "Labels",
    "absent",
    "check_names",
    "dates",
    "factorise",
    "first",
    "kind_of",
    "labels",
    "nearest",
    "number_of",
    "numbers",
    "place",
    "quoted",
    "share_of_numbers",
    "shorten",
]

Floats = NDArray[np.float64]
Labels = NDArray[np.object_]
Kind = Literal["number", "flag", "date", "category", "text"]

_pd = cast("Any", pd)  # its stubs leave much unknown
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}[-/][0-9]{1,2}(?:[-/][0-9]{1,2}(?:[T ][0-9].*)?)?")
_OBJECTS: dict[str, Kind] = {
    "boolean": "flag",
    "integer": "number",
    "floating": "number",
    "decimal": "number",
    "mixed-integer-float": "number",
    "empty": "number",
    "date": "date",
    "datetime": "date",
    "datetime64": "date",
}


def quoted(value: object) -> str:
    """Put a cell or a name in quotes, on one line and not too long.

    Examples
    --------
    >>> print(quoted("n/a"), quoted("a" * 50))
    "n/a" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"
    """
    text = " ".join(str(value).split())
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'


def shorten(text: str, width: int = 200) -> str:
    """Cut a list in a message that would fill the screen."""
    return text if len(text) <= width else f"{text[:width]}…"


def nearest(name: str, names: Iterable[str]) -> str:
    """Offer the column that was probably meant, or list the columns.

    Examples
    --------
    >>> nearest("Prize", ["area", "price"])
    'did you mean "price"?'
    >>> nearest("zzz", ["area", "price"])
    'the columns are "area", "price".'
    """
    names = list(names)
    folded = {known.casefold(): known for known in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    if close:
        return f"did you mean {quoted(folded[close[0]])}?"
    listed = ", ".join(quoted(known) for known in names[:20])
    return (
        f"the columns are {listed}."
        if len(names) <= 20
        else f"the columns are {listed} … ({len(names)} in all)."
    )


def check_names(names: Iterable[str], name: str) -> None:
    """Refuse a table in which one name stands for two columns."""
    seen: set[str] = set()
    for known in names:
        if known in seen:
            raise DataError(f"{name}: two columns are called {quoted(known)}; give each its own name.")
        seen.add(known)


def place(column: pd.Series[Any], position: int, name: str) -> str:
    """Say where a cell stands: table, spreadsheet row, column.

    Examples
    --------
    >>> place(pd.Series([5.0, 6.0], name="area"), 1, "houses.csv")
    'houses.csv, row 3, column "area"'
    """
    index = cast("Any", column.index)
    row = int(index[position]) if pd.api.types.is_integer_dtype(index.dtype) else position
    return f"{name}, row {row + 2}, column {quoted(column.name)}"


def first(where: NDArray[np.bool_]) -> int:
    """Return the first position that is true."""
    return int(np.argmax(where))


def kind_of(column: pd.Series[Any]) -> Kind:
    """Tell what a column holds by its dtype; for objects, by their types."""
    kind = cast("Any", column.dtype)
    if isinstance(kind, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_bool_dtype(kind):
        return "flag"
    if pd.api.types.is_numeric_dtype(kind):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(kind):
        return "date"
    if kind.kind == "O":
        return _OBJECTS.get(pd.api.types.infer_dtype(column, skipna=True), "text")
    return "text"


def factorise(column: pd.Series[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Return for each cell the position of its value in a list of distinct values, -1 where missing."""
    try:
        codes, values = _pd.factorize(column)
    except TypeError:  # lists and other values without a hash
        codes, values = _pd.factorize(column.map(str, na_action="ignore"))
    return codes.astype(np.int64), list(values)


def labels(column: pd.Series[Any]) -> Labels:
    """Return each cell as a text, None where missing; equal numbers are equal texts.

    A zip code is a text in one file and a number in the next, or a number with a fraction because a cell
    is missing: "0815", 815 and 815.0 all become "815".

    Examples
    --------
    >>> labels(pd.Series([2.0, None, 0.5])).tolist(), labels(pd.Series([" red", "", "02"])).tolist()
    (['2', None, '0.5'], ['red', None, '2'])
    """
    codes, values = factorise(column)
    return _objects([*map(_label, values), None])[codes]


def absent(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Tell which cells are missing; a blank text is."""
    worded = kind_of(column) in ("text", "category")
    blank = pd.Series(labels(column)).isna() if worded else column.isna()
    return blank.to_numpy(dtype=np.bool_)


def number_of(text: str | None) -> float:
    """Return the number that a text spells, NaN if it spells none."""
    return float(text) if text is not None and _NUMBER.fullmatch(text) else float("nan")


def share_of_numbers(cells: Labels) -> float:
    """Return the share of numbers among the cells that are not missing, 0 if all are missing."""
    present = [cell for cell in cells.tolist() if cell is not None]
    return sum(1 for cell in present if _NUMBER.fullmatch(cell)) / len(present) if present else 0.0


def numbers(column: pd.Series[Any], name: str, remedy: str) -> Floats:
    """Return the cells as float64, NaN where missing.

    Parameters
    ----------
    column : pandas.Series
        Numbers, booleans, or texts that spell numbers.
    name : str
        The table, for messages.
    remedy : str
        What to do about a cell that is not a number; ``{cell}`` and ``{column}`` are filled in.

    Raises
    ------
    DataError
        A cell is not a number, or is infinite.
    """
    kind = kind_of(column)
    if kind in ("number", "flag"):
        if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
            values = column.to_numpy(dtype=np.float64)
        else:
            present = column.astype(object).where(column.notna(), np.nan)
            values = present.to_numpy(dtype=np.float64)
    else:
        cells = labels(column)
        values = np.array([number_of(cell) for cell in cells.tolist()], dtype=np.float64)
        bad = np.isnan(values) & ~absent(column)
        if bad.any():
            at = first(bad)
            hint = remedy.format(cell=quoted(cells[at]), column=quoted(column.name))
            raise DataError(f"{place(column, at, name)}: {quoted(cells[at])} is not a number; {hint}.")
    infinite = np.isinf(values)
    if infinite.any():
        where = place(column, first(infinite), name)
        raise DataError(f"{where}: the cell is infinite; correct it.")
    return values


def dates(column: pd.Series[Any]) -> pd.DatetimeIndex:
    """Return the cells as dates in UTC without a zone, NaT where missing or not an ISO-like date."""
    kind = kind_of(column)
    if kind == "date" and str(column.dtype) != "object":
        parsed = pd.DatetimeIndex(cast("Any", column))
    else:
        cells = [
            cell if cell is not None and _DATE.fullmatch(cell) else None for cell in labels(column).tolist()
        ]
        told = cast("Any", _objects(cells))
        parsed = cast("pd.DatetimeIndex", pd.to_datetime(told, format="ISO8601", utc=True, errors="coerce"))
    return parsed if parsed.tz is None else parsed.tz_convert(None)


def _objects(cells: Sequence[str | None]) -> Labels:
    """Make an array of objects: texts as they are, None kept."""
    array = np.empty(len(cells), dtype=np.object_)
    array[:] = cells
    return array


def _label(value: Any) -> str | None:
    """Name one value, so that it has one name whatever its type; None for blank text."""
    if isinstance(value, np.generic):
        value = cast("Any", value.item())
    if isinstance(value, int):  # booleans too
        return str(value)
    if isinstance(value, float | Decimal):
        return _shortest(float(value))
    if isinstance(value, datetime) and value.time() == datetime.min.time():
        return str(value.date())
    text = str(value).strip()
    number = number_of(text)
    return _shortest(number) if abs(number) < 2**53 else text or None


def _shortest(number: float) -> str:
    """Spell a number without a needless fraction."""
    return str(int(number)) if number.is_integer() else str(number)
