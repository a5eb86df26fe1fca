"""The command `thinnet`: one file a command. `--help`, `--version`, `info` and `variants` need no extra.

Every error is one line and exit code 2.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import thinnet
from thinnet._cli.parser import Help, Parser
from thinnet.errors import InputError, ThinnetError

__all__ = ["COMMANDS", "run"]

COMMANDS = {
    "study": "Find out whether dropout helps on a table, how much, and in which layers.",
    "predict": "Predict new rows with the network of a study.",
    "variants": "List all variants of dropout, or show one in full.",
    "gallery": "Run a classic experiment about dropout and draw its picture.",
    "bench": "Measure the speed of dropout on this machine.",
    "info": "Show versions, instruction set, threads and installed extras.",
}
"""Every command and its summary; `thinnet._cli.NAME` implements it."""


def run(words: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    try:
        return _run(list(words))
    except Help as help_text:
        print(help_text, end="")
        return 0
    except ThinnetError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1


def _run(words: list[str]) -> int:
    if not words or words[0].startswith("-"):
        return _without_command(words)
    name, *rest = words
    if name not in COMMANDS:
        names = ", ".join(COMMANDS)
        raise InputError(f"thinnet: there is no command {name!r}; choose from {names}; see thinnet --help.")
    command = importlib.import_module(f"thinnet._cli.{name}")
    parser = Parser(name, COMMANDS[name])
    command.add_arguments(parser)
    arguments = parser.parse(rest)
    try:
        return command.run(arguments) or 0
    except KeyboardInterrupt:
        print(f"\n{getattr(command, 'STOPPED', 'Stopped.')}", file=sys.stderr)
        return 130


def _without_command(words: list[str]) -> int:
    parser = Parser("", "Does dropout help on your data, how much, and in which layers?")
    parser.add_argument("--version", action="store_true", help="Print the version.")
    try:
        arguments = parser.parse(words or ["--help"])
    except Help as options:
        raise Help(_overview(str(options))) from None
    if arguments.version:
        print(f"thinnet {thinnet.__version__}")
    return 0


def _overview(options: str) -> str:
    """Return the help text of `thinnet` itself: its options and all commands."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    options = options.replace("[--version]", "[--version] COMMAND ...", 1)
    return f"{options}\ncommands:\n{commands}\n\nthinnet COMMAND --help shows the options of a command.\n"
