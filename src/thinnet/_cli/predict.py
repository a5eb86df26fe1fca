"""`thinnet predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from thinnet._cli.parser import MISSING, Parser

__all__ = ["add_arguments", "run"]


def add_arguments(parser: Parser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("folder", metavar="RUN", help="A run's folder, or its model.safetensors.")
    add(
        "source",
        metavar="DATA",
        help="New rows: the columns of the study's table, with or without the target.",
    )
    add("--out", type=Path, metavar="FILE", help="A CSV file; printed by default.")
    add("--missing", **MISSING)


def run(arguments: argparse.Namespace) -> None:
    """Print predictions, or write them to a file."""
    from thinnet.study._extra import need_packages

    need_packages("thinnet predict")
    from thinnet.study._predict import predict, to_csv
    from thinnet.study._spelling import as_flags

    missing = tuple(arguments.missing or ())
    with as_flags():
        predictions = predict(arguments.folder, arguments.source, out=arguments.out, missing=missing)
    if arguments.out is None:
        print(to_csv(predictions), end="")
    else:
        print(f"{arguments.out}: {len(predictions):,} predictions")
