"""The keys of compiled calls, which a recomputation in backward finds again.

A compiler may run an operator of the forward once more in backward, at any time and in any order. Each call
of a compiled graph therefore has a ticket, a tensor with a number of its own, and each place in the code that
draws a key has a site, a constant of the graph. The key that (ticket, site) had in the forward is remembered,
and a recomputation gets it again.

The ticket of the next graph call is an attribute of an object of this module, so that a compiler makes it an
input of the graph. The first operator of a graph call replaces that attribute by the next ticket. Operators
declare that they write to the ticket, although its content stays: this keeps them in the order of the
program, and keeps those whose result is unused.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch

from thinnet.errors import InputError
from thinnet.torch._internals import in_backward

__all__ = ["Numbers", "current", "new_site", "remembered"]

Tensor: TypeAlias = torch.Tensor
Numbers: TypeAlias = tuple[int, ...]
"""A key as numbers of int64: its bits, and its step if it has one."""

_REMEMBERED = 1 << 16  # keys
_numbers = itertools.count()
_sites = itertools.count()


class _Current(threading.local):
    """The ticket of the next graph call of a thread."""

    def __init__(self) -> None:
        self.advance()

    def advance(self) -> None:
        self.number = next(_numbers)
        with torch.inference_mode(False):
            self.ticket = torch.tensor([self.number], device="cpu")


class _GraphCall:
    """The keys of one call of a compiled graph, by their sites; None where a site had several."""

    __slots__ = ("in_backward", "keys")

    def __init__(self, in_backward: bool) -> None:
        self.in_backward = in_backward  # as where a checkpoint recomputes a compiled module
        self.keys: dict[int, Numbers | None] = {}


class _Memory:
    """The latest graph calls by their numbers, the oldest first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: dict[int, _GraphCall] = {}
        self.size = 0  # keys

    def begin(self, number: int, in_backward: bool) -> _GraphCall:
        """Remember a new graph call, and forget the oldest ones where there are too many keys."""
        call = _GraphCall(in_backward)
        with self.lock:
            while self.size > _REMEMBERED and self.calls:
                self.size -= len(self.calls.pop(next(iter(self.calls))).keys)
            self.calls[number] = call
        return call

    def add(self, call: _GraphCall, site: int, key: Numbers) -> None:
        """Remember the key of a site."""
        with self.lock:
            if site in call.keys:
                call.keys[site] = None
            else:
                call.keys[site] = key
                self.size += 1


_current = _Current()
_memory = _Memory()


def current() -> Tensor:
    """Return the ticket of the present graph call; compiled code calls it."""
    return _current.ticket


@cast("Any", torch.compiler).assume_constant_result
def new_site() -> int:
    """Return a new number at each call; a compiler calls it once for each place in the traced code."""
    return next(_sites)


def remembered(ticket: Tensor, site: int, draw: Callable[[], Numbers]) -> Numbers:
    """Return a drawn key or, in a recomputation, the key that the forward drew.

    Raises
    ------
    InputError
        A recomputation whose forward is forgotten, or drew several keys at this site.
    """
    number: Any = ticket.item()
    call = _memory.calls.get(number)
    backward = in_backward()
    if call is None:
        if number != _current.number:
            raise _unknown()
        call = _memory.begin(number, backward)
        _current.advance()
    elif backward and (site in call.keys or not call.in_backward):
        found = call.keys.get(site)
        if found is None:
            raise _unknown()
        return found
    key = draw()
    _memory.add(call, site, key)
    return key


def _unknown() -> InputError:
    return InputError(
        "a compiled model: cannot tell which forward is being recomputed; run backward before "
        f"{_REMEMBERED} further calls of dropout."
    )
