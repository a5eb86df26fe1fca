"""A network: layers in a row, their weights in one flat array, and a loss."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.net import _fused as fused
from thinnet.net._dropout import Dropout, Gate, mask_key
from thinnet.net._layers import Layer, Shape
from thinnet.net._losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy, loss_for
from thinnet.net._optimizers import Limit, Optimizer
from thinnet.net._residual import spread
from thinnet.net._shapes import rows, through
from thinnet.net._training import Fit, History, OnEpoch, train

__all__ = ["Network"]

Array: TypeAlias = NDArray[Any]

# Rows that predict takes at once; fewer where a layer answers with more entries than this.
_ROWS, _ENTRIES = 4096, 1 << 24


class Network:
    """Layers in a row, trained by hand-written backward passes.

    Parameters
    ----------
    layers : iterable of Layer
        At least one with weights; what comes out of one has to fit the next.
    key : Key
        The address of all its randomness: initial weights, the order of rows, masks.
    loss : Loss, optional
        If not given, `fit` takes it from the targets: whole numbers mean classes (softmax
        cross-entropy, or binary cross-entropy for one output), numbers with fractions mean squared error.
    dtype : {"float32", "float64"}
        Of weights and activations.
    inputs : tuple of int, optional
        The shape of a row, (channels, height, width); not needed where `Dense` comes first.
    flat : ndarray, shape (m,), optional
        All weights: matrices, then biases, in the order of the layers; drawn from the key if not given.

    Raises
    ------
    InputError
        No Dense layer, or neighbours that do not fit; the message names both.

    Examples
    --------
    >>> import numpy as np, thinnet as tn
    >>> net = tn.net.Network(
    ...     [tn.net.Dense(2, 16), tn.net.ReLU(), tn.net.Dropout(0.5), tn.net.Dense(16, 2)], key=tn.Key(0)
    ... )
    >>> net
    Network 2 -> 2, 82 weights, float32
      0  Dense(2, 16)   (n, 2) -> (n, 16)   48
      1  ReLU()         (n, 16)
      2  Dropout(0.5)   (n, 16)
      3  Dense(16, 2)   (n, 16) -> (n, 2)   34
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> history = net.fit(X, np.array([0, 1, 1, 0]), epochs=500)
    >>> net.predict(X).tolist()
    [0, 1, 1, 0]
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        key: Key | None = None,
        loss: Loss | None = None,
        dtype: str | np.dtype[Any] = "float32",
        inputs: Shape | None = None,
        flat: ArrayLike | None = None,
    ) -> None:
        self.layers = tuple(layers)
        self.key = Key(0) if key is None else key
        if not isinstance(self.key, Key):
            raise InputError(f"Network: key must be a thinnet.Key, got {key!r}; use thinnet.Key(0).")
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.dtype("float32"), np.dtype("float64")):
            raise InputError(f"Network: dtype must be float32 or float64, got {self.dtype}.")
        self.shapes = through(self.layers, inputs)
        self._loss = loss
        self.step = 0
        self._saved: list[tuple[int, fused.Fused | None, Any]] = []
        self._first = next(i for i, layer in enumerate(self.layers) if layer.trainable)
        self._fused = fused.groups(self.layers)
        self._single = [(i, i + 1, None) for i in range(len(self.layers))]
        self._own_keys = [mask_key(self.key, i) for i in range(len(self.layers))]
        self._allocate()
        if flat is None:
            self._draw()
        elif np.shape(flat) != self.flat.shape:
            raise InputError(f"Network: flat must have shape {self.flat.shape}, got {np.shape(flat)}.")
        else:
            self.flat[:] = flat

    def _allocate(self) -> None:
        """Lay all weights in one array, matrices before biases."""
        shapes = [
            (i, name, shape)
            for i, layer in enumerate(self.layers)
            if layer.trainable
            for name, shape in layer.shapes().items()
        ]
        shapes.sort(key=lambda at: len(at[2]), reverse=True)
        sizes = [math.prod(shape) for _, _, shape in shapes]
        self.decayed = sum(size for size, (_, _, shape) in zip(sizes, shapes, strict=True) if len(shape) > 1)
        self.flat: Array = np.empty(sum(sizes), self.dtype)
        self.flat_grads: Array = np.zeros(sum(sizes), self.dtype)
        self.weights: list[dict[str, Array]] = [{} for _ in self.layers]
        self.grads: list[dict[str, Array]] = [{} for _ in self.layers]
        at = 0
        limits: list[Limit] = []
        for (i, name, shape), size in zip(shapes, sizes, strict=True):
            limit = getattr(self.layers[i], "max_norm", None)
            if limit is not None and len(shape) == 2:
                limits.append((at, *shape, float(limit)))
            place = slice(at, at := at + size)
            self.weights[i][name] = self.flat[place].reshape(shape)
            self.grads[i][name] = self.flat_grads[place].reshape(shape)
        self.limits = tuple(limits)
        for group, layer in zip(self.weights, self.layers, strict=True):
            for name, (shape, value) in layer.buffers().items():
                group[name] = np.full(shape, value, self.dtype)

    def _draw(self) -> None:
        """Set all weights to first values."""
        for i, layer in enumerate(self.layers):
            for name, value in layer.initial(
                self.key.fold("weights").fold(i), spread(self.layers, i)
            ).items():
                self.weights[i][name][:] = value

    def buffers(self) -> list[Array]:
        """Return what is kept beside trained weights, as it is: gains of gates, running means."""
        both = zip(self.weights, self.layers, strict=True)
        return [group[name] for group, layer in both for name in layer.buffers()]

    def __getstate__(self) -> dict[str, Any]:
        """Return what makes this network: weights are told once, not again by every view of them."""
        given = {"layers": self.layers, "key": self.key, "loss": self._loss, "dtype": self.dtype}
        kept = {"inputs": self.shapes[0], "flat": self.flat, "buffers": self.buffers(), "step": self.step}
        return given | kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        buffers, step = state.pop("buffers"), state.pop("step")
        self.__init__(**state)
        self.step = step
        for place, value in zip(self.buffers(), buffers, strict=True):
            place[...] = value

    @property
    def widths(self) -> list[int]:
        """How many features go into each layer, and how many come out at the end."""
        return [math.prod(shape) for shape in self.shapes]

    @property
    def inputs(self) -> int:
        """How many features a row has."""
        return math.prod(self.shapes[0])

    @property
    def outputs(self) -> int:
        """How many logits a row gets."""
        return self.shapes[-1][0]

    @property
    def loss(self) -> Loss:
        """The loss; known from the start or from the first targets on."""
        if self._loss is None:
            raise InputError("Network: no loss is known yet; pass loss= or call fit first.")
        return self._loss

    def forward(self, x: Any, *, key: Key | None = None, training: bool = False) -> Array:
        """Return the logits of rows x, shape (n, inputs) → (n, outputs).

        Parameters
        ----------
        x : ndarray of the network's dtype, shape (n, inputs), or a sparse matrix by rows
            Rows.
        key : Key, optional
            Draw masks from this key (training; one sample), or take the mean network if not given.
        training : bool
            Whether layers that keep statistics learn them from these rows, and use them.
        """
        if type(x) is not np.ndarray and isinstance(self.layers[0], Dropout | Gate) and hasattr(x, "toarray"):
            x = x.toarray()
        self._saved = []
        for first, end, step in self._fused if fused.available(x, self.dtype) else self._single:
            own = None if key is None else self._layer_key(end - 1, key)
            layer = step or self.layers[first]
            x, saved = (layer.learn if training else layer.forward)(self.weights[first], x, own)
            self._saved.append((first, step, saved))
        return x

    def _layer_key(self, i: int, key: Key) -> Key | None:
        if not self.layers[i].draws:
            return None
        # Folding is cheap but not free: the keys of training are folded once.
        own = self._own_keys[i] if key.value == self.key.value else mask_key(key, i)
        return own.at(key.step)

    def backward(self, gradient: Array, *, inputs: bool = False) -> Array | None:
        """Write the gradient of every weight to `grads`, for the latest `forward`.

        Parameters
        ----------
        gradient : ndarray, shape (n, outputs)
            Of the loss with respect to the logits.
        inputs : bool
            Also return the gradient with respect to x, shape (n, inputs).
        """
        if not self._saved:
            raise InputError(
                "Network.backward: there is no forward pass to go back over; call forward first."
            )
        dy: Any = gradient
        for first, step, saved in reversed(self._saved):
            layer = self.layers[first]
            into = saved
            if step is not None:
                # the pass back works in place, but not on the caller's array
                into, dy = step.backward(saved, dy.copy() if dy is gradient else dy)
            if first == self._first and not inputs:
                layer.gradients(self.weights[first], into, dy, self.grads[first])
                return None
            dy = layer.backward(self.weights[first], into, dy, self.grads[first])
        return dy

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 10,
        batch: int = 128,
        optimizer: Optimizer | None = None,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
        patience: int | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> History:
        """Train on mini-batches and return what happened.

        Parameters
        ----------
        x : array_like, shape (n, inputs)
            Rows.
        y : array_like, shape (n,) or (n, outputs)
            Classes as whole numbers, or values.
        epochs, batch : int
            Passes over the rows; rows per update.
        optimizer : Optimizer, optional
            `Adam()` if not given.
        validation : (x, y), optional
            Rows on which the mean network's loss is taken after each epoch.
        sample_weight : array_like, shape (n,), optional
            Weight of each row in the loss.
        patience : int, optional
            Stop after so many epochs without a better validation loss, and keep the best weights.
        on_epoch : function of an Epoch, optional
            Called after each; returning True ends the training.

        Returns
        -------
        History

        Raises
        ------
        InputError
            Shapes that do not fit, NaN or infinity, classes out of range.
        """
        how = Fit(epochs, batch, optimizer, validation, sample_weight, patience, on_epoch)
        return train(self, x, y, how)

    def predict(self, x: ArrayLike) -> Array:
        """Return the mean network's answers: classes, shape (n,), or values, (n,) or (n, outputs)."""
        z = self.logits(x)
        if isinstance(self.loss, SoftmaxCrossEntropy):
            return z.argmax(axis=1)
        answer = (z > 0).astype(np.intp) if isinstance(self.loss, BinaryCrossEntropy) else self.loss.link(z)
        return answer[:, 0] if self.outputs == 1 else answer

    def predict_proba(self, x: ArrayLike) -> Array:
        """Return the mean network's class probabilities, shape (n, outputs); (n, 2) for one binary output.

        Raises
        ------
        InputError
            The loss is not one of classes.
        """
        if not isinstance(self.loss, SoftmaxCrossEntropy | BinaryCrossEntropy):
            raise InputError(
                f"predict_proba: a network with {type(self.loss).__name__} predicts values, not classes."
            )
        p = self.loss.link(self.logits(x))
        single = self.outputs == 1 and isinstance(self.loss, BinaryCrossEntropy)
        return np.concatenate([1 - p, p], axis=1) if single else p

    def logits(self, x: ArrayLike, *, key: Key | None = None) -> Array:
        """Return the logits of many rows, checked; the latest forward is forgotten."""
        return self.through(self._rows(x, "predict"), key=key)

    def through(self, rows: Any, *, key: Key | None = None) -> Array:
        """Return the logits of checked rows, an array or a sparse matrix, (n, inputs) → (n, outputs)."""
        count = rows.shape[0]
        out = np.empty((count, self.outputs), self.dtype)
        # Pieces save memory, but each would begin at lane 0: with a key all rows go at once.
        step = max(1, count if key is not None else min(_ROWS, _ENTRIES // max(self.widths)))
        for first in range(0, count, step):
            out[first : first + step] = self.forward(rows[first : first + step], key=key)
        self._saved = []
        return out

    def loss_of(self, x: Array, y: Array) -> float:
        """Return the mean network's loss on rows that have been checked."""
        rows, _ = self.loss.rows(self.logits(x), y)
        return float(rows.mean(dtype=np.float64))

    def thinned(self, key: Key) -> Network:
        """Return one thinned network: the masks of `key`, one for each unit, shared by all rows.

        Every dropout layer becomes a `Gate` with the gains drawn for its units, and `DropConnect` the layer
        in it, with the weights drawn; there is nothing random left. With n units behind inverted dropout
        there are 2**n of them.

        References
        ----------
        Srivastava et al.: Dropout. JMLR 15, 2014, section 1.
        """
        from thinnet.net._thinning import thin

        return thin(self, key)

    def save(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Write weights and JSON metadata to a safetensors file; see `thinnet.net._saving`."""
        from thinnet.net import _saving as saving

        saving.save(self, path, metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Read a network that `save` wrote. Nothing in the file is run.

        Raises
        ------
        FileError
            No such file, or not a network of thinnet, or cut short.
        """
        from thinnet.net import _saving as saving

        return saving.load(path)[0]

    def check(self, x: Any, y: Any, owner: str) -> tuple[Array, Array]:
        """Return rows and targets as the network takes them, or say what is wrong with them."""
        rows = self._rows(x, owner)
        loss = loss_for(y, self.outputs) if self._loss is None else self._loss
        targets = loss.targets(y, self.outputs, self.dtype)
        if targets.ndim not in (1, 2):
            raise InputError(f"{owner}: Y must have shape (n,) or (n, {self.outputs}), got {targets.shape}.")
        if len(targets) != len(rows):
            raise InputError(f"{owner}: X has {len(rows)} rows, but Y has {len(targets)}.")
        if targets.ndim == 2 and targets.shape[1] != self.outputs:
            raise InputError(
                f"{owner}: Y has {targets.shape[1]} columns, but the network has {self.outputs} outputs."
            )
        if not bool(np.all(np.isfinite(targets))):
            raise InputError(f"{owner}: Y holds NaN or infinity.")
        if not len(rows):
            raise InputError(f"{owner}: X has no rows.")
        self._loss = loss
        return rows, targets

    def _rows(self, x: Any, owner: str) -> Array:
        try:
            rows = np.asarray(x, self.dtype)
        except (TypeError, ValueError):
            raise InputError(f"{owner}: X must be an array of numbers, got {type(x).__name__}.") from None
        if rows.shape[1:] != self.shapes[0] or not rows.ndim:
            wanted = ", ".join(map(str, ("n", *self.shapes[0])))
            raise InputError(f"{owner}: X must have shape ({wanted}), got {rows.shape}.")
        if not bool(np.isfinite(rows).all()):
            raise InputError(f"{owner}: X holds NaN or infinity.")
        return rows

    def __repr__(self) -> str:
        title = f"Network {self.inputs} -> {self.outputs}, {self.flat.size:,} weights, {self.dtype}"
        return "\n".join([title, *rows(self.layers, self.shapes)])
