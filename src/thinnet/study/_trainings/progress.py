"""What a study says while it runs: bars on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["Bars", "Lines", "Progress", "Quiet", "choose"]


class Progress:
    """Say nothing; the others say more."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` trainings."""

    def tick(self, best: str = "") -> None:
        """Count one training of the stage, and show the best so far."""

    def close(self) -> None:
        """End."""


class Quiet(Progress):
    """Say nothing."""


class Lines(Progress):
    """Plain lines, one every few seconds at most."""

    def __init__(self, every: float = 5.0) -> None:
        self._every = every
        self._name, self._total, self._count, self._told = "", 0, 0, 0.0

    def say(self, line: str) -> None:
        print(line, flush=True)

    def stage(self, name: str, total: int) -> None:
        self._name, self._total, self._count = name, total, 0
        self._began = self._told = time.monotonic()

    def tick(self, best: str = "") -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._told >= self._every or self._count == self._total:
            self._told = now
            left = (now - self._began) / self._count * max(0, self._total - self._count)
            tail = f", {best}" if best else ""
            print(f"{self._name}: {self._count}/{self._total}{tail}, about {left:.0f} s left", flush=True)


class Bars(Progress):
    """Bars with stage, count, best so far and time left, by rich."""

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

    def say(self, line: str) -> None:
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def stage(self, name: str, total: int) -> None:
        self._task = self._bars.add_task(name, total=total, best="")

    def tick(self, best: str = "") -> None:
        self._bars.update(self._task, advance=1, best=best)

    def close(self) -> None:
        self._bars.stop()


def choose(quiet: bool) -> Progress:
    """Return what suits the place the output goes to."""
    if quiet:
        return Quiet()
    return Bars() if sys.stdout.isatty() else Lines()
