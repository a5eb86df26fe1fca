"""`thinnet study`."""

from __future__ import annotations

import argparse
import re
from typing import Any

from thinnet._cli.parser import MISSING, Parser, whole_number
from thinnet.errors import InputError

__all__ = ["STOPPED", "add_arguments", "run"]

STOPPED = "Stopped. Finished trainings are kept; the same command continues from there."

_DATA = (
    "A .csv, .tsv, .parquet or .npz file, or a built-in table: digits, breast_cancer, diabetes or wine; "
    "digits by default."
)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def add_arguments(parser: Parser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("source", nargs="?", default="digits", metavar="DATA", help=_DATA)
    add("--target", metavar="COLUMN", help="The column to predict.")
    add("--out", metavar="FOLDER", help="The run's folder; runs/NAME by default.")
    add("--task", help="classification or regression; decided from the target by default.")
    add("--group", metavar="COLUMN", help="Rows with the same value in this column stay together.")
    add("--missing", **MISSING)
    add(
        "--category",
        dest="categories",
        action="append",
        metavar="COLUMN",
        help="A column of names that look like numbers; repeatable.",
    )
    add("--drop", action="append", metavar="COLUMN", help="A column to leave out; repeatable.")
    add(
        "--trials",
        type=whole_number,
        metavar="N",
        help="Trials for each side, with and without dropout; 20 by default.",
    )
    add("--seeds", type=whole_number, metavar="N", help="Seeds to confirm over; 5 by default.")
    add(
        "--max-width",
        type=whole_number,
        metavar="N",
        help="Width of the widest hidden layer; 512 by default.",
    )
    add(
        "--time-budget",
        metavar="TIME",
        help="Run fewer trials, to finish within a time such as 90s, 5m or 1h.",
    )
    add("--jobs", type=whole_number, metavar="N", help="Worker processes; one for each core by default.")
    add("--storage", metavar="URL", help="An Optuna storage that several machines share.")
    add("--variants", metavar="A,B", help="Variants to search, such as Dropout,GaussianDropout.")
    add("--seed", type=whole_number, metavar="N", help="The same seed gives the same numbers; 0 by default.")
    add("--quiet", action="store_true", help="Print only the verdict.")


def run(arguments: argparse.Namespace) -> None:
    """Run a study and print its summary."""
    from thinnet.study._extra import need_packages

    need_packages("thinnet study")
    from thinnet.study import Options, study
    from thinnet.study._report.wording import summarise
    from thinnet.study._spelling import as_flags

    with as_flags():
        options = Options(**_options(arguments))
        results = study(options)
    for line in summarise(results):
        print(line)
    print(f"report: {options.folder / 'report.html'}")


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that the command line gives; the others keep their defaults."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    if "variants" in given:
        given["variants"] = [name.strip() for name in given["variants"].split(",") if name.strip()]
    if "time_budget" in given:
        given["time_budget"] = _seconds(given["time_budget"])
    return given


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None:
        raise InputError(f"study: --time-budget must be a time like 90s, 5m or 1h, got {text!r}.")
    return float(match[1]) * _UNITS[match[2]]
