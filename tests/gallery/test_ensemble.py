from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from thinnet.errors import InputError
from thinnet.gallery import ensemble


def test_more_networks_come_nearer_to_the_mean_network() -> None:
    found = [ensemble.average(seed, draws=40, epochs=15) for seed in range(3)]
    errors = np.mean([each.errors for each in found], axis=0)
    whole = np.mean([each.mean_network for each in found])
    assert errors[0] > errors[4] > whole
    assert abs(errors[-1] - whole) < 0.3 * (errors[0] - whole)


def test_it_tells_as_many_rows_as_there_are_draws() -> None:
    shown = ensemble.run(seeds=2, draws=5, epochs=2)
    assert [line.split()[0] for line in shown.lines[1:]] == ["1", "2", "5", "the"]


def test_it_takes_no_data(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert "takes no --data" in refusal(InputError, ensemble.run, (tmp_path / "a.csv",))
