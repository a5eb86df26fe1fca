"""One thread of torch for each process of the tests, and short compilations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from thinnet.torch._ops import fused


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors wait for one another's threads longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def unfused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep small dropouts an operator in compiled code: fused, each adds seconds to a compilation."""
    monkeypatch.setattr(fused, "FUSED", 0)
