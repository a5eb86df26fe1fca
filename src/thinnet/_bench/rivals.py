"""The implementations that are timed: thinnet, a copy, NumPy, and PyTorch and JAX where installed."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import thinnet
from thinnet._core.random import Key
from thinnet._core.threads import get_num_threads, set_num_threads
from thinnet.variants import dropout

__all__ = ["Rival", "find_rivals"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Rival:
    """One implementation.

    `id` identifies it in rows, `name` is printed in tables, `before` is called before each timing.
    """

    id: str
    name: str
    run: Callable[[], object]
    ours: bool = False
    before: Callable[[], object] = lambda: None


def find_rivals(x: Array, rate: float) -> tuple[list[Rival], list[str]]:
    """Return the rivals for an array x, the copy first, and notes on those that are left out."""
    y = np.empty_like(x)
    scale = x.dtype.type(1 / (1 - rate))
    key, every = Key(0), get_num_threads()

    def ours(id: str, threads: int) -> Rival:
        name = f"thinnet {thinnet.__version__}, {_threads(threads)}"
        run = lambda: dropout(x, rate, key=key, out=y)  # noqa: E731
        return Rival(id, name, run, ours=True, before=lambda: set_num_threads(threads))

    numpy = f"NumPy {np.__version__}"
    found = [
        Rival("copy", f"{numpy} copy", lambda: np.copyto(y, x)),
        Rival("multiply", f"{numpy} multiply", lambda: np.multiply(x, scale, out=y)),
        ours("thinnet", 1),
        *([ours("thinnet_threads", every)] if every > 1 else []),
        Rival("numpy", f"{numpy} random, multiply", _numpy_dropout(x, y, rate)),
    ]
    notes: list[str] = []
    for package, make in (("torch", _torch), ("jax", _jax)):
        try:
            found.append(_tried(package, make, x, rate))
        except _LeftOut as reason:
            notes.append(f"{package} is left out: {reason}.")
    return found, notes


class _LeftOut(Exception):  # noqa: N818 - a reason, not a failure
    """The reason why a rival is not timed."""


def _tried(package: str, make: Callable[[Array, float], Rival], x: Array, rate: float) -> Rival:
    if find_spec(package) is None:
        raise _LeftOut("not installed")
    try:
        rival = make(x, rate)
        rival.run()
    except _LeftOut:
        raise
    except Exception as error:  # any error of an installed package that does not work
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise _LeftOut(f"does not run here, {first.rstrip('.')}") from error
    return rival


def _numpy_dropout(x: Array, y: Array, rate: float) -> Callable[[], Array]:
    """Return dropout by NumPy's PCG64 without allocations, the fastest form."""
    generator = np.random.default_rng(0)
    uniform, kept = np.empty(x.shape, np.float32), np.empty(x.shape, np.bool_)
    bound, scale = np.float32(rate), x.dtype.type(1 / (1 - rate))

    def run() -> Array:
        generator.random(out=uniform, dtype=np.float32)
        np.greater_equal(uniform, bound, out=kept)
        np.multiply(x, kept, out=y)
        return np.multiply(y, scale, out=y)

    return run


def _torch(x: Array, rate: float) -> Rival:
    torch = importlib.import_module("torch")
    tensor = torch.from_numpy(x)
    name = f"torch {torch.__version__}, {_threads(torch.get_num_threads())}"
    return Rival("torch", name, lambda: torch.nn.functional.dropout(tensor, rate, training=True))


def _jax(x: Array, rate: float) -> Rival:
    if x.dtype == np.float64:
        raise _LeftOut("float64 needs its 64-bit mode")
    with _jax_on_cpu():
        jax = importlib.import_module("jax")
        cpu = jax.devices("cpu")[0]
    keep = 1 - rate

    def law(key: Any, x: Any) -> Any:
        return jax.numpy.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0)

    with jax.default_device(cpu):
        key, there = jax.random.key(0), jax.device_put(x, cpu)
    compiled = jax.jit(law)
    name = f"JAX {jax.__version__}, jitted"
    return Rival("jax", name, lambda: compiled(key, there).block_until_ready())


@contextlib.contextmanager
def _jax_on_cpu() -> Generator[None]:
    """Restrict JAX to the CPU if it is imported here for the first time."""
    before = os.environ.get("JAX_PLATFORMS")
    os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAX_PLATFORMS"]
        else:
            os.environ["JAX_PLATFORMS"] = before


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"
