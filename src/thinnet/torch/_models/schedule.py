"""Rates that follow the step while a model trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

from thinnet._checks import format_value
from thinnet.errors import InputError
from thinnet.schedules import Schedule
from thinnet.torch._models.modules_of import keyed_modules
from thinnet.torch._models.optimizers import check_optimizer, count_steps
from thinnet.torch._modules.base import Keyed
from thinnet.torch.functional._entry import check_p

__all__ = ["RateSchedule", "schedule"]


class _Scheduled(NamedTuple):
    """A module, the tensor that holds its rate for compiled code, and the function of the step."""

    module: Keyed
    rate: torch.Tensor
    at: Schedule


class RateSchedule:
    """The step of a model, and the modules whose rates follow it; `schedule` returns one.

    Attributes
    ----------
    t : int
        The present step.
    rates : dict
        Qualified name → rate at the present step.
    """

    def __init__(self, scheduled: dict[str, _Scheduled]) -> None:
        self._scheduled = scheduled
        self.counted = False  # by an optimizer
        self.step(0)

    def step(self, t: int | None = None) -> None:
        """Enter step t, or the next step."""
        self.t = self.t + 1 if t is None else t
        self.rates = {
            name: check_p(f"schedule, {name or 'the model'}, step {self.t}", at(self.t))
            for name, (_, _, at) in self._scheduled.items()
        }
        for name, (module, rate, _) in self._scheduled.items():
            module.p = self.rates[name]
            rate.fill_(module.p)

    def state_dict(self) -> dict[str, int]:
        """Return the step, for `load_state_dict`."""
        return {"t": self.t}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Enter the step of a `state_dict`."""
        self.step(state["t"])


class _Steps:
    """The step of a schedule as an optimizer counts it."""

    def __init__(self, schedule: RateSchedule) -> None:
        self._schedule = schedule

    @property
    def step(self) -> int:
        return self._schedule.t

    def set(self, step: int, calls: Mapping[str, int] | None = None) -> None:
        self._schedule.step(step)

    def calls(self) -> dict[str, int]:
        return {}


def schedule(
    model: nn.Module,
    p: Schedule | Mapping[str, Schedule],
    *,
    optimizer: torch.optim.Optimizer | None = None,
) -> RateSchedule:
    """Let rates follow a function of the step: one for all of thinnet's modules, or one for each of some.

    A model with streams (`thinnet.torch.seed`) gives the step; else the optimizer counts it where there is
    one, else the returned schedule's `step()`. A compiled model is not compiled again for another rate of a
    row of the catalogue.

    Parameters
    ----------
    model : Module
        A model with modules of thinnet.
    p : function of an int, or mapping of qualified names to such functions
        One of `thinnet.schedules`, or any other function from a step to a rate.
    optimizer : Optimizer, optional
        Each `optimizer.step()` enters the next step, and the optimizer's `state_dict` holds the step.

    Returns
    -------
    RateSchedule
        With `step()`, `rates`, `state_dict()` and `load_state_dict()`.

    Raises
    ------
    InputError
        The model holds no module with a rate, an unknown name, a value that is not a function, or a rate
        outside [0, 1].

    Examples
    --------
    >>> import thinnet.torch as tt
    >>> from thinnet.schedules import Linear
    >>> model = nn.Sequential(tt.Dropout(), nn.Linear(4, 4), tt.Dropout())
    >>> ramp = schedule(model, Linear(0.0, 0.5, steps=10))
    >>> for _ in range(5):
    ...     ramp.step()
    >>> ramp.rates
    {'0': 0.25, '2': 0.25}
    """
    check_optimizer("schedule", optimizer)
    rated = {name: m for name, m in keyed_modules("schedule", model).items() if "p" in vars(m)}
    scheduled = _scheduled(rated, dict(p) if isinstance(p, Mapping) else dict.fromkeys(rated, p))
    result = RateSchedule(scheduled)
    for module, rate, _ in scheduled.values():
        module._rate, module._schedule = rate, result
    if optimizer is not None and not any(m._stream for m in rated.values()):
        result.counted = True
        count_steps(optimizer, _Steps(result))
        return result
    for module, _, _ in scheduled.values():
        module._follow = result.step
    for clock in {m._stream.clock for m in rated.values() if m._stream is not None}:
        clock.followers.append(result.step)
        result.step(clock.step)
    return result


def _scheduled(rated: dict[str, Keyed], functions: dict[str, Schedule]) -> dict[str, _Scheduled]:
    if not rated:
        raise InputError("schedule: the model holds no module of thinnet with a rate.")
    for name, at in functions.items():
        if name not in rated:
            raise InputError(f"schedule: no module of thinnet is named {name!r}; there are {list(rated)}.")
        if not callable(at):
            raise InputError(
                f"schedule: p must be a function of the step, got {format_value(at)}; use "
                f"thinnet.schedules.Constant({format_value(at)})."
            )
    return {
        name: _Scheduled(rated[name], torch.zeros((), dtype=torch.float64), at)
        for name, at in functions.items()
    }
