"""Progress of a study: bars on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["Bars", "Lines", "Progress", "choose_progress"]


class Progress:
    """Print nothing; the base of those that print."""

    def write(self, line: str) -> None:
        """Print a line that stays."""

    def begin_stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` trainings."""

    def advance(self, best: str = "") -> None:
        """Count one training of the stage, and show the best so far."""

    def close(self) -> None:
        """End the display."""


class Lines(Progress):
    """Print plain lines, one every few seconds at most."""

    def __init__(self, every: float = 5.0) -> None:
        self._every = every
        self._name, self._total, self._count, self._printed = "", 0, 0, 0.0

    def write(self, line: str) -> None:
        print(line, flush=True)

    def begin_stage(self, name: str, total: int) -> None:
        self._name, self._total, self._count = name, total, 0
        self._began = self._printed = time.monotonic()

    def advance(self, best: str = "") -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._printed >= self._every or self._count == self._total:
            self._printed = now
            left = (now - self._began) / self._count * max(0, self._total - self._count)
            tail = f", {best}" if best else ""
            print(f"{self._name}: {self._count}/{self._total}{tail}, about {left:.0f} s left", flush=True)


class Bars(Progress):
    """Show bars with stage, count, best so far and remaining time, by rich."""

    def __init__(self) -> None:
        from rich import progress as rich_progress

        self._bars = rich_progress.Progress(
            rich_progress.TextColumn("{task.description:<8}"),
            rich_progress.BarColumn(bar_width=28),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TextColumn("{task.fields[best]}"),
            rich_progress.TimeRemainingColumn(),
        )
        self._task: Any = None
        self._bars.start()

    def write(self, line: str) -> None:
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def begin_stage(self, name: str, total: int) -> None:
        self._task = self._bars.add_task(name, total=total, best="")

    def advance(self, best: str = "") -> None:
        self._bars.update(self._task, advance=1, best=best)

    def close(self) -> None:
        self._bars.stop()


def choose_progress(quiet: bool) -> Progress:
    """Return bars for a terminal, lines for a file or pipe, and nothing when quiet."""
    if quiet:
        return Progress()
    return Bars() if sys.stdout.isatty() else Lines()
