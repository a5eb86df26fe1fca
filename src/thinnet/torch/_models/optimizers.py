"""Steps counted by an optimizer, and their number in the optimizer's `state_dict`.

The number stands in every group of parameters (`thinnet_step`), because tools that shard or merge the
`state_dict` of an optimizer keep its groups and drop other entries. The calls within a step stand beside the
groups (`thinnet`). An optimizer without a counter keeps the number in its groups and ignores it; `seed` and
`schedule` read it there if they come after `load_state_dict`.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping
from typing import Any, Protocol

import torch

from thinnet.errors import InputError

__all__ = ["Counter", "Counting", "check_optimizer", "count_steps"]

_STEP, _CALLS = "thinnet_step", "thinnet"


class Counter(Protocol):
    """A step that an optimizer counts, and the number of calls in it by the name of the stream."""

    @property
    def step(self) -> int:
        """The present step."""
        ...

    def set(self, step: int, calls: Mapping[str, int] | None = None) -> None:
        """Enter a step after some of its calls."""
        ...

    def calls(self) -> dict[str, int]:
        """Return the number of calls in the present step."""
        ...


def check_optimizer(owner: str, optimizer: Any) -> None:
    """Raise InputError unless an optimizer is None or calls hooks after its steps."""
    if optimizer is not None and not hasattr(optimizer, "register_step_post_hook"):
        kind = type(optimizer).__name__
        raise InputError(f"{owner}: optimizer must be a torch.optim.Optimizer, got {kind}.")


class Counting:
    """The entry of one counter in the hooks of an optimizer; `remove` ends it."""

    def __init__(self, hooks: _Hooks, counter: Counter) -> None:
        self._hooks, self._counter = hooks, counter

    def remove(self) -> None:
        """Stop counting; the next `state_dict` has no entry of the counter."""
        if self._counter in self._hooks.counters:
            self._hooks.counters.remove(self._counter)
            self._hooks.loaded = []


class _Hooks:
    """The counters of one optimizer, and the hooks that advance, save and load them."""

    def __init__(self, optimizer: Any) -> None:
        self.counters: list[Counter] = []
        self.loaded: list[int] = []  # steps, for counters that come before the next step
        self._calls: list[dict[str, int]] = []
        optimizer.register_step_post_hook(self._advance)
        optimizer.register_state_dict_post_hook(self._save)
        optimizer.register_load_state_dict_pre_hook(self._remember_calls)
        optimizer.register_load_state_dict_post_hook(self._load)

    def _advance(self, optimizer: Any, *_: Any) -> None:
        if self.counters and not _changes_nothing(optimizer):
            self.loaded = []
            for counter in self.counters:
                counter.set(counter.step + 1)

    def _save(self, _: Any, state: dict[str, Any]) -> None:
        if not self.counters:
            return
        state[_CALLS] = [{n: c for n, c in counter.calls().items() if c} for counter in self.counters]
        steps = {_name(number): counter.step for number, counter in enumerate(self.counters)}
        for group in state["param_groups"]:
            group.update(steps)

    def _remember_calls(self, _: Any, state: dict[str, Any]) -> None:
        self._calls = state.get(_CALLS, [])

    def _load(self, optimizer: Any) -> None:
        self.loaded = steps = _pop_steps(optimizer)
        if self.counters and not steps:
            warnings.warn(
                "optimizer: the loaded state_dict has no step of thinnet, the masks continue from step "
                f"{self.counters[0].step}; save and load thinnet.torch.state(model), too.",
                stacklevel=3,
            )
        for number, counter in enumerate(self.counters if steps else ()):
            self.enter(counter, number, self._calls[number] if number < len(self._calls) else {})
        self._calls = []

    def enter(self, counter: Counter, number: int, calls: dict[str, int]) -> None:
        """Enter the step that was loaded for the counter of that number, or else for the first."""
        counter.set(self.loaded[number if number < len(self.loaded) else 0], calls)


_hooks: weakref.WeakKeyDictionary[Any, _Hooks] = weakref.WeakKeyDictionary()


def count_steps(optimizer: Any, counter: Counter) -> Counting:
    """Let an optimizer advance a counter at each step, save it in its `state_dict`, and load it.

    The counter enters the step that the optimizer has loaded before. A step of gradients that are all zero at
    a learning rate of zero is not counted: `torch.distributed.checkpoint` makes one to create the state.
    """
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, torch.optim.Optimizer):  # inside the wrapper of accelerate or Lightning
        optimizer = inner
    hooks = _hooks.get(optimizer)
    if hooks is None:
        hooks = _hooks[optimizer] = _Hooks(optimizer)
    hooks.counters.append(counter)
    hooks.loaded = _pop_steps(optimizer) or hooks.loaded
    if hooks.loaded:
        hooks.enter(counter, len(hooks.counters) - 1, {})
    return Counting(hooks, counter)


def _name(number: int) -> str:
    return f"{_STEP}_{number}" if number else _STEP


def _pop_steps(optimizer: torch.optim.Optimizer) -> list[int]:
    """Return the steps that a loaded `state_dict` left in the groups, and remove them there."""
    found: dict[str, int] = {}
    for group in optimizer.param_groups:
        for name in [name for name in group if name.startswith(_STEP)]:
            found.setdefault(name, int(group.pop(name)))
    return [found[name] for name in sorted(found)]


def _changes_nothing(optimizer: torch.optim.Optimizer) -> bool:
    if any(group.get("lr", 1.0) != 0 for group in optimizer.param_groups):
        return False
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return not any(bool(gradient.any()) for gradient in gradients)
