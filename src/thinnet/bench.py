"""Time dropout on this machine against a copy, NumPy, PyTorch and JAX.

All are timed in turn, A B C A B C …, in one run, so that whatever else the machine does meets all of them
alike. `measure` returns plain rows; `show` and `draw` make a table and a chart of them.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import statistics
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import thinnet
from thinnet import info
from thinnet.errors import FileError, InputError, need
from thinnet.files import replacing, write_text
from thinnet.native.threads import get_num_threads, set_num_threads
from thinnet.random import Key
from thinnet.variants import dropout

__all__ = ["Options", "Rival", "bench", "draw", "in_turn", "measure", "rivals", "show", "size_of"]

Array: TypeAlias = NDArray[Any]
Row: TypeAlias = dict[str, Any]

SIZES = ("2**12", "2**20", "2**24")
_DTYPES = ("float32", "float64", "float16")
_MOST_ENTRIES = 2**28
_MOST_SIZES = 12
_LEAST_ROUNDS = 3
_LEAST_SAMPLE = 0.001  # seconds: calls shorter than this are timed several at once


@dataclass(frozen=True)
class Rival:
    """One way to do the work, and the name that stands in tables; `before` runs ahead of each timing."""

    name: str
    run: Callable[[], object]
    ours: bool = False
    before: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Options:
    """What `thinnet bench` is asked for."""

    sizes: tuple[str, ...] = SIZES
    dtype: str = "float32"
    rate: float = 0.5
    seconds: float = 30.0
    out: Path | None = None
    json: Path | None = None


def bench(options: Options) -> None:
    """Measure, print a table and a chart, and write the files that were asked for."""
    sizes = tuple(dict.fromkeys(map(size_of, options.sizes)))
    _check(options, len(sizes))
    need("rich", extra="study", owner="thinnet bench")
    from rich.console import Console

    console = Console(highlight=False, emoji=False, markup=False)
    rows: list[Row] = []
    for size in sizes:
        with console.status(f"measuring {size:,} entries"):
            rows += measure(size, options.dtype, options.rate, options.seconds / len(sizes))
