"""`thinnet variants`."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import Any

from thinnet._cli.parser import Parser
from thinnet.errors import InputError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: Parser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", nargs="?", help="Show one variant in full: formula, usual rate, reference.")
    parser.add_argument("--site", help="List the variants of one site, such as branch or weight.")


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each variant, or the page of one."""
    from thinnet.variants import _guide as guide

    if arguments.name is not None and arguments.site is not None:
        raise InputError("variants: give a variant or --site, not both.")
    if arguments.name is not None:
        print(guide.page(arguments.name), end="")
        return
    head = guide.Line("variant", "site", "pattern", "rate", "what it does; the rate is the usual one")
    lines = [head, *guide.table(arguments.site)]
    widths = [max(len(cell) for cell in column) for column in zip(*map(_cells, lines), strict=True)]
    # On a screen a line is cut to the screen's width; a file or pipe gets the complete line.
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        cells = [f"{cell:<{width}}" for cell, width in zip(_cells(line), widths, strict=True)]
        text = "  ".join([*cells, line.doc])
        print(text if columns is None or len(text) <= columns else f"{text[: columns - 1]}…")


def _cells(line: Any) -> tuple[str, ...]:
    return line.name, line.site, line.pattern or "function", line.usual
