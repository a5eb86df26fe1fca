"""Write scores and their differences as people read them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Metric", "number", "significant"]


@dataclass(frozen=True)
class Metric:
    r"""How to write a score down: misclassified rows in per cent, RMSE in the target's own unit.

    Examples
    --------
    >>> Metric("error").score(0.01667), Metric("rmse").score(48213.4)
    ('1.67\xa0%', '48,213')
    >>> Metric("error").interval(-0.0091, -0.0017)
    '−0.91 to −0.17 points'
    """

    name: str

    @property
    def title(self) -> str:
        """Name it in a sentence."""
        return "error" if self.name == "error" else "RMSE"

    @property
    def headline(self) -> str:
        """Name it at the beginning of a sentence."""
        return self.title[0].upper() + self.title[1:]

    @property
    def unit(self) -> str:
        """Unit of a difference, with a space before it."""
        return " points" if self.name == "error" else ""

    @property
    def factor(self) -> float:
        """What a score is multiplied by before it is written."""
        return 100.0 if self.name == "error" else 1.0

    def score(self, value: float | None) -> str:
        """Write a score."""
        if value is None or not math.isfinite(value):
            return "–"
        if self.name == "error":
            return f"{100 * value:.{1 if value >= 0.0995 else 2}f}\xa0%"
        return significant(value, 4)

    def change(self, value: float | None, spread: float | None = None) -> str:
        """Write a difference of two scores with its sign, as exactly as `spread` warrants."""
        if value is None or not math.isfinite(value):
            return "–"
        value *= self.factor
        scale = abs(value) if spread is None or not math.isfinite(spread) else spread * self.factor
        places = places_for(scale, 2)
        while value and places < 12 and round(value, places) == 0:
            places += 1  # a bound that is not zero must not read as zero
        return f"{round(value, places):,.{max(0, places)}f}".replace("-", "−")

    def subtract(self, score: float, other: float) -> str:
        """Write the difference of two scores as exactly as the scores are written."""
        if not (math.isfinite(score) and math.isfinite(other)):
            return "–"
        larger = max(abs(score), abs(other))
        places = max(0, places_for(larger, 4)) if self.name != "error" else 1 if larger >= 0.0995 else 2
        return f"{self.factor * (score - other):+,.{places}f}".replace("-", "−")

    def interval(self, low: float | None, high: float | None) -> str:
        """Write an interval of differences."""
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
            return "unknown"
        half = (high - low) / 2
        return f"{self.change(low, half)} to {self.change(high, half)}{self.unit}"


def number(value: Any) -> float:
    """Read a number that may be missing: None and what is not a number become NaN."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def places_for(scale: float, digits: int) -> int:
    """Count the decimals that give a number of size `scale` so many digits; negative: round to tens."""
    return min(12, digits - 1 - math.floor(math.log10(scale))) if 0 < scale < math.inf else 0


def significant(value: float, digits: int) -> str:
    """Write a number with so many digits, and no exponent unless it is very large or small."""
    if value and not 1e-6 <= abs(value) < 1e12:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    return f"{value:,.{max(0, places_for(abs(value), digits))}f}".replace("-", "−")
