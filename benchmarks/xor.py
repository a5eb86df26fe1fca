"""60,000 full-batch steps of a 3-4-1 net with dropout on the hidden layer: against PyTorch eager.

The exclusive or of two inputs, a third being 1; plain gradient descent. A step takes as long as any other, so
3,000 of them are timed in a round. Nothing here is large enough for a second thread, so PyTorch gets one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from common import Pair, clock, in_turn, keep, report

import thinnet as tn
from thinnet.net import SGD, Dense, Dropout, Network, Sigmoid

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)
Y = np.array([0, 1, 1, 0])
STEPS, RATE, LEARNING_RATE, ROUNDS = 3_000, 0.5, 0.1, 21


def numpy_steps() -> Callable[[], object]:
    net = Network([Dense(3, 4), Sigmoid(), Dropout(RATE), Dense(4, 1)], key=tn.Key(0))
    optimizer = SGD(LEARNING_RATE)
    return lambda: net.fit(X, Y, epochs=STEPS, batch=4, optimizer=optimizer)


def torch_steps() -> Callable[[], object]:
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Dropout(RATE), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    loss = nn.BCEWithLogitsLoss()
    rows, targets = torch.from_numpy(X), torch.from_numpy(Y[:, None].astype(np.float32))

    def steps() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss(model(rows), targets).backward()
            optimizer.step()

    return steps


def main() -> None:
    torch.set_num_threads(1)
    what = f"60,000 full-batch steps, 3-4-1, dropout 0.5, SGD ({STEPS:,} timed)"
    pair = Pair(what, "PyTorch eager, 1 thread", clock(numpy_steps()), clock(torch_steps()), ROUNDS)
    keep("xor", {"steps": STEPS, **report(in_turn(pair, budget=6, faster=True))}, "torch")


if __name__ == "__main__":
    main()
