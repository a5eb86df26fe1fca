"""Files as data frames: text tables, Parquet files and NumPy archives."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from thinnet.errors import DataError, FileError
from thinnet.study._tables import cells

__all__ = ["MISSING", "READERS"]

MISSING = ("", "NA", "NaN", "nan", "null", "NULL")
_DECIMAL_COMMA = re.compile(r"^([+-]?[0-9]+),([0-9]+)$")

# pyarrow's stubs are incomplete.
_pa = cast("Any", pa)
_csv = cast("Any", pyarrow.csv)
_parquet = cast("Any", pyarrow.parquet)


def _read_text(path: Path, missing: Sequence[str]) -> pd.DataFrame:
    """Read a .csv or .tsv file, in which every row must have as many cells as the header."""
    skipped, header = _header(path)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(header)
    words = [*MISSING, *missing]
    # A block must hold a whole row; the header's length estimates a row's length.
    block = max(1 << 20, 16 * len(header))
    # One thread: only then does Arrow report the number of a ragged row.
    reading = _csv.ReadOptions(use_threads=False, block_size=block, skip_rows=skipped)
    table = _read_arrow(path, delimiter, words, reading)
    table = table.rename_columns(_column_names(list(table.column_names), path.name))
    frame = _to_pandas(table, path.name)
    frame.index = pd.RangeIndex(skipped, skipped + len(frame))
    _check_quotes(frame, path)
    return _clean_texts(frame, words, decimal_commas=delimiter == ";")


def _read_arrow(path: Path, delimiter: str, words: Sequence[str], reading: Any) -> Any:
    """Read a text table with Arrow's parser, which is strict and saves memory."""
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    parsing = _csv.ParseOptions(
        delimiter=delimiter,
        newlines_in_values=True,
        ignore_empty_lines=False,  # an empty line has a row number too
        invalid_row_handler=refuse,
    )
    converting = _csv.ConvertOptions(
        null_values=words, strings_can_be_null=True, true_values=[], false_values=[]
    )
    pool = _pa.system_memory_pool()  # returns freed memory to the system at once
    try:
        return _csv.read_csv(path, reading, parsing, converting, pool)
    except _pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise DataError(f"{path.name}: empty table: it has no rows.") from error
        if not ragged:
            reason = " ".join(str(error).split())
            raise FileError(f"{path.name}: not a table of cells: {reason}.") from error
        row = ragged[0]
        raise DataError(
            f"{path.name}, row {row.number}: {row.expected_columns} cells are needed, as in the header, and "
            f"it has {row.actual_columns}; complete it, or quote cells that hold the delimiter {delimiter!r}."
        ) from error


def _header(path: Path) -> tuple[int, str]:
    """Return the number of leading blank lines and the first other line; the whole file must be UTF-8."""
    header: tuple[int, str] | None = None
    with path.open("rb") as file:
        for number, line in enumerate(file):
            where = f"{path.name}, line {number + 1}"
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x}"
                raise FileError(f"{where}: {byte} is not UTF-8; save the table as CSV in UTF-8.") from error
            if "\0" in text:
                raise FileError(f"{where}: a NUL byte is not text; save the table as CSV in UTF-8.")
            if header is None and text.strip("\ufeff \t\r\n"):
                header = number, text
    if header is None:
        raise DataError(f"{path.name}: empty table: the file has no lines.")
    return header


def _delimiter(header: str) -> str:
    """Return the delimiter of a .csv file: a comma if the header has one."""
    return next((mark for mark in ",;\t" if mark in header), ",")


def _column_names(names: list[str], table: str) -> list[str]:
    """Return the names of the columns: the cells of the first row, which must not be data."""
    as_numbers = [cells.parse_number(name.strip()) for name in names]
    if all(number % 1 >= 0 for number in as_numbers) and any(number % 1 > 0 for number in as_numbers):
        raise DataError(f"{table}, row 1: holds numbers instead of column names; add a header row.")
    return [name.strip() or f"Unnamed: {position}" for position, name in enumerate(names)]


def _check_quotes(frame: pd.DataFrame, path: Path) -> None:
    """Refuse a file whose last cell spans several lines because a quote is never closed."""
    if not len(frame) or not any("\n" in str(cell) for cell in frame.iloc[-1]):
        return
    with path.open("rb") as file:
        quotes = sum(line.count(b'"') for line in file)
    if quotes % 2:
        row = int(frame.index[-1]) + 2
        raise DataError(f"{path.name}, row {row}: a quote is opened and never closed; close it or remove it.")


def _clean_texts(frame: pd.DataFrame, words: Sequence[str], *, decimal_commas: bool) -> pd.DataFrame:
    """Strip texts, convert missing values and numbers among them, and leave out empty rows."""
    for name in frame.columns:
        if cells.cell_type_of(frame[name]) != "text":
            continue
        codes, values = cells.factorise(frame[name])
        texts = [str(value).strip() for value in values]
        texts = [_DECIMAL_COMMA.sub(r"\1.\2", text) for text in texts] if decimal_commas else texts
        kept = [None if text in words else text for text in texts]
        as_numbers = [cells.parse_number(text) for text in kept]
        if all(text is None or not np.isnan(number) for text, number in zip(kept, as_numbers, strict=True)):
            frame[name] = np.array([*as_numbers, np.nan])[codes]
        elif kept != values:
            frame[name] = np.array([*kept, None], dtype=np.object_)[codes]
    blank = frame.iloc[:, 0].isna().to_numpy(copy=True)
    if blank.any():
        blank[blank] = frame[blank].isna().to_numpy().all(axis=1)
    return frame[~blank] if blank.any() else frame


def _read_parquet(path: Path, _missing: Sequence[str]) -> pd.DataFrame:
    """Read a Parquet file."""
    try:
        table = _parquet.ParquetFile(path).read()
    except (_pa.ArrowInvalid, _pa.ArrowNotImplementedError) as error:
        raise FileError(f"{path.name}: not a Parquet file: {' '.join(str(error).split())[:200]}.") from error
    unnamed = [name for name in table.column_names if name.startswith("__index_level_")]
    return _to_pandas(table.drop_columns(unnamed), path.name)


def _to_pandas(table: Any, name: str) -> pd.DataFrame:
    """Convert an Arrow table to pandas, column by column, and free each Arrow column after its conversion."""
    cells.check_names(table.column_names, name)
    pool = _pa.system_memory_pool()
    frame = table.to_pandas(
        memory_pool=pool, split_blocks=True, self_destruct=True, date_as_object=False, ignore_metadata=True
    )
    pool.release_unused()
    return frame


def _read_npz(path: Path, _missing: Sequence[str]) -> pd.DataFrame:
    """Read X, flattened to columns, and y if the archive has one."""
    try:
        with path.open("rb") as file:
            arrays = _arrays(file, path.name)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        remedy = "save one with numpy.savez(path, X=X, y=y)"
        raise FileError(f"{path.name}: not an .npz archive, or a damaged one; {remedy}.") from error
    x, y = arrays["X"], arrays.get("y")
    if x.dtype.kind not in "biuf" or x.ndim == 0:
        raise DataError(
            f"{path.name}: X must hold numbers, one row for each sample; it is {x.dtype} of shape {x.shape}."
        )
    frame = pd.DataFrame(_flat(x))
    frame.columns = [f"x{position}" for position in range(frame.shape[1])]
    return frame if y is None else _with_y(frame, y, path.name)


def _arrays(file: BinaryIO, name: str) -> dict[str, NDArray[Any]]:
    """Return X, and y if present, of an open archive, in this machine's byte order."""
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, NpzFile):
        raise ValueError("one array without a name")
    if "X" not in archive.files:
        found = ", ".join(map(cells.quote, archive.files)) or "nothing"
        raise DataError(f'{name}: holds no array "X" but {found}; save it as X, one row for each sample.')
    try:
        arrays: dict[str, NDArray[Any]] = {key: archive[key] for key in archive.files if key in ("X", "y")}
    except ValueError as error:
        raise DataError(f"{name}: holds arrays of objects; save numbers, or texts for y.") from error
    return {key: array.astype(array.dtype.newbyteorder("="), copy=False) for key, array in arrays.items()}


def _flat(x: NDArray[Any]) -> NDArray[Any]:
    """Return X as a matrix of numbers of at most 64 bits."""
    x = x.reshape(len(x), -1 if x.size else int(np.prod(x.shape[1:])))  # (n, ...) -> (n, d)
    return x.astype(np.float64) if x.dtype.itemsize > 8 or x.dtype == np.float16 else x


def _with_y(frame: pd.DataFrame, y: NDArray[Any], name: str) -> pd.DataFrame:
    """Append y to the columns of X."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "biufUM":
        raise DataError(
            f"{name}: y must hold one number or text for each row; it is {y.dtype} of shape {y.shape}."
        )
    if len(y) != len(frame):
        raise DataError(f"{name}: X has {len(frame)} rows and y has {len(y)}; the numbers must be equal.")
    frame["y"] = y.tolist() if y.dtype.kind == "U" else y
    return frame


READERS: MappingProxyType[str, Callable[[Path, Sequence[str]], pd.DataFrame]] = MappingProxyType(
    {".csv": _read_text, ".tsv": _read_text, ".parquet": _read_parquet, ".npz": _read_npz}
)
