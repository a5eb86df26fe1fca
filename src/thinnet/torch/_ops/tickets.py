"""The keys of compiled calls, which a recomputation in backward finds again.

A compiler may run an operator of the forward once more in backward, at any time and in any order. Each call
of a compiled graph therefore has a ticket, a tensor with a number of its own, and each place in the code that
draws a key has a site, a constant of the graph. The key that (ticket, site) had in the forward is remembered,
and a recomputation gets it again.

The ticket of the next graph call is an attribute of an object of this module, so that a compiler makes it an
input of the graph. The first operator of a graph call replaces that attribute by the next ticket. Operators
declare that they write to the ticket, although its content stays: this keeps them in the order of the
program, and keeps those whose result is unused. Bodies of torch.cond, of nested compiled regions and of
transforms take no writes; there an overload without that declaration is called.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch

from thinnet.errors import InputError
from thinnet.torch._internals import in_backward, in_subgraph, in_transform, in_vmap

__all__ = [
    "GraphCall",
    "Numbers",
    "current",
    "define",
    "find",
    "in_batch",
    "new_site",
    "observers",
    "remember",
    "takes_writes",
]

Tensor: TypeAlias = torch.Tensor
Numbers: TypeAlias = tuple[int, ...]
"""A key as numbers of int64: its bits, and its step if it has one."""

_REMEMBERED = 1 << 16  # keys
_numbers = itertools.count()
_sites = itertools.count()


observers: list[Callable[[Numbers], None]] = []
"""Functions that are called with each new key of compiled code."""


class _Current(threading.local):
    """The ticket of the next graph call of a thread."""

    def __init__(self) -> None:
        self.advance()

    def advance(self) -> None:
        self.number = next(_numbers)
        if torch.is_inference_mode_enabled():  # a ticket of inference mode would compile again
            with torch.inference_mode(False):
                self.ticket = torch.tensor([self.number], device="cpu")
        else:
            self.ticket = torch.full((1,), self.number, dtype=torch.int64, device="cpu")


class GraphCall:
    """The keys of one call of a compiled graph, by their sites; their number where a site had several."""

    __slots__ = ("in_backward", "keys")

    def __init__(self, in_backward: bool) -> None:
        self.in_backward = in_backward  # as where a checkpoint recomputes a compiled module
        self.keys: dict[int, Numbers | int] = {}


class _Memory:
    """The latest graph calls by their numbers, the oldest first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: dict[int, GraphCall] = {}
        self.size = 0  # keys
        self.several: dict[int, int] = {}  # the most keys of one graph call, by the site

    def begin(self, number: int, in_backward: bool) -> GraphCall:
        """Remember a new graph call, and forget the oldest ones where there are too many keys."""
        call = GraphCall(in_backward)
        with self.lock:
            while self.size > _REMEMBERED and self.calls:
                self.size -= len(self.calls.pop(next(iter(self.calls))).keys)
            self.calls[number] = call
        return call

    def add(self, call: GraphCall, site: int, key: Numbers) -> None:
        """Remember the key of a site; count the keys where a body runs several times in one graph call."""
        with self.lock:
            before = call.keys.get(site, 0)
            if not before:
                call.keys[site] = key
                self.size += 1
                return
            number = call.keys[site] = 2 if isinstance(before, tuple) else before + 1
            self.several[site] = max(number, self.several.get(site, 0))


_current = _Current()
_memory = _Memory()


def current() -> Tensor:
    """Return the ticket of the present graph call; compiled code calls it."""
    return _current.ticket


# A compiler calls these while it traces, and records the results.
_constant: Any = cast("Any", torch.compiler).assume_constant_result


@_constant
def new_site() -> int:
    """Return a new number at each call; a compiler calls it once for each place in the traced code."""
    return next(_sites)


@_constant
def takes_writes() -> bool:
    """Return whether the code that a compiler traces may write to its inputs."""
    return not in_transform() and not in_subgraph()


@_constant
def in_batch() -> bool:
    """Return whether a compiler traces code inside torch.vmap."""
    return in_vmap()


def find(ticket: Tensor, site: int) -> tuple[GraphCall, Numbers | None]:
    """Return a graph call and, in a recomputation, the key that its forward drew; else None.

    Raises
    ------
    InputError
        A recomputation whose forward is forgotten, or drew several keys at this site.
    """
    number: Any = ticket.item()
    call = _memory.calls.get(number)
    if call is None:
        if number != _current.number:
            raise _unknown(f"its forward is further back than {_REMEMBERED} calls of dropout")
        call = _memory.begin(number, in_backward())
        _current.advance()
        return call, None
    return call, _found(call, site) if in_backward() else None


def remember(call: GraphCall, site: int, key: Numbers) -> None:
    """Remember the key that a site drew in a graph call."""
    for observe in observers:
        observe(key)
    _memory.add(call, site, key)


def _found(call: GraphCall, site: int) -> Numbers | None:
    """Return the remembered key, or None where the graph call itself runs for the first time."""
    found = call.keys.get(site, 0)
    number = 1 if isinstance(found, tuple) else found
    if call.in_backward and number < _memory.several.get(site, 1):
        return None
    if isinstance(found, tuple):
        return found
    raise _unknown("it belongs to a region that the forward ran several times")


def define(library: Any, name: str, more: str, kernel: Callable[..., Tensor], size: int) -> None:
    """Define `name(Tensor(a!) ticket, int site, …) -> Tensor`, and the overload `unordered` without a write.

    Parameters
    ----------
    library : Library
        Where the operators are defined.
    more : str
        The schema of further arguments, from a comma on.
    kernel : function
        Its implementation on the CPU.
    size : int
        Length of the result, a tensor of int64.
    """
    compliant, drawn = torch.Tag.pt2_compliant_tag, torch.Tag.nondeterministic_seeded
    library.define(f"{name}(Tensor(a!) ticket, int site{more}) -> Tensor", tags=(compliant,))
    library.define(f"{name}.unordered(Tensor ticket, int site{more}) -> Tensor", tags=(compliant, drawn))
    for overload in (name, f"{name}.unordered"):
        library.impl(overload, kernel, "CPU")
        library.impl(overload, lambda ticket, *_: ticket.new_empty(size), "Meta")


def _unknown(why: str) -> InputError:
    return InputError(
        f"torch.compile: cannot tell which dropout is being recomputed, because {why}; raise "
        "activation_memory_budget, or run backward earlier."
    )
