"""The randomness of a model as state: saved with a checkpoint, loaded to resume a training exactly."""

from __future__ import annotations

from typing import Any

from torch import nn

from thinnet._checks import format_value
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._models.modules_of import modules_of, streams_of
from thinnet.torch._models.schedule import RateSchedule
from thinnet.torch._modules.base import Keyed
from thinnet.torch._streams.streams import Clock

__all__ = ["State", "enter_step", "state"]

_FORMAT = 1


class State:
    """The step, the calls within the step and the schedules of a model; `state` returns one.

    It has the two methods that checkpoints ask for: those of `torch.save`, of
    `torch.distributed.checkpoint`, and of `accelerator.register_for_checkpointing`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._found()

    def state_dict(self) -> dict[str, Any]:
        """Return seeds, steps, calls and the steps of schedules: dictionaries, lists, strings and integers.

        Examples
        --------
        >>> import thinnet.torch as tt
        >>> model = nn.Sequential(tt.Dropout(0.5))
        >>> _ = tt.seed(model, 3)
        >>> state(model).state_dict()
        {'format': 1, 'seeds': [{'seed': 3, 'step': 0, 'calls': {'0': 0}}], 'schedules': []}
        """
        clocks, schedules = self._found()
        seeds = [{"seed": c.root.value, "step": c.step, "calls": c.calls()} for c in clocks]
        steps = [{"names": list(s.rates), "step": s.t} for s in schedules]
        return {"format": _FORMAT, "seeds": seeds, "schedules": steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Enter the steps of a `state_dict`, after the calls that were made in them.

        The model must have been given the same seeds and schedules.

        Raises
        ------
        InputError
            Another seed, other names, or no state of thinnet. Nothing has then been changed.
        """
        if not isinstance(state_dict, dict) or "seeds" not in state_dict:
            raise InputError(
                "state: state_dict must be that of thinnet.torch.state(model), got "
                f"{format_value(state_dict)}."
            )
        if state_dict["format"] > _FORMAT:
            raise InputError(
                f"state: state_dict has format {state_dict['format']}, this version of thinnet reads up to "
                f"{_FORMAT}; use a newer version of thinnet."
            )
        clocks, schedules = self._found()
        seeds, steps = state_dict["seeds"], state_dict["schedules"]
        _check_number("seeds", len(seeds), len(clocks), "thinnet.torch.seed")
        _check_number("schedules", len(steps), len(schedules), "thinnet.torch.schedule")
        for saved, clock in zip(seeds, clocks, strict=True):
            _check_seed(saved["seed"], clock)
            calls, present = saved["calls"], clock.calls()
            # A version of thinnet may reach functions that another does not; their streams have "name kind".
            firm = {name for name, number in calls.items() if number or " " not in name}
            added = {name for name in present if " " not in name}
            _check_names("streams", firm, added | (firm & set(present)))
        for saved, schedule in zip(steps, schedules, strict=True):
            _check_names("scheduled rates", saved["names"], schedule.rates)
        for saved, clock in zip(seeds, clocks, strict=True):
            clock.set(Key(0).at(saved["step"]).step, saved["calls"])
        for saved, schedule in zip(steps, schedules, strict=True):
            schedule.step(saved["step"])

    def _found(self) -> tuple[list[Clock], list[RateSchedule]]:
        clocks, schedules = clocks_of(self._model), _schedules_of(self._model)
        if not clocks and not schedules:
            raise InputError(
                "state: the model has neither streams nor a schedule; use thinnet.torch.seed(model, 0) first."
            )
        return clocks, schedules


def state(model: nn.Module) -> State:
    """Return the randomness of a model as an object that checkpoints save and load.

    The state is the step of each seed, the number of calls that each stream has made in it, and the step of
    each schedule. The rates, unless they follow a schedule, and the seeds remain those of the program that
    resumes. No state is needed where `seed` was given the optimizer and checkpoints are taken between two
    steps: the optimizer's `state_dict` then holds the step.

    Parameters
    ----------
    model : Module
        A model with streams (`thinnet.torch.seed`) or a schedule (`thinnet.torch.schedule`).

    Returns
    -------
    State
        With `state_dict()` and `load_state_dict()`; it reads the model when they are called.

    Raises
    ------
    InputError
        The model is not a module, or has neither streams nor a schedule.

    Examples
    --------
    >>> import torch, thinnet.torch as tt
    >>> model, x = nn.Sequential(tt.Dropout(0.5)), torch.ones(20)
    >>> _ = tt.seed(model, 0)
    >>> first, saved = model(x), state(model).state_dict()
    >>> second = model(x)
    >>> state(model).load_state_dict(saved)
    >>> torch.equal(model(x), second), torch.equal(first, second)
    (True, False)
    """
    return State(model)


def enter_step(model: nn.Module, step: int) -> None:
    """Enter a step where no optimizer counts; entering the present step again changes nothing."""
    for clock in clocks_of(model):
        if not clock.hooks and clock.step != step:
            clock.set(step)
    for schedule in _schedules_of(model):
        if not schedule.counted and schedule.t != step:
            schedule.step(step)


def clocks_of(model: nn.Module) -> list[Clock]:
    """Return the clocks of the streams of a model, in the order of its modules."""
    return list(dict.fromkeys(stream.clock for stream in streams_of("state", model)))


def _schedules_of(model: nn.Module) -> list[RateSchedule]:
    """Return the schedules of a model that follow no clock."""
    found = (m._schedule for m in modules_of("state", model).values() if isinstance(m, Keyed))
    clocks = clocks_of(model)
    schedules = dict.fromkeys(schedule for schedule in found if schedule is not None)
    return [s for s in schedules if not any(s.step in clock.followers for clock in clocks)]


def _check_number(what: str, saved: int, present: int, remedy: str) -> None:
    if saved != present:
        raise InputError(
            f"state: the number of {what} must be that of the saved state, {saved}, got {present}; use "
            f"{remedy} as the saved training did."
        )


def _check_seed(saved: int, clock: Clock) -> None:
    if saved != clock.root.value:
        raise InputError(
            f"state: the saved state has seed {saved}, the model has seed {clock.root.value}; use "
            f"thinnet.torch.seed(model, {saved})."
        )


def _check_names(what: str, saved: Any, present: Any) -> None:
    if set(saved) == set(present):
        return
    missing, added = sorted(set(saved) - set(present)), sorted(set(present) - set(saved))
    differences = [
        f"{words} {names[0]!r}{f' and {len(names) - 1} others' if len(names) > 1 else ''}"
        for words, names in (("lacks", missing), ("adds", added))
        if names
    ]
    raise InputError(
        f"state: the model must have the {what} of the saved state, but it {' and '.join(differences)}; seed "
        "and schedule the model that was saved."
    )
