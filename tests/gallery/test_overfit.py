from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.gallery import _overfit as overfit


def test_points_lie_about_the_line() -> None:
    off = [part - x for seed in range(200) for x, *parts in [overfit.points(Key(seed))] for part in parts]
    assert np.std(off) == pytest.approx(0.3, rel=0.05)
    assert np.mean(off) == pytest.approx(0, abs=0.02)
    x, y, y_test = overfit.points(Key(0))
    assert x.shape == y.shape == y_test.shape == (20, 1)
    assert not np.array_equal(y, y_test)


def test_first_weights_are_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    made = overfit.network(0.5, Key(1))
    peers = [torch.nn.Linear(1, 300), torch.nn.Linear(300, 300), torch.nn.Linear(300, 1)]
    groups = [group for group in made.weights if group]
    for group, peer in zip(groups, peers, strict=True):
        for name, tensor in (("weight", peer.weight), ("bias", peer.bias)):
            assert np.abs(group[name]).max() <= 1 / np.sqrt(peer.in_features)
            if tensor.numel() > 100:
                assert group[name].std() == pytest.approx(tensor.std().item(), rel=0.15)


def test_dropout_keeps_the_curve_near_the_line() -> None:
    without, dropped = ([overfit.learn(rate, 0.01, seed) for seed in range(3)] for rate in (0.0, 0.5))
    assert without[0].loss.shape == (51,)
    assert without[0].curve.shape == (51, 101)
    line = np.linspace(-1, 1, 101)
    away = [np.mean([np.abs(each.curve[-1] - line).mean() for each in side]) for side in (without, dropped)]
    assert away[1] < 0.8 * away[0]


def test_it_reports_draws_and_animates() -> None:
    exhibit = overfit.run(seeds=2, steps=15)
    assert [line.split("  ")[0] for line in exhibit.lines[1:3]] == ["learning rate 0.01", "learning rate 0.1"]
    assert exhibit.animate is not None


def test_it_takes_no_data(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert "takes no data files" in refusal(InputError, overfit.run, (tmp_path / "a.csv",))
