"""The dropout layer, and the gate that replaces it in a thinned network."""

from __future__ import annotations

import functools
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, TypeAlias

from numpy.typing import NDArray

from thinnet._checks import check_integer, check_rate
from thinnet._core.apply import apply
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._arguments import shape_text
from thinnet.net._layers import Buffers, Layer, Shape, Weights
from thinnet.schedules import Schedule, final
from thinnet.variants import Variant, find
from thinnet.variants._sample import mean, sample

__all__ = ["Dropout", "Gate", "RatedLayer", "adapted", "mask_key"]

Array: TypeAlias = NDArray[Any]


class RatedLayer(Layer):
    """A layer with a dropout rate: a number, or a schedule that is called with the training step."""

    rate: float | Schedule

    @property
    def row(self) -> Variant:
        """The variant that the layer draws from."""
        raise NotImplementedError

    def _check_rate(self) -> None:
        """Check the rate, and keep a fixed one as a float."""
        rate = check_rate(self.row.name, self.rate(0) if callable(self.rate) else self.rate, ())
        if not callable(self.rate):
            object.__setattr__(self, "rate", rate)

    def rate_at(self, step: int) -> float:
        """Return the rate at a training step."""
        return check_rate(self.row.name, self.rate(step), ()) if callable(self.rate) else self.rate

    @property
    def final_rate(self) -> float:
        """The rate after training, which the mean network uses: the schedule's final value."""
        return check_rate(self.row.name, final(self.rate), ()) if callable(self.rate) else self.rate


@dataclass(frozen=True)
class Dropout(RatedLayer):
    """Any variant of the catalogue that acts on activations; backward draws the mask again.

    For backward only the key and the rate are saved.

    Parameters
    ----------
    rate : float or function of a step
        Chance that an entry is dropped, in [0, 1]; a schedule is called with the training step.
    variant : str or Variant
        The name of a row of `thinnet.CATALOGUE`, or a row.
    block : int or tuple of int, optional
        Length of a block along each axis that has them, for a variant that drops blocks; the variant's own
        if not given.
    pattern : str, optional
        The entries that share a mask, as in `thinnet.drop`: "n 1" drops whole rows; the variant's own if not
        given.

    Raises
    ------
    InputError
        A rate outside [0, 1]; a variant that does not act between two layers; a block that does not fit.

    Examples
    --------
    >>> Dropout(0.1, variant="DropBlock2d", block=3).output_shape((16, 8, 8))
    (16, 8, 8)
    >>> import numpy as np
    >>> y, _ = Dropout(0.5, pattern="n 1").forward(np.ones((3, 4)), {}, key=Key(0))
    >>> y
    array([[2., 2., 2., 2.],
           [0., 0., 0., 0.],
           [2., 2., 2., 2.]])
    """

    rate: float | Schedule
    _: KW_ONLY
    variant: str | Variant = "Dropout"
    block: int | tuple[int, ...] | None = None
    pattern: str | None = None

    draws: ClassVar[bool] = True
    initializer: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        row = find(self.variant).sized(self.block).patterned(self.pattern)
        if self.block is not None:
            object.__setattr__(self, "block", row.block)  # plain numbers, as a saved network holds them
        if not row.flows:
            raise InputError(f"Dropout: {row.name} does not act between two layers; its site is {row.site}.")
        self._check_rate()

    @property
    def row(self) -> Variant:
        """The variant, with the block and the pattern of this layer."""
        return adapted(find(self.variant), self.block, self.pattern)

    def output_shape(self, shape: Shape) -> Shape:
        if (reason := self.row.unfit((1, *shape))) is not None:
            raise InputError(reason)
        return shape

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        if key is None:
            return self._mean(x), None
        rate = self.rate_at(key.step)
        return (sample(self.row, x, rate, key) if rate else x), (rate, key)

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        if saved is None:
            return self._mean(dy, other=0.0)
        rate, key = saved
        return sample(self.row, dy, rate, key, other=0.0) if rate else dy

    def _mean(self, x: Array, other: float | None = None) -> Array:
        return x if self.row.mean_is_identity else mean(self.row, x, self.final_rate, other=other)


@dataclass(frozen=True)
class Gate(Layer):
    """`gain * x + shift`, fixed for each unit: a dropout layer of a thinned network.

    Parameters
    ----------
    units : int or tuple of int
        Number of units, or the shape of one row.
    """

    units: int | Shape

    initializer: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        given = self.units if isinstance(self.units, tuple) else (self.units,)
        sizes = tuple(check_integer("Gate", "units", each, 1) for each in given)
        object.__setattr__(self, "units", sizes if len(sizes) != 1 else sizes[0])

    @property
    def shape(self) -> Shape:
        """The shape of one row."""
        return self.units if isinstance(self.units, tuple) else (self.units,)

    def output_shape(self, shape: Shape) -> Shape:
        if shape != self.shape:
            raise InputError(f"takes {shape_text(self.shape)} inputs, but gets {shape_text(shape)}")
        return shape

    def buffers(self) -> Buffers:
        return {"gain": (self.shape, 1.0), "shift": (self.shape, 0.0)}

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        return apply(weights["gain"], weights["shift"], x, 1.0), None

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return apply(weights["gain"], 0.0, dy)


@functools.lru_cache(maxsize=256)
def adapted(row: Variant, block: int | tuple[int, ...] | None, pattern: str | None) -> Variant:
    """Return a variant with another block and pattern; training needs the same ones at every step."""
    return row.sized(block).patterned(pattern)


def mask_key(key: Key, i: int) -> Key:
    """Return the key of layer i's masks, at step 0."""
    return key.at(0).fold("dropout").fold(i)
