"""Test error of two networks with every variant for activations: the best of five rates, over ten seeds.

A dense network, d-512-512-10, and a small convolutional one, on scikit-learn's digits and on 10,000 of
MNIST's; dropout after each hidden rectifier of the first, after each convolution of the second. Which
variants take part is not chosen: all whose site is the activation and whose pattern fits these arrays.

Each variant's rate is the one with the least validation error, the mean over three seeds, on a fifth of the
training rows; then ten other seeds train on all of them, and the test set is used once for each. Differences
are paired by seed. digits are split anew for each seed, and the interval allows for training sets that
overlap (Nadeau, Bengio: Inference for the generalization error. Machine Learning 52, 2003, section 3); MNIST
has one split, and there the interval is over seeds alone.

`--mnist FOLDER` names the folder of MNIST's idx files; without it those results are kept. What a run that was
stopped has finished is kept too: `--go-on`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, digits, keep

from thinnet import Key, net
from thinnet._statistics import t_interval
from thinnet.gallery import _images as images
from thinnet.schedules import Cosine
from thinnet.variants import CATALOGUE

RATES, SEEDS, TRIED = (0.05, 0.1, 0.2, 0.35, 0.5), 10, 3
BLOCK, TEST = 3, 0.2
# Data: how many rows train, rows of a mini-batch, and each network's epochs.
DATA = {"digits": (1437, 64, {"dense": 40, "conv": 40}), "mnist": (10_000, 128, {"dense": 20, "conv": 10})}

Layers = list[Any]
Drop = Callable[[], Layers]


def dense(shape: tuple[int, ...], drop: Drop) -> Layers:
    hidden = [net.Dense(math.prod(shape), 512), net.ReLU(), *drop(), net.Dense(512, 512), net.ReLU(), *drop()]
    return [net.Flatten(), *hidden, net.Dense(512, 10)]


def conv(shape: tuple[int, ...], drop: Drop) -> Layers:
    channels, side, _ = shape
    stride = 2 if side > 16 else 1
    left = side // stride // 2 // (1 if stride == 2 else 2)
    first = [net.Conv2d(channels, 16, 3, stride=stride, padding=1), net.ReLU(), *drop()]
    pool = [] if stride == 2 else [net.MaxPool2d(2)]
    second = [net.Conv2d(16, 32, 3, padding=1), net.ReLU(), *drop(), net.MaxPool2d(2), net.Flatten()]
    return [*first, *pool, *second, net.Dense(32 * left**2, 128), net.ReLU(), net.Dense(128, 10)]


NETWORKS = {"dense": (dense, (2, 512)), "conv": (conv, (2, 16, 8, 8))}


def variants(network: str) -> list[str]:
    """Return every variant for activations that takes the arrays of a network."""
    rows = [row.sized(BLOCK) if row.block else row for row in CATALOGUE.values()]
    shape = NETWORKS[network][1]
    return [row.name for row in rows if row.site == "activation" and row.flows and row.unfit(shape) is None]


@cache
def rows(data: str, seed: int, folder: Path | None) -> images.Images:
    train = DATA[data][0]
    if data == "digits":
        return images.digits(train, seed)
    assert folder is not None
    return images.read(folder).some(train, 10_000)


def error(job: tuple[str, str, str | None, float, int, bool, Path | None]) -> float:
    """Train once; return the test error or, while rates are tried, that on held-out training rows."""
    data, network, variant, rate, seed, final, folder = job
    train, batch, epochs = DATA[data]
    whole = rows(data, seed if data == "digits" else 0, folder)
    cut = train if final else round(0.8 * train)
    x, y = whole.x[:cut], whole.y[:cut]
    x_test, y_test = (whole.x_test, whole.y_test) if final else (whole.x[cut:], whole.y[cut:])

    def drop() -> Layers:
        if variant is None:
            return []
        return [net.Dropout(rate, variant=variant, block=BLOCK if CATALOGUE[variant].block else None)]

    made = net.Network(NETWORKS[network][0](whole.shape, drop), key=Key(seed), input_shape=whole.shape)
    updates = epochs[network] * math.ceil(cut / batch)
    adam = net.Adam(Cosine(1e-3, 0.0, updates))
    made.fit(x, y, epochs=epochs[network], batch=batch, optimizer=adam)
    return float(np.mean(made.predict(x_test) != y_test))


def begin() -> None:
    """Give a process one thread, so that numbers do not depend on how many there are."""
    from threadpoolctl import threadpool_limits

    from thinnet import set_num_threads

    threadpool_limits(1)
    set_num_threads(1)


def one(pool: Any, data: str, network: str, variant: str | None, folder: Path | None) -> dict[str, Any]:
    """Return a variant's best rate and its test errors; None is the network without dropout."""
    tried = RATES if variant else ()
    # The seeds that choose are not those that are reported.
    tasks = [
        (data, network, variant, rate, SEEDS + seed, False, folder) for rate in tried for seed in range(TRIED)
    ]
    errors = np.reshape(pool.map(error, tasks, 1), (len(tried), TRIED)).mean(axis=1) if tried else []
    best = RATES[int(np.argmin(errors))] if tried else 0.0
    final = pool.map(error, [(data, network, variant, best, seed, True, folder) for seed in range(SEEDS)], 1)
    validation = {str(rate): digits(float(value)) for rate, value in zip(tried, errors, strict=True)}
    return {"rate": best, "validation": validation, "errors": final}


def against(without: list[float], result: dict[str, Any], data: str) -> dict[str, Any]:
    """Add means, and the paired difference from the network without dropout with its interval."""
    gaps = np.subtract(result["errors"], without)
    overlap = TEST / (1 - TEST) if data == "digits" else 0.0
    spread = float(gaps.std(ddof=1)) * math.sqrt(1 / SEEDS + overlap)
    low, high = t_interval(float(gaps.mean()), spread, SEEDS - 1)
    interval = {"mean": gaps.mean(), "low": low, "high": high}
    difference = {name: digits(float(value)) for name, value in interval.items()}
    return {**result, "mean": digits(float(np.mean(result["errors"]))), "difference": difference}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--go-on", action="store_true")
    options = parser.parse_args()
    path = RESULTS / "variants.json"
    known: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    known.pop("machine", None)
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.jobs, initializer=begin) as pool:
        for data in DATA if options.mnist else ["digits"]:
            for network in NETWORKS:
                found = known.setdefault(data, {}).setdefault(network, {}) if options.go_on else {}
                known.setdefault(data, {})[network] = found
                for variant in [None, *variants(network)]:
                    name = variant or "none"
                    if name not in found:
                        result = one(pool, data, network, variant, options.mnist)
                        without = found["none"]["errors"] if variant else result["errors"]
                        found[name] = against(without, result, data)
                        keep("variants", known, "scikit-learn")
                    mean, rate = found[name]["mean"], found[name]["rate"]
                    print(f"{data}, {network}, {name} at {rate}: {100 * mean:.2f} %", flush=True)


if __name__ == "__main__":
    main()
