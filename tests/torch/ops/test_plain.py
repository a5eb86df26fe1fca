"""The laws in torch's own operations: the bits of the kernels."""

from __future__ import annotations

import pytest
import torch

from thinnet import CATALOGUE, Key, Window
from thinnet.torch._ops import drop as op
from thinnet.torch._ops import plain
from thinnet.variants import Variant
from thinnet.variants._guide import example_shape
from thinnet.variants._variant import PASSED

KEY = Key(2**64 - 3, 7)
ADDRESS = torch.tensor([-3, 7])


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_the_bits_of_the_kernels(row: Variant, dtype: torch.dtype, rate: float) -> None:
    shape = tuple(min(length, 9) for length in example_shape(row))
    generator = torch.Generator().manual_seed(3)
    x, other = torch.randn((2, *shape), generator=generator, dtype=torch.float64).to(dtype)
    x.view(-1)[:3] = torch.tensor([torch.inf, -0.0, torch.nan])
    third = other if row.other in PASSED else None
    y = op.drop(x, third, ADDRESS, row, rate)
    z = plain.sample(row, x, rate, KEY, other=third, window=None)
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]
    number = ~y.isnan()
    assert torch.equal(number, ~z.isnan())
    assert torch.equal(y.view(bits)[number], z.view(bits)[number])


@pytest.mark.parametrize("start", [(0, 0, 0), (1, 2, 3), (1, 0, 0)])
@pytest.mark.parametrize("name", ["Dropout", "LockedDropout", "GaussianDropout", "DropBlock1d"])
def test_windows(name: str, start: tuple[int, ...]) -> None:
    size = (2, 7, 9) if start[1] == 0 else (2, 5, 6)
    window = Window((4, 7, 9), start, size)
    x = torch.ones(size)
    y = op.drop(x, None, ADDRESS, (name, ()), 0.3, [*start, *window.shape])
    assert torch.equal(plain.sample(CATALOGUE[name], x, 0.3, KEY, other=None, window=window), y)
