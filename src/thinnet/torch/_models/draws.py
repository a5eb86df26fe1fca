"""The random operators of a forward, observed while it runs: which module calls them, and what is kept."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from thinnet._core.random import Window
from thinnet.errors import InputError, MissingPackage, ThinnetError
from thinnet.torch._internals import DispatchMode, schema_of
from thinnet.torch._modules.embeddings import EmbeddingDropout
from thinnet.torch._ops.rows import variant_of
from thinnet.torch._streams.holders import holders_of
from thinnet.variants._pattern import lane_window

__all__ = ["Draw", "observe", "observe_evaluation"]

# Operators that draw other numbers in a forward: dropout written by hand, or added noise.
_NOISE = {f"aten::{name}" for name in ("rand", "rand_like", "uniform_", "randn", "randn_like", "normal_")}
_COMPARISONS = {f"aten::{name}" for name in ("lt", "le", "gt", "ge")}


@dataclass
class Draw:
    """One random operator of a forward.

    `function` is the function or variant, `size` the bytes of the mask, and `kept` the bytes that autograd
    keeps of the mask and of what is computed from it alone.
    """

    module: str
    function: str
    ours: bool
    p: float | None
    size: int
    device: torch.device
    kept: int = 0


class _Functions(TorchFunctionMode):
    """Keeps the name of the function of torch that is running."""

    current = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outermost = not self.current
        if outermost:
            self.current = (
                (resolve_name(func) or func.__name__).removeprefix("torch.").replace("nn.functional.", "F.")
            )
        try:
            return func(*args, **(kwargs or {}))
        finally:
            if outermost:
                self.current = ""


class _Masks:
    """The memory of masks: which draw it belongs to, and whether it has been counted as kept.

    A storage is the same object as long as it is referenced, and so is its number.
    """

    def __init__(self) -> None:
        self._owners: dict[int, tuple[Any, Draw]] = {}
        self._kept: set[int] = set()

    def owner(self, x: Any) -> Draw | None:
        """Return the draw whose mask a tensor is, or None."""
        storage = _storage_of(x)
        return None if storage is None else self._owners.get(id(storage), (None, None))[1]

    def add(self, x: Any, draw: Draw) -> None:
        """Note that a tensor is a mask of a draw."""
        if (storage := _storage_of(x)) is not None:
            self._owners[id(storage)] = storage, draw

    def follow(self, name: str, given: list[Any], out: Any) -> None:
        """Note the results of an operator whose operands are masks and single numbers, or a comparison."""
        tensors = [x for x in given if isinstance(x, torch.Tensor)]
        owners = [owner for x in tensors if (owner := self.owner(x)) is not None]
        others = [x for x in tensors if x.numel() != 1 and self.owner(x) is None]
        if owners and (not others or name.partition(".")[0] in _COMPARISONS):
            for y in out if isinstance(out, tuple | list) else (out,):
                if self.owner(y) is None:
                    self.add(y, owners[0])

    def keep(self, x: Any) -> Any:
        """Count a tensor that autograd saves, once, and return it."""
        storage, owner = _storage_of(x), self.owner(x)
        if owner is not None and id(storage) not in self._kept:
            self._kept.add(id(storage))
            owner.kept += storage.nbytes()
        return x


def _storage_of(x: Any) -> Any:
    try:
        return x.untyped_storage() if isinstance(x, torch.Tensor) else None
    except (RuntimeError, NotImplementedError):  # sparse tensors, batches of torch.func
        return None


class _Draws(DispatchMode):
    """Collects random operators: thinnet's, Bernoulli numbers, and fused kernels that draw inside.

    `running` holds the names of the modules whose forward is running, the innermost last.
    """

    def __init__(self, functions: _Functions, running: list[str], modules: dict[str, Any]) -> None:
        super().__init__()
        self.functions, self.running, self.modules = functions, running, modules
        self.found: list[Draw] = []
        self.masks = _Masks()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema = schema_of(func)
        given = {a.name: v for a, v in zip(schema.arguments, args, strict=False)} | (kwargs or {})
        out = func(*args, **(kwargs or {}))
        drawn = _rate_and_masks(schema.name, given, out)
        if drawn is None:
            self.masks.follow(schema.name, list(given.values()), out)
            return out
        p, size, masks = drawn
        name = self.running[-1] if self.running else ""
        module = self.modules[name]
        if schema.name == "aten::rand" and out.numel() == 1 and (rate := _layer_drop(module)) is not None:
            p = rate
            if p == 0:
                return out
        x = given.get("x", given.get("self", given.get("input", given.get("query"))))
        device = x.device if isinstance(x, torch.Tensor) else torch.device("cpu")
        ours = func.namespace == "thinnet"
        function = _name_of(given) if ours else self.functions.current or schema.name
        self.found.append(draw := Draw(name, function, ours, p, size, device))
        if isinstance(module, EmbeddingDropout):
            masks = (out,)  # it drops a column of ones
        for mask in masks:
            self.masks.add(mask, draw)
        return out


def _layer_drop(module: Any) -> float | None:
    """Return the rate of LayerDrop in transformers, which draws a number for each layer even at rate 0."""
    for holder in (module, getattr(module, "config", None)):
        rate = getattr(holder, "layerdrop", None)
        if isinstance(rate, float | int):
            return float(rate)
    return None


def _name_of(given: dict[str, Any]) -> str:
    """Return the name of the variant that an operator of thinnet draws."""
    if "variant" in given:
        return variant_of(given["variant"], given["block"]).name
    return given["name"].partition(" ")[0]


_Drawn = tuple[float | None, int, tuple[Any, ...]]


def _rate_and_masks(name: str, given: dict[str, Any], out: Any) -> _Drawn | None:
    """Return the rate, the bytes and the tensors of the mask of an operator, or None if it draws none."""
    if name in ("thinnet::drop", "thinnet::drop_scheduled"):
        x, row = given["x"], variant_of(given["variant"], given["block"])
        lanes = math.prod(lane_window(row.pattern, Window.whole(tuple(x.shape)), row.name).size)
        return float(given["rate"]), lanes * x.element_size(), ()
    if name == "thinnet::gains":
        return None, 4 * out.numel(), (out,)
    if name == "aten::native_dropout":
        return (given["p"], out[1].nbytes, (out[1],)) if given.get("train") and given["p"] else None
    if name in ("aten::bernoulli_", "aten::bernoulli"):
        keep = given.get("p")
        return (round(1 - keep, 12) if isinstance(keep, float) else None), out.nbytes, (out,)
    if name.partition(".")[0] in _NOISE:
        return None, out.nbytes, (out,)
    if name.startswith("aten::_scaled_dot_product") and given.get("dropout_p"):
        return given["dropout_p"], 0, ()
    return None


@contextlib.contextmanager
def _restoring_state(model: nn.Module, training: bool) -> Generator[None]:
    """Set the mode; restore modes, the calls that streams have counted and torch's generator afterwards."""
    every = list(model.modules())
    modes = [module.training for module in every]
    streams = [s for module in every for holder in holders_of(module) for s in holder.streams()]
    counted = [{**vars(stream), "_calls": tuple(map(dict, stream._calls))} for stream in streams]
    try:
        model.train(training)
        with torch.random.fork_rng():
            yield
    finally:
        for stream, before in zip(streams, counted, strict=True):
            vars(stream).update(before)
        for module, mode in zip(every, modes, strict=True):
            module.training = mode


def observe(model: nn.Module, inputs: tuple[Any, ...], more: dict[str, Any]) -> list[Draw]:
    """Return the draws of one forward in training mode, with the bytes that autograd keeps of each.

    Raises
    ------
    InputError
        The forward fails with these inputs.
    MissingPackage
        This version of PyTorch cannot observe operators.
    """
    if DispatchMode is object:
        raise MissingPackage(
            "summary: with inputs it needs PyTorch's TorchDispatchMode, which this version lacks or "
            "THINNET_TORCH_FALLBACKS switches off; call thinnet.torch.summary(model) without inputs."
        )
    with _restoring_state(model, training=True):
        try:
            return _run(model, inputs, more, grad=True)
        except ThinnetError:
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"summary: the forward of {type(model).__name__} fails with these inputs: {reason}"
            ) from error


def observe_evaluation(model: nn.Module, inputs: tuple[Any, ...], more: dict[str, Any]) -> list[Draw] | None:
    """Return the draws of one forward in evaluation mode; None if the forward fails there."""
    with _restoring_state(model, training=False):
        try:
            return _run(model, inputs, more, grad=False)
        except Exception:  # some forwards take targets in training only
            return None


def _run(model: nn.Module, inputs: tuple[Any, ...], more: dict[str, Any], *, grad: bool) -> list[Draw]:
    running: list[str] = []
    modules = dict(model.named_modules())
    names = {module: name for name, module in modules.items()}
    hooks: list[Any] = []
    for module in names:
        hooks.append(module.register_forward_pre_hook(lambda m, _: running.append(names[m]), prepend=True))
        hooks.append(module.register_forward_hook(lambda *_: running.pop() and None, always_call=True))
    functions = _Functions()
    draws = _Draws(functions, running, modules)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    saved = torch.autograd.graph.saved_tensors_hooks(draws.masks.keep, lambda x: x)
    try:
        with torch.set_grad_enabled(grad), saved, functions, draws:
            torch.func.functional_call(model, buffers, inputs, more)
    finally:
        for hook in hooks:
            hook.remove()
    return draws.found
