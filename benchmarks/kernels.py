"""Dropout of one array: against a multiplication, against PyTorch, on two threads, and of small arrays.

All on one thread unless a line says otherwise. Both sides of a pair read and write the same arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import Pair, Result, alone, clock, in_turn, keep, median, report
from numpy.typing import NDArray

import thinnet as tn
from thinnet import Window
from thinnet._core import kernels, native
from thinnet._core.kernels import Source, TwoPoint

Array = NDArray[Any]

KEY, RATE = tn.Key(0), 0.5
LAW = TwoPoint(1 << 15, kernels.Pair(0.0, 0.0), kernels.Pair(2.0, 0.0))  # inverted dropout at that rate
BUDGETS = {"avx512": 1.5, "avx2": 2.2}
PLACES = 9
COPY_SPEED = 1.1  # times the time of np.copyto: the limit of "the speed of a copy"


def arrays(*shape: int) -> tuple[Array, Array]:
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    return x, np.zeros_like(x)


def forward(power: int, name: str) -> Result:
    """One body of the kernels against a multiplication; a budget at 2**20 alone.

    How fast a multiplication in the cache is depends on which pages the arrays were given, by a quarter and
    more: there each of several arrays has its turn.
    """
    places = PLACES if power == 20 else 1
    pairs = [against_multiply(power, name) for _ in range(places)]
    with native.using(name):
        return in_turn(*pairs, budget=BUDGETS.get(name) if power == 20 else None)


def against_multiply(power: int, name: str) -> Pair:
    x, y = arrays(1 << power)
    calls = max(1, (1 << 22) >> power) if name != native.NUMPY else 1
    return Pair(
        f"dropout, 2**{power} float32, {'NumPy twin' if name == native.NUMPY else name}",
        "np.multiply",
        clock(lambda: tn.dropout(x, RATE, key=KEY, out=y), calls),
        clock(lambda: np.multiply(x, np.float32(2), out=y), calls),
        rounds=25,
    )


def against_torch(threads: int, budget: float | None) -> Result:
    """PyTorch has no `out=`: it allocates its result and a mask."""
    x, y = arrays(1 << 20)
    rows = torch.from_numpy(x)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    pair = Pair(
        f"dropout, 2**20 float32, {native.name()}",
        f"torch.nn.functional.dropout, {threads} thread{'s' * (threads > 1)}",
        clock(lambda: tn.dropout(x, RATE, key=KEY, out=y), 4),
        clock(lambda: torch.nn.functional.dropout(rows, RATE), 4),
        rounds=51,
    )
    result = in_turn(pair, budget=budget, faster=True)
    torch.set_num_threads(before)
    return result


def two_threads() -> dict[str, Result]:
    """Two threads have to be 1.7 times as fast as one, unless they have the speed of a copy already."""
    x, y = arrays(1 << 24)

    def run() -> Array:
        return tn.dropout(x, RATE, key=KEY, out=y)

    def on(threads: int) -> Callable[[], object]:
        def ready() -> None:
            tn.set_num_threads(threads)
            run()  # starts the pool

        return ready

    two = clock(run, before=on(2))
    what = f"dropout, 2**24 float32, {native.name()}, 2 threads"
    copy = in_turn(Pair(what, "np.copyto", two, clock(lambda: np.copyto(y, x), before=on(1)), rounds=51))
    one = in_turn(Pair(what, "1 thread", two, clock(run, before=on(1)), rounds=51), budget=1.7, faster=True)
    tn.set_num_threads(1)
    if not one["met"] and median(copy) <= COPY_SPEED:
        one = {**one, "met": True, "because": "met, by the speed of a copy"}
    return {"two_threads": report(one), "two_threads_copy": report(copy)}


def channels() -> Result:
    """One lane for each sample and channel."""
    x, y = arrays(8, 256, 56, 56)
    source = Source(KEY, Window.whole((8, 256, 1, 1)))
    ones = np.ones((8, 256, 1, 1), np.float32)
    mask = kernels.two_point(ones, LAW, source, 0.0, np.empty_like(ones))
    pair = Pair(
        f"dropout of channels, (8, 256, 56, 56) float32, {native.name()}",
        "np.multiply by a mask of (8, 256, 1, 1)",
        clock(lambda: kernels.two_point(x, LAW, source, 0.0, y)),
        clock(lambda: np.multiply(x, mask, out=y)),
        rounds=101,
    )
    return in_turn(pair, budget=1.2)


def small(given: bool) -> Result:
    x, y = arrays(64)
    out = y if given else None
    what = f"dropout, 64 float32, {native.name()}, {'with' if given else 'without'} out="
    return alone(what, clock(lambda: tn.dropout(x, RATE, key=KEY, out=out), 20_000), 51, budget=1.5)


def bfloat16(power: int) -> Result:
    """Equal bytes on both sides: bfloat16 twice against float32 once, of the same number of entries."""
    x, y = arrays(1 << power)
    bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    to = np.zeros_like(bits)
    source = Source(KEY)
    calls = max(1, (1 << 22) >> power)

    def twice() -> None:
        kernels.two_point(bits, LAW, source, 0.0, to)
        kernels.two_point(bits, LAW, source, 0.0, to)

    pair = Pair(
        f"dropout of bfloat16, 2**{power} entries, a byte, {native.name()}",
        "the same of float32",
        clock(twice, calls),
        clock(lambda: kernels.two_point(x, LAW, source, 0.0, y), calls),
        rounds=101 if power == 20 else 31,
    )
    return in_turn(pair, budget=1.0)


def main() -> None:
    default = torch.get_num_threads()
    tn.set_num_threads(1)
    results: dict[str, Result] = {}
    for power in (20, 24):
        for name in native.bodies():
            results[f"forward_{power}_{name}"] = report(forward(power, name))
    results["torch_1"] = report(against_torch(1, 25))
    results["torch_default"] = report(against_torch(default, None))
    results |= two_threads()
    results["channels"] = report(channels())
    results["small_out"] = report(small(True))
    results["small"] = report(small(False))
    for power in (20, 24):
        results[f"bfloat16_{power}"] = report(bfloat16(power))
    keep("kernels", results, "torch")


if __name__ == "__main__":
    main()
