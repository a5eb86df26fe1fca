"""Seeds and steps of whole models: masks that no longer depend on torch's generator."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import cast

import torch
from torch import nn

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.torch._models.modules_of import stream_holders, streams_of
from thinnet.torch._models.optimizers import check_optimizer, count_steps
from thinnet.torch._streams.streams import Clock

__all__ = ["seed", "step"]


def seed(
    model: nn.Module, seed: int | Key, *, optimizer: torch.optim.Optimizer | None = None
) -> dict[str, Key]:
    """Give each of thinnet's modules in a model a stream of keys by its qualified name.

    From now on masks depend on the seed, the module's name, the step and the number of the call within the
    step. torch's generator advances as before and no longer decides. Shared modules go by their first name;
    wrappers (`torch.compile`, DistributedDataParallel, FSDP) change no name. A copy of the model continues
    from the step and the call of the original.

    Parameters
    ----------
    model : Module
        A model with modules of thinnet.
    seed : int or Key
        In [0, 2**64).
    optimizer : Optimizer, optional
        Each `optimizer.step()` enters the next step, and the optimizer's `state_dict` holds the step, so that
        a resumed training continues with its masks; without one, `thinnet.torch.step` enters a step.

    Returns
    -------
    dict
        Name → `Key(seed).fold(name)`; call c at step t draws with `.fold(c).at(t)`.

    Raises
    ------
    InputError
        The model holds no module of thinnet, or the seed or the optimizer is not one.

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
    found = stream_holders("seed", model)
    if not found:
        raise InputError(
            "seed: the model holds no module of thinnet; use thinnet.torch.replace(model) first."
        )
    check_optimizer("seed", optimizer)
    clock = Clock(root)
    for name, holders in found.items():
        for holder in holders:
            for stream in holder.streams():
                for handle in stream.clock.hooks:
                    handle.remove()
            holder._give(name or "the model", root.fold(name), clock)
    clock.set(0)
    if optimizer is not None:
        clock.hooks.append(count_steps(optimizer, clock))
    return {name: root.fold(name) for name in found}


@contextlib.contextmanager
def step(model: nn.Module, t: int) -> Generator[None]:
    """Draw the masks of step t inside the context; entering a step again draws its masks again.

    Parameters
    ----------
    model : Module
        A model that `seed` has given streams.
    t : int
        In [0, 2**32).

    Raises
    ------
    InputError
        The model has no streams, holds copies of one seeded module, or the step is outside [0, 2**32).

    Examples
    --------
    >>> import thinnet.torch as tt
    >>> model = nn.Sequential(tt.Dropout(0.5))
    >>> _ = seed(model, 0)
    >>> def masked(t):
    ...     with step(model, t):
    ...         return model(torch.ones(20))
    >>> torch.equal(masked(3), masked(3)), torch.equal(masked(3), masked(4))
    (True, False)
    """
    clocks = {stream.clock for stream in streams_of("step", model)}
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
