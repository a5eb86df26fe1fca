"""The command `thinnet bench`: its options, the measurement, the terminal and the files."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinnet import _info as info
from thinnet._bench.measuring import Row, measure
from thinnet._bench.showing import bars, draw, machine_line, table
from thinnet._files import explain, write_text
from thinnet.errors import FileError, InputError, need

__all__ = ["Options", "bench", "size_of"]

_DTYPES = ("float32", "float64", "float16")
_MOST_ENTRIES = 2**28
_MOST_SIZES = 12
_NOTES = (
    "All were timed in turn, in one run; x copy is the median over the rounds.",
    "torch and JAX allocate their result; the others write to an existing array.",
)


@dataclass(frozen=True)
class Options:
    """The options of `thinnet bench`."""

    sizes: tuple[str, ...] = ("2**12", "2**20", "2**24")
    dtype: str = "float32"
    rate: float = 0.5
    seconds: float = 30.0
    chart: Path | None = None
    numbers: Path | None = None


def bench(options: Options) -> None:
    """Measure, print tables and bars, and write the requested files."""
    sizes = _check(options)
    need("rich", extra="study", owner="thinnet bench")
    if options.chart is not None:
        need("matplotlib", extra="study", owner="thinnet bench --out")
    from rich.console import Console

    console = Console(highlight=False, emoji=False, markup=False)
    machine = _machine()
    console.print(f"Dropout forward, {options.dtype}, rate {options.rate:g}", style="bold")
    console.print(machine_line(machine), style="dim")
    rows: list[Row] = []
    notes: dict[str, None] = {}  # most notes are the same for every size; a dict keeps the order
    for size in sizes:
        # A moving spinner would take time from the measurement.
        with console.status(f"measuring {size:,} entries", refresh_per_second=0.1):
            new, left_out = measure(size, options.dtype, options.rate, options.seconds / len(sizes))
        rows += new
        notes |= dict.fromkeys(left_out)
        table(console, new)
    bars(console, rows)
    console.print("", *_NOTES, *notes, sep="\n", style="dim")
    results = {"task": "dropout forward", "machine": machine, "notes": [*_NOTES, *notes], "rows": rows}
    if options.numbers is not None:
        write_text(options.numbers, json.dumps(results, indent=2) + "\n")
    if options.chart is not None:
        draw(results, options.chart)
    for path in filter(None, (options.numbers, options.chart)):
        console.print(f"written: {path}", soft_wrap=True)


def size_of(text: str) -> int:
    """Return a number of entries from text such as ``"4096"`` or ``"2**12"``.

    >>> size_of("2**12")
    4096
    """
    found = re.fullmatch(r"([0-9]{1,12})(?:\*\*([0-9]{1,2}))?", text.strip())
    size = int(found[1]) ** int(found[2] or 1) if found else 0
    if not 1 <= size <= _MOST_ENTRIES:
        raise InputError(f"bench: --size must be a number from 1 to 2**28, like 4096 or 2**12, got {text!r}.")
    return size


def _machine() -> dict[str, Any]:
    versions = {name: info.version(name) for name in ("torch", "jax")}
    return info.machine() | {name: version for name, version in versions.items() if version is not None}


def _check(options: Options) -> list[int]:
    """Return the sizes; raise InputError for options that cannot be measured or written."""
    sizes = list(dict.fromkeys(map(size_of, options.sizes)))
    if not 1 <= len(sizes) <= _MOST_SIZES:
        raise InputError(f"bench: 1 to {_MOST_SIZES} sizes can be measured in one run, got {len(sizes)}.")
    if options.dtype not in _DTYPES:
        raise InputError(f"bench: --dtype must be one of {', '.join(_DTYPES)}, got {options.dtype!r}.")
    if not 0 < options.rate < 1:
        raise InputError(f"bench: --rate must be in (0, 1), got {options.rate:g}.")
    if not 0 < options.seconds <= 3600:
        raise InputError(f"bench: --seconds must be in (0, 3600], got {options.seconds:g}.")
    for path, kinds in ((options.chart, (".svg", ".png")), (options.numbers, (".json",))):
        if path is not None:
            _check_file(path, kinds)
    return sizes


def _check_file(path: Path, kinds: tuple[str, ...]) -> None:
    if path.suffix.lower() not in kinds:
        raise InputError(f"{path}: the name of this file must end in {' or '.join(kinds)}.")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {explain(error)}.") from error
