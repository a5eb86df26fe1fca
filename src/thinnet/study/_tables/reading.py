"""Files as data frames: text tables, Parquet and NumPy archives."""

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

# Its stubs leave much unknown.
_pa = cast("Any", pa)
_csv = cast("Any", pyarrow.csv)
_parquet = cast("Any", pyarrow.parquet)


def _read_text(path: Path, missing: Sequence[str]) -> pd.DataFrame:
    """Read a .csv or .tsv in which every row is as wide as the header."""
    skipped, header = _header(path)
    cut = "\t" if path.suffix.lower() == ".tsv" else _delimiter(header)
    words = [*MISSING, *missing]
    # A block must hold a whole row; a wide table has a long header too.
    block = max(1 << 20, 16 * len(header))
    # One thread: only then does a ragged row know its number.
    reading = _csv.ReadOptions(use_threads=False, block_size=block, skip_rows=skipped)
    read = _read_arrow(path, cut, words, reading)
    read = read.rename_columns(_names(list(read.column_names), path.name))
    frame = _to_pandas(read, path.name)
    frame.index = pd.RangeIndex(skipped, skipped + len(frame))
    _check_quotes(frame, path)
    return _tidy(frame, words, commas=cut == ";")


def _read_arrow(path: Path, cut: str, words: Sequence[str], reading: Any) -> Any:
    """Read a text table with Arrow's parser, which is strict and lean."""
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    parsing = _csv.ParseOptions(
        delimiter=cut,
        newlines_in_values=True,
        ignore_empty_lines=False,  # they count in the numbers of the rows
        invalid_row_handler=refuse,
    )
    converting = _csv.ConvertOptions(
        null_values=words, strings_can_be_null=True, true_values=[], false_values=[]
    )
    pool = _pa.system_memory_pool()  # gives memory back at once
    try:
        return _csv.read_csv(path, reading, parsing, converting, pool)
    except _pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise DataError(f"{path.name}: empty table: it has no rows.") from error
        if not ragged:
            said = " ".join(str(error).split())
            raise FileError(f"{path.name}: not a table of cells: {said}.") from error
        row = ragged[0]
        raise DataError(
            f"{path.name}, row {row.number}: {row.expected_columns} cells are needed, as in the header, and "
            f"it has {row.actual_columns}; complete it, or quote cells that hold the delimiter {cut!r}."
        ) from error


def _header(path: Path) -> tuple[int, str]:
    """Return how many blank lines lead and the first line that is not blank; the whole file must be UTF-8."""
    header: tuple[int, str] | None = None
    with path.open("rb") as file:
        for number, line in enumerate(file):
            where = f"{path.name}, line {number + 1}"
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                said = f"{where}: byte 0x{line[error.start]:02x} is not UTF-8"
                raise FileError(f"{said}; save the table as CSV in UTF-8.") from error
            if "\0" in text:
                raise FileError(f"{where}: a NUL byte is not text; save the table as CSV in UTF-8.")
            if header is None and text.strip("\ufeff \t\r\n"):
                header = number, text
    if header is None:
        raise DataError(f"{path.name}: empty table: the file holds nothing.")
    return header


def _delimiter(header: str) -> str:
    """Return what cuts the cells of a .csv: a comma where there is one."""
    return next((mark for mark in ",;\t" if mark in header), ",")


def _names(names: list[str], table: str) -> list[str]:
    """Return usable names of the columns: the first row, which must not be data."""
    spelled = [cells.number_of(name.strip()) for name in names]
    if all(number % 1 >= 0 for number in spelled) and any(number % 1 > 0 for number in spelled):
        raise DataError(f"{table}, row 1: numbers where the names of the columns belong; add a header row.")
    return [name.strip() or f"Unnamed: {position}" for position, name in enumerate(names)]


def _check_quotes(frame: pd.DataFrame, path: Path) -> None:
    """Refuse a file whose last cell runs over several lines because a quote is never closed."""
    if not len(frame) or not any("\n" in str(cell) for cell in frame.iloc[-1]):
        return
    with path.open("rb") as file:
        quotes = sum(line.count(b'"') for line in file)
    if quotes % 2:
        row = int(frame.index[-1]) + 2
        raise DataError(f"{path.name}, row {row}: a quote is opened and never closed; close it or remove it.")


def _tidy(frame: pd.DataFrame, words: Sequence[str], *, commas: bool) -> pd.DataFrame:
    """Strip texts, see missing values and numbers among them, leave out rows that hold nothing."""
    for name in frame.columns:
        if cells.kind_of(frame[name]) != "text":
            continue
        codes, values = cells.factorise(frame[name])
        told = [str(value).strip() for value in values]
        told = [_DECIMAL_COMMA.sub(r"\1.\2", text) for text in told] if commas else told
        kept = [None if text in words else text for text in told]
        spelled = [cells.number_of(text) for text in kept]
        if all(text is None or not np.isnan(number) for text, number in zip(kept, spelled, strict=True)):
            frame[name] = np.array([*spelled, np.nan])[codes]
        elif kept != values:
            frame[name] = np.array([*kept, None], dtype=np.object_)[codes]
    blank = frame.iloc[:, 0].isna().to_numpy(copy=True)
    if blank.any():
        blank[blank] = frame[blank].isna().to_numpy().all(axis=1)
    return frame[~blank] if blank.any() else frame


def _read_parquet(path: Path, _missing: Sequence[str]) -> pd.DataFrame:
    """Read a Parquet file."""
    try:
        read = _parquet.ParquetFile(path).read()
    except (_pa.ArrowInvalid, _pa.ArrowNotImplementedError) as error:
        raise FileError(f"{path.name}: not a Parquet file: {' '.join(str(error).split())[:200]}.") from error
    unnamed = [name for name in read.column_names if name.startswith("__index_level_")]
    read = read.drop_columns(unnamed)
    return _to_pandas(read, path.name)


def _to_pandas(read: Any, name: str) -> pd.DataFrame:
    """Hand an Arrow table over to pandas, column by column; nothing else may hold its columns."""
    cells.check_names(read.column_names, name)
    pool = _pa.system_memory_pool()
    frame = read.to_pandas(
        memory_pool=pool, split_blocks=True, self_destruct=True, date_as_object=False, ignore_metadata=True
    )
    pool.release_unused()
    return frame


def _read_npz(path: Path, _missing: Sequence[str]) -> pd.DataFrame:
    """Read X, flattened to columns, and y if there is one."""
    try:
        with path.open("rb") as file:
            arrays = _arrays(file, path.name)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        said = f"{path.name}: not an .npz archive, or a damaged one"
        raise FileError(f"{said}; save one with numpy.savez(path, X=X, y=y).") from error
    x, y = arrays["X"], arrays.get("y")
    if x.dtype.kind not in "biuf" or x.ndim == 0:
        raise DataError(
            f"{path.name}: X must hold numbers, one row a sample; it is {x.dtype} of shape {x.shape}."
        )
    frame = pd.DataFrame(_flat(x))
    frame.columns = [f"x{position}" for position in range(frame.shape[1])]
    return frame if y is None else _with_y(frame, y, path.name)


def _arrays(file: BinaryIO, name: str) -> dict[str, NDArray[Any]]:
    """Return X and perhaps y of an open archive, in this machine's byte order."""
    held = np.load(file, allow_pickle=False)
    if not isinstance(held, NpzFile):
        raise ValueError("one array without a name")
    if "X" not in held.files:
        found = ", ".join(map(cells.quoted, held.files)) or "nothing"
        raise DataError(f'{name}: holds no array "X" but {found}; save it as X, one row a sample.')
    try:
        arrays: dict[str, NDArray[Any]] = {key: held[key] for key in held.files if key in ("X", "y")}
    except ValueError as error:
        raise DataError(f"{name}: holds arrays of objects; save numbers, or texts for y.") from error
    return {key: array.astype(array.dtype.newbyteorder("="), copy=False) for key, array in arrays.items()}


def _flat(x: NDArray[Any]) -> NDArray[Any]:
    """Return X as a matrix of at most 64 bits a number."""
    x = x.reshape(len(x), -1 if x.size else int(np.prod(x.shape[1:])))  # (n, ...) -> (n, d)
    return x.astype(np.float64) if x.dtype.itemsize > 8 or x.dtype == np.float16 else x


def _with_y(frame: pd.DataFrame, y: NDArray[Any], name: str) -> pd.DataFrame:
    """Put y beside the columns of X."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "biufUM":
        raise DataError(f"{name}: y must hold one number or text a row; it is {y.dtype} of shape {y.shape}.")
    if len(y) != len(frame):
        raise DataError(f"{name}: X has {len(frame)} rows and y has {len(y)}; they must be as many.")
    frame["y"] = y.tolist() if y.dtype.kind == "U" else y
    return frame


READERS: MappingProxyType[str, Callable[[Path, Sequence[str]], pd.DataFrame]] = MappingProxyType(
    {".csv": _read_text, ".tsv": _read_text, ".parquet": _read_parquet, ".npz": _read_npz}
)
