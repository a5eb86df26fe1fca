"""The prepared rows outside the test set, as files that worker processes read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from thinnet.net import Network

__all__ = ["TrainingRows"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class TrainingRows:
    """The prepared rows outside the test set, stored as .npy files in a folder.

    Parameters
    ----------
    folder : Path
        Holds x.npy (n, d) float32, y.npy (n,) and fold.npy (n,), whose values are 0 … 4.
    outputs : int
        Number of a network's outputs; see `thinnet.study._tables.target.count_outputs`.
    classification : bool
        Whether y holds classes as int64; otherwise it holds standardised values as float32.
    scale : float
        One standard deviation of the target, in the target's unit.
    """

    folder: Path
    outputs: int
    classification: bool
    scale: float = 1.0

    def read(self) -> tuple[Array, Array, Array]:
        """Return (x, y, fold), mapped from disk."""

        def mapped(name: str) -> Array:
            return cast("Array", np.load(self.folder / f"{name}.npy", mmap_mode="r"))

        return mapped("x"), mapped("y"), mapped("fold")

    def score(self, network: Network, x: Array, y: Array) -> tuple[float, float]:
        """Return loss and score (fraction of errors, or RMSE in the target's unit) of the mean network."""
        z = network.compute_logits(x)
        plain = network.loss.plain  # without the factor of one half of the estimators' squared loss
        rows, _ = plain.rows(z, y if self.outputs > 1 else y[:, None].astype(z.dtype))
        loss = float(rows.mean(dtype=np.float64))
        if self.classification:
            predicted = z.argmax(axis=1) if self.outputs > 1 else z[:, 0] > 0
            return loss, float(np.mean(np.asarray(predicted != y)))
        return loss, self.scale * loss**0.5

    @property
    def classes(self) -> Array | None:
        """All classes; None for regression."""
        return np.arange(max(2, self.outputs)) if self.classification else None
