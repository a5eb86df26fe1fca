"""Functions outside of the catalogue: the masks of their NumPy twins, and their derivatives."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import thinnet as tn
import thinnet.torch as tt
import thinnet.torch.functional as F  # noqa: N812 - its usual name
from thinnet import Key
from thinnet.errors import InputError
from thinnet.torch._ops import keys

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated")

KEY = Key(2**63 + 5, 4)
DTYPES = pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])


def some(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64).to(dtype)


MAPS, ROWS, TOKENS = (4, 6, 4, 4), (8, 12), (4, 9, 3)
LOGITS = torch.linspace(-4, 4, 12, dtype=torch.float64)

# test_law.py holds the bits of each function to those of NumPy.
CALLS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "concrete": (lambda x: F.concrete_dropout(x, LOGITS, key=KEY), ROWS),
    "variational": (lambda x: F.variational_dropout(x, LOGITS, key=KEY), ROWS),
    "standout": (lambda x: F.standout(x, LOGITS, key=KEY, alpha=0.5, beta=1.0), ROWS),
    "shake": (lambda x: F.shake_drop(x, 0.4, key=KEY), MAPS),
    "heads": (lambda x: F.drop_head(x, 0.4, key=KEY), MAPS),
    "pool": (lambda x: F.max_pool_dropout(x.abs(), 0.4, key=KEY), MAPS),
    "patches": (lambda x: F.patch_dropout(x, 0.6, key=KEY, prefix=1)[0], TOKENS),
    "targeted": (lambda x: F.targeted_dropout(x, 0.6, key=KEY, target=0.7), MAPS),
    "targeted units": (lambda x: F.targeted_dropout(x, 0.6, key=KEY, target=0.7, units=True), ROWS),
}


@pytest.mark.parametrize("name", CALLS)
def test_gradients(name: str) -> None:
    call, shape = CALLS[name]
    x = (some(*shape)[:2, :2] if len(shape) == 4 else some(*shape)[:2]).requires_grad_()
    if name == "shake":  # its backward is not the derivative
        call(x).sum().backward()
        gains = tn.shake_drop(np.ones(x.shape), 0.4, key=KEY, backward=True)
        assert np.allclose(x.grad.numpy(), gains)
        dy = torch.ones_like(x).requires_grad_()
        (dx,) = torch.autograd.grad(call(x), x, dy, create_graph=True)
        assert torch.allclose(torch.autograd.grad(dx.sum(), dy)[0], torch.from_numpy(gains))
        return
    assert torch.autograd.gradcheck(call, (x,))
    assert torch.autograd.gradgradcheck(call, (x,), fast_mode=True)


def test_learned_numbers_have_gradients() -> None:
    x, logit = some(3, 4), torch.tensor(-0.5, dtype=torch.float64, requires_grad=True)
    for call in (
        lambda z: F.concrete_dropout(x, z, key=KEY, temperature=0.7),
        lambda z: F.variational_dropout(x, z, key=KEY),
        lambda z: F.concrete_kl(z, x, length=0.3),
        F.variational_kl,
        F.sparse_kl,
    ):
        assert torch.autograd.gradcheck(call, (logit,))


def test_the_chances_of_standout_have_the_gradient_of_a_sigmoid() -> None:
    # The chance is a multiple of 1 / 65536, so differences of it say nothing.
    x, logits = some(3, 4), some(3, 4).requires_grad_()
    y = F.standout(x, logits, alpha=0.7, beta=0.3, training=False)
    (ours,) = torch.autograd.grad(y.square().sum(), logits, create_graph=True)
    smooth = torch.sigmoid(0.7 * logits + 0.3) * x
    (theirs,) = torch.autograd.grad(smooth.square().sum(), logits, create_graph=True)
    assert torch.allclose(ours, theirs, atol=1e-4)
    again = [torch.autograd.grad(each.sum(), logits)[0] for each in (ours, theirs)]
    assert torch.allclose(*again, atol=1e-4)


def test_penalties_are_numpys() -> None:
    logs, weight = torch.linspace(-8, 8, 30, dtype=torch.float64), some(3, 5)
    assert np.allclose(F.variational_kl(logs), tn.variational_kl(logs.numpy()))
    assert np.allclose(F.sparse_kl(logs), tn.sparse_kl(logs.numpy()))
    ours = F.concrete_kl(torch.tensor(0.3, dtype=torch.float64), weight, length=0.7)
    assert np.allclose(ours, tn.concrete_kl(0.3, weight.T.numpy(), length=0.7))


def test_concrete_dropout_at_extreme_logits() -> None:
    x, logit = torch.ones(1000), torch.tensor([-200.0, 200.0], requires_grad=True)
    for i, z in enumerate(logit):
        y = F.concrete_dropout(x, z, key=KEY)
        assert torch.equal(y, x if i == 0 else torch.zeros_like(x))
        y.sum().backward()
    assert bool(logit.grad.isfinite().all())


@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4)])
def test_r_drop(shape: tuple[int, ...]) -> None:
    first, second = some(2, *shape).requires_grad_().unbind()
    rows, d_first, d_second = tn.r_drop(*(t.detach().numpy().reshape(-1, 4) for t in (first, second)))
    ours = F.r_drop(first, second, reduction="none")
    assert np.allclose(ours.detach().numpy().ravel(), rows)
    grads = torch.autograd.grad(F.r_drop(first, second, reduction="sum"), (first, second))
    assert np.allclose(grads[0].numpy().reshape(-1, 4), d_first)
    assert np.allclose(grads[1].numpy().reshape(-1, 4), d_second)
    assert torch.allclose(F.r_drop(first, second), ours.mean())


def test_r_drop_leaves_masked_classes_out() -> None:
    first = torch.tensor([[0.0, 1.0, -math.inf]], requires_grad=True)
    second = torch.tensor([[1.0, 0.0, -math.inf]])
    loss = F.r_drop(first, second)
    loss.backward()
    assert torch.allclose(loss, F.r_drop(first[:, :2], second[:, :2]))
    assert bool(first.grad.isfinite().all())


# Attention


def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **more: Any) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, k, v, dropout_p=0.4, dropout_key=KEY, **more)


@pytest.mark.parametrize("how", ["plain", "causal", "bool mask", "added mask", "scale"])
def test_attention_is_the_formula(how: str) -> None:
    q, k, v = some(3, 2, 2, 5, 4).requires_grad_().unbind()
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    more: dict[str, Any] = {
        "plain": {},
        "causal": {"is_causal": True},
        "bool mask": {"attn_mask": mask},
        "added mask": {"attn_mask": some(5, 5)},
        "scale": {"scale": 0.3},
    }[how]
    y = attended(q, k, v, **more)
    scores = q @ k.mT * more.get("scale", 0.5)
    if how in ("causal", "bool mask"):
        scores = scores.masked_fill(~mask, -math.inf)
    elif how == "added mask":
        scores = scores + more["attn_mask"]
    weights = F.drop("AttentionDropout", scores.softmax(-1), 0.4, key=KEY)
    assert torch.allclose(y, weights @ v)
    numpys = tn.drop("AttentionDropout", scores.softmax(-1).detach().numpy(), 0.4, key=KEY)
    assert np.array_equal(weights.detach().numpy(), numpys)
    for mine, theirs in zip(
        torch.autograd.grad(y.square().sum(), (q, k, v)),
        torch.autograd.grad((weights @ v).square().sum(), (q, k, v)),
        strict=True,
    ):
        assert torch.allclose(mine, theirs)


@pytest.mark.filterwarnings("ignore:AttentionDropout. rate .* is rounded to 0")  # the general code
def test_attention_without_dropout_is_torchs() -> None:
    q, k, v = some(3, 2, 4, 5, 4).unbind()
    torchs = torch.nn.functional.scaled_dot_product_attention
    ours = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert torch.equal(ours, torchs(q, k, v, is_causal=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the rate is rounded to 0
        one = F.scaled_dot_product_attention(q, k[:, :2], v[:, :2], dropout_p=1e-9, enable_gqa=True)
    assert torch.allclose(one, torchs(q, k[:, :2], v[:, :2], enable_gqa=True))


def test_derivatives_of_attention() -> None:
    q, k, v = (t.requires_grad_() for t in some(3, 1, 2, 3, 2).unbind())
    assert torch.autograd.gradcheck(attended, (q, k, v), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(attended, (q, k, v), fast_mode=True)
    x = some(3, 1, 2, 3, 2)
    each = torch.vmap(attended, in_dims=(0, None, None))(x, k, v)
    assert torch.allclose(each[2], attended(x[2], k, v))


def test_attention_keeps_its_weights_once() -> None:
    q, k, v = (t.requires_grad_() for t in torch.randn(3, 1, 2, 64, 4).unbind())
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        attended(q, k, v)
    large = {tensor.data_ptr() for tensor in kept if tensor.numel() >= 2 * 64 * 64}
    assert len(large) == 1


@pytest.mark.filterwarnings("ignore")
def test_attention_is_compiled_whole() -> None:
    torch.compiler.reset()
    q, k, v = torch.randn(3, 1, 2, 8, 4).unbind()
    address = keys.to_tensor(KEY)

    def call(q: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.4, dropout_key=key)

    y = torch.compile(call, fullgraph=True, backend="aot_eager")(q.requires_grad_(), address)
    assert torch.allclose(y, attended(q, k, v), atol=1e-6)
    y.sum().backward()


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_what_is_refused(refusal: Callable[..., str]) -> None:
    def told(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
        return refusal(InputError, call, *arguments, **named)

    x, maps = torch.ones(2, 3), torch.ones(1, 2, 4, 4)
    assert told(F.concrete_dropout, x.int(), x).endswith("got int32; use x.float().")
    assert told(F.concrete_dropout, x, x, temperature=0).startswith("ConcreteDropout: temperature")
    assert told(F.standout, x, x, key=3).endswith("use thinnet.Key(0).")
    assert told(F.drop_head, x, 0.5).startswith("DropHead: x must have shape (n, heads, tokens, features)")
    assert told(F.drop_head, maps, 1.5) == "DropHead: p must be in [0, 1], got 1.5."
    assert told(F.shake_drop, torch.ones(()), 0.5).startswith("ShakeDrop: x must have shape")
    assert told(F.max_pool_dropout, x, 0.5).startswith("MaxPoolDropout: x must have shape")
    assert told(F.max_pool_dropout, maps, 0.5, kernel_size=0).startswith(
        "MaxPoolDropout: kernel_size must be"
    )
    assert told(F.max_pool_dropout, maps, 0.5, stride=0).startswith("MaxPoolDropout: stride must be")
    assert told(F.patch_dropout, x, 0.5).startswith("PatchDropout: x must have shape (n, tokens, features)")
    assert told(F.patch_dropout, x[None], 0.5, prefix=3).startswith(
        "PatchDropout: prefix must be a whole number in"
    )
    assert told(F.targeted_dropout, x, 0.5, target=2).startswith("TargetedDropout: target must be in")
    assert told(F.r_drop, x, x[:1]).startswith("RDrop: logits must both have shape")
    assert told(F.r_drop, x, x, reduction="median").startswith("RDrop: reduction must be")
    assert told(F.concrete_kl, torch.tensor(0.0), x[0]).startswith("concrete_kl: weight must have shape")
    attention = F.scaled_dot_product_attention
    assert told(attention, maps, maps, maps, dropout_p=2).endswith("dropout_p must be in [0, 1], got 2.")
    complaint = told(attention, maps, maps, maps, maps, is_causal=True, dropout_p=0.1)
    assert complaint.endswith("attn_mask must be None where is_causal is set.")
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    assert told(F.dropout, nested, 0.5).startswith("Dropout: x must be dense")
    quantised = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    assert told(F.dropout, quantised, 0.5).endswith("got qint8; use x.dequantize().")


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_queries_that_see_no_key_get_zeros(dtype: torch.dtype) -> None:
    q = torch.randn(1, 2, 4, 8, requires_grad=True)
    seen = torch.ones(4, 4, dtype=torch.bool)
    seen[1] = False
    mask = seen if dtype == torch.bool else torch.zeros(4, 4).masked_fill(~seen, -math.inf)
    y = F.scaled_dot_product_attention(q, q, q, mask, 0.5, dropout_key=Key(0))
    (dq,) = torch.autograd.grad(y.sum(), q)
    assert not y[:, :, 1].any()
    assert dq.isfinite().all()
    others = [0, 2, 3]
    rest = F.scaled_dot_product_attention(q, q, q, None, 0.5, dropout_key=Key(0))
    assert torch.allclose(y[:, :, others], rest[:, :, others])


def test_attention_under_autocast() -> None:
    inputs = [torch.randn(1, 2, 4, 8, requires_grad=True) for _ in range(3)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = F.scaled_dot_product_attention(*inputs, None, 0.5)
    y.sum().backward()
    assert y.dtype == torch.bfloat16
    assert all(x.grad is not None and x.grad.dtype == torch.float32 for x in inputs)


@pytest.mark.filterwarnings("ignore:AttentionDropout. rate .* is rounded to 0")  # the general code
def test_logits_of_halves_may_leave_their_range() -> None:
    q = torch.full((1, 1, 2, 64), 60.0, dtype=torch.float16)
    mask = torch.zeros(2, 2)  # of another dtype than the query, as torch's function takes it
    y = F.scaled_dot_product_attention(q, q, q, mask, 1e-6, scale=1.0, dropout_key=Key(0))
    assert torch.equal(y, q)


@pytest.mark.filterwarnings("ignore:AttentionDropout. rate .* is rounded to 0")  # the general code
def test_heads_of_keys_and_values_are_shared_each_by_itself() -> None:
    q, k, v = (torch.randn(1, heads, 3, 4) for heads in (8, 4, 2))
    y = F.scaled_dot_product_attention(q, k, v, None, 1e-6, enable_gqa=True)
    torch.testing.assert_close(y, nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True))
    with pytest.raises(InputError, match="must be a multiple"):
        F.scaled_dot_product_attention(q, k[:, :3], v, None, 0.5, enable_gqa=True)


@pytest.mark.parametrize("x", [[1.0], np.ones(3), None])
def test_what_is_no_tensor_is_said(x: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: F.dropout(x),
        lambda: F.dropout(x, training=False),
        lambda: F.concrete_dropout(x, torch.zeros(())),
        lambda: F.drop_head(x, 0.5),
        lambda: F.shake_drop(x, 0.5),
        lambda: F.scaled_dot_product_attention(x, x, x, None, 0.5),
    ]
    for call in calls:
        with pytest.raises(InputError, match="must be a"):
            call()


def test_pooling_takes_a_rate_in_evaluation_too() -> None:
    with pytest.raises(InputError, match="MaxPoolDropout: p must be in"):
        F.max_pool_dropout(torch.ones(1, 1, 2, 2), 1.5, training=False)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.neftune_noise(x, 5.0, key=KEY),
        lambda x: F.multi_sample_dropout(x, 0.5, key=KEY, samples=3).transpose(0, 1),
        lambda x: F.cutout(x[..., None], (3, 1), key=KEY),
    ],
)
def test_a_shard_draws_its_rows(call: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = some(6, 4, 5)
    expected = call(x)
    with tt.shard(global_batch=6, start=2, rows=3):
        assert torch.equal(call(x[2:5]), expected[2:5])
    with tt.shard(global_batch=6, start=0, rows=6):
        assert torch.equal(call(x), expected)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("ConcreteDropout: logit", lambda: F.concrete_dropout(some(2, 3), "a", key=Key(0))),
        ("Standout: logits", lambda: F.standout(some(2, 3), "a", key=Key(0))),
        ("VariationalDropout: log_alpha", lambda: F.variational_dropout(some(2, 3), "a", key=Key(0))),
        ("SparseVariationalDropout: log_alpha", lambda: F.sparse_prune(some(2, 3), "a")),
    ],
)
def test_texts_are_no_numbers(name: str, call: Callable[[], Any], refusal: Callable[..., str]) -> None:
    assert refusal(InputError, call) == f"{name} must be a tensor or a number, got 'a'."


def test_penalties_take_tensors(refusal: Callable[..., str]) -> None:
    words = "must be a torch.Tensor, got float; use torch.as_tensor"
    for call in (F.variational_kl, F.sparse_kl):
        line = refusal(InputError, call, 0.5)
        assert line == f"{call.__name__}: log_alpha {words}(log_alpha)."
    one, many = torch.tensor(0.0), some(3, 2)
    assert refusal(InputError, F.concrete_kl, 0.5, many) == f"concrete_kl: logit {words}(logit)."
    assert refusal(InputError, F.concrete_kl, one, 0.5) == f"concrete_kl: weight {words}(weight)."
    line = refusal(InputError, F.concrete_kl, one, many, length=-1)
    assert line == "concrete_kl: length must be a number of at least 0, got -1."
