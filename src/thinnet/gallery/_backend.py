"""Which library trains the networks of an exhibit: NumPy, or PyTorch, whose part is `twins.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from numpy.typing import ArrayLike, NDArray

from thinnet import net
from thinnet.errors import InputError, need
from thinnet.net._training import OnEpoch

__all__ = ["NUMPY", "TWINS", "Backend", "Losses", "Told", "Trainable", "choose"]

TWINS = ("overfit", "convnet")
"""The exhibits that PyTorch trains too."""


class Trainable(Protocol):
    """What an exhibit asks of a network, whoever trains it."""

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
        """Return what the mean network says about rows."""
        ...


@dataclass(frozen=True)
class Losses:
    """Losses of networks that differ in their seeds alone.

    Parameters
    ----------
    early, late : list of float
        One for each network, when training has hardly begun, and behind it.
    """

    early: list[float]
    late: list[float]


Told: TypeAlias = dict[str, Losses]
"""What the networks are, and their losses."""


class Backend:
    """NumPy: networks are trained as they are."""

    def network(self, made: net.Network) -> Trainable:
        """Return what is trained in the place of a network that was made."""
        return made

    def beside(self, early: str, told: Told, again: Callable[[Backend], Told]) -> list[str]:
        """Return lines that compare with NumPy; it has nobody to compare with.

        Parameters
        ----------
        early : str
            What the early losses are.
        told : dict
            The losses found.
        again : function of a backend
            Finds them once more.
        """
        return []


NUMPY = Backend()


def choose(name: str, exhibit: str) -> Backend:
    """Return the backend that `--backend` names.

    Raises
    ------
    InputError
        No such backend, or an exhibit without a twin in PyTorch.
    MissingPackage
        PyTorch is not installed.

    Examples
    --------
    >>> choose("numpy", "xor") is NUMPY
    True
    """
    if name == "numpy":
        return NUMPY
    if name != "torch":
        raise InputError(f"gallery {exhibit}: --backend must be numpy or torch, got {name!r}.")
    if exhibit not in TWINS:
        raise InputError(
            f"gallery {exhibit}: has no twin in PyTorch, got --backend {name!r}; leave the option out, or "
            f"choose {' or '.join(TWINS)}."
        )
    need("torch", extra="torch", owner="thinnet gallery --backend torch")
    from thinnet.gallery._twins import Torch

    return Torch()
