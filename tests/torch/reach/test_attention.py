"""Attention as a function: torch's values without dropout, thinnet's masks with it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

import thinnet.torch as tt
from thinnet.torch._internals import FORCED

TINY = 1e-9  # rounds to a rate of 0, and takes the path of dropout
pytestmark = pytest.mark.filterwarnings("ignore:.*rate 1e-09 is rounded to 0")


class Attends(nn.Module):
    def forward(self, q: torch.Tensor, **more: Any) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, q, q, **more)


def test_attention_draws_at_the_key_of_its_module() -> None:
    q = torch.randn(2, 3, 5, 4)
    model = tt.replace(Attends())
    key = tt.seed(model, 1)[""].fold("AttentionDropout").fold(0).at(0)
    y = model(q, dropout_p=0.4, is_causal=True, scale=0.3)
    assert torch.equal(
        y,
        tt.functional.scaled_dot_product_attention(
            q, q, q, dropout_p=0.4, is_causal=True, scale=0.3, dropout_key=key
        ),
    )
    assert torch.equal(model(q), Attends()(q))


def test_attention_in_another_dtype_is_torchs() -> None:
    q = torch.ones(1, 1, 3, 4, dtype=torch.complex64)
    for model in (Attends(), tt.replace(Attends())):
        with pytest.raises(RuntimeError):
            model(q, dropout_p=0.5)


MASKS = {
    "none": None,
    "bool": torch.ones(4, 4).triu(1).bool(),
    "float": torch.randn(4, 4),
    "heads": torch.arange(6 * 16).reshape(6, 4, 4) % 5 == 3,
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "options", [{}, {"add_bias_kv": True, "add_zero_attn": True}, {"kdim": 6, "vdim": 5}]
)
def test_multi_head_attention_is_torchs_where_nothing_is_dropped(mask: str, options: dict[str, Any]) -> None:
    for first, padded, needed, average, bias in itertools.product((False, True), repeat=5):
        torch.manual_seed(0)
        module = nn.MultiheadAttention(8, 2, batch_first=first, bias=bias, **options)
        q = torch.randn((3, 4, 8) if first else (4, 3, 8))
        k = torch.randn(*q.shape[:2], 6) if "kdim" in options else q
        v = torch.randn(*q.shape[:2], 5) if "vdim" in options else q
        padding = torch.tensor([[False] * 3 + [True]] * 3) if padded else None
        if padded and mask == "float":
            padding = torch.zeros(3, 4).masked_fill(torch.as_tensor(padding), -2.0)
        given = {
            "key_padding_mask": padding,
            "need_weights": needed,
            "attn_mask": MASKS[mask],
            "average_attn_weights": average,
            "is_causal": mask == "bool",
        }
        expected = module(q, k, v, **given)
        module.dropout = TINY
        found = tt.replace(module)(q, k, v, **given)
        assert torch.allclose(found[0], expected[0], atol=1e-6)
        assert (found[1] is None) == (expected[1] is None)
        if needed:
            assert torch.allclose(found[1], expected[1], atol=1e-6)


@pytest.mark.parametrize("needed", [False, True])
def test_multi_head_attention_drops_weights(needed: bool) -> None:
    model = tt.replace(nn.Sequential(nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)))
    key = tt.seed(model, 2)["0"].fold("AttentionDropout").fold(0).at(0)
    x = torch.randn(3, 4, 8)
    torch.manual_seed(0)
    y, weights = model[0](x, x, x, need_weights=needed, average_attn_weights=False)
    mask = tt.functional.drop("AttentionDropout", torch.ones(3, 2, 4, 4), 0.5, key=key) != 0
    if needed:
        assert torch.equal(weights != 0, mask)
    with tt.step(model, 0):
        again, _ = model[0](x, x, x, need_weights=not needed)
    assert torch.allclose(y, again, atol=1e-6)
    y.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_unbatched_attention_and_errors_of_torch() -> None:
    module = nn.MultiheadAttention(8, 2, dropout=TINY)
    x = torch.randn(4, 8)
    expected = nn.MultiheadAttention.forward(module.eval(), x, x, x)
    found = tt.replace(module.train())(x, x, x)
    assert torch.allclose(found[0], expected[0], atol=1e-6)
    assert torch.allclose(found[1], expected[1], atol=1e-6)
    with pytest.raises(AssertionError, match="embedding dimension"):
        module(x[:, :4], x, x)
    with pytest.raises(RuntimeError, match="is_causal"):
        module(x, x, x, is_causal=True, need_weights=False)


@pytest.mark.skipif(FORCED, reason="no public name of PyTorch returns the innermost mode")
def test_a_transformer_keeps_its_faster_path_in_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    class Holds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.1, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(nn.functional.dropout(x, 0.1, self.training))

    model, x = tt.replace(Holds()).eval(), torch.randn(2, 4, 8)
    taken: list[bool] = []
    fast = torch._transformer_encoder_layer_fwd  # pyright: ignore[reportPrivateUsage]

    def note(*inputs: Any) -> Any:
        taken.append(True)
        return fast(*inputs)

    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", note)
    with torch.no_grad():
        model(x)
    assert taken
