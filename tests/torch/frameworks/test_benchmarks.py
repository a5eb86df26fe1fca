"""The benchmark of whole training steps runs, at a tiny size."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_every_step_of_the_benchmark_runs(
    library: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    library("transformers")
    monkeypatch.syspath_prepend(BENCHMARKS)
    program = importlib.import_module("torch_training")
    written: list[str] = []
    monkeypatch.setattr(program, "keep", lambda name, *_: written.append(name))
    threads = program.torch.get_num_threads(), program.tn.get_num_threads()
    try:
        program.main(["--smoke"])
    finally:
        program.torch.set_num_threads(threads[0])
        program.tn.set_num_threads(threads[1])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(program.CASES) + len(program.AS_THEY_COME)
    assert all("against no dropout: thinnet " in line for line in lines)
    assert not written
    with pytest.raises(SystemExit):
        program.main(["nothing"])
