"""`thinnet info`."""

from __future__ import annotations

import argparse

from thinnet._cli.parser import Parser

__all__ = ["add_arguments", "run"]


def add_arguments(_: Parser) -> None:
    """Add nothing: the command has no arguments."""


def run(_: argparse.Namespace) -> None:
    """Print versions, instruction set, threads and installed extras."""
    from thinnet import _info as info

    print(info.text())
