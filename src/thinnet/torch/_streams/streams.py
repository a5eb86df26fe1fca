"""A stream of keys for each module: masks that depend on a seed, its name, the step and the call.

The key of call c at step t is `Key(seed).fold(name).fold(c).at(t)`. Calls are counted anew at each step.
A forward that activation checkpointing repeats is told by where it happens, inside a backward pass, and gets
the key of the call that it repeats: a number is drawn from torch's generator at each call, and checkpointing
brings that generator's state back.
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Callable, Generator
from typing import Any, TypeAlias, cast

import torch
from torch import nn

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._internals import in_backward, in_transform, is_wrapper
from thinnet.torch._ops import keys

__all__ = ["Clock", "Keyed", "ModuleStream", "named", "seed", "step", "streams"]

Tensor: TypeAlias = torch.Tensor
_Seen: TypeAlias = tuple[int, Key | None]  # the step of a call and its key, None where there were several

_numbers = itertools.count()
_streams: weakref.WeakValueDictionary[int, ModuleStream] = weakref.WeakValueDictionary()
_REMEMBERED = 4096


class Clock:
    """The step of all streams of a model; `turn` tells entering a step from staying in it."""

    def __init__(self) -> None:
        self.step = 0
        self.turn = 0
        self.watchers: list[Callable[[int], None]] = []
        self.hooks: list[Any] = []  # of optimizers

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "hooks": []}  # no optimizer steps a copy

    def set(self, step: int) -> None:
        """Go to a step, even to the one that it is, and count calls from the first again."""
        self.step = step
        self.turn += 1
        for watch in self.watchers:
            watch(step)


class ModuleStream:
    """The keys of one module.

    Parameters
    ----------
    name : str
        The module's.
    key : Key
        `Key(seed).fold(name)`.
    clock : Clock
        The step.
    """

    def __init__(self, name: str, key: Key, clock: Clock) -> None:
        self.name, self.key, self.clock = name, key, clock
        self._turn, self._call = clock.turn, 0
        self._folded: list[Key] = []
        # Which key a call got, by the number that torch's generator gave; an older half and a newer one.
        self._seen: tuple[dict[int, _Seen], dict[int, _Seen]] = {}, {}
        self._register()

    def _register(self) -> None:
        self.number = next(_numbers)
        _streams[self.number] = self

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._register()

    def next(self, token: int) -> Key:
        """Return the key of the next call or, inside a backward pass, of the call that is being repeated."""
        if in_backward():
            return self._repeated(token)
        key = self.count()
        older, newer = self._seen
        if len(newer) >= _REMEMBERED:
            older, newer = self._seen = newer, {}
        step, before = self._seen_at(token)
        # Two calls of one step behind the same state of the generator could not be told apart.
        newer[token] = key.step, (key if step != key.step or before == key else None)
        older.pop(token, None)
        return key

    def count(self) -> Key:
        """Return the key of the next call."""
        if self._turn != self.clock.turn:
            self._turn, self._call = self.clock.turn, 0
        if self._call < len(self._folded):
            key = self._folded[self._call]
        else:
            key = self.key.fold(self._call)
            if self._call < _REMEMBERED:
                self._folded.append(key)
        self._call += 1
        return key.at(self.clock.step)

    def _seen_at(self, token: int) -> _Seen:
        older, newer = self._seen
        return newer.get(token) or older.get(token) or (-1, None)

    def _repeated(self, token: int) -> Key:
        _, key = self._seen_at(token)
        if key is not None:
            return key
        raise InputError(
            f"{self.name}: a forward is repeated inside backward, and torch's generator does not say which; "
            "use checkpoint(preserve_rng_state=True), and set no seed between two calls in a step."
        )


class Keyed(nn.Module):
    """A module that draws: its key comes from its stream if it has one, else from torch's generator."""

    variant: str
    p: Any
    _stream: ModuleStream | None = None
    _rate: Tensor | None = None
    _follow: Callable[[int], None] | None = None

    @property
    def rate(self) -> Any:
        """The rate; a tensor where a schedule changes it and a compiler would take a number for constant."""
        return self._rate if self._rate is not None and torch.compiler.is_compiling() else self.p

    def __prepare_scriptable__(self) -> Any:
        """Refuse, in words: `torch.jit.script` asks this first, and would else tell of some line inside."""
        raise InputError(
            f"{type(self).__name__}: torch.jit.script does not take it; use torch.compile or torch.export, "
            "or thinnet.torch.restore(model) first."
        )

    def key(self) -> keys.AnyKey:
        """Return the key of this call."""
        stream = self._stream
        if stream is None:
            return keys.fresh()
        if torch.compiler.is_compiling():
            return torch.ops.thinnet.next_key.default(keys.fresh_tensor(), stream.number)
        if in_transform():
            return stream.count()
        token = keys.fresh()
        if isinstance(token, torch.Tensor):  # who traces would take the key for a constant
            return torch.ops.thinnet.next_key.default(token, stream.number)
        return stream.next(token.value)


def named(owner: str, model: nn.Module) -> list[tuple[str, Any]]:
    """Return every module of a model, and its name; say if it is none."""
    if not isinstance(model, nn.Module):
        raise InputError(f"{owner}: model must be a torch.nn.Module, got {type(model).__name__}.")
    return list(model.named_modules())


def streams(owner: str, model: nn.Module) -> dict[str, Keyed]:
    """Return every module that draws, by its qualified name without what wrappers add to it.

    So the masks of a wrapped model are those of the model.
    """
    every = dict(named(owner, model))
    return {_unwrapped(name, every): module for name, module in every.items() if isinstance(module, Keyed)}


def _unwrapped(name: str, every: dict[str, nn.Module]) -> str:
    parts = name.split(".")
    parents = [".".join(parts[:i]) for i in range(len(parts))]
    pairs = zip(parents, parts, strict=True)
    return ".".join(part for parent, part in pairs if not part or not is_wrapper(every[parent], part))


def seed(
    model: nn.Module, seed: int | Key, *, optimizer: torch.optim.Optimizer | None = None
) -> dict[str, Key]:
    """Give each of thinnet's modules in a model a stream of keys by its qualified name.

    From now on masks depend on the seed, the module's name, the step and the number of the call within the
    step alone; torch's generator goes on as it would, but does not decide. Shared modules go by their first
    name, and wrappers (`torch.compile`, DistributedDataParallel, FSDP) change no name. A copy of the model
    goes on from where this one is.

    Parameters
    ----------
    model : Module
        With thinnet's modules in it.
    seed : int or Key
        In [0, 2**64).
    optimizer : Optimizer, optional
        Each `optimizer.step()` moves on to the next step; `thinnet.torch.step` does so by hand.

    Returns
    -------
    dict
        Name → `Key(seed).fold(name)`; call c at step t draws with `.fold(c).at(t)`.

    Raises
    ------
    InputError
        No such module in the model, or no such seed.

    Examples
    --------
    >>> import thinnet.torch as tt
    >>> model = nn.Sequential(nn.Linear(4, 8), tt.Dropout(0.5))
    >>> key = seed(model, 0)["1"]
    >>> x = torch.ones(2, 8)
    >>> torch.equal(model[1](x), tt.functional.dropout(x, 0.5, key=key.fold(0).at(0)))
    True
    """
    root = seed if isinstance(seed, Key) else Key(seed)
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        model = cast("nn.Module", model.module)
    found = streams("seed", model)
    if not found:
        raise InputError(
            "seed: the model holds no module of thinnet's; use thinnet.torch.replace(model) first."
        )
    if optimizer is not None and not hasattr(optimizer, "register_step_post_hook"):
        raise InputError(f"seed: optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}.")
    clock = Clock()
    for name, module in found.items():
        if module._stream is not None:
            for handle in module._stream.clock.hooks:
                handle.remove()
        module._stream = ModuleStream(name or "the model", root.fold(name), clock)
        if module._follow is not None and module._follow not in clock.watchers:
            clock.watchers.append(module._follow)
    if optimizer is not None:
        hook: Any = optimizer.register_step_post_hook
        clock.hooks.append(hook(lambda *_: clock.set(clock.step + 1)))
    clock.set(0)
    return {name: root.fold(name) for name in found}


@contextlib.contextmanager
def step(model: nn.Module, t: int) -> Generator[None]:
    """Draw the masks of step t inside; entering a step again draws its masks again.

    Raises
    ------
    InputError
        A model without streams, or a step outside [0, 2**32).

    Examples
    --------
    >>> import thinnet.torch as tt
    >>> model = nn.Sequential(tt.Dropout(0.5))
    >>> _ = seed(model, 0)
    >>> def drawn(t):
    ...     with step(model, t):
    ...         return model(torch.ones(20))
    >>> torch.equal(drawn(3), drawn(3)), torch.equal(drawn(3), drawn(4))
    (True, False)
    """
    clocks = {
        module._stream.clock
        for module in model.modules()
        if isinstance(module, Keyed) and module._stream is not None
    }
    if not clocks:
        raise InputError("step: the model has no streams; use thinnet.torch.seed(model, 0) first.")
    t = Key(0).at(t).step
    before = [(clock, clock.step) for clock in clocks]
    for clock in clocks:
        clock.set(t)
    try:
        yield
    finally:
        for clock, old in before:
            clock.set(old)


def _next(token: Tensor, number: int) -> Tensor:
    return keys.to_tensor(_streams[number].next(keys.to_key(token).value))


# Opaque to a compiler, to which one call's key would be a constant; the number that was drawn for a call
# keeps it from taking two calls for one.
_LIBRARY: Any = torch.library.Library("thinnet", "FRAGMENT")
_LIBRARY.define(
    "next_key(Tensor token, int stream) -> Tensor",
    tags=(torch.Tag.nondeterministic_seeded, torch.Tag.pt2_compliant_tag),
)
_LIBRARY.impl("next_key", _next, "CPU")
_LIBRARY.impl("next_key", lambda token, number: token.new_empty(2), "Meta")
