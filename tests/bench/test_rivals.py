"""Every rival does the work it is timed for, and only what is installed is a rival."""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thinnet as tn
from thinnet._bench import find_rivals

X = np.random.default_rng(1).standard_normal(4096, np.float32) + 9  # nowhere 0


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide torch and JAX, and put the number of threads back."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "jax", None)
    before = tn.get_num_threads()
    yield
    tn.set_num_threads(before)


def made_up_jax(seen: list[Any]) -> types.ModuleType:
    """Return a module with as much of JAX as is used; `seen` collects what it was asked for."""
    rng = np.random.default_rng(2)

    def devices(kind: str) -> list[str]:
        seen.append((kind, os.environ.get("JAX_PLATFORMS")))
        return [kind]

    class Ready(np.ndarray):
        def block_until_ready(self) -> np.ndarray:
            seen.append("waited for")
            return np.asarray(self)

    jax: Any = types.ModuleType("jax")
    jax.__spec__ = importlib.machinery.ModuleSpec("jax", None)
    jax.__version__ = "9.9"
    jax.devices = devices
    jax.default_device = contextlib.nullcontext
    jax.device_put = lambda x, device: x
    jax.jit = lambda law: lambda *arguments: law(*arguments).view(Ready)
    jax.numpy = np
    jax.random = types.SimpleNamespace(key=int, bernoulli=lambda key, keep, shape: rng.random(shape) < keep)
    return jax


def check_dropout(y: Any, x: np.ndarray, rate: float) -> None:
    """Expect zeros at about the rate, and x / keep elsewhere."""
    y = np.asarray(y)
    assert y.dtype == x.dtype
    kept = y != 0
    assert abs(kept.mean() - (1 - rate)) < 0.05
    np.testing.assert_allclose(y[kept].astype(np.float64), x[kept] / (1 - rate), rtol=2e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_every_rival_does_its_work(dtype: str, rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", made_up_jax([]))
    tn.set_num_threads(3)
    x = X.astype(dtype)
    found, _ = find_rivals(x, rate)
    ids = ["copy", "multiply", "thinnet", "thinnet_threads", "numpy"]
    assert [rival.id for rival in found] == ids + ["jax"] * (dtype != "float64")
    np.testing.assert_array_equal(found[1].run(), x * x.dtype.type(1 / (1 - rate)))
    for rival in found[2:]:
        check_dropout(rival.run(), x, rate)
    for rival in found[2:4]:
        np.testing.assert_array_equal(rival.run(), tn.dropout(x, rate, key=tn.Key(0)))


def test_the_copy_comes_first_and_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[np.ndarray] = []
    monkeypatch.setattr(np, "copyto", lambda y, x: copied.append(x))
    found, _ = find_rivals(X, 0.5)
    found[0].run()
    assert len(copied) == 1
    assert copied[0] is X


def test_names_carry_versions_and_threads() -> None:
    tn.set_num_threads(3)
    names = {rival.id: (rival.name, rival.ours) for rival in find_rivals(X, 0.5)[0]}
    assert names == {
        "copy": (f"NumPy {np.__version__} copy", False),
        "multiply": (f"NumPy {np.__version__} multiply", False),
        "thinnet": (f"thinnet {tn.__version__}, 1 thread", True),
        "thinnet_threads": (f"thinnet {tn.__version__}, 3 threads", True),
        "numpy": (f"NumPy {np.__version__} random, multiply", False),
    }


def test_ours_runs_on_the_threads_it_says() -> None:
    tn.set_num_threads(3)
    found = {rival.id: rival for rival in find_rivals(X, 0.5)[0]}
    for name, threads in (("thinnet", 1), ("thinnet_threads", 3)):
        found[name].before()
        assert tn.get_num_threads() == threads


def test_one_thread_is_not_timed_twice() -> None:
    tn.set_num_threads(1)
    assert [rival.id for rival in find_rivals(X, 0.5)[0] if rival.ours] == ["thinnet"]


def test_what_is_not_installed_is_left_out_and_said() -> None:
    found, notes = find_rivals(X, 0.5)
    assert not {"torch", "jax"} & {rival.id for rival in found}
    assert notes == ["torch is left out: not installed.", "jax is left out: not installed."]


def test_torch_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    import torch

    found = {rival.id: rival for rival in find_rivals(X, 0.25)[0]}
    assert found["torch"].name.startswith(f"torch {torch.__version__}, {torch.get_num_threads()} thread")
    check_dropout(found["torch"].run(), X, 0.25)


@pytest.mark.parametrize("before", [None, "cuda"])
def test_jax_stays_on_the_cpu_and_is_waited_for(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setitem(sys.modules, "jax", made_up_jax(seen))
    if before is None:
        monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    else:
        monkeypatch.setenv("JAX_PLATFORMS", before)
    found, _ = find_rivals(X, 0.5)
    assert found[-1].name == "JAX 9.9, jitted"
    assert seen == [("cpu", "cpu"), "waited for"]
    assert os.environ.get("JAX_PLATFORMS") == before


def test_jax_has_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", made_up_jax([]))
    found, notes = find_rivals(X.astype(np.float64), 0.5)
    assert "jax" not in {rival.id for rival in found}
    assert notes[-1] == "jax is left out: float64 needs its 64-bit mode."


def test_a_package_that_does_not_work_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jax.py").write_text('raise OSError("libxla.so: no such file.\\nmore")')
    monkeypatch.delitem(sys.modules, "jax")
    monkeypatch.syspath_prepend(tmp_path)
    found, notes = find_rivals(X, 0.5)
    assert "jax" not in {rival.id for rival in found}
    assert notes[-1] == "jax is left out: does not run here, libxla.so: no such file."
