"""A second device: the bits of the CPU. Each test is skipped where the machine has none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thinnet.torch as tt
from thinnet import CATALOGUE, Key
from thinnet.variants import Variant
from thinnet.variants._guide import example_shape

KEY = Key(2**64 - 3, 7)
ACCELERATOR = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
needs_device = pytest.mark.skipif(ACCELERATOR is None, reason="this machine has no device but the CPU")
DTYPES = [torch.float16, torch.bfloat16, torch.float32]  # not every device has float64


@needs_device
@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_have_the_bits_of_the_cpu(row: Variant, dtype: torch.dtype) -> None:
    shape = tuple(min(length, 9) for length in example_shape(row))
    x, other = torch.randn((2, *shape), generator=torch.Generator().manual_seed(3)).to(dtype)
    results: list[tuple[torch.Tensor, torch.Tensor]] = []
    for device in ("cpu", ACCELERATOR):
        leaf = x.detach().to(device).requires_grad_()
        more = {"other": other.to(device)} if row.needs_other else {}
        y = tt.functional.drop(row.name, leaf, 0.3, key=KEY, **more)
        assert y.device == leaf.device
        y.backward(torch.ones_like(y))
        results.append((y.detach().cpu(), leaf.grad.cpu()))
    for here, there in zip(*results, strict=True):
        assert torch.equal(here.view(torch.uint8), there.view(torch.uint8))


@needs_device
def test_functions_have_the_masks_of_the_cpu() -> None:
    x = torch.rand(4, 3, 8, 8)
    calls = [
        lambda x: tt.functional.drop_head(x, 0.5, key=KEY),
        lambda x: tt.functional.patch_dropout(x[:, 0], 0.5, key=KEY)[0],
        lambda x: tt.functional.targeted_dropout(x, 0.5, key=KEY),
        lambda x: tt.functional.standout(x, x, key=KEY),
    ]
    for call in calls:
        assert torch.allclose(call(x.to(ACCELERATOR)).cpu(), call(x))


@needs_device
def test_seeded_modules_ignore_the_device() -> None:
    model, x = nn.Sequential(tt.Dropout(0.5), tt.DropPath(0.3)), torch.randn(6, 8)
    tt.seed(model, 0)
    here = model(x)
    with tt.step(model, 0):
        assert torch.equal(model.to(ACCELERATOR)(x.to(ACCELERATOR)).cpu(), here)
