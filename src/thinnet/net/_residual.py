"""A branch beside the identity, so that dropout has whole branches to drop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from numpy.typing import NDArray

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._layers import Buffers, Layer, Shape, Weights

__all__ = ["Residual", "branch_key", "part_of", "spread"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Residual(Layer):
    """`y = x + branch(x)`; end the branch with `Dropout(rate, "DropPath")` to drop it for some rows.

    Parameters
    ----------
    branch : tuple of Layer
        What is added; it has to keep the shape of a row.

    Examples
    --------
    >>> from thinnet import net
    >>> block = Residual((net.Conv2d(8, 8, 3, padding=1), net.ReLU(), net.Dropout(0.1, "DropPath")))
    >>> block.out((8, 14, 14))
    (8, 14, 14)

    References
    ----------
    He et al.: Deep residual learning for image recognition. CVPR 2016. Huang et al.: Deep networks with
    stochastic depth. ECCV 2016.
    """

    branch: tuple[Layer, ...]

    draws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.branch, tuple | list):
            raise InputError(f"Residual: branch must be a tuple of layers, got {type(self.branch).__name__}.")
        object.__setattr__(self, "branch", tuple(self.branch))
        for i, layer in enumerate(self.branch):
            if not isinstance(layer, Layer):
                raise InputError(f"Residual: layer {i} must be a Layer, got {type(layer).__name__}.")
            if getattr(layer, "max_norm", None) is not None:
                raise InputError(
                    f"Residual: layer {i} has a max_norm, which a branch cannot keep; leave it out."
                )

    @property
    def trainable(self) -> bool:  # type: ignore[override]
        """Whether a layer of the branch is."""
        return any(layer.trainable for layer in self.branch)

    def out(self, shape: Shape) -> Shape:
        through = functools.reduce(lambda known, layer: layer.out(known), self.branch, shape)
        if through != shape:
            raise InputError(f"must keep the shape of rows, {shape}, but its branch makes {through} of it")
        return shape

    def shapes(self) -> dict[str, Shape]:
        return self._gathered(lambda i, layer: layer.shapes())

    def initial(self, key: Key, wants: str) -> Weights:
        return self._gathered(lambda i, layer: layer.initial(key.fold(i), spread(self.branch, i, wants)))

    def buffers(self) -> Buffers:
        return self._gathered(lambda i, layer: layer.buffers())

    def learn(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        return self._run(weights, x, key, learning=True)

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        return self._run(weights, x, key, learning=False)

    def _run(self, weights: Weights, x: Array, key: Key | None, *, learning: bool) -> tuple[Array, Any]:
        y, kept = x, list[Any]()
        for i, layer in enumerate(self.branch):
            own = branch_key(key, i) if key is not None and layer.draws else None
            y, saved = (layer.learn if learning else layer.forward)(part_of(weights, i), y, own)
            kept.append(saved)
        return x + y, kept

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        slope = dy
        for i in range(len(self.branch) - 1, -1, -1):
            slope = self.branch[i].backward(part_of(weights, i), saved[i], slope, part_of(grads, i))
        return dy + slope

    def _gathered(self, get: Callable[[int, Layer], dict[str, Any]]) -> dict[str, Any]:
        found = {i: get(i, layer) for i, layer in enumerate(self.branch)}
        return {f"{i}.{name}": value for i, group in found.items() for name, value in group.items()}


def spread(layers: tuple[Layer, ...], i: int, last: str = "glorot") -> str:
    """Return which initial spread what follows layer i wants; `last` if nothing says."""
    return next((layer.wants for layer in layers[i + 1 :] if layer.wants is not None), last)


def part_of(weights: Weights, i: int) -> Weights:
    """Return the weights of layer i of the branch, as views."""
    start = f"{i}."
    return {name[len(start) :]: value for name, value in weights.items() if name.startswith(start)}


def branch_key(key: Key, i: int) -> Key:
    """Return the key of layer i of a branch, at the branch's step."""
    return _branch_key(key.value, i).at(key.step)


@functools.lru_cache(maxsize=1024)
def _branch_key(value: int, i: int) -> Key:
    # Folding is cheap but not free, and training asks at every step.
    return Key(value).fold(i)
