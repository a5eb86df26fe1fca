"""Patterns: which entries of an array share one lane.

A pattern is a string with one word an axis: a name means "its own lanes along this axis", `1` means
"shared along it", `...` stands for any number of axes of their own. `"n c 1 1"` draws one lane for
each sample and channel, `"..."` one for each entry.
"""

from __future__ import annotations

import functools

from thinnet.errors import InputError
from thinnet.random.lanes import Window

__all__ = ["lane_window"]


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
    words, axes = pattern.split(), len(window.shape)
    asked = str(len(words))
    if "..." in words:
        asked = f"at least {len(words) - 1}"
        spot = words.index("...")
        words[spot : spot + 1] = ["_"] * (axes - len(words) + 1)
    if len(words) != axes:
        raise InputError(
            f"{owner}: the pattern {pattern!r} asks for {asked} axes, got an array of shape {window.shape}."
        )
    shared = [word == "1" for word in words]
    return Window(
        tuple(1 if one else n for one, n in zip(shared, window.shape, strict=True)),
        tuple(0 if one else n for one, n in zip(shared, window.start, strict=True)),
        tuple(min(1, n) if one else n for one, n in zip(shared, window.size, strict=True)),
    )
