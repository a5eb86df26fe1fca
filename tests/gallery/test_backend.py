"""Who trains an exhibit: what is refused, and what is left alone without the option."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from thinnet._core.random import Key
from thinnet.errors import InputError, MissingPackage
from thinnet.gallery import EXHIBITS, show
from thinnet.gallery import _overfit as overfit
from thinnet.gallery._backend import NUMPY
from thinnet.gallery._show import TORCH_EXHIBITS, choose_backend


def test_numpy_trains_networks_as_they_are() -> None:
    made = overfit.network(0.5, Key(0))
    chosen = choose_backend("numpy", "xor")
    assert chosen is NUMPY
    assert chosen.trainable(made) is made
    assert chosen.comparison("early", {}, lambda other: {}) == []


@pytest.mark.parametrize("name", EXHIBITS)
def test_exhibits_take_a_backend_or_refuse_it(name: str, tmp_path: Path, refusal: Callable[..., str]) -> None:
    run = importlib.import_module(f"thinnet.gallery._{name}").run
    assert ("backend" in inspect.signature(run).parameters) == (name in TORCH_EXHIBITS)
    if name not in TORCH_EXHIBITS:
        line = refusal(InputError, show, name, tmp_path / "new", backend="torch")
        assert line == (
            f"gallery {name}: backend must be numpy, got 'torch'; PyTorch trains only overfit and convnet."
        )
    line = refusal(InputError, show, name, tmp_path / "new", backend="jax")
    assert line == f"gallery {name}: backend must be numpy or torch, got 'jax'."
    assert not (tmp_path / "new").exists()


def test_without_pytorch(
    tmp_path: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    line = refusal(MissingPackage, show, "overfit", tmp_path / "new", backend="torch")
    assert line.startswith("thinnet gallery --backend torch: the package torch is not installed")
    assert line.endswith('pip install "thinnet[torch]"')
    assert not (tmp_path / "new").exists()


def test_without_the_option_pytorch_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from thinnet import _cli as cli; from thinnet.gallery import _overfit as overfit;"
        "run = overfit.run;"
        "overfit.run = lambda data: run(data, seeds=2, steps=2);"
        f"assert cli.run(['gallery', 'overfit', '--out', {str(tmp_path)!r}]) == 0;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
