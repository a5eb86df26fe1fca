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
from torch.utils.data import get_worker_info

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._internals import in_backward, in_transform, is_recording, is_tracing
from thinnet.torch._ops import keys, tickets

__all__ = ["Clock", "ModuleStream", "token_of"]

Tensor: TypeAlias = torch.Tensor

_numbers = itertools.count()
_streams: weakref.WeakValueDictionary[int, ModuleStream] = weakref.WeakValueDictionary()
_by_key: weakref.WeakValueDictionary[int, ModuleStream] = weakref.WeakValueDictionary()
_of_graphs: dict[int, ModuleStream] = {}  # streams of exported models whose seed this process has not seen
_lock = threading.Lock()
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

    _worker: int | None = None  # the seed of the DataLoader's worker that calls

    def __init__(self, name: str, key: Key, clock: Clock) -> None:
        self.name, self.key, self.clock = name, key, clock
        self._turn, self._count = clock.turn, 0
        self._folded: list[Key] = []
        # The calls by their tokens, in an older half and a newer one; the older half is discarded first.
        self._calls: tuple[dict[int, _Call], dict[int, _Call]] = {}, {}
        self._register()
        _by_key[self.address] = self

    def _register(self) -> None:
        self.number = next(_numbers)
        self.address = keys.to_numbers(self.key)[0]
        _by_key.setdefault(self.address, self)
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
        if not torch.compiler.is_compiling():
            if in_transform():
                return self.count()
            token = keys.fresh()
            if not isinstance(token, torch.Tensor):
                return self.next(token.value)
            if not (is_tracing() or is_recording()):  # a mode would record the key as a constant
                return torch.ops.thinnet.next_key.default(token, self.number)
        else:
            token = keys.fresh_tensor()
        # Exported and traced graphs run in other processes, too.
        return torch.ops.thinnet.named_key.default(token, self.address, self.name)

    def next(self, token: int) -> Key:
        """Return the key of the next call or, inside a backward pass, of the call that is recomputed."""
        key = _latest.key = self._recomputed(token) if in_backward() else self._first(token)
        _latest.token = token
        return key

    def _first(self, token: int) -> Key:
        with _lock:
            key = self._count_call()
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
        with _lock:
            return self._count_call()

    def _count_call(self) -> Key:
        worker = get_worker_info()
        if worker is not None or self._worker is not None:
            self._enter_worker(None if worker is None else worker.seed)
        if self._turn != self.clock.turn:
            self._turn, self._count = self.clock.turn, 0
        if self._count < len(self._folded):
            key = self._folded[self._count]
        else:
            key = self._root.fold(self._count)
            if self._count == len(self._folded) < _REMEMBERED:
                self._folded.append(key)
        self._count += 1
        return key.at(self.clock.step)

    def _enter_worker(self, seed: int | None) -> None:
        """Draw other masks than the other workers, which have copies of this stream."""
        if seed != self._worker:
            self._worker, self._folded = seed, []

    @property
    def _root(self) -> Key:
        return self.key if self._worker is None else self.key.fold("worker").fold(self._worker)

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
    """Return the next key of a stream of this process; graphs of earlier versions call it."""
    stream = _streams.get(number)
    if stream is None:
        raise InputError(
            "a traced model: its streams were those of another process; trace or export it again."
        )
    return keys.to_tensor(stream.next(keys.to_key(token).value))


def _named_key(token: Tensor, key: int, name: str) -> Tensor:
    """Return the next key of the stream with that key, or of a new one at step 0."""
    stream = _by_key.get(key)
    if stream is None:
        stream = _of_graphs[key] = ModuleStream(name, Key(key & keys.ADDRESS), Clock())
    return keys.to_tensor(stream.next(keys.to_key(token).value))


# Opaque to a compiler, which would take the key of one call for a constant. The token keeps the compiler from
# merging two calls into one.
_LIBRARY: Any = torch.library.Library("thinnet", "FRAGMENT")
_LIBRARY.define(
    "next_key(Tensor token, int stream) -> Tensor",
    tags=(torch.Tag.nondeterministic_seeded, torch.Tag.pt2_compliant_tag),
)
_LIBRARY.define(
    "named_key(Tensor token, int key, str name) -> Tensor",
    tags=(torch.Tag.nondeterministic_seeded, torch.Tag.pt2_compliant_tag),
)
for _name, _kernel in (("next_key", _next_key), ("named_key", _named_key)):
    _LIBRARY.impl(_name, _kernel, "CPU")
    _LIBRARY.impl(_name, lambda token, *_: token.new_empty(2), "Meta")


def _stream_key(ticket: Tensor, site: int, stream: Tensor) -> Tensor:
    call, found = tickets.find(ticket, site)
    if found is None:
        number: Any = stream.item()
        found = keys.to_numbers(_streams[number].next(keys.draw_bits() & keys.ADDRESS))
        tickets.remember(call, site, found)
    return torch.tensor(found, device="cpu")


tickets.define(_LIBRARY, "stream_key", ", Tensor stream", _stream_key, 2)
