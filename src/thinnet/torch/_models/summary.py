"""What drops in a model: its modules and, by a traced run, the functions that it calls."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from thinnet._core.random import Window
from thinnet.errors import MissingPackage
from thinnet.torch._internals import DispatchMode, schema_of
from thinnet.torch._models.replace import twin
from thinnet.torch._streams.streams import Keyed, named
from thinnet.variants import CATALOGUE
from thinnet.variants._beyond import FUNCTIONS
from thinnet.variants._pattern import lane_window

__all__ = ["Row", "Summary", "summary"]


@dataclass(frozen=True)
class Row:
    """One module, or one function that a module calls.

    Parameters
    ----------
    module : str
        Its qualified name.
    variant : str
        Its name in the catalogue or, of what is not thinnet's, that of the function that draws.
    p : float or None
        The rate; None where there is not one.
    site : str
        Where it acts.
    ours : bool
        Whether it is thinnet's.
    mask_bytes : int or None
        Of a mask for one forward, at one number of x's dtype for each draw: what thinnet does not keep, and
        what others do. None without inputs.
    """

    module: str
    variant: str
    p: float | None
    site: str
    ours: bool
    mask_bytes: int | None


@dataclass(frozen=True)
class Summary:
    """What `summary` returns; printed, it is a table.

    Parameters
    ----------
    rows : tuple of Row
        In the order of the model.
    notes : tuple of str
        What a reader should know.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def saved(self) -> int:
        """Bytes of masks that one forward does not keep."""
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
        wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
        places = "  ".join(f"{{:{side}{width}}}" for side, width in zip("<<><><", wide, strict=True))
        lines = [places.format(*line).rstrip() for line in cells]
        return "\n".join([*lines, *self.notes])


# Other numbers that are drawn in a forward: what drops by hand, or adds noise.
_NOISE = {f"aten::{name}" for name in ("rand", "rand_like", "uniform_", "randn", "randn_like", "normal_")}


@dataclass
class _Draw:
    """One draw that was seen: where, by which function or variant, at which rate, of how many bytes."""

    module: str
    function: str
    ours: bool
    p: float | None
    size: int
    device: torch.device


class _Functions(TorchFunctionMode):
    """Knows which function of torch is being called."""

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
    """Sees what draws: thinnet's operators, Bernoulli numbers, and fused kernels that have them inside."""

    def __init__(self, functions: _Functions, inside: list[str]) -> None:
        super().__init__()
        self.functions, self.inside, self.found = functions, inside, cast("list[_Draw]", [])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema = schema_of(func)
        given = {a.name: v for a, v in zip(schema.arguments, args, strict=False)} | (kwargs or {})
        out = func(*args, **(kwargs or {}))
        if (seen := _seen(schema.name, given, out)) is not None:
            p, size = seen
            place = self.inside[-1] if self.inside else ""
            x = given.get("x", given.get("self", given.get("input", given.get("query"))))
            device = x.device if isinstance(x, torch.Tensor) else torch.device("cpu")
            name = given.get("variant", self.functions.current or schema.name)
            ours = func.namespace == "thinnet"
            self.found.append(_Draw(place, name, ours, p, size, device))
        return out


def _seen(name: str, given: dict[str, Any], out: Any) -> tuple[float | None, int] | None:
    """Return the rate and the bytes of a mask, if an operator draws one."""
    if name == "thinnet::drop":
        x, row = given["x"], CATALOGUE[given["variant"]]
        lanes = math.prod(lane_window(row.pattern, Window.whole(tuple(x.shape)), row.name).size)
        return given["rate"], lanes * x.element_size()
    if name in ("thinnet::lanes", "thinnet::normals"):
        return None, 4 * math.prod(given["shape"])
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
    """Say what drops in a model: its modules and, given inputs, every function that draws in a forward.

    With inputs the model runs once in training mode, without gradients; its buffers, modes, streams and
    torch's generator are afterwards what they were. What draws without being one of thinnet's modules, as
    `F.dropout` or the `dropout_p` of attention, has a row by the module that calls it.

    Parameters
    ----------
    model : Module
        Any.
    *inputs, **more
        What its forward takes; without any, only modules are listed.

    Returns
    -------
    Summary
        With `rows`, `notes` and `saved`; printed, it is a table.

    Raises
    ------
    InputError
        A model that is none.

    Examples
    --------
    >>> import thinnet.torch as tt
    >>> model = nn.Sequential(nn.Linear(4, 8), tt.Dropout(0.2), nn.Linear(8, 8), tt.DropBlock2d(0.1, 3))
    >>> print(summary(model[:2], torch.ones(2, 4)))
    module  variant    p  site        mask bytes  kept
    1       Dropout  0.2  activation          64  no
    """
    model = getattr(model, "_orig_mod", model)  # of what torch.compile returns
    every = named("summary", model)
    draws = _traced(model, inputs, more) if inputs or more else None
    rows: list[Row] = []
    for name, module in every:
        mine = [draw for draw in draws or () if draw.module == name]
        size = None if draws is None else sum(draw.size for draw in mine)
        if isinstance(module, Keyed):
            site = _site(module.variant)
            rows.append(Row(name, module.variant, getattr(module, "p", None), site, True, size))
        elif (made := twin(module)) is not None:
            kind = type(module)
            package = kind.__module__.partition(".")[0]
            rows.append(Row(name, f"{package}'s {kind.__name__}", made.p, _site(made.variant), False, size))
        else:
            rows += _foreign(name, mine)
    return Summary(tuple(rows), _notes(rows, draws))


def _foreign(name: str, draws: list[_Draw]) -> list[Row]:
    """Return one row for each function, and rate, that draws in a module."""
    merged: dict[tuple[str, float | None, bool], int] = {}
    for draw in draws:
        kind = draw.function, draw.p, draw.ours
        merged[kind] = merged.get(kind, 0) + draw.size
    return [Row(name, function, p, "function", ours, size) for (function, p, ours), size in merged.items()]


def _site(variant: str) -> str:
    return (CATALOGUE[variant] if variant in CATALOGUE else FUNCTIONS[variant]).site


def _notes(rows: list[Row], draws: list[_Draw] | None) -> tuple[str, ...]:
    notes: list[str] = []
    if any(not row.ours and row.site != "function" for row in rows):
        notes.append("thinnet.torch.replace(model) puts thinnet's modules in the place of others.")
    if any(not row.ours and row.site == "function" for row in rows):
        notes.append("Functions are not reached by thinnet.torch.replace; thinnet.torch.functional has them.")
    if draws is None:
        notes.append("Functions that draw are found with inputs: thinnet.torch.summary(model, x).")
    devices = {str(draw.device) for draw in draws or () if draw.device.type not in ("cpu", "meta")}
    if devices:
        where = ", ".join(sorted(devices))
        notes.append(
            f"On {where} masks are drawn by torch's own operations, which is slower; the bits are the same."
        )
    return tuple(notes)


@contextlib.contextmanager
def _untouched(model: nn.Module) -> Generator[None]:
    """Leave modes, streams and torch's generator as they were."""
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
    inside: list[str] = []
    names = {module: name for name, module in named("summary", model)}
    hooks: list[Any] = []
    for module in names:
        hooks.append(module.register_forward_pre_hook(lambda m, _: inside.append(names[m]), prepend=True))
        hooks.append(module.register_forward_hook(lambda *_: inside.pop() and None, always_call=True))
    if DispatchMode is object:
        raise MissingPackage(
            "summary: with inputs it needs PyTorch's TorchDispatchMode, which this version lacks or "
            "THINNET_TORCH_FALLBACKS switches off; call thinnet.torch.summary(model) without inputs."
        )
    functions = _Functions()
    draws = _Draws(functions, inside)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with _untouched(model), torch.no_grad(), functions, draws:
            torch.func.functional_call(model, buffers, inputs, more)
    finally:
        for hook in hooks:
            hook.remove()
    return draws.found
