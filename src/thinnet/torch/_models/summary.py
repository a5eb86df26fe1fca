"""Every random operation in a model: its modules and, with inputs, the functions that it calls."""

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
from thinnet.errors import MissingPackage
from thinnet.torch._internals import DispatchMode, is_wrapper, schema_of
from thinnet.torch._models.foreign import counterpart
from thinnet.torch._models.modules_of import modules_of
from thinnet.torch._modules.base import Keyed
from thinnet.torch._ops.rows import variant_of
from thinnet.variants import Variant, find
from thinnet.variants._beyond import FUNCTIONS
from thinnet.variants._pattern import lane_window

__all__ = ["Row", "Summary", "summary"]


@dataclass(frozen=True)
class Row:
    """One module, or one function that a module calls.

    Parameters
    ----------
    module : str
        The qualified name of the module.
    variant : str
        The name in the catalogue; for others than thinnet, the name of the class or function.
    p : float or None
        The rate; None where there is no single rate.
    site : str
        The site of the variant, or "function".
    ours : bool
        Whether it is thinnet's.
    mask_bytes : int or None
        Size of the masks of one forward, at one number of x's dtype for each draw: others keep them for
        backward, thinnet does not. None without inputs.
    """

    module: str
    variant: str
    p: float | None
    site: str
    ours: bool
    mask_bytes: int | None


@dataclass(frozen=True)
class Summary:
    """The random operations of a model; its text is a table.

    Parameters
    ----------
    rows : tuple of Row
        In the order of the model's modules.
    notes : tuple of str
        Remarks below the table.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def saved(self) -> int:
        """Bytes of masks that thinnet does not keep for one backward pass."""
        return sum(row.mask_bytes or 0 for row in self.rows if row.ours)

    def __str__(self) -> str:
        cells: list[tuple[str, ...]] = [("module", "variant", "p", "site", "mask bytes", "kept")]
        for row in self.rows:
            known = row.mask_bytes is not None
            cells.append(
                (
                    row.module or "(the model)",
                    row.variant,
                    "" if row.p is None else f"{row.p:.4g}",
                    row.site,
                    f"{row.mask_bytes:,}" if known else "",
                    ("no" if row.ours else "yes") if known else "",
                )
            )
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        template = "  ".join(f"{{:{side}{width}}}" for side, width in zip("<<><><", widths, strict=True))
        lines = [template.format(*line).rstrip() for line in cells]
        return "\n".join([*lines, *self.notes])


# Operators that draw other numbers in a forward: dropout written by hand, or added noise.
_NOISE = {f"aten::{name}" for name in ("rand", "rand_like", "uniform_", "randn", "randn_like", "normal_")}


@dataclass
class _Draw:
    """One random operator of a traced forward.

    `function` is the function or variant, `size` the bytes of the mask.
    """

    module: str
    function: str
    ours: bool
    p: float | None
    size: int
    device: torch.device


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


class _Draws(DispatchMode):
    """Collects random operators: thinnet's, Bernoulli numbers, and fused kernels that draw inside.

    `running` holds the names of the modules whose forward is running, the innermost last.
    """

    def __init__(self, functions: _Functions, running: list[str]) -> None:
        super().__init__()
        self.functions, self.running = functions, running
        self.found: list[_Draw] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema = schema_of(func)
        given = {a.name: v for a, v in zip(schema.arguments, args, strict=False)} | (kwargs or {})
        out = func(*args, **(kwargs or {}))
        if (drawn := _rate_and_size(schema.name, given, out)) is not None:
            p, size = drawn
            module = self.running[-1] if self.running else ""
            x = given.get("x", given.get("self", given.get("input", given.get("query"))))
            device = x.device if isinstance(x, torch.Tensor) else torch.device("cpu")
            ours = func.namespace == "thinnet"
            name = _name_of(given) if ours else self.functions.current or schema.name
            self.found.append(_Draw(module, name, ours, p, size, device))
        return out


def _name_of(given: dict[str, Any]) -> str:
    """Return the name of the variant that an operator of thinnet draws."""
    if "variant" in given:
        return variant_of(given["variant"], given["block"]).name
    return given["name"].partition(" ")[0]


def _rate_and_size(name: str, given: dict[str, Any], out: Any) -> tuple[float | None, int] | None:
    """Return the rate and the bytes of the mask that an operator draws, or None if it draws none."""
    if name in ("thinnet::drop", "thinnet::drop_scheduled"):
        x, row = given["x"], variant_of(given["variant"], given["block"])
        lanes = math.prod(lane_window(row.pattern, Window.whole(tuple(x.shape)), row.name).size)
        return float(given["rate"]), lanes * x.element_size()
    if name == "thinnet::gains":
        return None, 4 * out.numel()
    if name == "aten::native_dropout":
        return (given["p"], out[1].nbytes) if given.get("train") and given["p"] else None
    if name in ("aten::bernoulli_", "aten::bernoulli"):
        keep = given.get("p")
        return (1 - keep if isinstance(keep, float) else None), out.nbytes
    if name.partition(".")[0] in _NOISE:
        return None, out.nbytes
    if name.startswith("aten::_scaled_dot_product") and given.get("dropout_p"):
        return given["dropout_p"], 0
    return None


def summary(model: nn.Module, *inputs: Any, **more: Any) -> Summary:
    """List every random operation in a model: its modules and, with inputs, functional calls too.

    With inputs the model runs once in training mode, without gradients; its buffers, modes and streams and
    torch's generator are restored afterwards. A functional call, as of `F.dropout` or of attention with
    `dropout_p`, has a row under the module that makes it.

    Parameters
    ----------
    model : Module
        Any model.
    *inputs, **more
        The arguments of its forward; without any, only modules are listed.

    Returns
    -------
    Summary
        With `rows`, `notes` and `saved`; its text is a table.

    Raises
    ------
    InputError
        The model is not a module.
    MissingPackage
        Inputs, in a version of PyTorch that cannot observe operators.

    Examples
    --------
    >>> import thinnet.torch as tt
    >>> model = nn.Sequential(nn.Linear(4, 8), tt.Dropout(0.2), nn.Linear(8, 8), tt.DropBlock2d(0.1, 3))
    >>> print(summary(model[:2], torch.ones(2, 4)))
    module  variant    p  site        mask bytes  kept
    1       Dropout  0.2  activation          64  no
    """
    every = modules_of("summary", model)
    while (children := list(model.named_children())) and is_wrapper(model, children[0][0]):
        model = children[0][1]  # the model inside torch.compile's wrapper
        every = modules_of("summary", model)
    draws = _traced(model, inputs, more) if inputs or more else None
    rows: list[Row] = []
    for name, module in every.items():
        mine = [draw for draw in draws or () if draw.module == name]
        size = None if draws is None else sum(draw.size for draw in mine)
        if isinstance(module, Keyed):
            site = _site(module.variant)
            variant = getattr(module.variant, "name", module.variant)
            rows.append(Row(name, variant, getattr(module, "p", None), site, True, size))
        elif (other := counterpart(module)) is not None:
            kind, ours = type(module), other.ours
            package = kind.__module__.partition(".")[0]
            rows.append(Row(name, f"{package}'s {kind.__name__}", ours.p, _site(ours.variant), False, size))
        else:
            rows += _rows_of_functions(name, mine)
    return Summary(tuple(rows), _notes(rows, draws))


def _rows_of_functions(name: str, draws: list[_Draw]) -> list[Row]:
    """Return one row for each random function and rate in a module."""
    merged: dict[tuple[str, float | None, bool], int] = {}
    for draw in draws:
        kind = draw.function, draw.p, draw.ours
        merged[kind] = merged.get(kind, 0) + draw.size
    return [Row(name, function, p, "function", ours, size) for (function, p, ours), size in merged.items()]


def _site(variant: str | Variant) -> str:
    return (FUNCTIONS[variant] if variant in FUNCTIONS else find(variant)).site


def _notes(rows: list[Row], draws: list[_Draw] | None) -> tuple[str, ...]:
    notes: list[str] = []
    if any(not row.ours and row.site != "function" for row in rows):
        notes.append("thinnet.torch.replace(model) replaces the other modules by thinnet's.")
    if any(not row.ours and row.site == "function" for row in rows):
        notes.append(
            "thinnet.torch.replace does not reach functions; thinnet.torch.functional has counterparts."
        )
    if draws is None:
        notes.append("Functions are listed with inputs only: thinnet.torch.summary(model, x).")
    devices = {
        str(draw.device) for draw in draws or () if draw.ours and draw.device.type not in ("cpu", "meta")
    }
    if devices:
        where = ", ".join(sorted(devices))
        notes.append(
            f"On {where} torch's own operations draw the masks: slower than on the CPU, with the same bits."
        )
    return tuple(notes)


@contextlib.contextmanager
def _restoring_state(model: nn.Module) -> Generator[None]:
    """Train without streams inside the context; restore modes, streams and torch's generator after it."""
    every = list(model.modules())
    modes = [module.training for module in every]
    streams = [(module, module._stream) for module in every if isinstance(module, Keyed) and module._stream]
    try:
        model.train()
        for module, _ in streams:
            module._stream = None
        with torch.random.fork_rng():
            yield
    finally:
        for module, stream in streams:
            module._stream = stream
        for module, mode in zip(every, modes, strict=True):
            module.training = mode


def _traced(model: nn.Module, inputs: tuple[Any, ...], more: dict[str, Any]) -> list[_Draw]:
    if DispatchMode is object:
        raise MissingPackage(
            "summary: with inputs it needs PyTorch's TorchDispatchMode, which this version lacks or "
            "THINNET_TORCH_FALLBACKS switches off; call thinnet.torch.summary(model) without inputs."
        )
    running: list[str] = []
    names = {module: name for name, module in model.named_modules()}
    hooks: list[Any] = []
    for module in names:
        hooks.append(module.register_forward_pre_hook(lambda m, _: running.append(names[m]), prepend=True))
        hooks.append(module.register_forward_hook(lambda *_: running.pop() and None, always_call=True))
    functions = _Functions()
    draws = _Draws(functions, running)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with _restoring_state(model), torch.no_grad(), functions, draws:
            torch.func.functional_call(model, buffers, inputs, more)
    finally:
        for hook in hooks:
            hook.remove()
    return draws.found
