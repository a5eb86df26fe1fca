"""Convolutions: the fast one against the loop to read, and a training step of VGG-11 against PyTorch's.

VGG-11 at a quarter of its width, 64 images of (3, 32, 32), float32, dropout 0.5 on the dense layers, SGD with
momentum; both use every core. Peak memory is what one process's resident memory grows by in five such steps.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Pair, Result, clock, digits, in_turn, keep, report, with_budget

import thinnet as tn

BATCH, WIDTH, STEPS = 64, 0.25, 5
SHAPE = "VGG-11, width 1/4, (64, 3, 32, 32)"


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.random((BATCH, 3, 32, 32), np.float32), rng.integers(0, 10, BATCH)


def loop_against_fast() -> Result:
    rng = np.random.default_rng(0)
    x, w, b = rng.random((8, 3, 32, 32)), rng.random((32, 3, 3, 3)), rng.random(32)
    pair = Pair(
        "conv2d, (8, 3, 32, 32) and (32, 3, 3, 3), padding 1",
        "conv2d_naive",
        clock(lambda: tn.net.conv2d(x, w, b=b, padding=1), 20),
        clock(lambda: tn.net.conv2d_naive(x, w, b=b, padding=1)),
        3,
    )
    return report(in_turn(pair, budget=100, faster=True))


def our_step() -> Callable[[], object]:
    x, y = data()
    network = tn.net.vgg(11, width=WIDTH, dropout=0.5, key=tn.Key(0))
    optimizer = tn.net.SGD(0.01, momentum=0.9)
    return lambda: network.fit(x, y, epochs=1, batch=BATCH, optimizer=optimizer)


def their_step() -> Callable[[], object]:
    torch.manual_seed(0)
    nn, layers, channels = torch.nn, list[Any](), 3
    for plan in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        if not plan:
            layers.append(nn.MaxPool2d(2))
            continue
        out = int(plan * WIDTH)
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
        channels = out
    dense = int(4096 * WIDTH)
    layers += [nn.Flatten(), nn.Linear(channels, dense), nn.ReLU(), nn.Dropout(0.5)]
    layers += [nn.Linear(dense, dense), nn.ReLU(), nn.Dropout(0.5), nn.Linear(dense, 10)]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = (torch.from_numpy(array) for array in data())
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def memory(side: str) -> float:
    """Return by how many MiB a process of its own grows in a few steps."""
    done = subprocess.run([sys.executable, __file__, side], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def grow(side: str) -> None:
    step = our_step() if side == "ours" else their_step()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far (Linux)
    before = resident("VmRSS")
    for _ in range(STEPS):
        step()
    print(resident("VmHWM") - before)


def resident(what: str) -> float:
    """Return this process's memory in MiB: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def main() -> None:
    fast = loop_against_fast()
    pair = Pair(f"a training step of {SHAPE}", "PyTorch", clock(our_step(), 3), clock(their_step(), 3), 9)
    step = report(in_turn(pair, budget=3))
    ours, theirs = memory("ours"), memory("theirs")
    ratio = digits(ours / theirs)
    peak: Result = {
        "what": f"peak memory of {STEPS} steps, {SHAPE}",
        "rival": "PyTorch",
        "rounds": 1,
        "mebibytes": {"ours": digits(ours), "theirs": digits(theirs)},
        "ratio": {"median": ratio, "min": ratio, "max": ratio},
        "faster": False,
    }
    keep("convolution", {"fast": fast, "step": step, "memory": report(with_budget(peak, 2))}, "torch")


if __name__ == "__main__":
    grow(sys.argv[1]) if len(sys.argv) > 1 else main()
