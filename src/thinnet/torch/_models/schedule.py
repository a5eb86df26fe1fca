"""Rates that change while a model trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from thinnet.errors import InputError
from thinnet.schedules import Schedule
from thinnet.torch._streams.streams import Keyed, streams
from thinnet.torch.functional._entry import chance

__all__ = ["RateSchedule", "schedule"]


class RateSchedule:
    """What `schedule` returns: the step, and the modules whose rates follow it.

    Attributes
    ----------
    rates : dict
        The rate of each module, by its name, at the present step.
    """

    def __init__(self, targets: dict[str, tuple[Any, Schedule]]) -> None:
        self._targets = targets
        self.step(0)

    def step(self, t: int | None = None) -> None:
        """Go to step t, or to the next one."""
        self.t = self.t + 1 if t is None else t
        self.rates = {
            name: chance(f"schedule, {name or 'the model'}, step {self.t}", float(at(self.t)), "p")
            for name, (_, at) in self._targets.items()
        }
        for name, (module, _) in self._targets.items():
            module.p = self.rates[name]
            module._rate.fill_(module.p)

    def state_dict(self) -> dict[str, int]:
        """Return the step, to go on from later."""
        return {"t": self.t}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to the step of a `state_dict`."""
        self.step(state["t"])


def schedule(
    model: nn.Module,
    rate: Schedule | Mapping[str, Schedule],
    *,
    optimizer: torch.optim.Optimizer | None = None,
) -> RateSchedule:
    """Let rates follow a function of the step: one for all of thinnet's modules, or one for each of some.

    The step is that of the model's streams where it has them (`thinnet.torch.seed`), else the optimizer's
    where one is given, else it goes on where `step()` of what is returned is called. Another rate of a row of
    the catalogue does not compile a model again.

    Parameters
    ----------
    model : Module
        With thinnet's modules in it.
    rate : function of an int, or a mapping of them by qualified name
        As `thinnet.schedules` has them, or any other.
    optimizer : Optimizer, optional
        Each of its steps moves on by one.

    Returns
    -------
    RateSchedule
        With `step()`, `rates`, `state_dict()` and `load_state_dict()`.

    Raises
    ------
    InputError
        No module with a rate, a name that is none, a rate outside [0, 1].

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
    rated: dict[str, Keyed] = {name: m for name, m in streams("schedule", model).items() if "p" in vars(m)}
    if not rated:
        raise InputError("schedule: the model holds no module of thinnet's with a rate.")
    each = dict(rate) if isinstance(rate, Mapping) else dict.fromkeys(rated, rate)
    if unknown := [name for name in each if name not in rated]:
        raise InputError(f"schedule: no module of thinnet's named {unknown[0]!r}; there are {list(rated)}.")
    for name in each:
        rated[name]._rate = torch.zeros((), dtype=torch.float64)
    made = RateSchedule({name: (rated[name], at) for name, at in each.items()})
    if optimizer is not None and not any(m._stream for m in rated.values()):
        hook: Any = optimizer.register_step_post_hook
        hook(lambda *_: made.step())
        return made
    for name in each:
        rated[name]._follow = made.step
    for clock in {m._stream.clock for m in rated.values() if m._stream is not None}:
        clock.watchers.append(made.step)
        made.step(clock.step)
    return made
