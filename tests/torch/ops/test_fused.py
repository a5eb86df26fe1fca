"""Small tensors in compiled code: inductor fuses the operator, with the bits of eager mode."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import thinnet.torch as tt
from thinnet import CATALOGUE, Key, Window
from thinnet.torch import _internals
from thinnet.torch._ops import fused, keys
from thinnet.torch.functional import drop
from thinnet.variants import Variant
from thinnet.variants._guide import example_shape
from thinnet.variants._variant import PASSED

KEY = Key(2**64 - 3, 7)
NAME = "Dropout"


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("step", [False, True])
def test_the_bits_of_eager_mode(row: Variant, dtype: torch.dtype, step: bool) -> None:
    shape = tuple(min(length, 7 if row.block else 3) for length in example_shape(row))
    x, other = torch.randn((2, *shape), dtype=dtype)
    x.view(-1)[:2] = torch.tensor([torch.inf, torch.nan])
    key = KEY if step else KEY.at(0)
    address = keys.to_tensor(key) if step else keys.to_tensor(key)[:1]
    given = other if row.other in PASSED else None
    y = fused.decompose(x, given, address, row.name, 0.3, [])
    if y is NotImplemented:
        assert row.block or not hasattr(row.law_of(0.3), "threshold")
        return
    assert same_bits(y, drop(row.name, x, 0.3, key=key, other=given))


def test_a_window() -> None:
    x, whole = torch.ones(3, 5), torch.ones(9, 7)
    y = fused.decompose(x, None, keys.to_tensor(KEY), NAME, 0.4, [], [4, 1, 9, 7])
    assert torch.equal(y, drop(NAME, whole, 0.4, key=KEY)[4:7, 1:6])
    assert torch.equal(y, drop(NAME, x, 0.4, key=KEY, window=Window((9, 7), (4, 1), (3, 5))))


def test_where_the_operator_stays() -> None:
    address = keys.to_tensor(KEY)
    for x in (torch.ones(fused.FUSED + 1), torch.ones(4).half(), torch.ones(4, device="meta")):
        assert fused.decompose(x, None, address, NAME, 0.5, []) is NotImplemented


@pytest.mark.filterwarnings("ignore")  # of torch, while it loads the compiler
@pytest.mark.skipif(_internals.FORCED, reason="the operator stays")
def test_compiled_code_calls_no_operator_of_dropout() -> None:
    torch.compiler.reset()
    address = keys.to_tensor(KEY)
    graphs: list[Any] = []

    def keep(graph: Any) -> None:
        graphs.extend(str(node.target) for node in graph.nodes)

    def call(x: torch.Tensor, address: torch.Tensor) -> torch.Tensor:
        y = tt.functional.dropout(x, 0.3, key=address)
        return y + tt.functional.drop("AlphaDropout", y, 0.3, key=address)

    x = torch.randn(6, 9, requires_grad=True)
    options: Any = {"post_grad_custom_post_pass": keep}
    compiled = torch.compile(call, fullgraph=True, options=options)
    y = compiled(x, address)
    (dx,) = torch.autograd.grad(y, x, torch.full_like(x, -1.0))
    assert graphs
    assert not [target for target in graphs if "thinnet" in target]
    expected = call(x, address)
    assert same_bits(y.detach(), expected.detach())
    assert same_bits(dx, torch.autograd.grad(expected, x, torch.full_like(x, -1.0))[0])
    large = torch.randn(fused.FUSED + 1, requires_grad=True)
    graphs.clear()
    torch.autograd.grad(compiled(large, address).sum(), large)
    assert any("thinnet.drop" in target for target in graphs)


@pytest.mark.filterwarnings("ignore")
def test_products_of_words_do_not_overflow() -> None:
    # A compiler of C++ may take a product of numbers of at least 0 for such a number.
    torch.compiler.reset()

    def call(x: torch.Tensor, address: torch.Tensor) -> torch.Tensor:
        return tt.functional.dropout(x, 0.5, key=address)

    compiled, x = torch.compile(call, fullgraph=True, dynamic=False), torch.ones(4, 8)
    for i in range(40):
        address = keys.to_tensor(Key(5).fold(i))[:1]
        assert torch.equal(compiled(x, address), call(x, address))
