"""Dropout in flex_attention: the masks are NumPy's in a window of one virtual array, the weights exact."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.backends.registry import lookup_backend
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

import thinnet as tn
import thinnet.torch as tt
from thinnet.errors import InputError
from thinnet.torch._ops.keys import to_tensor
from thinnet.torch._ops.scores import lane, table

# torch recommends to compile flex_attention, and names a function of its own that changes.
pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without", "ignore::FutureWarning")

KEY = tn.Key(2**63 + 11, 5)
SHAPE = (2**16, 2**10, 2**18, 2**18)
SIZE = (2, 4, 11, 13)  # batch, heads, queries, keys


def inputs(heads: int = 4, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    torch.manual_seed(0)
    batch, _, queries, tokens = SIZE
    shapes = (batch, 4, queries, 8), (batch, heads, tokens, 8), (batch, heads, tokens, 6)
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def kept(p: float, start: tuple[int, ...] = (0, 0, 0, 0), size: tuple[int, ...] = SIZE) -> torch.Tensor:
    lanes = tn.lanes(KEY, tn.Window(SHAPE, start, size))
    return torch.from_numpy(lanes >= round(p * 65536))


def dense(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, p: float, allowed: torch.Tensor | None = None
) -> torch.Tensor:
    """Return `drop(softmax(q @ k.mT / sqrt(e))) @ v` by its definition."""
    k, v = (x.repeat_interleave(4 // x.shape[1], 1) for x in (k, v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -1e300)
    weights = scores.softmax(-1)
    if allowed is not None:
        weights = weights * allowed
    keep = 1 - round(p * 65536) / 65536
    return (weights * kept(p) / (keep or 1)) @ v


@pytest.fixture(params=["as torch has it", "two passes"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the path of each device: on the CPU torch refuses backward, although its operations have it."""
    if request.param == "two passes":
        monkeypatch.setattr(tt.flex, "_is_refused", lambda *tensors, **more: False)
        derive_flex_attention(monkeypatch)


def derive_flex_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        importlib.import_module(flex_attention.__module__), "_validate_device", lambda *tensors: None
    )


def check_gradients(out: torch.Tensor, want: torch.Tensor, tensors: list[torch.Tensor]) -> None:
    torch.testing.assert_close(out, want)
    weight = torch.randn_like(want)
    ours = torch.autograd.grad(out, tensors, weight)
    torch.testing.assert_close(ours, torch.autograd.grad(want, tensors, weight))


def test_lanes_are_those_of_the_virtual_array() -> None:
    ends = [torch.tensor([0, 1, n // 2 + 1, n - 1]) for n in SHAPE[:3]]
    places = torch.meshgrid(*ends, torch.arange(2**18 - 20, 2**18), indexing="ij")
    for key in (KEY, tn.Key(7)):
        drawn = lane(table(to_tensor(key), torch.tensor(0), "cpu"), *places)
        for i in np.ndindex(4, 4, 4):
            start = tuple(int(place[(*i, 0)]) for place in places)
            want = tn.lanes(key, tn.Window(SHAPE, start, (1, 1, 1, 20)))
            assert np.array_equal(drawn[i].numpy(), want[0, 0, 0])


@pytest.mark.parametrize("key", [KEY, to_tensor(KEY)], ids=["key", "tensor"])
def test_drop_key_is_the_row_in_a_window(key: Any) -> None:
    x = torch.randn(SIZE)
    window = tn.Window(SHAPE, (0, 0, 0, 0), SIZE)
    want = tn.drop("DropKey", x.numpy(), 0.3, key=KEY, window=window)
    ours = tt.functional.drop("DropKey", x, 0.3, key=key, window=window)
    places = torch.meshgrid(*map(torch.arange, SIZE), indexing="ij")
    dropped = tt.flex.drop_key(key, 0.3)(x, *places)
    assert torch.equal(dropped.isneginf(), torch.from_numpy(want == np.finfo(np.float32).min))
    assert torch.equal(dropped.clamp(min=torch.finfo(x.dtype).min), ours)


def test_a_start_is_that_of_the_window() -> None:
    start, size = (3, 2, 70_000, 131_071), (1, 2, 3, 9)
    places = torch.meshgrid(*map(torch.arange, size), indexing="ij")
    dropped = tt.flex.drop_key(KEY, 0.5, start=start)(torch.zeros(size), *places)
    assert torch.equal(~dropped.isneginf(), kept(0.5, start, size))


def test_drop_key_in_flex_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    derive_flex_attention(monkeypatch)
    q, k, v = inputs()
    scores = (q @ k.mT / math.sqrt(8)).masked_fill(~kept(0.3), -math.inf)
    out = flex_attention(q, k, v, score_mod=tt.flex.drop_key(KEY, 0.3))
    check_gradients(out, scores.softmax(-1) @ v, [q, k, v])


def test_masks_do_not_depend_on_the_sizes() -> None:
    q, k, v = (x.detach() for x in inputs())
    call = {"score_mod": tt.flex.drop_key(KEY, 0.3)}
    whole = flex_attention(q, k, v, **call)
    torch.testing.assert_close(flex_attention(q[:1, :2, :5], k[:1, :2], v[:1, :2], **call), whole[:1, :2, :5])


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("p", [0.3, 0.9, 1.0])
def test_attention_is_the_dense_definition(p: float) -> None:
    q, k, v = inputs()
    assert p < 0.9 or bool((~kept(p)).all(-1).any())  # some query loses all its keys
    check_gradients(tt.flex.attention(q, k, v, dropout_p=p, dropout_key=KEY), dense(q, k, v, p), [q, k, v])


@pytest.mark.usefixtures("path")
def test_attention_with_shared_heads_and_a_block_mask() -> None:
    q, k, v = inputs(heads=2)
    allowed = (torch.arange(11)[:, None] >= torch.arange(13)) & (torch.arange(11)[:, None] != 4)
    mask = create_block_mask(lambda b, h, i, j: (i >= j) & (i != 4), None, None, 11, 13, device="cpu")
    out = tt.flex.attention(q, k, v, block_mask=mask, enable_gqa=True, dropout_p=0.4, dropout_key=KEY)
    check_gradients(out, dense(q, k, v, 0.4, allowed), [q, k, v])
    assert not out[:, :, 4].any()


@pytest.mark.usefixtures("path")
def test_attention_drops_after_a_score_mod() -> None:
    q, k, v = inputs()
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)

    def change(score: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
        return score * 0.5 + bias[h] * (i - j)

    out = tt.flex.attention(q, k, v, change, None, 0.25, dropout_p=0.3, dropout_key=KEY)
    places = torch.arange(11)[:, None] - torch.arange(13)
    scores = q @ k.mT * 0.25 * 0.5 + bias[:, None, None] * places
    check_gradients(
        out, (scores.softmax(-1) * kept(0.3) / (1 - round(0.3 * 65536) / 65536)) @ v, [q, k, v, bias]
    )


def test_attention_without_dropout_is_torchs() -> None:
    q, k, v = inputs()
    score_mod = tt.flex.drop_key(KEY, 0.3)
    with torch.no_grad():
        want = flex_attention(q.detach(), k.detach(), v.detach(), score_mod)
        assert torch.equal(tt.flex.attention(q, k, v, score_mod), want)
    scores = (q @ k.mT / math.sqrt(8)).masked_fill(~kept(0.3), -math.inf)
    check_gradients(tt.flex.attention(q, k, v, score_mod), scores.softmax(-1) @ v, [q, k, v])


def test_the_default_key_is_torchs_generators() -> None:
    q, k, v = inputs()
    torch.manual_seed(3)
    first = tt.flex.attention(q, k, v, dropout_p=0.5)
    second = tt.flex.attention(q, k, v, dropout_p=0.5)
    torch.manual_seed(3)
    assert torch.equal(first, tt.flex.attention(q, k, v, dropout_p=0.5))
    assert not torch.equal(first, second)


def test_a_shard_draws_its_rows() -> None:
    q, k, v = (x.detach() for x in inputs())
    whole = tt.flex.attention(q, k, v, dropout_p=0.5, dropout_key=KEY)
    with tt.shard(global_batch=2, start=1, rows=1):
        part = tt.flex.attention(q[1:], k[1:], v[1:], dropout_p=0.5, dropout_key=KEY)
    torch.testing.assert_close(part, whole[1:])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # when torch's compiler is imported
def test_compiled_drop_key_takes_new_keys() -> None:
    q, k, v = (x.detach().float() for x in inputs())
    numbers = [to_tensor(KEY), to_tensor(tn.Key(3).at(2))]
    graphs: list[Any] = []

    def backend(graph: Any, given: Any) -> Any:
        graphs.append(graph)
        return lookup_backend("inductor")(graph, given)

    @torch.compile(backend=backend, fullgraph=True)
    def run(key: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return flex_attention(q, k, v, score_mod=tt.flex.drop_key(key, p))

    for key, p in ((numbers[0], 0.3), (numbers[1], 0.3), (numbers[1], 0.6)):
        want = flex_attention(q, k, v, score_mod=tt.flex.drop_key(key, p))
        torch.testing.assert_close(run(key, torch.tensor(p)), want)
    assert len(graphs) == 1


def test_compiled_attention_has_the_same_masks_and_gradients() -> None:
    tensors = inputs()

    @torch.compile(backend="aot_eager", fullgraph=True)
    def run(q: Any, k: Any, v: Any, key: Any) -> torch.Tensor:
        return tt.flex.attention(q, k, v, lambda score, b, h, i, j: score - h, dropout_p=0.3, dropout_key=key)

    check_gradients(run(*tensors, to_tensor(KEY)), dense(*tensors, 0.3), tensors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes(dtype: torch.dtype) -> None:
    q, k, v = (x.detach() for x in inputs(dtype=dtype))
    out = tt.flex.attention(q, k, v, dropout_p=torch.tensor(0.3), dropout_key=KEY)
    assert out.dtype == dtype
    wide = dense(*(x.double() for x in (q, k, v)), 0.3)
    torch.testing.assert_close(out.double(), wide, atol=30 * torch.finfo(dtype).eps, rtol=0.02)


def test_checks() -> None:
    q, k, v = inputs()
    for call in (
        lambda: tt.flex.drop_key(KEY, 1.5),
        lambda: tt.flex.drop_key(3, 0.5),  # pyright: ignore[reportArgumentType]
        lambda: tt.flex.drop_key(None, 0.5),  # pyright: ignore[reportArgumentType]
        lambda: tt.flex.drop_key(KEY, torch.tensor([0.5])),
        lambda: tt.flex.drop_key(KEY, torch.tensor(math.nan)),
        lambda: tt.flex.drop_key(KEY, 0.5, start=(0, 0, 0, 2**18)),
        lambda: tt.flex.attention(q[0], k[0], v[0], dropout_p=0.5),
        lambda: tt.flex.attention(q, k, v, dropout_p=math.nan),
        lambda: tt.flex.attention(q, k, v, dropout_p=0.5, start=(2**16 - 1, 0, 0, 0)),
    ):
        with pytest.raises(InputError):
            call()
