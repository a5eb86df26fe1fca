"""`thinnet.sklearn.MLPClassifier` with dropout against scikit-learn's without: a fit, and predictions.

20,000 rows of 784 features, float32, batch 128, adam, two epochs a fit; both use every core through their
BLAS. The rows are random numbers: only time is measured.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import sklearn.neural_network
from common import Pair, Result, clock, in_turn, keep, report
from sklearn.exceptions import ConvergenceWarning

import thinnet.sklearn

ROWS, FEATURES, CLASSES, EPOCHS, ROUNDS = 20_000, 784, 10, 2, 7
SIZES = ((256, 256), (1024, 1024))
FIT, PREDICT = 0.45, 1.0


def measure(hidden: tuple[int, ...], x: Any, y: Any) -> tuple[Result, Result]:
    given: dict[str, Any] = {
        "hidden_layer_sizes": hidden,
        "batch_size": 128,
        "max_iter": EPOCHS,
        "random_state": 0,
    }
    ours = thinnet.sklearn.MLPClassifier(**given, dropout=0.5)
    theirs = sklearn.neural_network.MLPClassifier(**given)
    shape = f"784-{'-'.join(map(str, hidden))}-10"
    rival = "scikit-learn without dropout"
    fits = Pair(
        f"fit of {EPOCHS} epochs, {shape}, dropout 0.5",
        rival,
        clock(lambda: ours.fit(x, y)),
        clock(lambda: theirs.fit(x, y)),
        ROUNDS,
    )
    fit = report(in_turn(fits, budget=FIT))
    answers = Pair(
        f"predict_proba of 20,000 rows, {shape}",
        rival,
        clock(lambda: ours.predict_proba(x)),
        clock(lambda: theirs.predict_proba(x)),
        2 * ROUNDS,
    )
    return fit, report(in_turn(answers, budget=PREDICT))


def main() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, FEATURES), np.float32)
    y = rng.integers(0, CLASSES, ROWS)
    results: dict[str, Result] = {}
    for hidden in SIZES:
        results[f"fit_{hidden[0]}"], results[f"predict_{hidden[0]}"] = measure(hidden, x, y)
    keep("sklearn_mlp", results, "scikit-learn")


if __name__ == "__main__":
    main()
