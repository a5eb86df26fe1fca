"""Small tensors in eager mode: the bits and derivatives of the operator, by a shorter way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import thinnet as tn
import thinnet.torch as tt
from thinnet import CATALOGUE, Key
from thinnet._core import native
from thinnet.torch import _internals
from thinnet.torch._ops import small

KEY = Key(2**64 - 3, 7)
NAMES = [name for name in CATALOGUE if small.law_of(name, 0.3)]
pytestmark = [
    pytest.mark.skipif(_internals.FORCED, reason="the general code serves instead"),
    pytest.mark.skipif(native.library is None, reason="needs the compiled kernels"),
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
]


def operator(x: torch.Tensor, name: str, rate: float) -> torch.Tensor:
    address = torch.tensor([KEY.value - 2**64, KEY.step])
    return torch.ops.thinnet.drop.default(x, None, address, name, rate, [])


def sample(name: str, x: torch.Tensor, rate: float) -> torch.Tensor:
    y = small.drop(name, x, rate, key=KEY)
    assert y is not None
    return y


def test_the_rows_that_draw_each_entry_by_itself() -> None:
    assert {"Dropout", "VanillaDropout", "UnscaledDropout"} <= set(NAMES)
    assert not {"Dropout2d", "AlphaDropout", "GaussianDropout", "Zoneout", "DropBlock2d"} & set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_the_bits_of_numpy(name: str, dtype: str, rate: float) -> None:
    x = torch.randn(7, 9).to(getattr(torch, dtype))
    x[0], x[1] = torch.inf, torch.nan
    expected = tn.drop(name, x.numpy(), rate, key=KEY)
    leaf = x.clone().requires_grad_()
    y = sample(name, leaf, rate)
    (dx,) = torch.autograd.grad(y, leaf, x)
    for found in (sample(name, x, rate), y.detach(), dx):
        assert np.array_equal(found.numpy().view(np.uint8), expected.view(np.uint8))


def test_bfloat16() -> None:
    x = torch.randn(50, dtype=torch.bfloat16, requires_grad=True)
    y = sample("Dropout", x, 0.3)
    assert torch.equal(y, operator(x, "Dropout", 0.3))
    dy = torch.randn(50, dtype=torch.bfloat16)
    (dx,) = torch.autograd.grad(y, x, dy)
    assert torch.equal(dx, operator(dy, "Dropout", 0.3))


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_of_second_order(name: str) -> None:
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: sample(name, x, 0.4), (x,))
    assert torch.autograd.gradgradcheck(lambda x: sample(name, x, 0.4), (x,))
    batched = torch.autograd.grad(
        sample(name, x, 0.4), x, torch.ones(2, 3, 5).double(), is_grads_batched=True
    )
    assert torch.equal(batched[0][1], operator(torch.ones(3, 5).double(), name, 0.4))


def test_gradients_that_are_not_contiguous() -> None:
    x = torch.randn(4, 6, requires_grad=True)
    sample("Dropout", x, 0.5).sum().backward()  # an expanded number
    assert torch.equal(x.grad, operator(torch.ones(4, 6), "Dropout", 0.5))
    dy = torch.randn(6, 4).T
    (dx,) = torch.autograd.grad(sample("Dropout", x, 0.5), x, dy)
    assert torch.equal(dx, operator(dy, "Dropout", 0.5))


def test_a_mode_sees_the_operator() -> None:
    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func.name())
            return func(*args, **kwargs or {})

    seen: list[str] = []
    x = torch.ones(8, requires_grad=True)
    y = tt.Dropout(0.5)(x)
    with Names():
        torch.autograd.grad(y, x, torch.ones(8))
        tt.Dropout(0.5)(x)
        tt.functional.dropout(x, 0.5)
    assert seen.count("thinnet::drop") == 3


def test_what_is_left_to_the_general_code() -> None:
    x = torch.ones(4, 4)
    for name, each, rate in (
        ("Dropout", x.T[:, :2], 0.5),
        ("Dropout", torch.ones(small.SMALL + 1), 0.5),
        ("Dropout", x.int(), 0.5),
        ("Dropout", x, 0.0),
        ("Dropout", x, 1.5),
        ("Dropout", x, torch.tensor(0.5)),
        ("Dropout2d", x, 0.5),
        (CATALOGUE["Dropout"], x, 0.5),
    ):
        assert small.drop(name, each, rate, key=KEY) is None
    assert small.drop("Dropout", x, 0.5, key=torch.tensor([3])) is None


def test_laws_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "_laws", {})
    for i in range(1, 2000):
        small.law_of("Dropout", i / 2000)
    assert len(small._laws) <= 256
