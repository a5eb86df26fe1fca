"""Other people's frameworks, imported without the network and without their warnings; data for them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest
import torch
from torch import nn

import thinnet.torch as tt

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
_declared: list[torch.library.Library] = []


def _declare_operators_of_torchvision() -> None:
    """Let torchvision be imported beside a torch that it was not built for, as on machines without CUDA.

    Its compiled operators cannot be loaded there, and its import stumbles over two that it expects; half of
    the frameworks import it. None of its operators is called in these tests.
    """
    spec = importlib.util.find_spec("torchvision")
    if _declared or spec is None or spec.origin is None:
        return
    # `_C.so`, and since 0.29 `_C_stable.so`: where it is loaded, a second declaration aborts the interpreter.
    compiled = [path for path in Path(spec.origin).parent.glob("_C*") if path.suffix in (".so", ".pyd")]
    try:
        for path in compiled:
            torch.ops.load_library(path)
    except OSError:
        compiled = []
    if not compiled:
        _declared.append(library := torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@pytest.fixture(scope="session")
def library() -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that imports a library."""

    def load(name: str) -> ModuleType:
        # What they deprecate while they are imported is their affair.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _declare_operators_of_torchvision()
            return importlib.import_module(name)

    with mock.patch.dict(os.environ, OFFLINE):
        yield load


def _settings() -> tuple[object, ...]:
    return torch.are_deterministic_algorithms_enabled(), torch.get_default_dtype(), torch.get_num_threads()


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give every test a folder of its own to run in, and take back what frameworks set."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small models wait for one another's threads longer than they compute
    before = _settings()
    with torch.random.fork_rng(), mock.patch.dict(os.environ):
        torch.manual_seed(0)
        yield
    after = _settings()
    torch.set_num_threads(threads)
    assert after == before


@pytest.fixture(scope="session")
def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Return 64 samples of two classes that a line separates."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, 8, generator=generator)
    return x, (x[:, 0] + x[:, 1] > 0).long()


@pytest.fixture
def acts() -> Callable[..., None]:
    """Return a function that fails unless dropout is ours, and acts in training alone."""

    def check(model: nn.Module, call: Callable[[], torch.Tensor]) -> None:
        dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
        assert {type(module) for module in dropouts} == {tt.Dropout}
        model.train()
        assert not torch.equal(call(), call())
        model.eval()
        assert torch.equal(call(), call())
        for module in dropouts:
            module.p = 0.0
        model.train()
        assert torch.allclose(call(), model.eval() and call(), atol=1e-6)

    return check
