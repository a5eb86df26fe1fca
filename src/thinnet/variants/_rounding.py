"""The warning for rates that rounding to 1/65536 changes: near 0, and near 1, where the scale changes."""

from __future__ import annotations

import inspect
import warnings

__all__ = ["FINE", "warn_if_rounded"]

LANES = 65536
FINE = 0.5 / LANES / 0.01
"""Rates in [FINE, 1 - FINE] are rounded by at most 1 %, and so is their scale."""

_warned: set[tuple[str, bool]] = set()


def warn_if_rounded(owner: str, rate: float, threshold: int) -> None:
    """Warn if rounding changes a rate or the scale 1 / (1 - rate) by over 1 %.

    Each owner warns once for low rates and once for high ones, so that a schedule does not warn at each step.

    Parameters
    ----------
    owner : str
        The name of the variant.
    rate : float
        In [0, 1].
    threshold : int
        `round(rate * 65536)`.
    """
    realised, high = threshold / LANES, rate > 0.5
    wanted, got = (1 - rate, 1 - realised) if high else (rate, realised)
    if abs(got - wanted) <= 0.01 * wanted or (owner, high) in _warned:
        return
    text = f"so keep is {got:.3g} instead of {wanted:.3g}; use a lower rate"
    warnings.warn(
        f"{owner}: rate {rate:.8g} is rounded to {realised:.8g}, a multiple of 1/65536"
        f"{f', {text}' if high else '; use a higher rate'}.",
        UserWarning,
        stacklevel=_level(),
    )
    _warned.add((owner, high))


def _level() -> int:
    """Return the number of frames up to the first that belongs neither to thinnet nor to torch."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("thinnet", "torch"):
        frame, level = frame.f_back, level + 1
    return level
