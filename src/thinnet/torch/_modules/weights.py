"""Wrappers that drop the weights of a layer, once for each forward, through torch's parametrizations.

A layer's weight moves to `layer.parametrizations.weight.original`; `layer.weight` is the dropped weight.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Generator, Sequence
from typing import Any, cast

from torch import nn
from torch.nn.utils import parametrize

from thinnet._checks import check_boolean, check_texts
from thinnet.errors import InputError
from thinnet.torch._internals import Convertible
from thinnet.torch._modules.base import Rated, Tensor, drop_by, traceable
from thinnet.torch._modules.packing import pack, unpack
from thinnet.torch.functional import targeted_dropout
from thinnet.torch.functional._entry import check_p

__all__ = ["DropConnect", "TargetedDropout", "WeightDrop"]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _Dropped(Rated):
    """A parametrization: the weight after a row of the catalogue."""

    def __init__(self, p: float, name: str) -> None:
        super().__init__(p, name)
        self.variant = name

    def forward(self, weight: Tensor) -> Tensor:
        return drop_by(self, weight)


class _Targeted(_Dropped):
    """A parametrization: the weight after targeted dropout."""

    def __init__(self, p: float, target: float, units: bool) -> None:
        super().__init__(p, "TargetedDropout")
        self.target = check_p("TargetedDropout", target, "target")
        self.units = check_boolean("TargetedDropout", "units", units)

    def forward(self, weight: Tensor) -> Tensor:
        key = self.key() if self.training else None
        return targeted_dropout(
            weight, self.p, key=key, target=self.target, units=self.units, training=self.training
        )


class WeightDrop(Convertible):
    """Zeroes recurrent weights with one mask for all time steps, and divides the others by keep.

    Parameters
    ----------
    module : Module
        An LSTM, GRU, RNN or any other module.
    p : float
        Chance that a weight is dropped, in [0, 1].
    weights : str or sequence of str
        The names of the module's parameters that are dropped.

    Raises
    ------
    InputError
        The module has no parameter of that name, or a rate outside [0, 1].

    Examples
    --------
    >>> WeightDrop(nn.LSTM(4, 8), 0.5, weights=["weight_hh_l0"]).extra_repr()
    "p=0.5, weights=['weight_hh_l0']"

    References
    ----------
    Merity et al.: Regularizing and optimizing LSTM language models. ICLR 2018, section 2.
    """

    variant = "WeightDrop"

    def __init__(
        self, module: nn.Module, p: float = 0.5, *, weights: str | Sequence[str] = "weight_hh_l0"
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise InputError(
                f"{type(self).__name__}: module must be a torch.nn.Module, got {type(module).__name__}."
            )
        self.module = module
        names = check_texts(
            type(self).__name__, "weights", [weights] if isinstance(weights, str) else weights
        )
        if not names:
            raise InputError(f"{type(self).__name__}: weights must name at least one parameter, got none.")
        self.weights = list(names)
        for name in self.weights:
            self._parametrize(name, self._make(p))

    def _make(self, p: float) -> _Dropped:
        return _Dropped(p, self.variant)

    def _parametrize(self, name: str, dropped: _Dropped) -> None:
        parameters = [own for own, _ in self.module.named_parameters(recurse=False)]
        if name not in parameters:
            raise InputError(
                f"{type(self).__name__}: the module has no parameter {name!r}; it has {parameters}."
            )
        # Registration computes the weight once to compare its shape and dtype; that must not spend a key.
        dropped.eval()
        parametrize.register_parametrization(self.module, name, dropped)
        dropped.train(self.module.training)

    @traceable
    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Return what the module returns for these arguments, with dropped weights while training."""
        module: Any = self.module
        with parametrize.cached():
            if not isinstance(module, nn.RNNBase):
                return module(*inputs, **named)
            # A recurrent layer stores the changed weights that it reads; they must not outlive the call.
            before = dict(vars(module))
            try:
                return module(*inputs, **named)
            finally:
                vars(module).update(before)

    def __getstate__(self) -> dict[str, Any]:
        with self.converting():
            packed: Any = pack(self.module)
        state = dict(self.__dict__)
        return {**state, "_modules": {**state["_modules"], "module": packed}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        modules = state["_modules"]
        super().__setstate__({**state, "_modules": {**modules, "module": unpack(modules["module"])}})

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # torch copies parametrized modules, and keeps track of those that a model holds twice.
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    @contextlib.contextmanager
    def converting(self) -> Generator[None]:
        """Drop nothing while the module is moved: recurrent layers read and keep their weights then."""
        every = [self._dropped(i) for i in range(len(self.weights))]
        modes = [dropped.training for dropped in every]
        for dropped in every:
            dropped.training = False
        try:
            yield
        finally:
            for dropped, mode in zip(every, modes, strict=True):
                dropped.training = mode

    @property
    def p(self) -> float:
        """The chance that a weight is dropped."""
        return self._dropped(0).p

    @p.setter
    def p(self, value: float) -> None:
        for i in range(len(self.weights)):
            self._dropped(i).p = value

    def _dropped(self, i: int) -> _Dropped:
        parametrizations: Any = self.module.parametrizations
        return cast("_Dropped", parametrizations[self.weights[i]][-1])

    def extra_repr(self) -> str:
        return f"p={self.p}, weights={self.weights}"


class DropConnect(WeightDrop):
    """Zeroes weights of a Linear or Conv layer, one mask a batch, and divides the others by keep.

    Parameters
    ----------
    layer : Linear, Conv1d, Conv2d or Conv3d
        The wrapped layer; its weight is dropped.
    p : float
        Chance that a weight is dropped, in [0, 1].

    Raises
    ------
    InputError
        Another layer, or a rate outside [0, 1].

    Examples
    --------
    >>> DropConnect(nn.Linear(4, 2), 0.5).extra_repr()
    "p=0.5, weights=['weight']"

    References
    ----------
    Wan et al.: Regularization of neural networks using DropConnect. ICML 2013, section 3.
    """

    variant = "DropConnect"

    def __init__(self, layer: nn.Module, p: float = 0.5) -> None:
        super().__init__(_check_layer("DropConnect", layer), p, weights="weight")


class TargetedDropout(WeightDrop):
    """Zeroes the smallest weights of a Linear or Conv layer with chance p, and no others; nothing is scaled.

    Parameters
    ----------
    layer : Linear, Conv1d, Conv2d or Conv3d
        The wrapped layer; its weight is dropped.
    p : float
        Chance that a candidate is dropped, in [0, 1].
    target : float
        Share of each output's weights that are candidates, the smallest ones; with `units`, share of outputs.
    units : bool
        Drop whole outputs instead of single weights.

    Raises
    ------
    InputError
        Another layer, or a rate or share outside [0, 1].

    References
    ----------
    Gomez et al.: Learning sparse networks using targeted dropout. arXiv:1905.13678, 2019, section 3.
    """

    variant = "TargetedDropout"

    def __init__(self, layer: nn.Module, p: float = 0.5, *, target: float = 0.5, units: bool = False) -> None:
        self._candidates = target, units
        super().__init__(_check_layer("TargetedDropout", layer), p, weights="weight")

    def _make(self, p: float) -> _Dropped:
        return _Targeted(p, *self._candidates)


def _check_layer(owner: str, layer: nn.Module) -> nn.Module:
    if not isinstance(layer, _LAYERS):
        raise InputError(f"{owner}: layer must be a Linear or Conv layer, got {type(layer).__name__}.")
    return layer
