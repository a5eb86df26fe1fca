"""The number of averaged thinned networks that match the mean network, on digits or MNIST.

References
----------
Srivastava et al.: Dropout. JMLR 15, 2014, section 7.5 and figure 11.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinnet._core.random import Key
from thinnet._drawing import COLOURS
from thinnet._statistics import mean_interval
from thinnet.gallery import _images as images
from thinnet.gallery._exhibit import Exhibit
from thinnet.gallery._images import Images
from thinnet.gallery._text import interval_text, table_lines

__all__ = ["Averaged", "average", "run"]

Array: TypeAlias = NDArray[Any]

SEEDS, DRAWS, HIDDEN, EPOCHS = 10, 120, (128, 128), 60
_COUNTS = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Averaged:
    """Test errors of one trained network."""

    errors: Array  # (draws,), of the mean of the first k thinned networks' probabilities
    mean_network: float


def average(data: Images, seed: int, draws: int = DRAWS, epochs: int = EPOCHS) -> Averaged:
    """Train with dropout 0.5, and average the predictions of thinned networks on the test images."""
    from thinnet.schedules import Cosine
    from thinnet.sklearn import MLPClassifier

    x, y, x_test, y_test = data.x, data.y, data.x_test, data.y_test
    rate = Cosine(2e-3, 0.0, epochs * -(-len(x) // 32))
    options: dict[str, Any] = {"learning_rate_init": rate, "max_iter": epochs, "n_iter_no_change": np.inf}
    mlp = MLPClassifier(HIDDEN, dropout=0.5, batch_size=32, random_state=seed, **options).fit(x, y)
    drawn = mlp.sample_predict(x_test, draws=draws, key=Key(seed).fold("ensemble"))
    sums = drawn.cumsum(axis=0)  # (draws, n, classes): of the first k
    errors = (mlp.classes_[sums.argmax(axis=2)] != y_test).mean(axis=1)
    return Averaged(errors, float((mlp.predict(x_test) != y_test).mean()))


def run(data: tuple[Path, ...] = (), seeds: int = SEEDS, draws: int = DRAWS, epochs: int = EPOCHS) -> Exhibit:
    """Average over seeds and return the exhibit."""
    parts = [images.load("ensemble", data, seed=seed).flat() for seed in range(seeds)]
    found = [average(part, seed, draws, epochs) for seed, part in enumerate(parts)]
    errors = np.stack([each.errors for each in found])  # (seeds, draws)
    whole = np.array([each.mean_network for each in found])
    rows = [
        [f"networks averaged, {parts[0].name}", "test error, 95 % interval", "more than the mean network"]
    ]
    for k in (k for k in _COUNTS if k <= draws):
        rows.append([f"{k}", _percent(errors[:, k - 1]), _percent(errors[:, k - 1] - whole, sign="+")])
    rows.append(["the mean network", _percent(whole), ""])
    sentence = (
        "One thinned network is much worse than the mean network; the average of a few dozen is as good, and "
        "more networks hardly improve it."
    )
    return Exhibit(
        table_lines(rows), sentence, lambda figure: _draw(figure, errors, whole, parts[0].name), (6.4, 4.2)
    )


def _percent(values: Array, sign: str = "") -> str:
    return interval_text(values, f"{sign}.2f", 100, " %")


def _draw(figure: Any, errors: Array, whole: Array, name: str) -> None:
    panel = figure.subplots()
    k = list(range(1, errors.shape[1] + 1))
    means, lows, highs = np.transpose([mean_interval(100 * column) for column in errors.T])
    panel.fill_between(k, lows, highs, color=COLOURS["dropout"], alpha=0.15, linewidth=0)
    panel.plot(k, means, color=COLOURS["dropout"], label="k thinned networks averaged")
    mean, low, high = mean_interval(100 * whole)
    panel.axhspan(low, high, color=COLOURS["without"], alpha=0.12, linewidth=0)
    panel.axhline(mean, color=COLOURS["without"], label="the mean network")
    panel.set(xscale="log", xlabel="k", title=f"Test error on {name}, %")
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter("")
    panel.legend(loc="upper right")
