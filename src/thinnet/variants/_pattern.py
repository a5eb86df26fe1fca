"""Patterns: which entries of an array share one lane.

A pattern is a string with one word an axis: a name means "its own lanes along this axis", `1` means
"shared along it", `...` stands for any number of axes of their own and `1...` for any number of shared
ones. `"n c 1 1"` draws one lane for each sample and channel, `"..."` one for each entry, `"n 1..."` one for
each sample.
"""

from __future__ import annotations

import functools

from thinnet._core.random.windows import Window
from thinnet.errors import InputError

__all__ = ["lane_window", "takes", "unfit"]


@functools.lru_cache(maxsize=256)
def lane_window(pattern: str, window: Window, owner: str) -> Window:
    """Return the window of lanes that decide for a window of x.

    Parameters
    ----------
    pattern : str
        One word an axis; see above.
    window : Window
        Which part of which global shape x is.
    owner : str
        The variant's name; an error message begins with it.

    Raises
    ------
    InputError
        The array has another number of axes than the pattern.

    Examples
    --------
    >>> lane_window("n c 1 1", Window.whole((8, 3, 32, 32)), "Dropout2d").size
    (8, 3, 1, 1)
    """
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
    """Say whether a pattern fits arrays of so many axes.

    Examples
    --------
    >>> takes("n c 1 1", 2), takes("n 1...", 2), takes("...", 2)
    (False, True, True)
    """
    return _words(pattern, axes) is not None


def unfit(pattern: str, shape: tuple[int, ...]) -> str | None:
    """Say why a pattern does not fit arrays of some shape, or None if it does.

    Examples
    --------
    >>> unfit("n c 1 1", (32, 100))
    "the pattern 'n c 1 1' asks for 4 axes, got an array of shape (32, 100)"
    """
    if takes(pattern, len(shape)):
        return None
    least = len(pattern.split()) - 1
    asked = f"at least {least}" if "..." in pattern else str(least + 1)
    return f"the pattern {pattern!r} asks for {asked} axes, got an array of shape {shape}"


def _words(pattern: str, axes: int) -> list[str] | None:
    """Return one word an axis, or None if there are too few axes or too many."""
    words = pattern.split()
    for several, one in (("...", "_"), ("1...", "1")):
        if several in words:
            if axes < len(words) - 1:
                return None
            spot = words.index(several)
            words[spot : spot + 1] = [one] * (axes - len(words) + 1)
    return words if len(words) == axes else None
