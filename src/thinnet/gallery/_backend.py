"""The library that trains the networks of an exhibit: NumPy here, PyTorch in `_twins.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from numpy.typing import ArrayLike, NDArray

from thinnet import net
from thinnet.net._training import OnEpoch

__all__ = ["NUMPY", "Backend", "Losses", "LossesByNetwork", "TrainableNetwork"]


class TrainableNetwork(Protocol):
    """The part of a network that exhibits use, whichever library trains it."""

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int,
        batch: int,
        optimizer: net.Adam,
        on_epoch: OnEpoch | None = None,
    ) -> net.History:
        """Train on mini-batches; see `thinnet.net.Network.fit`."""
        ...

    def logits(self, x: ArrayLike) -> NDArray[Any]:
        """Return the logits of the mean network."""
        ...


@dataclass(frozen=True)
class Losses:
    """Losses of networks that differ in their seeds alone.

    Parameters
    ----------
    early, late : list of float
        One loss for each network: near the start of training, and after it.
    """

    early: list[float]
    late: list[float]


LossesByNetwork: TypeAlias = dict[str, Losses]
"""The description of each kind of network, and its losses."""


class Backend:
    """NumPy: networks are trained as they are."""

    def trainable(self, network: net.Network) -> TrainableNetwork:
        """Return the network to train in place of `network`."""
        return network

    def comparison(
        self, early: str, losses: LossesByNetwork, rerun: Callable[[Backend], LossesByNetwork]
    ) -> list[str]:
        """Return comparison lines with NumPy; empty, since this is the NumPy backend.

        Parameters
        ----------
        early : str
            Description of the early losses.
        losses : dict
            The losses of this backend.
        rerun : function of a backend
            Computes the losses with another backend.
        """
        return []


NUMPY = Backend()
