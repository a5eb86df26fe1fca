"""The dropout layer, and the gate that is left of it in a thinned network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from numpy.typing import NDArray

from thinnet._checks import check_rate
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._layers import Buffers, Layer, Shape, Weights, shown, size
from thinnet.schedules import Schedule
from thinnet.variants import Variant, find
from thinnet.variants._sample import mean, sample

__all__ = ["Dropout", "Gate", "mask_key"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Dropout(Layer):
    """Any variant of the catalogue, acting on activations; backward draws its mask again.

    Nothing is stored for backward but the key and the rate.

    Parameters
    ----------
    rate : float or function of a step
        Chance that an entry is dropped, in [0, 1]; a schedule is called with the training step.
    variant : str
        A row of `thinnet.variants.CATALOGUE`.
    block : int or tuple of int, optional
        How long blocks are along each axis that has them, for a variant that drops blocks; its own size if
        not given.

    Examples
    --------
    >>> Dropout(0.1, "DropBlock2d", block=3).out((16, 8, 8))
    (16, 8, 8)
    """

    rate: float | Schedule
    variant: str = "Dropout"
    block: int | tuple[int, ...] | None = None

    draws: ClassVar[bool] = True
    wants: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        if not self.row.flows:
            raise InputError(
                f"Dropout: {self.variant} cannot stand between two layers; its site is: {self.row.site}."
            )
        if self.block is not None:
            object.__setattr__(self, "block", self.row.block)  # plain numbers, as a saved network holds them
        rate = check_rate(self.row.name, self.rate(0) if callable(self.rate) else self.rate, ())
        if not callable(self.rate):
            object.__setattr__(self, "rate", rate)

    @property
    def row(self) -> Variant:
        """The variant's row in the catalogue, with blocks of this layer's size."""
        return find(self.variant).sized(self.block)

    def out(self, shape: Shape) -> Shape:
        if (why := self.row.unfit((1, *shape))) is not None:
            raise InputError(why)
        return shape

    def rate_at(self, step: int) -> float:
        """Return the rate at a training step."""
        return check_rate(self.variant, self.rate(step), ()) if callable(self.rate) else self.rate

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        if key is None:
            return self._mean(x), None
        rate = self.rate_at(key.step)
        return (sample(self.row, x, rate, key) if rate else x), (rate, key)

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        if saved is None:
            return self._mean(dy, other=0.0)
        rate, key = saved
        return sample(self.row, dy, rate, key, other=0.0) if rate else dy

    def _mean(self, x: Array, other: float | None = None) -> Array:
        # Most variants have a mean of 1 at every rate; their schedule need not be asked.
        if self.row.mean_of(0.5) == (1.0, 0.0):
            return x
        # A schedule's last word is what the trained network means; it is asked far behind its end.
        return mean(self.row, x, self.rate_at(2**31), other=other)


@dataclass(frozen=True)
class Gate(Layer):
    """`gain * x + shift`, fixed for each unit: what is left of a dropout layer in a thinned network.

    Parameters
    ----------
    units : int or tuple of int
        How many, or the shape of a row.
    """

    units: int | Shape

    wants: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        several = self.units if isinstance(self.units, tuple) else (self.units,)
        sizes = tuple(size("Gate", "units", each) for each in several)
        object.__setattr__(self, "units", sizes if len(sizes) != 1 else sizes[0])

    @property
    def shape(self) -> Shape:
        """The shape of a row."""
        return self.units if isinstance(self.units, tuple) else (self.units,)

    def out(self, shape: Shape) -> Shape:
        if shape != self.shape:
            raise InputError(f"takes {shown(self.shape)} inputs, but gets {shown(shape)}")
        return shape

    def buffers(self) -> Buffers:
        return {"gain": (self.shape, 1.0), "shift": (self.shape, 0.0)}

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        return x * weights["gain"] + weights["shift"], None

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        return dy * weights["gain"]


def mask_key(key: Key, i: int) -> Key:
    """Return the key of layer i's masks, at step 0."""
    return key.at(0).fold("dropout").fold(i)
