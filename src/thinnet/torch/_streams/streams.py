"""A stream of keys for each module: masks that depend on a seed, its name, the step and the call.

The key of call c at step t is `Key(seed).fold(name).fold(c).at(t)`; each step counts its calls from 0.

Activation checkpointing runs a forward again inside the backward pass, and that recomputation has to draw the
masks of the first run. Each call therefore draws one number, the token, from torch's generator, and a stream
remembers the key of each token. Checkpointing restores the generator, so the recomputation draws the same
tokens and finds the same keys.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._internals import in_backward, in_transform
from thinnet.torch._ops import keys, tickets

__all__ = ["Clock", "ModuleStream", "token_of"]

Tensor: TypeAlias = torch.Tensor

_numbers = itertools.count()
_streams: weakref.WeakValueDictionary[int, ModuleStream] = weakref.WeakValueDictionary()
_REMEMBERED = 4096  # calls
_NO_SEED = Key(0)


class _Call(NamedTuple):
    """The step and the key of the calls that drew one token; no key where calls of one step differ."""

    step: int
    key: Key | None


_NO_CALL = _Call(-1, None)


class _Latest(threading.local):
    """The latest key of a thread and its token."""

    key: Key | None = None
    token = 0


_latest = _Latest()


def token_of(key: Key) -> int | None:
    """Return the token of the call that has just drawn a key, None if it is another key."""
    return _latest.token if key == _latest.key else None


class Clock:
    """The step shared by all streams of a model; `turn` changes whenever a step is entered, even again.

    `root` is the key of the seed, from which the keys of the streams are folded.
    """

    streams: weakref.WeakSet[ModuleStream]

    def __new__(cls, root: Key = _NO_SEED) -> Clock:
        """Make the set of streams before an unpickled stream registers itself in it."""
        clock = super().__new__(cls)
        clock.streams = weakref.WeakSet()
        return clock

    def __init__(self, root: Key = _NO_SEED) -> None:
        self.root = root
        self.step = 0
        self.turn = 0
        self.followers: list[Callable[[int], None]] = []
        self.hooks: list[Any] = []  # of optimizers

    def __getstate__(self) -> dict[str, Any]:
        # No optimizer steps a copy, and the streams of a copy register themselves.
        return {**{k: v for k, v in vars(self).items() if k != "streams"}, "hooks": []}

    def set(self, step: int, calls: Mapping[str, int] | None = None) -> None:
        """Enter a step; count the calls of each stream from 0 or from the number at its name."""
        self.step = step
        self.turn += 1
        if calls:
            for stream in self.streams:
                stream.resume(calls.get(stream.name, 0))
        for follow in self.followers:
            follow(step)

    def calls(self) -> dict[str, int]:
        """Return the number of calls in the present step by the name of the stream."""
        return {s.name: s.calls for s in sorted(self.streams, key=lambda s: s.number)}


class ModuleStream:
    """The keys of one module.

    Parameters
    ----------
    name : str
        The module's qualified name.
    key : Key
        `Key(seed).fold(name)`.
    clock : Clock
        The step.
    """

    def __init__(self, name: str, key: Key, clock: Clock) -> None:
        self.name, self.key, self.clock = name, key, clock
        self._turn, self._count = clock.turn, 0
        self._folded: list[Key] = []
        # The calls by their tokens, in an older half and a newer one; the older half is discarded first.
        self._calls: tuple[dict[int, _Call], dict[int, _Call]] = {}, {}
        self._register()

    def _register(self) -> None:
        self.number = next(_numbers)
        with torch.inference_mode(False):  # an input of compiled code, where a number would be a constant
            self.number_tensor = torch.tensor([self.number], device="cpu")
        _streams[self.number] = self
        self.clock.streams.add(self)

    @property
    def calls(self) -> int:
        """The number of calls in the present step."""
        return self._count if self._turn == self.clock.turn else 0

    def resume(self, calls: int) -> None:
        """Continue the present step after this number of calls."""
        self._turn, self._count = self.clock.turn, calls

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._register()

    def draw(self) -> keys.AnyKey:
        """Return the key of a call: in eager mode a `Key`, else the result of an operator."""
        if keys.is_compiling():
            operator = torch.ops.thinnet.stream_key
            ticket, site = tickets.current(), tickets.new_site()
            if tickets.takes_writes():
                return operator.default(ticket, site, self.number_tensor)
            return operator.unordered(ticket, site, self.number_tensor)
        if torch.compiler.is_compiling():
            return torch.ops.thinnet.next_key.default(keys.fresh_tensor(), self.number)
        if in_transform():
            return self.count()
        token = keys.fresh()
        if isinstance(token, torch.Tensor):  # a tracer would record the key as a constant
            return torch.ops.thinnet.next_key.default(token, self.number)
        return self.next(token.value)

    def next(self, token: int) -> Key:
        """Return the key of the next call or, inside a backward pass, of the call that is recomputed."""
        key = _latest.key = self._recomputed(token) if in_backward() else self._first(token)
        _latest.token = token
        return key

    def _first(self, token: int) -> Key:
        key = self.count()
        older, newer = self._calls
        if len(newer) >= _REMEMBERED:
            older, newer = self._calls = newer, {}
        before = self._call_of(token)
        # Two calls of one step that draw the same token cannot be told apart.
        newer[token] = _Call(key.step, key if before.step != key.step or before.key == key else None)
        older.pop(token, None)
        return key

    def count(self) -> Key:
        """Return the key of the next call."""
        if self._turn != self.clock.turn:
            self._turn, self._count = self.clock.turn, 0
        if self._count < len(self._folded):
            key = self._folded[self._count]
        else:
            key = self.key.fold(self._count)
            if self._count == len(self._folded) < _REMEMBERED:
                self._folded.append(key)
        self._count += 1
        return key.at(self.clock.step)

    def _call_of(self, token: int) -> _Call:
        older, newer = self._calls
        return newer.get(token) or older.get(token) or _NO_CALL

    def _recomputed(self, token: int) -> Key:
        key = self._call_of(token).key
        if key is not None:
            return key
        raise InputError(
            f"{self.name}: cannot tell which forward is being recomputed; use "
            "checkpoint(preserve_rng_state=True) and do not reseed torch within a step."
        )


def _next_key(token: Tensor, number: int) -> Tensor:
    return keys.to_tensor(_streams[number].next(keys.to_key(token).value))


# Opaque to a compiler, which would take the key of one call for a constant. The token keeps the compiler from
# merging two calls into one.
_LIBRARY: Any = torch.library.Library("thinnet", "FRAGMENT")
_LIBRARY.define(
    "next_key(Tensor token, int stream) -> Tensor",
    tags=(torch.Tag.nondeterministic_seeded, torch.Tag.pt2_compliant_tag),
)
_LIBRARY.impl("next_key", _next_key, "CPU")
_LIBRARY.impl("next_key", lambda token, number: token.new_empty(2), "Meta")


def _stream_key(ticket: Tensor, site: int, stream: Tensor) -> Tensor:
    call, found = tickets.find(ticket, site)
    if found is None:
        number: Any = stream.item()
        found = keys.to_numbers(_streams[number].next(keys.draw_bits() & keys.ADDRESS))
        tickets.remember(call, site, found)
    return torch.tensor(found, device="cpu")


tickets.define(_LIBRARY, "stream_key", ", Tensor stream", _stream_key, 2)
