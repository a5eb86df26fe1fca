"""Cells of a column as numbers, labels or dates, and where to find them in the file.

The index of a frame carries the row of the file that each row came from, so a message about the
40th training row gives the row number that a spreadsheet shows: index 0 is row 2, below the header.
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
    "CellType",
    "Floats",
    "Labels",
    "cell_type_of",
    "check_names",
    "factorise",
    "find_missing",
    "first_true",
    "locate_cell",
    "parse_number",
    "quote",
    "share_of_numbers",
    "shorten",
    "suggest_name",
    "to_dates",
    "to_labels",
    "to_numbers",
]

Floats = NDArray[np.float64]
Labels = NDArray[np.object_]
CellType = Literal["number", "flag", "date", "category", "text"]
"""The type of a column's cells in the file; the treatment of a column is a `columns.Kind`."""

_pd = cast("Any", pd)  # its stubs are incomplete
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}[-/][0-9]{1,2}(?:[-/][0-9]{1,2}(?:[T ][0-9].*)?)?")
_OBJECTS: dict[str, CellType] = {
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


def quote(value: object) -> str:
    """Put a cell or a name in quotes, on one line and cut after 40 characters.

    Examples
    --------
    >>> print(quote("n/a"), quote("a" * 50))
    "n/a" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"
    """
    text = " ".join(str(value).split())
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'


def shorten(text: str, width: int = 200) -> str:
    """Cut a long list in a message."""
    return text if len(text) <= width else f"{text[:width]}…"


def suggest_name(name: str, names: Iterable[str]) -> str:
    """Suggest the column name that is closest, or list all names.

    Examples
    --------
    >>> suggest_name("Prize", ["area", "price"])
    'did you mean "price"?'
    >>> suggest_name("zzz", ["area", "price"])
    'the columns are "area", "price".'
    """
    names = list(names)
    folded = {known.casefold(): known for known in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    if close:
        return f"did you mean {quote(folded[close[0]])}?"
    listed = ", ".join(quote(known) for known in names[:20])
    return (
        f"the columns are {listed}."
        if len(names) <= 20
        else f"the columns are {listed} … ({len(names)} in all)."
    )


def check_names(names: Iterable[str], name: str) -> None:
    """Refuse a table in which two columns have the same name."""
    seen: set[str] = set()
    for known in names:
        if known in seen:
            raise DataError(f"{name}: two columns are called {quote(known)}; give each its own name.")
        seen.add(known)


def locate_cell(column: pd.Series[Any], position: int, name: str) -> str:
    """Return the place of a cell in words: table, spreadsheet row, column.

    Examples
    --------
    >>> locate_cell(pd.Series([5.0, 6.0], name="area"), 1, "houses.csv")
    'houses.csv, row 3, column "area"'
    """
    index = cast("Any", column.index)
    row = int(index[position]) if pd.api.types.is_integer_dtype(index.dtype) else position
    return f"{name}, row {row + 2}, column {quote(column.name)}"


def first_true(where: NDArray[np.bool_]) -> int:
    """Return the first position that is true."""
    return int(np.argmax(where))


def cell_type_of(column: pd.Series[Any]) -> CellType:
    """Return the type of a column's cells, from its dtype; for objects, from the objects' types."""
    dtype = cast("Any", column.dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_bool_dtype(dtype):
        return "flag"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    if dtype.kind == "O":
        return _OBJECTS.get(pd.api.types.infer_dtype(column, skipna=True), "text")
    return "text"


def factorise(column: pd.Series[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Return each cell's position in a list of distinct values, -1 where it is missing, and that list."""
    try:
        codes, values = _pd.factorize(column)
    except TypeError:  # lists and other values without a hash
        codes, values = _pd.factorize(column.map(str, na_action="ignore"))
    return codes.astype(np.int64), list(values)


def to_labels(column: pd.Series[Any]) -> Labels:
    """Return each cell as a text, None where it is missing; equal numbers become equal texts.

    A zip code may be a text in one file and a number in another, or a float because a cell is missing:
    "0815", 815 and 815.0 all become "815".

    Examples
    --------
    >>> to_labels(pd.Series([2.0, None, 0.5])).tolist(), to_labels(pd.Series([" red", "", "02"])).tolist()
    (['2', None, '0.5'], ['red', None, '2'])
    """
    codes, values = factorise(column)
    return _object_array([*map(_to_label, values), None])[codes]


def find_missing(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Return which cells are missing; a blank text counts as missing."""
    textual = cell_type_of(column) in ("text", "category")
    blank = pd.Series(to_labels(column)).isna() if textual else column.isna()
    return blank.to_numpy(dtype=np.bool_)


def parse_number(text: str | None) -> float:
    """Return the number that a text represents, NaN if it represents none."""
    return float(text) if text is not None and _NUMBER.fullmatch(text) else float("nan")


def share_of_numbers(cells: Labels) -> float:
    """Return the fraction of numbers among the cells that are not missing, 0 if all are missing."""
    present = [cell for cell in cells.tolist() if cell is not None]
    return sum(1 for cell in present if _NUMBER.fullmatch(cell)) / len(present) if present else 0.0


def to_numbers(column: pd.Series[Any], name: str, remedy: str) -> Floats:
    """Return the cells as float64, NaN where missing.

    Parameters
    ----------
    column : pandas.Series
        Numbers, booleans, or texts that represent numbers.
    name : str
        The table's name, for messages.
    remedy : str
        The advice for a cell that is not a number; ``{cell}`` and ``{column}`` are filled in.

    Raises
    ------
    DataError
        A cell is not a number, or is infinite.
    """
    kind = cell_type_of(column)
    if kind in ("number", "flag"):
        if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
            values = column.to_numpy(dtype=np.float64)
        else:
            present = column.astype(object).where(column.notna(), np.nan)
            values = present.to_numpy(dtype=np.float64)
    else:
        cells = to_labels(column)
        values = np.array([parse_number(cell) for cell in cells.tolist()], dtype=np.float64)
        bad = np.isnan(values) & ~find_missing(column)
        if bad.any():
            at = first_true(bad)
            hint = remedy.format(cell=quote(cells[at]), column=quote(column.name))
            raise DataError(f"{locate_cell(column, at, name)}: {quote(cells[at])} is not a number; {hint}.")
    infinite = np.isinf(values)
    if infinite.any():
        where = locate_cell(column, first_true(infinite), name)
        raise DataError(f"{where}: the cell is infinite; correct it.")
    return values


def to_dates(column: pd.Series[Any]) -> pd.DatetimeIndex:
    """Return the cells as dates in UTC without a zone, NaT where missing or not an ISO-like date."""
    kind = cell_type_of(column)
    if kind == "date" and str(column.dtype) != "object":
        parsed = pd.DatetimeIndex(cast("Any", column))
    else:
        labels: list[str | None] = to_labels(column).tolist()
        dated = [label if label is not None and _DATE.fullmatch(label) else None for label in labels]
        texts = cast("Any", _object_array(dated))
        parsed = cast("pd.DatetimeIndex", pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce"))
    return parsed if parsed.tz is None else parsed.tz_convert(None)


def _object_array(cells: Sequence[str | None]) -> Labels:
    """Return an array of objects: texts unchanged, None kept."""
    array = np.empty(len(cells), dtype=np.object_)
    array[:] = cells
    return array


def _to_label(value: Any) -> str | None:
    """Return the label of one value, the same for every type that holds it; None for a blank text."""
    if isinstance(value, np.generic):
        value = cast("Any", value.item())
    if isinstance(value, int):  # booleans too
        return str(value)
    if isinstance(value, float | Decimal):
        return _shortest_text(float(value))
    if isinstance(value, datetime) and value.time() == datetime.min.time():
        return str(value.date())
    text = str(value).strip()
    number = parse_number(text)
    return _shortest_text(number) if abs(number) < 2**53 else text or None


def _shortest_text(number: float) -> str:
    """Write a number, a whole one without a fraction."""
    return str(int(number)) if number.is_integer() else str(number)
