"""Gradients by central finite differences, and how far two gradients are apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# In float64 the error of a difference is about eps / STEP + STEP**2, far below TOLERANCE.
STEP, TOLERANCE = 1e-5, 1e-7


def numeric(function: Callable[[], float], at: NDArray[Any]) -> NDArray[np.float64]:
    """Return the gradient of a function that looks at `at`, which is moved and put back."""
    gradient, flat = np.empty(at.size), at.reshape(-1)
    assert np.shares_memory(flat, at)
    for i in range(flat.size):
        middle = flat[i]
        flat[i] = middle + STEP
        above = function()
        flat[i] = middle - STEP
        gradient[i] = (above - function()) / (2 * STEP)
        flat[i] = middle
    return gradient.reshape(at.shape)


def relative_error(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return `|a - b| / (|a| + |b|)` in the Euclidean norm; 1 if one of them is zero."""
    assert a.shape == b.shape
    assert np.isfinite(a).all()
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(a) + np.linalg.norm(b), 1e-300))
