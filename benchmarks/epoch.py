"""One epoch of 784-1024-1024-10 with dropout 0.5: thinnet's NumPy network against PyTorch with dropout.

20,000 rows, float32, Adam, batch 128; both shuffle, both use every core through their BLAS. The rows
are random numbers: only time is measured.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from common import in_turn, keep, machine
from numpy.typing import NDArray

import thinnet as tn
from thinnet.net import Adam, Dense, Dropout, Network, ReLU

ROWS, BATCH, RATE, ROUNDS = 20_000, 128, 0.5, 5
WIDTHS = (784, 1024, 1024, 10)
BUDGET = 2.5


def numpy_epoch(x: NDArray[np.float32], y: NDArray[np.int64]) -> Callable[[], object]:
    a, b, c, d = WIDTHS
    net = Network(
        [Dense(a, b), ReLU(), Dropout(RATE), Dense(b, c), ReLU(), Dropout(RATE), Dense(c, d)], key=tn.Key(0)
    )
    optimizer = Adam(1e-3)
    return lambda: net.fit(x, y, epochs=1, batch=BATCH, optimizer=optimizer)


def torch_epoch(x: NDArray[np.float32], y: NDArray[np.int64]) -> Callable[[], object]:
    torch.manual_seed(0)
    a, b, c, d = WIDTHS
    nn = torch.nn
    model = nn.Sequential(
        *(nn.Linear(a, b), nn.ReLU(), nn.Dropout(RATE)),
        *(nn.Linear(b, c), nn.ReLU(), nn.Dropout(RATE)),
        nn.Linear(c, d),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = nn.CrossEntropyLoss()
    rows, classes = torch.from_numpy(x), torch.from_numpy(y)

    def epoch() -> None:
        order = torch.randperm(ROWS)
        for first in range(0, ROWS, BATCH):
            here = order[first : first + BATCH]
            optimizer.zero_grad()
            loss(model(rows[here]), classes[here]).backward()
            optimizer.step()

    return epoch


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, WIDTHS[0]), np.float32)
    y = rng.integers(0, WIDTHS[-1], ROWS)
    result = in_turn(numpy_epoch(x, y), torch_epoch(x, y), ROUNDS)
    threads = torch.get_num_threads()
    keep("epoch", {**result, "budget": BUDGET, "threads": threads, "machine": machine("torch")})


if __name__ == "__main__":
    main()
