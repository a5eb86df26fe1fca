"""Modules that drop weights, embeddings and tokens, and those that learn their rate."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import thinnet as tn
import thinnet.torch as tt
from thinnet.errors import InputError
from thinnet.torch._internals import FORCED

F = tt.functional


def weight_key(model: nn.Module, seed: int = 0) -> Any:
    (key,) = tt.seed(model, seed).values()
    return key.fold(0)


LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Linear(6, 4), (3, 6)),
    (nn.Conv1d(2, 4, 3), (3, 2, 8)),
    (nn.Conv2d(2, 4, 3), (3, 2, 8, 8)),
    (nn.Conv3d(2, 4, 3), (3, 2, 4, 4, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: type(value).__name__)
def test_drop_connect(layer: nn.Module, shape: tuple[int, ...]) -> None:
    plain = copy.deepcopy(layer)
    wrapped = tt.DropConnect(copy.deepcopy(layer), 0.3)
    x = torch.randn(shape)
    key = weight_key(wrapped)
    y = wrapped(x)
    with torch.no_grad():
        plain.weight.copy_(F.drop("DropConnect", layer.weight, 0.3, key=key))
    assert torch.equal(y, plain(x))
    y.sum().backward()
    original = wrapped.module.parametrizations.weight.original
    assert torch.equal(original.grad == 0, plain.weight == 0)
    assert torch.equal(wrapped.eval()(x), layer(x))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_weight_drop_of_recurrent_layers(kind: Any) -> None:
    plain = kind(4, 8)
    wrapped = tt.WeightDrop(copy.deepcopy(plain), 0.5, weights=["weight_hh_l0"])
    x = torch.randn(5, 2, 4)
    key = weight_key(wrapped)
    y = wrapped(x)[0]
    y.sum().backward()
    dropped = F.drop("WeightDrop", plain.weight_hh_l0.detach(), 0.5, key=key)
    expected = copy.deepcopy(plain)
    with torch.no_grad():
        expected.weight_hh_l0.copy_(dropped)
    assert torch.equal(y, expected(x)[0])
    assert torch.equal(wrapped.module.parametrizations.weight_hh_l0.original.grad == 0, dropped == 0)
    assert torch.equal(wrapped.eval()(x)[0], plain(x)[0])
    again = copy.deepcopy(wrapped)  # also after a forward
    file = io.BytesIO()
    torch.save(wrapped.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again(x)[0], plain(x)[0])
    wrapped.p = 0.0
    assert torch.equal(wrapped.train()(x)[0], plain(x)[0])


def test_weight_drop_of_several_weights() -> None:
    wrapped = tt.WeightDrop(nn.LSTM(4, 8, 2), 0.5, weights=["weight_hh_l0", "weight_hh_l1"])
    assert list(tt.seed(wrapped, 0)) == [f"module.parametrizations.weight_hh_l{i}.0" for i in (0, 1)]
    assert not torch.equal(wrapped(torch.ones(3, 1, 4))[0], wrapped(torch.ones(3, 1, 4))[0])


@pytest.mark.parametrize("units", [False, True])
def test_targeted_dropout(units: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(40, 20)
    wrapped = tt.TargetedDropout(layer, 0.5, target=0.6, units=units)
    weight = wrapped.module.parametrizations.weight.original.detach().clone()
    expected = F.targeted_dropout(weight, 0.5, target=0.6, units=units, key=weight_key(wrapped))
    x = torch.randn(3, 40)
    assert torch.equal(wrapped(x), nn.functional.linear(x, expected, layer.bias))
    gone = (expected == 0).float().mean().item()
    assert 0.2 < gone < 0.4
    assert torch.equal(wrapped.eval()(x), nn.functional.linear(x, weight, layer.bias))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_embedding_dropout_is_that_of_the_table(dtype: torch.dtype) -> None:
    table = nn.Embedding(30, 4, padding_idx=2, dtype=dtype)
    module = tt.EmbeddingDropout(table, 0.5)
    words = torch.randint(30, (7, 9))
    y = module(words) if (key := weight_key(module)) else None
    dropped = F.drop("EmbeddingDropout", table.weight.detach(), 0.5, key=key)
    assert torch.equal(y, dropped[words])
    y.float().sum().backward()
    assert bool((table.weight.grad[2] == 0).all())
    assert torch.equal(module.eval()(words), table(words))


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_embedding_dropout_has_the_bits_of_numpy(dtype: torch.dtype, p: float) -> None:
    special = torch.tensor([1.0, -1.0, 0.0, -0.0, torch.inf, -torch.inf, torch.nan], dtype=dtype)
    table = nn.Embedding.from_pretrained(special.expand(40, 7).clone(), freeze=False)
    module, words = tt.EmbeddingDropout(table, p), torch.arange(40)
    key = weight_key(module)
    y = module(words)
    whole = tn.drop("EmbeddingDropout", table.weight.detach().numpy(), p, key=key)
    assert np.array_equal(np.signbit(y.detach().numpy()), np.signbit(whole))
    assert np.array_equal(y.detach().numpy(), whole, equal_nan=True)
    y.backward(torch.full_like(y, torch.nan))
    dropped = torch.from_numpy(whole[:, 0] == 0)
    assert bool((table.weight.grad[dropped] == 0).all())
    assert not bool(table.weight.grad[dropped].signbit().any())


def test_branches() -> None:
    x = torch.randn(40, 3, 2)
    depth = tt.StochasticDepth(0.5)
    drawn = torch.stack([depth(x) for _ in range(40)])
    alive = drawn.abs().sum((1, 2, 3)) > 0
    assert 5 < alive.sum() < 35
    assert all(torch.equal(y, 2 * x) for y in drawn[alive])
    row = tt.StochasticDepth(0.5, "row")
    key = weight_key(row)
    assert torch.equal(row(x), F.drop("DropPath", x, 0.5, key=key))
    assert depth.eval()(x) is x
    shake = tt.ShakeDrop(0.5)
    key = weight_key(shake)
    assert torch.equal(shake(x), F.shake_drop(x, 0.5, key=key))
    with tt.shard(global_batch=80, start=40, rows=40):
        key = weight_key(depth.train())
        assert torch.equal(depth(x), F.drop("DropPath", x[None], 0.5, key=key, window=whole(x)).squeeze(0))


def whole(x: torch.Tensor) -> Any:
    from thinnet import Window

    return Window.whole((1, *x.shape))


def test_attention_tokens_and_pools() -> None:
    maps = torch.rand(4, 6, 8, 8)
    for module, call in (
        (tt.DropHead(0.4), lambda k: F.drop_head(maps, 0.4, key=k)),
        (tt.DropKey(0.4), lambda k: F.drop("DropKey", maps, 0.4, key=k)),
        (tt.MaxPoolDropout2d(2, p=0.4), lambda k: F.max_pool_dropout(maps, 0.4, key=k)),
    ):
        key = weight_key(module)
        assert torch.equal(module(maps), call(key))
        assert not torch.equal(module(maps), call(key))
    tokens = torch.rand(4, 9, 3)
    patches = tt.PatchDropout(0.5)
    key = weight_key(patches)
    assert torch.equal(patches(tokens), F.patch_dropout(tokens, 0.5, prefix=1, key=key)[0])
    assert patches.eval()(tokens) is tokens
    weights = tt.DropKey(0.9)(maps).softmax(-1)
    assert torch.allclose(weights.sum(-1), torch.ones(4, 6, 8))


# What learns its rate


def test_concrete_dropout_learns_its_rate() -> None:
    torch.manual_seed(0)
    drop, layer = tt.ConcreteDropout(0.3), nn.Linear(8, 1)
    x = torch.randn(200, 8)
    y = x.sum(1, keepdim=True)
    optimizer = torch.optim.Adam([*drop.parameters(), *layer.parameters()], 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = (layer(drop(x)) - y).square().mean() + drop.kl(layer.weight, length=1e-3) / len(x)
        loss.backward()
        optimizer.step()
    assert drop.p < 0.1  # nothing is to be gained from noise here
    assert drop.eval()(x) is x


def test_variational_layers_draw_sums() -> None:
    torch.manual_seed(0)
    for made, single in (
        (tt.VariationalLinear(6, 5, p=0.3), torch.randn(3, 6)),
        (tt.SparseVariationalLinear(6, 5), torch.randn(3, 6)),
        (tt.SparseVariationalConv2d(2, 5, 3, padding=1), torch.randn(3, 2, 6, 6)),
    ):
        layer, x = made.double(), single.double()
        if isinstance(layer, tt.VariationalLinear):
            variance = (layer.log_alpha.exp() * layer.weight**2).detach()
        else:
            nn.init.constant_(layer.log_sigma2, -2.0)
            variance = torch.full_like(layer.weight, torch.tensor(-2.0).exp())
        with torch.no_grad():  # each row has its own noise
            drawn = layer(x.repeat(3000, *(1,) * (x.dim() - 1))).unflatten(0, (3000, len(x)))
            assert not torch.equal(layer(x), layer(x))
        mean = layer.eval()(x).detach()
        other = copy.deepcopy(layer).train()
        plain = nn.functional.linear if x.dim() == 2 else lambda x, w: nn.functional.conv2d(x, w, padding=1)
        spread = plain(x.square(), variance).sqrt()
        assert ((drawn.mean(0) - plain_forward(layer, x)).abs() / spread).max() < 0.12
        assert ((drawn.std(0) / spread) - 1).abs().max() < 0.08
        assert mean.shape == drawn[0].shape
        loss = other(x).square().sum() + other.kl()
        loss.backward()
        assert all(bool(p.grad.isfinite().all()) and bool((p.grad != 0).any()) for p in other.parameters())


def plain_forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, nn.Conv2d):
        return nn.functional.conv2d(x, layer.weight, layer.bias, padding=1).detach()
    return nn.functional.linear(x, layer.weight, layer.bias).detach()


def test_sparse_layers_prune() -> None:
    torch.manual_seed(0)
    layer = tt.SparseVariationalLinear(20, 1)
    x = torch.randn(400, 20)
    y = x[:, :3].sum(1, keepdim=True)  # three inputs of twenty matter
    optimizer = torch.optim.Adam(layer.parameters(), 0.03)
    for step in range(600):
        optimizer.zero_grad()
        loss = 20 * (layer(x) - y).square().mean() + min(1.0, step / 200) * layer.kl() / 20
        loss.backward()
        optimizer.step()
    assert layer.mask[0, :3].all()
    assert layer.mask.float().mean() < 0.5
    assert torch.equal(layer.eval()(x), nn.functional.linear(x, layer.weight * layer.mask, layer.bias))


def test_standout() -> None:
    x, logits = torch.randn(5, 6), torch.randn(5, 6)
    module = tt.Standout(alpha=0.5, beta=1.0)
    key = weight_key(module)
    assert torch.equal(module(x, logits), F.standout(x, logits, alpha=0.5, beta=1.0, key=key))
    assert repr(module) == "Standout(alpha=0.5, beta=1.0)"


def test_what_is_refused(refusal: Callable[..., str]) -> None:
    linear = nn.Linear(2, 2)
    assert refusal(InputError, tt.DropConnect, nn.ReLU()).endswith(
        "must be a Linear or Conv layer, got ReLU."
    )
    assert refusal(InputError, tt.WeightDrop, linear, weights="wait").endswith(
        "has no parameter 'wait'; it has ['weight', 'bias']."
    )
    assert refusal(InputError, tt.DropConnect, linear, 1.5) == "DropConnect: p must be in [0, 1], got 1.5."
    assert refusal(InputError, tt.TargetedDropout, linear, 0.5, target=3).startswith(
        "TargetedDropout: target"
    )
    assert refusal(InputError, tt.ConcreteDropout, 1.0).endswith("p must be a number in (0, 1), got 1.0.")
    for p in (0.7, 0.0, "a"):
        assert refusal(InputError, tt.VariationalLinear, 2, 2, p=p).startswith(
            "VariationalLinear: p must be a number in (0, 0.5], got "
        )
    for name in ("alpha", "beta"):
        assert refusal(InputError, tt.Standout, **{name: "a"}).startswith(f"Standout: {name} must be")
    for kind in (tt.SparseVariationalLinear, tt.SparseVariationalConv2d):
        sizes = (2, 2, 1)[: 2 + (kind is tt.SparseVariationalConv2d)]
        assert refusal(InputError, kind, *sizes, threshold="a").startswith(f"{kind.__name__}: threshold must")
        assert refusal(InputError, kind, *sizes, threshold=float("nan")).endswith("got nan.")
    assert refusal(InputError, tt.ZoneoutGRUCell, 2, 2, p=-1).startswith("ZoneoutGRUCell: p must be in")
    assert refusal(InputError, tt.ZoneoutLSTMCell, 2, 2, p_cell="a").startswith(
        "ZoneoutLSTMCell: p_cell must"
    )
    assert refusal(InputError, tt.VariationalLSTM, 2, 2, p_input=2).startswith(
        "VariationalLSTM: p_input must"
    )
    assert refusal(InputError, tt.StochasticDepth, 0.5, "all").startswith(
        'StochasticDepth: mode must be "batch"'
    )
    assert refusal(InputError, tt.ConcreteDropout, temperature=0).endswith("greater than 0, got 0.")
    assert refusal(InputError, tt.EmbeddingDropout, 3).endswith("must be a torch.nn.Embedding, got int.")
    assert refusal(InputError, tt.MaxPoolDropout2d, 0).startswith("MaxPoolDropout2d: kernel_size must be")
    assert refusal(InputError, tt.PatchDropout, 0.5, -1).startswith("PatchDropout: prefix must be a whole")
    assert refusal(InputError, tt.WeightDrop, None).endswith("must be a torch.nn.Module, got NoneType.")
    assert refusal(InputError, tt.ShakeDrop, True).endswith("p must be a number in [0, 1], got True.")


MAPS, ROWS = torch.rand(4, 2, 8, 8), torch.randn(4, 8)
COMPILED: dict[str, tuple[Callable[[], nn.Module], tuple[torch.Tensor, ...]]] = {
    "ConcreteDropout": (lambda: tt.ConcreteDropout(0.2), (ROWS,)),
    "Standout": (tt.Standout, (ROWS, ROWS)),
    "ShakeDrop": (tt.ShakeDrop, (ROWS,)),
    "DropHead": (tt.DropHead, (MAPS,)),
    "PatchDropout": (tt.PatchDropout, (MAPS[:, 0],)),
    "MaxPoolDropout2d": (lambda: tt.MaxPoolDropout2d(2), (MAPS,)),
    "EmbeddingDropout": (lambda: tt.EmbeddingDropout(nn.Embedding(9, 4)), (torch.arange(9),)),
    "VariationalLinear": (lambda: tt.VariationalLinear(8, 4), (ROWS,)),
    "SparseVariationalLinear": (lambda: tt.SparseVariationalLinear(8, 4), (ROWS,)),
    "SparseVariationalConv2d": (lambda: tt.SparseVariationalConv2d(2, 4, 3), (MAPS,)),
    "TargetedDropout": (lambda: tt.TargetedDropout(nn.Linear(8, 4)), (ROWS,)),
    "DropConnect": (lambda: tt.DropConnect(nn.Linear(8, 4)), (ROWS,)),
    "ZoneoutLSTMCell": (lambda: tt.ZoneoutLSTMCell(8, 4), (ROWS,)),
    "ZoneoutGRUCell": (lambda: tt.ZoneoutGRUCell(8, 4), (ROWS,)),
    "StochasticDepth": (lambda: tt.StochasticDepth(0.3), (ROWS,)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_whole_once_and_with_the_same_masks(name: str) -> None:
    torch.compiler.reset()
    make, inputs = COMPILED[name]
    module, graphs = make(), 0

    def backend(graph: Any, _: Any) -> Any:
        nonlocal graphs
        graphs += 1
        return graph.forward

    compiled = torch.compile(module, fullgraph=True, backend=backend)
    answers = []
    for call in (module, compiled):
        tt.seed(module, 0)
        answers.append([first(call(*inputs)) for _ in range(3)])
    assert graphs == 1
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*answers, strict=True))
    assert torch.equal(first(compiled.eval()(*inputs)), first(module.eval()(*inputs)))


@pytest.mark.parametrize("name", COMPILED)
def test_traced_as_one_node(name: str) -> None:
    make, inputs = COMPILED[name]

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = make()

        def forward(self, x: torch.Tensor, logits: Any = None) -> Any:
            return self.inner(x) if len(inputs) == 1 else self.inner(x, logits)

    model = Around()
    traced = torch.fx.symbolic_trace(model)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["inner"]
    answers = []
    for call in (model, traced):
        tt.seed(model, 0)
        answers.append([first(call(*inputs)) for _ in range(20)])
    assert all(torch.equal(a, b) for a, b in zip(*answers, strict=True))
    assert not all(torch.equal(y, answers[0][0]) for y in answers[0])
    model.eval()
    assert torch.equal(first(traced.eval()(*inputs)), first(model(*inputs)))


def first(y: Any) -> torch.Tensor:
    return y[0] if isinstance(y, tuple) else y


@pytest.mark.skipif(FORCED, reason="no public name of PyTorch surrounds a move; the fallback spends a key")
def test_recurrent_weights_that_are_moved_stay_leaves_and_spend_no_key() -> None:
    layer = tt.WeightDrop(nn.LSTM(3, 4), 0.5)
    tt.seed(layer, 0)
    moved = copy.deepcopy(layer).to(torch.float64).to(torch.float32)
    copy.deepcopy(moved)
    x = torch.ones(2, 1, 3)
    assert torch.equal(moved(x)[0], layer(x)[0])


def test_empty_batches_and_no_tokens() -> None:
    assert F.shake_drop(torch.ones(0, 3), 0.5).shape == (0, 3)
    assert F.shake_drop(torch.ones(3, 0), 0.5).shape == (3, 0)
    assert F.drop_head(torch.ones(2, 3, 0, 4), 0.5).shape == (2, 3, 0, 4)


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
@pytest.mark.parametrize("padding", [(1, 2), "same", "valid"])
def test_a_sparse_convolution_pads_as_torch_does(mode: str, padding: Any) -> None:
    sizes = {"padding": padding, "padding_mode": mode, "dilation": (1, 2)}
    plain = nn.Conv2d(2, 3, (4, 3), **sizes)
    sparse = tt.SparseVariationalConv2d(2, 3, (4, 3), threshold=300.0, **sizes).eval()
    sparse.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(2, 2, 9, 8)
    assert torch.equal(sparse(x), plain(x))


def test_names_of_weights_are_a_list(refusal: Callable[..., str]) -> None:
    lstm = nn.LSTM(3, 3)
    line = refusal(InputError, tt.WeightDrop, lstm, weights=3)
    assert line == "WeightDrop: weights must be a list of texts, got 3."
    line = refusal(InputError, tt.WeightDrop, lstm, weights=[])
    assert line == "WeightDrop: weights must name at least one parameter, got none."


PICKLED: list[tuple[Callable[[], Any], tuple[int, ...]]] = [
    (lambda: tt.WeightDrop(nn.LSTM(4, 8, 2), 0.5, weights=["weight_hh_l0", "weight_hh_l1"]), (5, 2, 4)),
    (lambda: tt.WeightDrop(nn.GRU(4, 8), 0.5), (5, 2, 4)),
    (lambda: tt.DropConnect(nn.Linear(4, 3), 0.4), (2, 4)),
    (lambda: tt.TargetedDropout(nn.Conv1d(4, 3, 2), 0.4, units=True), (2, 4, 6)),
]


@pytest.mark.parametrize("used", [False, True], ids=["new", "after a forward"])
@pytest.mark.parametrize(("make", "shape"), PICKLED)
def test_wrappers_of_weights_are_pickled(make: Callable[[], Any], shape: tuple[int, ...], used: bool) -> None:
    model, x = nn.Sequential(make()), torch.randn(shape)
    tt.seed(model, 0)
    if used:
        model(x)
    other = pickle.loads(pickle.dumps(model))
    assert type(other[0]) is type(model[0])
    assert isinstance(other[0].module, type(model[0].module).__bases__[0])
    assert other.training
    assert model[0].extra_repr() == other[0].extra_repr()
    for mode in (True, False):
        ours, theirs = ((each.train(mode)(x), list(each.parameters())) for each in (model, other))
        torch.testing.assert_close(theirs, ours, rtol=0, atol=0)
    model[0].p = 0.25
    assert other[0].p != 0.25
    pickle.loads(pickle.dumps(other)).to(torch.float64)(x.double())


def test_a_weight_without_axes_is_refused(refusal: Callable[..., str]) -> None:
    assert refusal(InputError, F.targeted_dropout, torch.tensor(1.0), 0.5) == (
        "TargetedDropout: weight must have shape (outputs, …), got ()."
    )
