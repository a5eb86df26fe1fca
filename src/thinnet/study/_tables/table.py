"""A table: a file or a built-in data set, read and checked as a whole.

Errors name the file, the row and the remedy in one line. Rows are numbered as in a spreadsheet: the header
is row 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from thinnet._files import explain
from thinnet.errors import DataError, FileError
from thinnet.study._tables import cells
from thinnet.study._tables.reading import READERS

__all__ = ["BUILTIN", "Table", "load_table"]

BUILTIN = ("digits", "breast_cancer", "diabetes", "wine")


@dataclass(frozen=True)
class Table:
    """A table and its name.

    Parameters
    ----------
    name : str
        The file's name without its folder, or the name of a built-in table.
    frame : pandas.DataFrame
        The cells. Its index counts the rows of the file after the header, so an empty row, which is left
        out, leaves a gap: index 0 is row 2.
    fingerprint : str
        Hash of names, types and values; it does not depend on the file's place.
    """

    name: str
    frame: pd.DataFrame
    fingerprint: str


def load_table(source: str, missing: Sequence[str] = ()) -> Table:
    """Read a table.

    Parameters
    ----------
    source : str
        Path of a .csv, .tsv, .parquet or .npz file, or one of `BUILTIN`. An .npz file holds `X`, (n, ...),
        flattened to columns x0, x1, …, and for training `y`, (n,).
    missing : sequence of str
        Further texts that stand for a missing value; in a text file an empty cell, NA, NaN and null
        always do.

    Returns
    -------
    Table

    Raises
    ------
    FileError
        The file does not exist, cannot be read, or does not match its suffix.
    DataError
        A cell, a row or a name in the table is wrong.

    Examples
    --------
    >>> load_table("wine").frame.shape
    (178, 14)
    """
    if source in BUILTIN:
        frame, name = _builtin(source), source
    else:
        path = Path(source)
        name = path.name
        read = READERS.get(path.suffix.lower())
        if read is None:
            known = f"a {', '.join(READERS)} file or one of {', '.join(BUILTIN)}"
            raise FileError(f"{source}: not a table that thinnet reads; give {known}.")
        try:
            if not path.exists():
                raise FileError(f"{source}: no such file.")
            frame = read(path, missing)
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"{cells.shorten(source)}: cannot be read: {explain(error)}.") from error
    if not len(frame):
        raise DataError(f"{name}: empty table: it has no rows.")
    frame = _mask_missing(frame, missing)
    return Table(name, frame, _fingerprint(frame))


def _builtin(name: str) -> pd.DataFrame:
    """Return one of scikit-learn's tables, with names for its classes."""
    from sklearn import datasets  # takes half a second to import, and only these tables need it

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = cast("pd.DataFrame", bunch.frame)
    names = getattr(bunch, "target_names", None)
    if names is not None and np.asarray(names).dtype.kind == "U":
        frame["target"] = [str(names[position]) for position in bunch.target]
    return frame


def _mask_missing(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """Empty the cells that hold one of the texts for a missing value."""
    as_numbers = [number for number in map(cells.parse_number, missing) if not np.isnan(number)]
    for name in frame.columns if missing else ():
        column = frame[name]
        kind = cells.cell_type_of(column)
        masked = column.isin(as_numbers if kind == "number" else list(missing))
        if kind in ("number", "text", "category") and masked.any():
            frame[name] = column.mask(masked)
    return frame


def _fingerprint(frame: pd.DataFrame) -> str:
    """Hash names, types and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, np.dtype) and column.dtype != object:
            values, header = column.to_numpy(), [name, column.dtype.str]
        else:
            values, distinct = cells.factorise(column)
            kind = cells.cell_type_of(column)
            header = [name, kind if kind in ("text", "category") else str(column.dtype), *map(str, distinct)]
        digest.update(json.dumps(header).encode())
        digest.update(cast("Any", np.ascontiguousarray(values).view(np.uint8)))
    return digest.hexdigest()
