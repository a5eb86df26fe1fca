from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from thinnet.errors import InputError
from thinnet.gallery import _convnet as convnet
from thinnet.gallery import _exhibit as exhibit
from thinnet.gallery import _images as images

# (keep, mean of the output, share of zeros); Stanford CS231n, assignment 2, Dropout.ipynb
KNOWN = [
    (0.25, 10.014059116977283, 0.749784),
    (0.4, 9.977917658761159, 0.600796),
    (0.7, 9.98781191215943, 0.30074),
]


def test_the_known_answers_of_dropout() -> None:
    rows = convnet.fixed_masks()[1:]
    for row, (keep, mean, zeros) in zip(rows, KNOWN, strict=True):
        assert [float(cell) for cell in row[:3]] == [keep, round(mean, 6), zeros]
        ours = [float(cell) for cell in row[3:]]
        # 250,000 draws: 5 standard deviations
        deviation = np.sqrt(keep * (1 - keep) / 250_000)
        assert abs(ours[1] - (1 - keep)) < 5 * deviation + 1e-5
        assert abs(ours[0] - 10) < 5 * 10 * deviation / keep + 0.01


def test_images_are_stretched_onto_a_ground_of_32() -> None:
    x = np.arange(1, 65, dtype=np.float32).reshape(1, 1, 8, 8)
    assert np.array_equal(convnet.enlarge(x), x.repeat(4, 2).repeat(4, 3))
    large = convnet.enlarge(np.ones((2, 1, 28, 28), np.float32))
    assert large.shape == (2, 1, 32, 32)
    assert large.sum() == 2 * 28 * 28
    assert large[0, 0, 2:30, 2:30].all()
    long = convnet.enlarge(np.ones((1, 3, 32, 20), np.float32))
    assert long.shape == (1, 3, 32, 32)
    assert long.sum() == 3 * 32 * 20


def test_large_images_are_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    parts = {"x_train": (4, 40, 32), "x_test": (4, 40, 32)}
    arrays = {name: np.zeros(shape, np.uint8) for name, shape in parts.items()}
    np.savez(tmp_path / "large.npz", **arrays, y_train=np.arange(4) % 2, y_test=np.arange(4) % 2)
    line = refusal(InputError, convnet.run, (tmp_path / "large.npz",))
    assert line == "gallery convnet: images must be at most 32 high and wide, got (40, 32)."


@pytest.mark.parametrize("name", convnet.FAMILIES)
def test_every_family_learns_with_every_dropout(name: str) -> None:
    family, data = convnet.FAMILIES[name], images.digits(300).some(100 if name == "vgg" else 300, 200)
    assert "no dropout" in family.ways
    for dropout in family.ways.values():
        tested = convnet.learn(family, dropout, data, seed=0, epochs=1 if name == "vgg" else 8)
        assert tested.error < (0.95 if name == "vgg" else 0.3)


def test_it_reports_and_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convnet, "TRAIN", 60)
    monkeypatch.setattr(convnet, "TEST", 30)
    made = convnet.run(seeds=2, epochs=1)
    text = "\n".join(made.lines)
    assert all(way in text for family in convnet.FAMILIES.values() for way in family.ways)
    assert exhibit.picture(made).startswith(b"\x89PNG")
