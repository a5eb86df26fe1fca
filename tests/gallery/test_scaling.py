from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import FileError, InputError
from thinnet.gallery import _scaling as scaling

DATA = Path(__file__).parents[3] / "shared" / "data"
TRAIN, TEST = DATA / "football_train.csv", DATA / "football_test.csv"
# (cost at 0, 10,000 and 20,000 steps, accuracy in training and at test) of the exercise
PUBLISHED: dict[str, tuple[list[float], float, float]] = {
    "none": ([0.6557412523481002, 0.16329987525724218, 0.1385164242324775], 200 / 211, 0.915),
    "scaled": ([0.6543912405149825, 0.061016986574905605, 0.0605824357985131], 0.9289099526066351, 0.95),
    "unscaled": ([0.6634619861891963, 0.05040089794130624, 0.04972235102906052], 0.933649289099526, 0.95),
}


@pytest.mark.skipif(
    not TRAIN.exists(), reason="the exercise's points, which may not be shipped, are not here"
)
@pytest.mark.parametrize("way", PUBLISHED)
def test_the_published_figures(way: str) -> None:
    """The same mask at every step, drawn once."""
    generator = np.random.RandomState(3)
    first = [generator.randn(k, d) / np.sqrt(d) for d, k in ((2, 20), (20, 3), (3, 1))]
    generator = np.random.RandomState(1)
    gains = [(generator.rand(units, 211) < 0.86).T / (0.86 if way == "scaled" else 1.0) for units in (20, 3)]
    dropouts = [None, None] if way == "none" else [scaling.Masked(gain) for gain in gains]
    network = scaling.network(first, dropouts, key=Key(0))
    (x, y), (x_test, y_test) = scaling.read(TRAIN), scaling.read(TEST)
    history = network.fit(x, y, epochs=30_000, batch=211, optimizer=net.SGD(0.3))
    costs, train, test = PUBLISHED[way]
    np.testing.assert_allclose([history.loss[step] for step in (0, 10_000, 20_000)], costs, rtol=1e-10)
    assert np.isfinite(history.loss).all()
    assert (network.predict(x) == y[:, 0]).mean() == train
    assert (network.predict(x_test) == y_test[:, 0]).mean() == test


def test_points_are_noisy_regions() -> None:
    x, y = scaling.points(4000, key=Key(1))
    assert x.shape == (4000, 2)
    assert 0.3 < y.mean() < 0.7
    alone = y[x[:, 1] > 0.35].mean()
    assert 0.93 < alone < 0.97  # one in twenty has the wrong label


def test_vanilla_and_unscaled_are_trained_alike() -> None:
    """So the exhibit trains them once."""
    data = scaling.points(211, key=Key(1))
    made = [scaling._initial_network(way, 5) for way in ("UnscaledDropout", "VanillaDropout")]
    for network in made:
        network.fit(*data, epochs=50, batch=211, optimizer=net.SGD(0.3))
    assert np.array_equal(made[0].flat, made[1].flat)
    assert not np.array_equal(made[0].logits(data[0]), made[1].logits(data[0]))


def test_it_reports_and_draws() -> None:
    exhibit = scaling.run(seeds=2, steps=200)
    assert [line.split("  ")[0].strip() for line in exhibit.lines[1:]] == list(scaling.WAYS.values())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "cannot be read: no such file or folder."),
        ("a,b,c\n1,2,x\n", "not a table of numbers under a line of names"),
        ("a,b\n1,2\n", "must have three columns, x1, x2 and a label of 0 or 1."),
        ("a,b,c\n1,2,3\n", "must have three columns, x1, x2 and a label of 0 or 1."),
    ],
)
def test_files_that_are_refused(
    tmp_path: Path, text: str | None, line: str, refusal: Callable[..., str]
) -> None:
    path = tmp_path / "points.csv"
    if text is not None:
        path.write_text(text, "utf-8")
    kind: Any = FileError if text is None else InputError
    assert refusal(kind, scaling.read, path).startswith(f"{path}: {line}")


def test_one_file_is_not_enough(tmp_path: Path, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, scaling.run, (tmp_path / "a.csv",))
    assert line == "gallery scaling: data must be two files, for training and test, got 1."
