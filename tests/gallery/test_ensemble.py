from __future__ import annotations

from pathlib import Path

import numpy as np

from thinnet.gallery import _ensemble as ensemble
from thinnet.gallery import _images as images


def test_more_networks_come_nearer_to_the_mean_network() -> None:
    found = [
        ensemble.average(images.digits(seed=seed).flat(), seed, draws=40, epochs=15) for seed in range(3)
    ]
    errors = np.mean([each.errors for each in found], axis=0)
    whole = np.mean([each.mean_network for each in found])
    assert errors[0] > errors[4] > whole
    assert abs(errors[-1] - whole) < 0.3 * (errors[0] - whole)


def test_it_tells_as_many_rows_as_there_are_draws() -> None:
    exhibit = ensemble.run(seeds=2, draws=5, epochs=2)
    assert [line.split()[0] for line in exhibit.lines[1:]] == ["1", "2", "5", "the"]


def test_it_takes_images_of_the_users(tmp_path: Path) -> None:
    known = {"x": np.zeros((40, 6, 6), np.uint8), "y": np.arange(40) % 4}
    np.savez(
        tmp_path / "mine.npz", **{f"{k}_{part}": v for k, v in known.items() for part in ("train", "test")}
    )
    exhibit = ensemble.run((tmp_path / "mine.npz",), seeds=2, draws=2, epochs=1)
    assert exhibit.lines[0].startswith("networks averaged, mine")


def test_answers_are_classes_not_their_places() -> None:
    data = images.digits(400).flat()
    shifted = images.Images("b", data.x, data.y + 3, data.x_test, data.y_test + 3)
    one, other = (ensemble.average(each, 0, draws=5, epochs=10) for each in (data, shifted))
    assert np.allclose(one.errors, other.errors, atol=0.02)
