"""A stack of layers: their weights in one flat array, and the passes forward and backward."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import format_value
from thinnet._core.random import Key
from thinnet._core.random.key import check_key
from thinnet.errors import InputError
from thinnet.net._dropout import Dropout, Gate, mask_key
from thinnet.net._fused import Fused, fuse, kernels_available
from thinnet.net._layers import Layer, Shape
from thinnet.net._optimizers import Limit
from thinnet.net._residual import initializer_after
from thinnet.net._shapes import layer_shapes

__all__ = ["LayerStack"]

Array: TypeAlias = NDArray[Any]


class LayerStack:
    """Layers one after another; `thinnet.net.Network` documents the arguments.

    Attributes
    ----------
    layers : tuple of Layer
    shapes : list of tuple of int
        The shape of one row before each layer, and after the last.
    weights, grads : list of dict
        The weights of each layer and their gradients, as views of `flat` and `flat_grads`; `weights` also
        holds the buffers.
    flat, flat_grads : ndarray, shape (m,)
        All trained weights and their gradients, matrices before biases.
    decayed : int
        Number of entries of `flat` that belong to matrices.
    limits : tuple of Limit
        Matrices with a max-norm.
    step : int
        Number of updates so far.
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        key: Key,
        dtype: str | np.dtype[Any],
        input_shape: Shape | None,
        flat: ArrayLike | None,
    ) -> None:
        check_key("Network", key)
        if not isinstance(layers, Iterable):
            raise InputError(f"Network: layers must be a list of layers, got {format_value(layers)}.")
        self.layers = tuple(layers)
        self.key = key
        self.dtype = _check_dtype(dtype)
        self.shapes = layer_shapes(self.layers, input_shape)
        self.step = 0
        self._saved: list[tuple[int, Fused | None, Any]] = []
        self._first_trained = next(i for i, layer in enumerate(self.layers) if layer.trainable)
        self._fused = fuse(self.layers)
        self._single = [(i, i + 1, None) for i in range(len(self.layers))]
        self._own_keys = [mask_key(self.key, i) for i in range(len(self.layers))]
        self._allocate()
        if flat is None:
            self._initialize()
        elif np.shape(flat) != self.flat.shape:
            raise InputError(f"Network: flat must have shape {self.flat.shape}, got {np.shape(flat)}.")
        else:
            self.flat[:] = flat

    def _allocate(self) -> None:
        """Lay out all weights in one array, matrices before biases."""
        shapes = [
            (i, name, shape)
            for i, layer in enumerate(self.layers)
            if layer.trainable
            for name, shape in layer.shapes().items()
        ]
        shapes.sort(key=lambda entry: len(entry[2]), reverse=True)
        sizes = [math.prod(shape) for _, _, shape in shapes]
        self.decayed = sum(size for size, (_, _, shape) in zip(sizes, shapes, strict=True) if len(shape) > 1)
        self.flat: Array = np.empty(sum(sizes), self.dtype)
        self.flat_grads: Array = np.zeros(sum(sizes), self.dtype)
        self.weights: list[dict[str, Array]] = [{} for _ in self.layers]
        self.grads: list[dict[str, Array]] = [{} for _ in self.layers]
        start = 0
        limits: list[Limit] = []
        for (i, name, shape), size in zip(shapes, sizes, strict=True):
            max_norm = getattr(self.layers[i], "max_norm", None)
            if max_norm is not None and len(shape) == 2:
                limits.append(Limit(start, *shape, float(max_norm)))
            place = slice(start, start := start + size)
            self.weights[i][name] = self.flat[place].reshape(shape)
            self.grads[i][name] = self.flat_grads[place].reshape(shape)
        self.limits = tuple(limits)
        for group, layer in zip(self.weights, self.layers, strict=True):
            for name, (shape, value) in layer.buffers().items():
                group[name] = np.full(shape, value, self.dtype)

    def _initialize(self) -> None:
        """Draw the initial weights."""
        for i, layer in enumerate(self.layers):
            key = self.key.fold("weights").fold(i)
            initial = layer.initial(key=key, initializer=initializer_after(self.layers, i))
            for name, value in initial.items():
                self.weights[i][name][:] = value

    def buffers(self) -> list[Array]:
        """Return the untrained state of the layers, as views: gains of gates, running means."""
        both = zip(self.weights, self.layers, strict=True)
        return [group[name] for group, layer in both for name in layer.buffers()]

    @property
    def widths(self) -> list[int]:
        """Number of features at the input of each layer, and at the output of the last."""
        return [math.prod(shape) for shape in self.shapes]

    @property
    def inputs(self) -> int:
        """Number of features of one row."""
        return math.prod(self.shapes[0])

    @property
    def outputs(self) -> int:
        """Number of logits of one row."""
        return self.shapes[-1][0]

    def forward(self, x: Any, *, key: Key | None = None, training: bool = False) -> Array:
        """Return the logits of rows x, shape (n, inputs) → (n, outputs).

        Parameters
        ----------
        x : ndarray of the network's dtype, shape (n, *input_shape), or a sparse matrix by rows
            Rows.
        key : Key, optional
            Draw the masks of this key: one sample. Without a key the mean network answers.
        training : bool
            Whether layers with running statistics use and update those of these rows.

        Raises
        ------
        InputError
            Rows of another shape or dtype; a key that is not a Key.
        """
        dtype = getattr(x, "dtype", None)
        # None equals float64 for NumPy, so it is compared by identity.
        if dtype is None or dtype != self.dtype or x.shape[1:] != self.shapes[0]:
            raise InputError(self._wrong_rows(x))
        if key is not None:
            check_key("Network.forward", key)
        if type(x) is not np.ndarray and isinstance(self.layers[0], Dropout | Gate) and hasattr(x, "toarray"):
            x = x.toarray()
        self._saved = []
        for first, end, fused in self._fused if kernels_available(x, self.dtype) else self._single:
            own = None if key is None else self._layer_key(end - 1, key)
            layer = fused or self.layers[first]
            x, saved = (layer.learn if training else layer.forward)(x, self.weights[first], key=own)
            self._saved.append((first, fused, saved))
        return x

    def _wrong_rows(self, x: Any) -> str:
        """Return the refusal of rows that forward cannot take."""
        shape = f"(n, {', '.join(map(str, self.shapes[0]))})"
        if not hasattr(x, "dtype") or not hasattr(x, "shape"):
            kind = f"an array of {self.dtype} and shape {shape}"
            return f"Network.forward: x must be {kind}, got {format_value(x)}."
        if x.shape[1:] != self.shapes[0]:
            return f"Network.forward: x must have shape {shape}, got {x.shape}."
        return (
            f"Network.forward: x must be {self.dtype}, the dtype of the network, got {x.dtype}; "
            f'use x.astype("{self.dtype}").'
        )

    def _layer_key(self, i: int, key: Key) -> Key | None:
        if not self.layers[i].draws:
            return None
        # Folding costs microseconds: the keys of training are folded once.
        own = self._own_keys[i] if key.value == self.key.value else mask_key(key, i)
        return own.at(key.step)

    def backward(self, gradient: Array, *, input_gradient: bool = False) -> Array | None:
        """Write the gradient of every weight to `grads`, for the latest `forward`.

        Parameters
        ----------
        gradient : ndarray, shape (n, outputs)
            Gradient of the loss with respect to the logits.
        input_gradient : bool
            Whether to return the gradient with respect to x, shape (n, *input_shape).

        Returns
        -------
        ndarray or None
        """
        if not self._saved:
            raise InputError("Network.backward: no forward pass has been recorded; call forward first.")
        dy: Any = gradient
        for first, fused, saved in reversed(self._saved):
            layer = self.layers[first]
            dense_input = saved
            if fused is not None:
                # The fused backward pass works in place, so the caller's array is copied.
                dense_input, dy = fused.backward(dy.copy() if dy is gradient else dy, saved)
            if first == self._first_trained and not input_gradient:
                layer.gradients(dy, dense_input, self.weights[first], self.grads[first])
                return None
            dy = layer.backward(dy, dense_input, self.weights[first], self.grads[first])
        return dy


def _check_dtype(dtype: Any) -> np.dtype[Any]:
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = None
    # NumPy reads None as float64, in comparisons too.
    if dtype is None or known is None or known not in (np.dtype("float32"), np.dtype("float64")):
        found = format_value(dtype) if dtype is None or known is None else str(known)
        raise InputError(f"Network: dtype must be float32 or float64, got {found}.")
    return known
