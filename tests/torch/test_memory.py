"""Room for large tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from thinnet import Key
from thinnet.torch import memory
from thinnet.torch.functional import dropout


@pytest.mark.parametrize("advised", [True, False])
def test_large_tensors_are_as_small_ones(advised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = memory._advise

    def advise(begin: object, size: Any, advice: int) -> None:
        asked.append(size.value)
        if real is not None:
            assert real(begin, size, advice) in (0, -1)

    monkeypatch.setattr(memory, "_advise", advise if advised else None)
    x = torch.ones((1 << 22) + 5)
    y = dropout(x, 0.5, key=Key(0))
    assert len(asked) == advised
    assert all(0 < size <= y.numel() * 4 and size % (1 << 21) == 0 for size in asked)
    assert torch.equal(y[:1000], dropout(x[:1000], 0.5, key=Key(0)))
    last = x.reshape(1, 1, -1, 3)[..., :2]
    assert memory.empty_like(last).shape == last.shape
