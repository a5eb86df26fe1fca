"""Wrappers that drop the weights of a layer, once for each forward, through torch's parametrizations.

A layer's weight moves to `layer.parametrizations.weight.original`; `layer.weight` is the dropped one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any, cast

from torch import nn
from torch.nn.utils import parametrize

from thinnet.errors import InputError
from thinnet.torch._internals import Convertible
from thinnet.torch._modules.base import Rated, Tensor, dropped, traceable
from thinnet.torch.functional import targeted_dropout
from thinnet.torch.functional._entry import chance

__all__ = ["DropConnect", "TargetedDropout", "WeightDrop"]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _Weight(Rated):
    """What a weight is seen through: a row of the catalogue."""

    def __init__(self, p: float, name: str) -> None:
        super().__init__(p, name)
        self.variant = name

    def forward(self, weight: Tensor) -> Tensor:
        return dropped(self, weight)


class _Targeted(_Weight):
    def __init__(self, p: float, target: float, units: bool) -> None:
        super().__init__(p, "TargetedDropout")
        self.target, self.units = chance("TargetedDropout", target, "target"), units

    def forward(self, weight: Tensor) -> Tensor:
        key = self.key() if self.training else None
        return targeted_dropout(
            weight, self.p, key=key, target=self.target, units=self.units, training=self.training
        )


class WeightDrop(Convertible):
    """Zeroes recurrent weights once for all steps of time, and divides the others by keep.

    Parameters
    ----------
    module : Module
        Whose weights are dropped: an LSTM, GRU or RNN, or anything else.
    weights : str or sequence of str
        Their names.
    p : float
        Chance that a weight is dropped, in [0, 1].

    Raises
    ------
    InputError
        The module has no parameter of that name.

    Examples
    --------
    >>> WeightDrop(nn.LSTM(4, 8), ["weight_hh_l0"], 0.5).extra_repr()
    "weights=['weight_hh_l0'], p=0.5"

    References
    ----------
    Merity et al.: Regularizing and optimizing LSTM language models. ICLR 2018, section 2.
    """

    variant = "WeightDrop"

    def __init__(self, module: nn.Module, weights: Any = "weight_hh_l0", p: float = 0.5) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise InputError(
                f"{type(self).__name__}: module must be a torch.nn.Module, got {type(module).__name__}."
            )
        self.module = module
        self.weights = [weights] if isinstance(weights, str) else list(weights)
        for name in self.weights:
            self._see(name, self._made(p))

    def _made(self, p: float) -> _Weight:
        return _Weight(p, self.variant)

    def _see(self, name: str, through: _Weight) -> None:
        if name not in dict(self.module.named_parameters(recurse=False)):
            raise InputError(f"{type(self).__name__}: the module has no parameter {name!r}.")
        # the rule says that a parametrization keeps shape and dtype, and asks at once; no number is drawn
        through.eval()
        parametrize.register_parametrization(self.module, name, through)
        through.train(self.module.training)

    @traceable
    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Return what the module returns for these arguments, with dropped weights while training."""
        module: Any = self.module
        with parametrize.cached():
            if not isinstance(module, nn.RNNBase):
                return module(*inputs, **named)
            # It reads its weights again where they have changed, and keeps a list of them, which is put back.
            before = dict(vars(module))
            try:
                return module(*inputs, **named)
            finally:
                vars(module).update(before)

    @contextlib.contextmanager
    def converting(self) -> Generator[None]:
        """Drop nothing while the module is moved: recurrent layers read and keep their weights then."""
        drawing = [self._through(i) for i in range(len(self.weights))]
        modes = [through.training for through in drawing]
        for through in drawing:
            through.training = False
        try:
            yield
        finally:
            for through, mode in zip(drawing, modes, strict=True):
                through.training = mode

    @property
    def p(self) -> float:
        """The chance that a weight is dropped."""
        return self._through(0).p

    @p.setter
    def p(self, value: float) -> None:
        for i in range(len(self.weights)):
            self._through(i).p = value

    def _through(self, i: int) -> _Weight:
        listed: Any = self.module.parametrizations
        return cast("_Weight", listed[self.weights[i]][-1])

    def extra_repr(self) -> str:
        return f"weights={self.weights}, p={self.p}"


class DropConnect(WeightDrop):
    """Zeroes weights of a Linear or Conv layer, one mask a batch, and divides the others by keep.

    Parameters
    ----------
    layer : Linear, Conv1d, Conv2d or Conv3d
        Whose weight is dropped.
    p : float
        Chance that a weight is dropped, in [0, 1].

    Examples
    --------
    >>> DropConnect(nn.Linear(4, 2), 0.5).extra_repr()
    "weights=['weight'], p=0.5"

    References
    ----------
    Wan et al.: Regularization of neural networks using DropConnect. ICML 2013, section 3.
    """

    variant = "DropConnect"

    def __init__(self, layer: nn.Module, p: float = 0.5) -> None:
        super().__init__(_checked("DropConnect", layer), "weight", p)


class TargetedDropout(WeightDrop):
    """Zeroes the smallest weights of a Linear or Conv layer with chance p, and no others; nothing is scaled.

    Parameters
    ----------
    layer : Linear, Conv1d, Conv2d or Conv3d
        Whose weight is dropped.
    p : float
        Chance that a candidate is dropped, in [0, 1].
    target : float
        Share of each output's weights that are candidates, the smallest; with `units`, share of outputs.
    units : bool
        Whole outputs instead of single weights.

    References
    ----------
    Gomez et al.: Learning sparse networks using targeted dropout. arXiv:1905.13678, 2019, section 3.
    """

    variant = "TargetedDropout"

    def __init__(self, layer: nn.Module, p: float = 0.5, target: float = 0.5, units: bool = False) -> None:
        self._target = target, units
        super().__init__(_checked("TargetedDropout", layer), "weight", p)

    def _made(self, p: float) -> _Weight:
        return _Targeted(p, *self._target)


def _checked(owner: str, layer: nn.Module) -> nn.Module:
    if not isinstance(layer, _LAYERS):
        raise InputError(f"{owner}: takes Linear and Conv layers, got {type(layer).__name__}.")
    return layer
