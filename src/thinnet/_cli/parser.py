"""The parser of the command line: argparse with errors of one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from thinnet.errors import InputError

__all__ = ["MISSING", "Help", "Parser", "number", "whole_number"]

T = TypeVar("T", int, float)

MISSING: dict[str, Any] = {
    "action": "append",
    "metavar": "TEXT",
    "help": "A text that stands for a missing value; repeatable.",
}
"""The flag --missing of every command that reads a table."""


class Help(Exception):  # noqa: N818 - not an error
    """The user asked for help; the text is the argument."""


class _ShowHelp(argparse.Action):
    """Ask for the help of the parser that the flag belongs to."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        raise Help(parser.format_help())


class Parser(argparse.ArgumentParser):
    """Arguments of one command.

    Options and positional arguments may alternate, the value of an option may begin with a hyphen, and an
    option is never abbreviated. A wrong argument raises InputError in one line.

    Parameters
    ----------
    command : str
        The command's name, empty for `thinnet` itself.
    summary : str
        The first line of the help text.
    """

    def __init__(self, command: str, summary: str) -> None:
        super().__init__(
            prog=f"thinnet {command}".strip(),
            description=summary,
            allow_abbrev=False,
            add_help=False,
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=26),
        )
        self.command = command or "thinnet"
        self.add_argument("-h", "--help", action=_ShowHelp, nargs=0, help="Show this text.")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the arguments.

        Raises
        ------
        InputError
            An argument is unknown, missing or has a wrong value.
        Help
            The words ask for help.
        """
        return self.parse_args(self._reorder(words))

    def _reorder(self, words: Sequence[str]) -> list[str]:
        """Join each option with its value, and put the positional arguments last, as argparse needs them."""
        options: list[str] = []
        positionals: list[str] = []
        remaining = iter(words)
        for word in remaining:
            if word == "--":
                positionals += remaining
            elif not word.startswith("-") or word == "-":
                positionals.append(word)
            elif self._takes_value(word):
                value = next(remaining, None)
                if value is None:
                    self.error(f"argument {word}: expected one argument")
                options.append(f"{word}={value}")
            else:
                options.append(word)
        hyphens = any(word.startswith("-") for word in positionals)
        return [*options, *(["--"] if hyphens else []), *positionals]

    def _takes_value(self, word: str) -> bool:
        action = self._option_string_actions.get(word)
        return action is not None and action.nargs != 0

    def error(self, message: str) -> NoReturn:
        """Raise InputError instead of printing the usage."""
        text = message.removeprefix("argument ")
        named, colon, rest = text.partition(": ")
        if colon and rest.startswith(("must be", "expected")):
            text = f"{named} {rest.replace('expected one argument', 'needs a value')}"
        raise InputError(f"{self.command}: {text}; see {self.prog} --help.")


def whole_number(text: str) -> int:
    """Return a whole number."""
    return _convert(text, int, "a whole number")


def number(text: str) -> float:
    """Return a number."""
    return _convert(text, float, "a number")


def _convert(text: str, convert: Callable[[str], T], requirement: str) -> T:
    try:
        return convert(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {requirement}, got {text!r}") from None
