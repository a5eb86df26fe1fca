"""Layers: frozen values with a forward and a backward pass, written out by hand.

`forward(weights, x, key)` returns y and what backward needs; `backward(weights, saved, dy, grads)`
writes the gradients of the weights into `grads` and returns dx. Shapes: n rows, d inputs, k outputs.
With a key a layer samples; without one it takes the mean.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from thinnet._core.random import Key, uniform
from thinnet.errors import InputError

__all__ = ["GELU", "SELU", "Dense", "Layer", "LeakyReLU", "ReLU", "Sigmoid", "Tanh"]

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = dict[str, Array]
Shape: TypeAlias = tuple[int, ...]
"""The shape of one row: (features,) or (channels, height, width)."""
Buffers: TypeAlias = dict[str, tuple[Shape, float]]


@dataclass(frozen=True)
class Layer:
    """One step of a network; a value without state. Weights and keys are handed in."""

    trainable: ClassVar[bool] = False
    # Whether it draws, and so wants a key of its own.
    draws: ClassVar[bool] = False
    # Which spread of initial weights keeps the scale of what flows into this layer (see initial_weights);
    # None where that is for the layer behind to say.
    wants: ClassVar[str | None] = "glorot"

    def out(self, shape: Shape) -> Shape:
        """Return the shape of a row behind it, given that before it.

        Raises
        ------
        InputError
            It takes no such rows.
        """
        return shape

    def shapes(self) -> dict[str, Shape]:
        """Return the shape of each of its trained weights."""
        return {}

    def initial(self, key: Key, wants: str) -> Weights:
        """Return first values of its trained weights."""
        return {}

    def buffers(self) -> Buffers:
        """Return shape and first value of what it keeps beside trained weights."""
        return {}

    def learn(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        """Do as `forward` does, in training; the two differ where statistics are kept."""
        return self.forward(weights, x, key)

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        """Return y and what backward needs."""
        raise NotImplementedError

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        """Write the weights' gradients to `grads` and return dx."""
        raise NotImplementedError

    def gradients(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> None:
        """Write the gradients alone: the first layer of a network has no use for dx."""
        self.backward(weights, saved, dy, grads)


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected: `y = x @ w + b`, shapes (n, d) @ (d, k) + (k,).

    Parameters
    ----------
    inputs, outputs : int
        d and k.
    max_norm : float, optional
        After each update, the incoming weights of a unit (a column of w) are scaled down to at most
        this Euclidean length.

    References
    ----------
    Max-norm: Srivastava et al.: Dropout. JMLR 15, 2014, section 5.1.
    """

    inputs: int
    outputs: int
    max_norm: float | None = None

    trainable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, value in (("inputs", self.inputs), ("outputs", self.outputs)):
            object.__setattr__(self, name, size("Dense", name, value))
        if self.max_norm is not None:
            object.__setattr__(self, "max_norm", positive("Dense", "max_norm", self.max_norm))

    def out(self, shape: Shape) -> Shape:
        if len(shape) > 1:
            raise InputError(f"takes {self.inputs} inputs, but gets {shape}; put Flatten() before it")
        if shape != (self.inputs,):
            raise InputError(f"takes {self.inputs} inputs, but gets {shown(shape)}")
        return (self.outputs,)

    def shapes(self) -> dict[str, Shape]:
        return {"weight": (self.inputs, self.outputs), "bias": (self.outputs,)}

    def initial(self, key: Key, wants: str) -> Weights:
        return initial_weights(key, wants, (self.inputs, self.outputs), self.inputs, self.outputs)

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        y = product(x, weights["weight"])  # (n, d) @ (d, k)
        y += weights["bias"]
        return y, x

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        self.gradients(weights, saved, dy, grads)
        return dy @ weights["weight"].T  # (n, k) @ (k, d)

    def gradients(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> None:
        if isinstance(saved, np.ndarray):
            np.matmul(cast("Array", saved).T, dy, out=grads["weight"])  # (d, n) @ (n, k)
        else:
            grads["weight"][:] = saved.T @ dy
        np.dot(_ones(len(dy), dy.dtype), dy, out=grads["bias"])  # (n,) @ (n, k)


@dataclass(frozen=True)
class ReLU(Layer):
    """`y = max(x, 0)`."""

    wants: ClassVar[str | None] = "he"

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        y = np.maximum(x, 0)
        return y, y

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        return dy * (saved > 0)


@dataclass(frozen=True)
class LeakyReLU(Layer):
    """`y = x` where x > 0, else `slope * x`."""

    slope: float = 0.01
    wants: ClassVar[str | None] = "he"

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", real("LeakyReLU", "slope", self.slope))

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        return np.where(x > 0, x, x.dtype.type(self.slope) * x), x

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        return np.where(saved > 0, dy, dy.dtype.type(self.slope) * dy)


@dataclass(frozen=True)
class Sigmoid(Layer):
    """`y = 1 / (1 + exp(-x))`, computed as `(1 + tanh(x / 2)) / 2`, which cannot overflow."""

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        y = 0.5 * (1 + np.tanh(0.5 * x))
        return y, y

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        return dy * saved * (1 - saved)


@dataclass(frozen=True)
class Tanh(Layer):
    """`y = tanh(x)`."""

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        y = np.tanh(x)
        return y, y

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        return dy * (1 - saved * saved)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


@dataclass(frozen=True)
class SELU(Layer):
    """`y = s * x` where x > 0, else `s * a * (exp(x) - 1)`; s = 1.0507…, a = 1.6732….

    References
    ----------
    Klambauer et al.: Self-normalizing neural networks. NeurIPS 2017, equation 2 and 14.
    """

    wants: ClassVar[str | None] = "lecun"

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        y = _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0)))
        return y, y

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        return dy * np.where(saved > 0, _SELU_SCALE, saved + _SELU_SCALE * _SELU_ALPHA)


_GELU_A, _GELU_B = math.sqrt(2 / math.pi), 0.044715


@dataclass(frozen=True)
class GELU(Layer):
    """`y = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`.

    Differs from `torch.nn.GELU()`: that takes the exact normal distribution unless told
    `approximate="tanh"`, which is this.

    References
    ----------
    Hendrycks, Gimpel: Gaussian error linear units. arXiv:1606.08415, section 2.
    """

    wants: ClassVar[str | None] = "he"

    def forward(self, weights: Weights, x: Array, key: Key | None) -> tuple[Array, Any]:
        t = np.tanh(_GELU_A * (x + _GELU_B * x * x * x))
        return 0.5 * x * (1 + t), (x, t)

    def backward(self, weights: Weights, saved: Any, dy: Array, grads: Weights) -> Array:
        x, t = saved
        slope = _GELU_A * (1 + 3 * _GELU_B * x * x)
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


def initial_weights(key: Key, wants: str, shape: Shape, inputs: int, outputs: int) -> Weights:
    """Return uniform weights whose spread suits the activation that follows, and zero biases.

    Limits for d inputs and k outputs of a unit: he sqrt(6 / d), glorot sqrt(6 / (d + k)), lecun sqrt(3 / d).
    """
    variance = {"he": 2 / inputs, "glorot": 2 / (inputs + outputs), "lecun": 1 / inputs}
    limit = math.sqrt(3 * variance[wants])
    biases = shape[1] if len(shape) == 2 else shape[0]
    return {"weight": (2 * uniform(key, shape) - 1) * limit, "bias": np.zeros(biases)}


def shown(shape: Shape) -> str:
    """Return the shape of a row as a message shows it."""
    return ", ".join(map(str, shape)) if len(shape) == 1 else str(shape)


def product(x: Any, w: Array) -> Array:
    """Return x @ w, shapes (n, d) @ (d, k), for an array or a sparse matrix x.

    For small arrays `np.dot` is quicker than `matmul`.
    """
    return np.dot(cast("Array", x), w) if isinstance(x, np.ndarray) else x @ w


@functools.lru_cache(maxsize=2)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    """Return ones to add up rows with: BLAS is quicker at it than a sum."""
    ones = np.ones(count, dtype)
    ones.flags.writeable = False
    return ones


def size(owner: str, name: str, value: Any) -> int:
    # A NumPy integer is welcome (`y.max() + 1`), but a saved network holds plain ones.
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"{owner}: {name} must be a whole number of at least 1, got {value!r}.")
    return int(value)


def real(owner: str, name: str, value: Any) -> float:
    """Return a finite number as a plain float, or say that it is none."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{owner}: {name} must be a finite number, got {value!r}.")
    return float(value)


def positive(owner: str, name: str, value: Any) -> float:
    """Return a finite number above 0 as a plain float, or say that it is none."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise InputError(f"{owner}: {name} must be greater than 0, got {value!r}.")
    return float(value)


def pair(owner: str, name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """Return (height, width) of one number for both, or of two."""
    two: Any = cast("Any", value) if isinstance(value, list | tuple) else (value, value)
    whole = all(isinstance(each, Integral) and not isinstance(each, bool) for each in two)
    if len(two) != 2 or not whole or min(two) < least:
        raise InputError(
            f"{owner}: {name} must be one or two whole numbers of at least {least}, got {value!r}."
        )
    return int(two[0]), int(two[1])
