"""PyTorch in the gallery: the twin of a network, with its initial weights, mini-batches and masks.

Both backends draw the masks of a layer at one address, `thinnet.net._dropout.mask_key(key, i).at(step)`, so
the masks are equal to the bit. Sums are added in another order: losses are equal to rounding at first, and
the difference grows in training.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.gallery._backend import NUMPY, Backend, LossesByNetwork
from thinnet.gallery._text import table_lines
from thinnet.net._dropout import mask_key
from thinnet.net._layers import Layer
from thinnet.net._training import Epoch, OnEpoch, run_epoch, shuffled_order
from thinnet.torch import functional

__all__ = ["MaskComparison", "TorchBackend", "Twin", "TwinDropout", "module"]

Array: TypeAlias = NDArray[Any]
Tensor: TypeAlias = torch.Tensor


class TwinDropout(nn.Module):
    """A dropout layer of a twin: in training it draws the masks of the layer's key at the current step.

    Parameters
    ----------
    layer : Dropout
        The layer of the network.
    key : Key
        The key of the layer; see `thinnet.net._dropout.mask_key`.
    """

    def __init__(self, layer: net.Dropout, key: Key) -> None:
        super().__init__()
        self.layer, self.key = layer, key

    def forward(self, x: Tensor) -> Tensor:
        """Draw a mask in training; apply the mean in evaluation."""
        rate = self.layer.rate_at(self.key.step) if self.training else self.layer.final_rate
        law: Any = {"training": self.training, "block": self.layer.block}
        return functional.drop(self.layer.variant, x, rate, key=self.key, **law)


def module(layer: Layer, weights: dict[str, Array], key: Key) -> nn.Module:
    """Return the PyTorch module of a layer, with a copy of its weights.

    Raises
    ------
    InputError
        A layer without a twin.

    Examples
    --------
    >>> module(net.MaxPool2d(2), {}, Key(0)).kernel_size
    (2, 2)
    """
    match layer:
        case net.Dense(max_norm=None):
            return _filled(nn.Linear, (layer.inputs, layer.outputs), weights["weight"].T, weights["bias"])
        case net.Conv2d():
            grid = layer.grid
            sizes = layer.inputs, layer.outputs, layer.kernel, *grid
            return _filled(nn.Conv2d, sizes, weights["weight"], weights["bias"])
        case net.MaxPool2d():
            return nn.MaxPool2d(layer.kernel, layer.grid.stride, layer.grid.padding)
        case net.Dropout():
            return TwinDropout(layer, key)
        case net.ReLU():
            return nn.ReLU()
        case net.Flatten():
            return nn.Flatten()
        case _:
            raise InputError(f"Twin: {layer!r} has no twin in PyTorch; train it with --backend numpy.")


def _filled(kind: type[nn.Module], sizes: tuple[Any, ...], weight: Array, bias: Array) -> nn.Module:
    # Without initial weights of PyTorch, which would advance its generator.
    made: Any = cast("Any", nn.utils).skip_init(kind, *sizes)
    made.weight, made.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))
    return made


class MaskComparison(NamedTuple):
    """Whether a dropout layer applied the same gains in both backends at a step, and their number."""

    equal: bool
    entries: int


class Twin:
    """A network in PyTorch; the NumPy network itself is left unchanged.

    Parameters
    ----------
    network : Network
        The source of layers, weights, key and loss.

    Attributes
    ----------
    modules : Sequential
        One module for each layer.
    comparisons : list of MaskComparison
        Comparisons of every dropout layer at the steps 0, 1, 2, 4, 8 and so on.

    Examples
    --------
    >>> made = net.Network([net.Dense(2, 8), net.ReLU(), net.Dropout(0.5), net.Dense(8, 1)], key=Key(0))
    >>> twin, x, y = Twin(made), np.eye(2), [0.5, 1.5]
    >>> history = twin.fit(x, y, epochs=3, batch=2, optimizer=net.Adam(0.1))
    >>> twin.comparisons == 3 * [MaskComparison(equal=True, entries=16)]
    True
    >>> bool(np.allclose(history.loss, made.fit(x, y, epochs=3, batch=2, optimizer=net.Adam(0.1)).loss))
    True
    """

    def __init__(self, network: net.Network) -> None:
        self.network, self.step = network, 0
        each = zip(network.layers, network.weights, strict=True)
        self.modules = nn.Sequential(
            *(module(layer, weights, mask_key(network.key, i)) for i, (layer, weights) in enumerate(each))
        )
        self.comparisons: list[MaskComparison] = []

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
        """Train with `torch.optim.Adam` on the mini-batches that the NumPy network would be trained on.

        The hyperparameters are those of `optimizer`, of which only the step of its schedule changes.
        """
        if type(optimizer) is not net.Adam or optimizer.l2:
            raise InputError(f"Twin: optimizer must be thinnet.net.Adam() without l2, got {optimizer!r}.")
        rows, targets = self.network.check_data(x, y, "fit")
        adam = torch.optim.Adam(self.modules.parameters(), betas=optimizer.betas, eps=optimizer.epsilon)
        descend = partial(self._descend, adam, optimizer)
        seen: list[Epoch] = []
        with _one_thread():
            for number in range(1, epochs + 1):
                order = shuffled_order(self.network.key, self.step, len(rows), batch)
                seen.append(Epoch(number, run_epoch((rows, targets, None), order, batch, descend)))
                if on_epoch is not None and on_epoch(seen[-1]):
                    break
        return net.History(tuple(seen), len(seen))

    def logits(self, x: ArrayLike) -> Array:
        """Return the logits of the mean network, (n, ...) → (n, outputs)."""
        self.modules.eval()
        with torch.inference_mode():
            return self.modules(torch.tensor(np.asarray(x, self.network.dtype))).numpy()

    def _descend(self, adam: Any, optimizer: net.Adam, x: Array, y: Array, weight: Array | None) -> float:
        self.modules.train()
        for each in self.modules:
            if isinstance(each, TwinDropout):
                each.key = each.key.at(self.step)
        loss: Any = _loss(self.network.loss)(self.modules(torch.tensor(x)), torch.tensor(y))
        if self.step & (self.step - 1) == 0:
            self._compare_masks(len(x))
        for group in adam.param_groups:
            group["lr"] = optimizer.rate_now()
        adam.zero_grad()
        loss.backward()
        adam.step()
        optimizer.step += 1
        self.step += 1
        return loss.item()

    def _compare_masks(self, rows: int) -> None:
        """Compare the gains of every dropout layer at this step with those of the NumPy layer."""
        for i, (layer, twin) in enumerate(zip(self.network.layers, self.modules, strict=True)):
            if isinstance(layer, net.Dropout) and layer.rate_at(self.step):
                ones = np.ones((rows, *self.network.shapes[i]), self.network.dtype)
                ours, _ = layer.forward(ones, {}, key=mask_key(self.network.key, i).at(self.step))
                theirs = twin(torch.tensor(ones)).numpy()
                self.comparisons.append(MaskComparison(np.array_equal(ours, theirs), ones.size))


@contextmanager
def _one_thread() -> Generator[None]:
    """Restrict PyTorch to one thread, which is faster than several on small networks."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loss(loss: net.Loss) -> Callable[[Tensor, Tensor], Tensor]:
    if isinstance(loss, net.SquaredError):
        return nn.functional.mse_loss
    if isinstance(loss, net.SoftmaxCrossEntropy):
        return nn.functional.cross_entropy
    raise InputError(f"Twin: {loss!r} has no twin in PyTorch; train it with --backend numpy.")


class TorchBackend(Backend):
    """PyTorch: a twin is trained in place of each network, and compared with it at the end."""

    def __init__(self) -> None:
        self.twins: list[Twin] = []

    def trainable(self, network: net.Network) -> Twin:
        self.twins.append(Twin(network))
        return self.twins[-1]

    def comparison(
        self, early: str, losses: LossesByNetwork, rerun: Callable[[Backend], LossesByNetwork]
    ) -> list[str]:
        compared = [each for twin in self.twins for each in twin.comparisons]
        equal, entries = sum(each.equal for each in compared), sum(each.entries for each in compared)
        masks = f"masks equal: {equal:,} of {len(compared):,} layers and steps, {entries:,} entries"
        rows = [["largest difference over seeds", early, "test loss: NumPy", "PyTorch", "difference"]]
        for (name, theirs), ours in zip(losses.items(), rerun(NUMPY).values(), strict=True):
            means = [f"{np.mean(each.late):.6f}" for each in (ours, theirs)]
            rows.append(
                [name, _distance(ours.early, theirs.early), *means, _distance(ours.late, theirs.late)]
            )
        return ["", f"PyTorch {torch.__version__} compared with NumPy, {masks}", *table_lines(rows)]


def _distance(ours: list[float], theirs: list[float]) -> str:
    """Return the largest difference between losses of two backends."""
    return f"{np.abs(np.subtract(ours, theirs)).max():.1e}"
