"""A residual branch, which stochastic depth can drop as a whole."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from numpy.typing import NDArray

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net._layers import Buffers, Layer, Shape, Weights

__all__ = ["Residual", "branch_key", "branch_weights", "initializer_after"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Residual(Layer):
    """`y = x + branch(x)`; end the branch with `Dropout(rate, variant="DropPath")` to drop it for some rows.

    Parameters
    ----------
    branch : tuple of Layer
        The layers of the branch, which has to keep the shape of a row.

    Examples
    --------
    >>> from thinnet import net
    >>> dropped = net.Dropout(0.1, variant="DropPath")
    >>> block = Residual((net.Conv2d(8, 8, 3, padding=1), net.ReLU(), dropped))
    >>> block.output_shape((8, 14, 14))
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
    def trainable(self) -> bool:  # type: ignore[override]  # a class variable in the other layers
        """Whether a layer of the branch has trained weights."""
        return any(layer.trainable for layer in self.branch)

    def output_shape(self, shape: Shape) -> Shape:
        found = functools.reduce(lambda known, layer: layer.output_shape(known), self.branch, shape)
        if found != shape:
            raise InputError(f"must keep the shape of rows, {shape}, but its branch returns {found}")
        return shape

    def shapes(self) -> dict[str, Shape]:
        return self._by_layer(lambda i, layer: layer.shapes())

    def initial(self, *, key: Key, initializer: str) -> Weights:
        def initial(i: int, layer: Layer) -> Weights:
            return layer.initial(
                key=key.fold(i), initializer=initializer_after(self.branch, i, last=initializer)
            )

        return self._by_layer(initial)

    def buffers(self) -> Buffers:
        return self._by_layer(lambda i, layer: layer.buffers())

    def learn(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        return self._run(x, weights, key, training=True)

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        return self._run(x, weights, key, training=False)

    def _run(self, x: Array, weights: Weights, key: Key | None, *, training: bool) -> tuple[Array, Any]:
        y, saved = x, list[Any]()
        for i, layer in enumerate(self.branch):
            own = branch_key(key, i) if key is not None and layer.draws else None
            y, layer_saved = (layer.learn if training else layer.forward)(
                y, branch_weights(weights, i), key=own
            )
            saved.append(layer_saved)
        return x + y, saved

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        dx = dy
        for i in range(len(self.branch) - 1, -1, -1):
            dx = self.branch[i].backward(dx, saved[i], branch_weights(weights, i), branch_weights(grads, i))
        return dy + dx

    def _by_layer(self, get: Callable[[int, Layer], dict[str, Any]]) -> dict[str, Any]:
        found = {i: get(i, layer) for i, layer in enumerate(self.branch)}
        return {f"{i}.{name}": value for i, group in found.items() for name, value in group.items()}


def initializer_after(layers: tuple[Layer, ...], i: int, last: str = "glorot") -> str:
    """Return the initializer that the activation after layer i asks for; `last` if no layer asks."""
    return next((layer.initializer for layer in layers[i + 1 :] if layer.initializer is not None), last)


def branch_weights(weights: Weights, i: int) -> Weights:
    """Return the weights of layer i of the branch, as views."""
    start = f"{i}."
    return {name[len(start) :]: value for name, value in weights.items() if name.startswith(start)}


def branch_key(key: Key, i: int) -> Key:
    """Return the key of layer i of a branch, at the branch's step."""
    return _branch_key(key.value, i).at(key.step)


@functools.lru_cache(maxsize=1024)
def _branch_key(value: int, i: int) -> Key:
    # Folding costs microseconds, and training needs the same keys at every step.
    return Key(value).fold(i)
