"""A network: a stack of layers with a loss, which can be trained, applied, thinned and saved."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thinnet._checks import check_type
from thinnet._core.random import Key
from thinnet._core.random.key import check_key
from thinnet.errors import InputError
from thinnet.net._arguments import check_real
from thinnet.net._layers import Layer, Shape
from thinnet.net._losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy, loss_for
from thinnet.net._optimizers import Optimizer
from thinnet.net._saving import SavedNetwork, read_network, write_network
from thinnet.net._shapes import summary_lines
from thinnet.net._stack import LayerStack
from thinnet.net._thinning import thin_layers
from thinnet.net._training import FitOptions, History, OnEpoch, train

__all__ = ["Network"]

Array: TypeAlias = NDArray[Any]

# Rows that predict processes at once; fewer where a layer has more activations than this.
_ROWS, _ENTRIES = 4096, 1 << 24


class Network(LayerStack):
    """A sequence of layers, trained by hand-written backward passes.

    Parameters
    ----------
    layers : iterable of Layer
        At least one layer with weights; the output of each has to fit the next.
    key : Key
        The address of all randomness of the network: initial weights, order of rows, masks.
    loss : Loss, optional
        If not given, `fit` infers it from the targets: whole numbers are classes (softmax cross-entropy, or
        binary cross-entropy for one output), numbers with fractions are values (mean squared error).
    dtype : {"float32", "float64"}
        Of weights and activations.
    input_shape : tuple of int, optional
        The shape of one row, (channels, height, width); a network that begins with `Dense` infers it.
    flat : ndarray, shape (m,), optional
        All weights: matrices, then biases, in the order of the layers; drawn from the key if not given.

    Raises
    ------
    InputError
        No key, no layer with weights, or neighbours that do not fit; the message names both.

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
        key: Key,
        loss: Loss | None = None,
        dtype: str | np.dtype[Any] = "float32",
        input_shape: Shape | None = None,
        flat: ArrayLike | None = None,
    ) -> None:
        super().__init__(layers, key=key, dtype=dtype, input_shape=input_shape, flat=flat)
        self._loss = None if loss is None else check_type("Network", "loss", loss, Loss)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of the network; weights are listed once, their views are not."""
        given = {"layers": self.layers, "key": self.key, "loss": self._loss, "dtype": self.dtype}
        learned = {"flat": self.flat, "buffers": self.buffers(), "step": self.step}
        return given | {"input_shape": self.shapes[0]} | learned

    def __setstate__(self, state: dict[str, Any]) -> None:
        buffers, step = state.pop("buffers"), state.pop("step")
        self.__init__(**state)
        self.step = step
        for place, value in zip(self.buffers(), buffers, strict=True):
            place[...] = value

    @property
    def loss(self) -> Loss:
        """The loss: the one passed to the constructor, or the one inferred from the first targets."""
        if self._loss is None:
            raise InputError("Network: no loss is known yet; pass loss= or call fit first.")
        return self._loss

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
        """Train on mini-batches and return the history of losses.

        Parameters
        ----------
        x : array_like, shape (n, *input_shape)
            Rows.
        y : array_like, shape (n,) or (n, outputs)
            Classes as whole numbers, or values.
        epochs, batch : int
            Passes over the rows; rows per update.
        optimizer : Optimizer, optional
            `Adam()` if not given.
        validation : (x, y), optional
            Rows on which the loss of the mean network is measured after each epoch.
        sample_weight : array_like, shape (n,), optional
            Weight of each row in the loss.
        patience : int, optional
            Stop after so many epochs without a lower validation loss, and restore the best weights.
        on_epoch : function of an Epoch, optional
            Called after each epoch; training ends when it returns True.

        Returns
        -------
        History

        Raises
        ------
        InputError
            Shapes that do not fit, NaN or infinity, complex numbers, classes out of range.
        """
        options = FitOptions(
            epochs=epochs,
            batch=batch,
            optimizer=optimizer,
            validation=validation,
            sample_weight=sample_weight,
            patience=patience,
            on_epoch=on_epoch,
        )
        return train(self, x, y, options)

    def predict(self, x: ArrayLike) -> Array:
        """Return predictions of the mean network: classes, shape (n,), or values, (n,) or (n, outputs)."""
        z = self.logits(x)
        if isinstance(self.loss, SoftmaxCrossEntropy):
            return z.argmax(axis=1)
        values = (z > 0).astype(np.intp) if isinstance(self.loss, BinaryCrossEntropy) else self.loss.link(z)
        return values[:, 0] if self.outputs == 1 else values

    def predict_proba(self, x: ArrayLike) -> Array:
        """Return the mean network's class probabilities, shape (n, outputs); (n, 2) for one binary output.

        Raises
        ------
        InputError
            The loss is not one of classes.
        """
        if not isinstance(self.loss, SoftmaxCrossEntropy | BinaryCrossEntropy):
            raise InputError(
                f"predict_proba: a network with {type(self.loss).__name__} predicts values, not classes; "
                "use predict."
            )
        p = self.loss.link(self.logits(x))
        single = self.outputs == 1 and isinstance(self.loss, BinaryCrossEntropy)
        return np.concatenate([1 - p, p], axis=1) if single else p

    def logits(self, x: ArrayLike, *, key: Key | None = None) -> Array:
        """Return the logits of any number of rows, in pieces that fit into memory.

        With a key the masks of that key are drawn; without one the mean network answers. The recorded forward
        pass is discarded.
        """
        if key is not None:
            check_key("Network.logits", key)
        return self.compute_logits(self._check_rows(x, "predict"), key=key)

    def compute_logits(self, x: Any, *, key: Key | None = None) -> Array:
        """Return the logits of checked rows, an array or a sparse matrix, shape (n, outputs)."""
        count = x.shape[0]
        out = np.empty((count, self.outputs), self.dtype)
        # Each piece would draw its lanes from 0 on: with a key all rows are processed at once.
        step = max(1, count if key is not None else min(_ROWS, _ENTRIES // max(self.widths)))
        for first in range(0, count, step):
            out[first : first + step] = self.forward(x[first : first + step], key=key)
        self._saved = []
        return out

    def mean_loss(self, x: Array, y: Array) -> float:
        """Return the loss of the mean network on checked rows and targets."""
        rows, _ = self.loss.rows(self.logits(x), y)
        return float(rows.mean(dtype=np.float64))

    def thinned(self, *, key: Key) -> Network:
        """Return one thinned network: the masks of `key`, one for each unit, shared by all rows.

        Each dropout layer becomes a `Gate` with the gains of its units, and each `DropConnect` the layer in
        it, with the weights drawn; the result is deterministic. With n units after inverted dropout there
        are 2**n thinned networks.

        Parameters
        ----------
        key : Key
            The address of the masks.

        Raises
        ------
        InputError
            The key is not a Key.

        References
        ----------
        Srivastava et al.: Dropout. JMLR 15, 2014, section 1.
        """
        check_key("Network.thinned", key)
        thinned = thin_layers(self, key)
        options: dict[str, Any] = {"loss": self._loss, "dtype": self.dtype, "input_shape": self.shapes[0]}
        made = Network([layer for layer, _ in thinned], key=self.key, flat=self.flat, **options)
        made.step = self.step
        for places, (_, drawn), known in zip(made.weights, thinned, self.weights, strict=True):
            for name in places:
                places[name][...] = drawn[name] if name in drawn else known[name]
        return made

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        metadata: dict[str, Any] | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        """Write layers, weights and JSON metadata to a safetensors file, atomically.

        Parameters
        ----------
        path : path
            The file, by convention `*.safetensors`.
        metadata : dict, optional
            JSON data that is stored with the network; see `load_with_metadata`.
        optimizer : Optimizer, optional
            The optimiser of `fit`, whose step and moments are stored too. `load(path, optimizer=)` restores
            them, so that training resumes exactly.

        Raises
        ------
        FileError
            The file cannot be written.
        InputError
            A layer, loss, variant or schedule that thinnet does not define, since `load` could not rebuild
            it; metadata that is not JSON.
        """
        write_network(self, path, metadata, optimizer)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, optimizer: Optimizer | None = None) -> Network:
        """Read a network that `save` wrote. No code in the file is executed.

        Parameters
        ----------
        path : path
            The file.
        optimizer : Optimizer, optional
            An optimiser of the class that was passed to `save`; it takes over the stored step and moments.

        Raises
        ------
        FileError
            No such file, or not a network of thinnet, or a truncated one.
        """
        return read_network(path, _rebuild, optimizer)[0]

    @classmethod
    def load_with_metadata(cls, path: str | os.PathLike[str]) -> tuple[Network, dict[str, Any]]:
        """Read a network and the metadata that were passed to `save`; see `load`."""
        return read_network(path, _rebuild)

    def check_data(self, x: Any, y: Any, owner: str) -> tuple[Array, Array]:
        """Return rows and targets in the network's dtype; infer the loss if there is none yet."""
        rows = self._check_rows(x, owner)
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

    def _check_rows(self, x: Any, owner: str) -> Array:
        rows = check_real(owner, "X", x, self.dtype)
        if rows.shape[1:] != self.shapes[0] or not rows.ndim:
            wanted = ", ".join(map(str, ("n", *self.shapes[0])))
            raise InputError(f"{owner}: X must have shape ({wanted}), got {rows.shape}.")
        if not bool(np.isfinite(rows).all()):
            raise InputError(f"{owner}: X holds NaN or infinity.")
        return rows

    def __repr__(self) -> str:
        title = f"Network {self.inputs} -> {self.outputs}, {self.flat.size:,} weights, {self.dtype}"
        return "\n".join([title, *summary_lines(self.layers, self.shapes)])


def _rebuild(saved: SavedNetwork) -> Network:
    """Return the network that a file describes."""
    options: dict[str, Any] = {"loss": saved.loss, "dtype": saved.dtype, "input_shape": saved.input_shape}
    network = Network(saved.layers, key=saved.key, **options)
    network.step = saved.step
    for i, group in enumerate(network.weights):
        for name, place in group.items():
            place[...] = saved.tensors[f"{i}.{name}"]
    return network
