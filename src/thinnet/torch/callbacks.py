"""Callbacks that save and resume the randomness of a model in the trainers of other packages.

Each function imports its package when it is called; `thinnet.torch` needs none of them.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any, cast

from thinnet.errors import MissingPackage
from thinnet.torch._models.state import enter_step, state

__all__ = ["lightning", "transformers"]


def lightning() -> Any:
    """Return a callback for Lightning's Trainer: its checkpoints hold `thinnet.torch.state` of the model.

    Where no optimizer counts the steps, each batch enters step `trainer.global_step`; the batches of one
    accumulated gradient are calls of one step.

    Returns
    -------
    lightning.pytorch.Callback
        For `Trainer(callbacks=[...])`; that of `pytorch_lightning` if only this package is imported.

    Raises
    ------
    MissingPackage
        Neither package is installed.
    """
    return _lightning_class()()


def transformers() -> Any:
    """Return a callback for the Trainer of transformers: trainer_state.json holds `thinnet.torch.state`.

    Where no optimizer counts the steps, each step of the Trainer enters step `state.global_step`; the batches
    of one accumulated gradient are calls of one step.

    Returns
    -------
    transformers.TrainerCallback
        For `Trainer(callbacks=[...])`.

    Raises
    ------
    MissingPackage
        transformers is not installed, or is older than 4.43.
    """
    return _transformers_class()()


class _LightningHooks:
    """The hooks of Lightning's callback."""

    _loaded: dict[str, Any] | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Enter the state of the checkpoint, after every hook that may seed the model."""
        saved, self._loaded = self._loaded, None
        _resume(pl_module, saved)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        enter_step(pl_module, trainer.global_step)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["thinnet"] = state(pl_module).state_dict()

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.get("thinnet")


class _TransformersHooks:
    """The hooks of the callback of transformers, and its entry in trainer_state.json."""

    saved: dict[str, Any] | None = None
    _model: Any = None

    def state(self) -> dict[str, Any]:
        saved = self.saved if self._model is None else state(self._model).state_dict()
        return {"args": {}, "attributes": {"saved": saved}}

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any, **others: Any) -> None:
        self._model = model
        entry = state.stateful_callbacks.get(type(self).__name__)
        saved = (entry[0] if isinstance(entry, list) else entry or self.state())["attributes"]["saved"]
        _resume(model, saved)

    def on_step_begin(self, args: Any, state: Any, control: Any, *, model: Any, **others: Any) -> None:
        enter_step(model, state.global_step)


def _resume(model: Any, saved: dict[str, Any] | None) -> None:
    now = state(model)
    if saved is not None:
        now.load_state_dict(saved)


@functools.cache
def _lightning_class() -> Any:
    names = ("lightning.pytorch", "pytorch_lightning")
    for name in sorted(names, key=lambda name: name not in sys.modules):
        try:
            base = importlib.import_module(name).Callback
        except ImportError:
            continue
        return _named("LightningCallback", _LightningHooks, base)
    raise MissingPackage("lightning: the callback needs Lightning; use pip install lightning.")


@functools.cache
def _transformers_class() -> Any:
    try:
        module = importlib.import_module("transformers.trainer_callback")
        bases = module.TrainerCallback, module.ExportableState
    except (ImportError, AttributeError):
        raise MissingPackage(
            "transformers: the callback needs transformers 4.43 or later; use pip install transformers."
        ) from None
    return _named("TransformersCallback", _TransformersHooks, *bases)


def _named(name: str, *bases: Any) -> Any:
    """Return a class that pickle finds by its name in this module."""
    return cast("Any", type)(name, bases, {"__module__": __name__, "__qualname__": name})


def __getattr__(name: str) -> Any:
    if name == "LightningCallback":
        return _lightning_class()
    if name == "TransformersCallback":
        return _transformers_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
