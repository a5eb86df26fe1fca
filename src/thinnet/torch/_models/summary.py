"""Every random operation in a model: its modules and, with inputs, the functions that it calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from thinnet.torch._internals import is_wrapper
from thinnet.torch._models.draws import Draw, observe, observe_evaluation
from thinnet.torch._models.foreign import counterpart, own_rate
from thinnet.torch._models.modules_of import modules_of
from thinnet.torch._modules.base import Keyed
from thinnet.variants import Variant, find
from thinnet.variants._beyond import FUNCTIONS

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
        Size of the masks of one forward, at one number of x's dtype for each draw. None without inputs.
    kept_bytes : int or None
        Bytes of masks, and of what is computed from masks alone, that autograd keeps for backward. None
        without inputs.
    """

    module: str
    variant: str
    p: float | None
    site: str
    ours: bool
    mask_bytes: int | None
    kept_bytes: int | None = None


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
        ours = [(row.mask_bytes or 0) - (row.kept_bytes or 0) for row in self.rows if row.ours]
        return sum(max(0, saved) for saved in ours)

    def __str__(self) -> str:
        cells: list[tuple[str, ...]] = [("module", "variant", "p", "site", "mask bytes", "kept bytes")]
        for row in self.rows:
            cells.append(
                (
                    row.module or "(the model)",
                    row.variant,
                    "" if row.p is None else f"{row.p:.4g}",
                    row.site,
                    "" if row.mask_bytes is None else f"{row.mask_bytes:,}",
                    "" if row.kept_bytes is None else f"{row.kept_bytes:,}",
                )
            )
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        template = "  ".join(f"{{:{side}{width}}}" for side, width in zip("<<><>>", widths, strict=True))
        lines = [template.format(*line).rstrip() for line in cells]
        return "\n".join([*lines, *self.notes])


def summary(model: nn.Module, *inputs: Any, **more: Any) -> Summary:
    """List every random operation in a model: its modules and, with inputs, functional calls too.

    With inputs the model runs once in training mode and once in evaluation; its buffers, modes and streams
    and torch's generator are restored afterwards. A functional call, as of `F.dropout` or of attention with
    `dropout_p`, has a row under the module that makes it, and a note if it also drops in evaluation.

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
        The model is not a module, or its forward fails with these inputs.
    MissingPackage
        Inputs, in a version of PyTorch that cannot observe operators.

    Examples
    --------
    >>> import torch, thinnet.torch as tt
    >>> model = nn.Sequential(nn.Linear(4, 8), tt.Dropout(0.2), nn.Linear(8, 8), tt.DropBlock2d(0.1, 3))
    >>> print(summary(model[:2], torch.ones(2, 4)))
    module  variant    p  site        mask bytes  kept bytes
    1       Dropout  0.2  activation          64           0
    """
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        model = cast("nn.Module", model.module)
    every = modules_of("summary", model)
    while (children := list(model.named_children())) and is_wrapper(model, children[0][0]):
        model = children[0][1]  # the model inside torch.compile's wrapper
        every = modules_of("summary", model)
    draws = observe(model, inputs, more) if inputs or more else None
    rows: list[Row] = []
    for name, module in every.items():
        mine = [draw for draw in draws or () if draw.module == name]
        described = _describe(module)
        if described is None:
            rows += _rows_of_functions(name, module, mine)
        else:
            size = None if draws is None else sum(draw.size for draw in mine)
            kept = None if draws is None else sum(draw.kept for draw in mine)
            rows.append(Row(name, *described, size, kept))
    again = None if draws is None else observe_evaluation(model, inputs, more)
    return Summary(tuple(rows), (*_notes(rows, draws), *_notes_of_evaluation(again)))


def _describe(module: Any) -> tuple[str, float | None, str, bool] | None:
    """Return variant, rate and site of a dropout module, and whether it is ours; None for another module."""
    if isinstance(module, Keyed):
        variant = getattr(module.variant, "name", module.variant)
        return variant, getattr(module, "p", None), _site(module.variant), True
    if (other := counterpart(module)) is not None:
        return _foreign_name(module), other.ours.p, _site(other.ours.variant), False
    return None


def _foreign_name(module: Any) -> str:
    kind = type(module)
    return f"{kind.__module__.partition('.')[0]}'s {kind.__name__}"


def _rows_of_functions(name: str, module: Any, draws: list[Draw]) -> list[Row]:
    """Return one row for each random function and rate in a module."""
    own = own_rate(module)
    if own is not None and draws and not draws[0].ours:
        sizes = sum(draw.size for draw in draws), sum(draw.kept for draw in draws)
        return [Row(name, _foreign_name(module), own, "function", False, *sizes)]
    merged: dict[tuple[str, float | None, bool], list[int]] = {}
    for draw in draws:
        sizes = merged.setdefault((draw.function, draw.p, draw.ours), [0, 0])
        sizes[0] += draw.size
        sizes[1] += draw.kept
    return [
        Row(name, function, p, "function", ours, size, kept)
        for (function, p, ours), (size, kept) in merged.items()
    ]


def _site(variant: str | Variant) -> str:
    return (FUNCTIONS[variant] if variant in FUNCTIONS else find(variant)).site


_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}


def _is_call_of_torch(function: str) -> bool:
    """Return whether a function of a summary is one that drops in torch, and not numbers drawn by hand."""
    return function.startswith("F.") or "dropout" in function or function in _RECURRENT


def _notes(rows: list[Row], draws: list[Draw] | None) -> tuple[str, ...]:
    notes: list[str] = []
    foreign = [row for row in rows if not row.ours]
    if any(row.site != "function" or _is_call_of_torch(row.variant) for row in foreign):
        notes.append("thinnet.torch.replace(model) replaces the other modules and calls by thinnet's.")
    by_hand = {
        row.variant for row in foreign if row.site == "function" and not _is_call_of_torch(row.variant)
    }
    if by_hand:
        names = ", ".join(sorted(by_hand))
        notes.append(f"{names}: drawn by hand, which thinnet.torch.replace leaves as it is.")
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


def _notes_of_evaluation(draws: list[Draw] | None) -> list[str]:
    """Return a line for each call that drops although its module is in evaluation; noise is no dropout."""
    calls = {(draw.module, draw.function, draw.p): None for draw in draws or () if draw.p}
    return [
        f"{module or 'The model'}: {function} drops (p={p:.4g}) in evaluation too; let p or training follow "
        "self.training."
        for module, function, p in calls
    ]
