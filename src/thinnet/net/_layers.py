"""Layers: frozen values with a forward and a backward pass, written by hand.

`forward(x, weights, key=key)` returns y and the arrays saved for backward;
`backward(dy, saved, weights, grads)` writes the gradients of the weights into `grads` and returns dx.
Shapes: n rows, d inputs, k outputs.
With a key a layer draws a sample; without one it applies the mean.
"""

from __future__ import annotations

import functools
import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from thinnet._checks import check, check_integer, check_number
from thinnet._core.kernels.dense_numpy import activate, derivative, gelu, gelu_derivative
from thinnet._core.random import Key, uniform
from thinnet.errors import InputError
from thinnet.net._arguments import POSITIVE, shape_text

__all__ = ["GELU", "SELU", "Dense", "Layer", "LeakyReLU", "ReLU", "Sigmoid", "Tanh"]

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = dict[str, Array]
Shape: TypeAlias = tuple[int, ...]
"""The shape of one row: (features,) or (channels, height, width)."""
Buffers: TypeAlias = dict[str, tuple[Shape, float]]


@dataclass(frozen=True)
class Layer:
    """One layer: a value without state, since weights and keys are arguments."""

    trainable: ClassVar[bool] = False
    # Whether the layer is random, and so has a key of its own.
    draws: ClassVar[bool] = False
    # The initializer (see `uniform_weights`) that suits this layer as the activation after a weight matrix;
    # None if the layer after this one decides.
    initializer: ClassVar[str | None] = "glorot"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the output shape for one row of the given input shape.

        Raises
        ------
        InputError
            The layer does not accept such rows.
        """
        return shape

    def shapes(self) -> dict[str, Shape]:
        """Return the shape of each trained weight."""
        return {}

    def initial(self, *, key: Key, initializer: str) -> Weights:
        """Return initial values of the trained weights."""
        return {}

    def buffers(self) -> Buffers:
        """Return shape and initial value of each buffer: state that is not trained by gradients."""
        return {}

    def learn(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        """Return the result of `forward` in training, where running statistics are updated."""
        return self.forward(x, weights, key=key)

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        """Return y and the arrays saved for backward."""
        raise NotImplementedError

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        """Write the weights' gradients to `grads` and return dx."""
        raise NotImplementedError

    def gradients(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> None:
        """Write the weights' gradients to `grads`, without computing dx."""
        self.backward(dy, saved, weights, grads)


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected: `y = x @ w + b`, shapes (n, d) @ (d, k) + (k,).

    Parameters
    ----------
    inputs, outputs : int
        Number of input and output features, d and k.
    max_norm : float, optional
        Largest Euclidean length of the incoming weights of a unit (a column of w); longer columns are scaled
        down to it after each update.

    References
    ----------
    Max-norm: Srivastava et al.: Dropout. JMLR 15, 2014, section 5.1.
    """

    inputs: int
    outputs: int
    _: KW_ONLY
    max_norm: float | None = None

    trainable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, value in (("inputs", self.inputs), ("outputs", self.outputs)):
            object.__setattr__(self, name, check_integer("Dense", name, value, 1))
        if self.max_norm is not None:
            check("Dense", "max_norm", self.max_norm, POSITIVE)
            object.__setattr__(self, "max_norm", float(self.max_norm))

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) > 1:
            raise InputError(f"takes {self.inputs} inputs, but gets {shape}; put Flatten() before it")
        if shape != (self.inputs,):
            raise InputError(f"takes {self.inputs} inputs, but gets {shape_text(shape)}")
        return (self.outputs,)

    def shapes(self) -> dict[str, Shape]:
        return {"weight": (self.inputs, self.outputs), "bias": (self.outputs,)}

    def initial(self, *, key: Key, initializer: str) -> Weights:
        return uniform_weights((self.inputs, self.outputs), initializer, self.inputs, self.outputs, key=key)

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        y = product(x, weights["weight"])  # (n, d) @ (d, k)
        y += weights["bias"]
        return y, x

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        self.gradients(dy, saved, weights, grads)
        return dy @ weights["weight"].T  # (n, k) @ (k, d)

    def gradients(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> None:
        if isinstance(saved, np.ndarray):
            np.matmul(cast("Array", saved).T, dy, out=grads["weight"])  # (d, n) @ (n, k)
        else:
            grads["weight"][:] = saved.T @ dy
        np.dot(_ones(len(dy), dy.dtype), dy, out=grads["bias"])  # (n,) @ (n, k)


@dataclass(frozen=True)
class ReLU(Layer):
    """`y = max(x, 0)`."""

    initializer: ClassVar[str | None] = "he"

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        y = activate("relu", x)
        return y, y

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return derivative("relu", dy, saved)


@dataclass(frozen=True)
class LeakyReLU(Layer):
    """`y = x` where x > 0, else `slope * x`."""

    _: KW_ONLY
    slope: float = 0.01

    initializer: ClassVar[str | None] = "he"

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", check_number("LeakyReLU", "slope", self.slope))

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        return activate("leaky_relu", x, self.slope), x

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return derivative("leaky_relu", dy, saved, self.slope)


@dataclass(frozen=True)
class Sigmoid(Layer):
    """`y = 1 / (1 + exp(-x))`, computed as `(1 + tanh(x / 2)) / 2`, which cannot overflow."""

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        y = activate("sigmoid", x)
        return y, y

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return derivative("sigmoid", dy, saved)


@dataclass(frozen=True)
class Tanh(Layer):
    """`y = tanh(x)`."""

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        y = activate("tanh", x)
        return y, y

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return derivative("tanh", dy, saved)


@dataclass(frozen=True)
class SELU(Layer):
    """`y = s * x` where x > 0, else `s * a * (exp(x) - 1)`; s = 1.0507…, a = 1.6732….

    References
    ----------
    Klambauer et al.: Self-normalizing neural networks. NeurIPS 2017, equation 2 and 14.
    """

    initializer: ClassVar[str | None] = "lecun"

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        y = activate("selu", x)
        return y, y

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return derivative("selu", dy, saved)


@dataclass(frozen=True)
class GELU(Layer):
    """`y = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`.

    Differs from `torch.nn.GELU()`, which uses the exact normal distribution; this function is its
    `approximate="tanh"`.

    References
    ----------
    Hendrycks, Gimpel: Gaussian error linear units. arXiv:1606.08415, section 2.
    """

    initializer: ClassVar[str | None] = "he"

    def forward(self, x: Array, weights: Weights, *, key: Key | None = None) -> tuple[Array, Any]:
        y, t = gelu(x)
        return y, (x, t)

    def backward(self, dy: Array, saved: Any, weights: Weights, grads: Weights) -> Array:
        return dy * gelu_derivative(*saved)


def uniform_weights(shape: Shape, initializer: str, inputs: int, outputs: int, *, key: Key) -> Weights:
    """Return uniform initial weights, whose variance suits the activation that follows, and zero biases.

    Bounds for d inputs and k outputs of a unit: he sqrt(6 / d), glorot sqrt(6 / (d + k)), lecun sqrt(3 / d).
    """
    variance = {"he": 2 / inputs, "glorot": 2 / (inputs + outputs), "lecun": 1 / inputs}
    bound = math.sqrt(3 * variance[initializer])
    biases = shape[1] if len(shape) == 2 else shape[0]
    return {"weight": (2 * uniform(key, shape) - 1) * bound, "bias": np.zeros(biases)}


def product(x: Any, w: Array) -> Array:
    """Return x @ w, shapes (n, d) @ (d, k), for an array or a sparse matrix x.

    For small arrays `np.dot` is faster than `matmul`.
    """
    return np.dot(cast("Array", x), w) if isinstance(x, np.ndarray) else x @ w


@functools.lru_cache(maxsize=2)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    """Return ones that sum rows by a matrix product: BLAS is faster than `np.sum`."""
    ones = np.ones(count, dtype)
    ones.flags.writeable = False
    return ones
