"""`thinnet gallery`."""

from __future__ import annotations

import argparse
from pathlib import Path

from thinnet._cli.parser import Parser

__all__ = ["add_arguments", "run"]


def add_arguments(parser: Parser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("name", nargs="?", help="The experiment; without it, all experiments are listed.")
    add("files", nargs="*", type=Path, help="More files for --data.")
    add("--out", type=Path, default=Path("gallery"), metavar="FOLDER", help="The folder for the picture.")
    add(
        "--data",
        action="append",
        type=Path,
        metavar="PATH",
        help="Your own data instead of the built-in data: a file or folder; repeatable.",
    )
    add("--backend", default="numpy", help="numpy; or torch, for overfit and convnet, with the same masks.")


def run(arguments: argparse.Namespace) -> None:
    """List the experiments, or run one and print its figures."""
    from thinnet import gallery

    if arguments.name is None:
        width = max(map(len, gallery.EXHIBITS))
        for name, summary in gallery.EXHIBITS.items():
            print(f"{name:<{width}}  {summary}")
        return
    from thinnet.study._extra import need_packages

    need_packages("thinnet gallery")
    data = [*(arguments.data or ()), *arguments.files]
    for line in gallery.show(arguments.name, arguments.out, data=data, backend=arguments.backend):
        print(line)
