"""One epoch of 784-1024-1024-10 with dropout 0.5: against PyTorch with it, and scikit-learn without.

20,000 rows, float32, Adam, batch 128; all shuffle, all use every core through their BLAS. The rows are
random numbers: only time is measured.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from common import Pair, clock, in_turn, keep, report
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import thinnet as tn
from thinnet.net import Adam, Dense, Dropout, Network, ReLU

ROWS, BATCH, RATE, ROUNDS = 20_000, 128, 0.5, 9
WIDTHS = (784, 1024, 1024, 10)
WHAT = "one epoch, 784-1024-1024-10, dropout 0.5, Adam, batch 128"

Rows = NDArray[np.float32]
Classes = NDArray[np.int64]


def numpy_epoch(x: Rows, y: Classes) -> Callable[[], object]:
    a, b, c, d = WIDTHS
    net = Network(
        [Dense(a, b), ReLU(), Dropout(RATE), Dense(b, c), ReLU(), Dropout(RATE), Dense(c, d)], key=tn.Key(0)
    )
    optimizer = Adam(1e-3)
    return lambda: net.fit(x, y, epochs=1, batch=BATCH, optimizer=optimizer)


def torch_epoch(x: Rows, y: Classes) -> Callable[[], object]:
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


def sklearn_epoch(x: Rows, y: Classes) -> Callable[[], object]:
    # warm_start: from the second fit on, which is the first that is timed, no weights are drawn
    model = MLPClassifier(WIDTHS[1:-1], batch_size=BATCH, max_iter=1, warm_start=True, random_state=0)

    def epoch() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y)

    return epoch


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, WIDTHS[0]), np.float32)
    y = rng.integers(0, WIDTHS[-1], ROWS)
    ours = clock(numpy_epoch(x, y))
    pair = Pair(WHAT, "PyTorch with dropout", ours, clock(torch_epoch(x, y)), ROUNDS)
    against_torch = report(in_turn(pair, budget=0.8))
    pair = Pair(WHAT, "scikit-learn without dropout", ours, clock(sklearn_epoch(x, y)), ROUNDS)
    keep("epoch", {**against_torch, "sklearn": report(in_turn(pair, budget=0.45))}, "torch", "scikit-learn")


if __name__ == "__main__":
    main()
