"""Patterns: which entries of an array share one lane.

A pattern is a string with one word for each axis: a name means "its own lanes along this axis", `1` means
"shared along it", `...` stands for any number of axes with lanes of their own, `1...` for any number of
shared ones. `"n c 1 1"` draws one lane for each sample and channel, `"..."` one for each entry, `"n 1..."`
one for each sample. Names are free; they only have to differ.
"""

from __future__ import annotations

import functools
from typing import Any

from thinnet._checks import format_value
from thinnet._core.random.windows import Window
from thinnet.errors import InputError

__all__ = ["check_pattern", "lane_window", "takes", "unfit"]

_SEVERAL = ("...", "1...")


def check_pattern(owner: str, pattern: Any) -> str:
    """Return a pattern with one space between its words.

    Raises
    ------
    InputError
        The pattern is not a string of names, "1", and "..." or "1..." once; or a name stands twice.

    Examples
    --------
    >>> check_pattern("Dropout", "n  c 1...")
    'n c 1...'
    >>> check_pattern("Dropout", "n,1")
    Traceback (most recent call last):
    thinnet.errors.InputError: Dropout: pattern 'n,1' has the word 'n,1'; use names, 1, ... or 1... for axes.
    """
    if not isinstance(pattern, str) or not pattern.split():
        raise InputError(
            f"{owner}: pattern must be a string with one word for each axis, such as "
            f"{'n 1 f'!r}, got {format_value(pattern)}."
        )
    words, shown = pattern.split(), format_value(pattern)
    for word in words:
        if word not in ("1", *_SEVERAL) and not word.isidentifier():
            raise InputError(
                f"{owner}: pattern {shown} has the word {format_value(word)}; "
                "use names, 1, ... or 1... for axes."
            )
    if sum(word in _SEVERAL for word in words) > 1:
        raise InputError(f"{owner}: pattern {shown} has more than one of ... and 1...; write one.")
    names = [word for word in words if word.isidentifier()]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(
            f"{owner}: pattern {shown} has the name {format_value(twice)} twice; rename one axis."
        )
    return " ".join(words)


@functools.lru_cache(maxsize=256)
def lane_window(pattern: str, window: Window | tuple[int, ...], owner: str) -> Window:
    """Return the window of the lanes that decide for a window of x.

    Parameters
    ----------
    pattern : str
        One word for each axis; see above.
    window : Window or tuple of int
        The part of a global array that x is, or the shape of x, which is then all of it.
    owner : str
        The name of the variant; an error message begins with it.

    Raises
    ------
    InputError
        The array has another number of axes than the pattern.

    Examples
    --------
    >>> lane_window("n c 1 1", (8, 3, 32, 32), "Dropout2d").size
    (8, 3, 1, 1)
    """
    if not isinstance(window, Window):
        window = Window.whole(window)
    words = _words(pattern, len(window.shape))
    if words is None:
        raise InputError(f"{owner}: {unfit(pattern, window.shape)}.")
    shared = [word == "1" for word in words]
    return Window(
        tuple(1 if one else n for one, n in zip(shared, window.shape, strict=True)),
        tuple(0 if one else n for one, n in zip(shared, window.start, strict=True)),
        tuple(min(1, n) if one else n for one, n in zip(shared, window.size, strict=True)),
    )


def takes(pattern: str, axes: int) -> bool:
    """Return whether a pattern fits arrays of that many axes.

    Examples
    --------
    >>> takes("n c 1 1", 2), takes("n 1...", 2), takes("...", 2)
    (False, True, True)
    """
    return _words(pattern, axes) is not None


def unfit(pattern: str, shape: tuple[int, ...]) -> str | None:
    """Return why a pattern does not fit arrays of some shape, None if it does.

    Examples
    --------
    >>> unfit("n c 1 1", (32, 100))
    "the pattern 'n c 1 1' needs 4 axes, got an array of shape (32, 100)"
    """
    if takes(pattern, len(shape)):
        return None
    least = len(pattern.split()) - 1
    needed = f"at least {least}" if "..." in pattern else str(least + 1)
    axes = "axis" if needed.split()[-1] == "1" else "axes"
    return f"the pattern {format_value(pattern)} needs {needed} {axes}, got an array of shape {shape}"


def _words(pattern: str, axes: int) -> list[str] | None:
    """Return one word for each axis, None if the number of axes does not fit."""
    words = pattern.split()
    for several, one in (("...", "_"), ("1...", "1")):
        if several in words:
            if axes < len(words) - 1:
                return None
            spot = words.index(several)
            words[spot : spot + 1] = [one] * (axes - len(words) + 1)
    return words if len(words) == axes else None
