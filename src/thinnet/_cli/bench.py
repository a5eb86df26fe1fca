"""`thinnet bench`."""

from __future__ import annotations

import argparse
from pathlib import Path

from thinnet._cli.parser import Parser, number

__all__ = ["add_arguments", "run"]


def add_arguments(parser: Parser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("--size", action="append", metavar="N", help="Number of entries, such as 4096 or 2**12; repeatable.")
    add("--dtype", default="float32", help="float32, float64 or float16.")
    add("--rate", type=number, default=0.5, help="Chance that an entry is dropped.")
    add("--seconds", type=number, default=30.0, help="Approximate duration of all measurements.")
    add("--out", type=Path, metavar="FILE", help="A file for the chart: .svg or .png.")
    add("--json", type=Path, metavar="FILE", help="A file for the numbers: .json.")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print tables and bars."""
    from thinnet import _bench as bench

    sizes = {} if arguments.size is None else {"sizes": tuple(arguments.size)}
    files = {"chart": arguments.out, "numbers": arguments.json}
    options = {"dtype": arguments.dtype, "rate": arguments.rate, "seconds": arguments.seconds}
    bench.bench(bench.Options(**sizes, **options, **files))
