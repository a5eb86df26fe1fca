"""Modules: torch's where torch has one, and the others."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn

import thinnet as tn
import thinnet.torch as tt
from thinnet import CATALOGUE, Key
from thinnet.errors import InputError
from thinnet.torch._modules.base import Keyed
from thinnet.variants._beyond import FUNCTIONS
from thinnet.variants._guide import example_shape
from thinnet.variants._variant import PASSED

F = tt.functional

# Forward-mode derivatives make torch call what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated")

MIRRORED = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
SHAPES = {
    "Dropout1d": (4, 6, 5),
    "Dropout2d": (4, 6, 5, 5),
    "Dropout3d": (4, 6, 3, 3, 3),
    "FeatureAlphaDropout": (4, 6, 5),
}
EVERY = pytest.mark.parametrize("name", MIRRORED)


def tensor(name: str) -> torch.Tensor:
    return torch.randn(SHAPES.get(name, (40, 30)), generator=torch.Generator().manual_seed(2))


@EVERY
def test_a_module_of_torchs_with_another_forward(name: str, refusal: Callable[..., str]) -> None:
    ours, theirs = getattr(tt, name), getattr(nn, name)
    assert issubclass(ours, theirs)
    for arguments in ({}, {"p": 0.25}, {"p": 1.0, "inplace": True}):
        assert repr(ours(**arguments)) == repr(theirs(**arguments))
        assert dict(ours(**arguments).state_dict()) == {}
    for wrong in (-0.1, 1.1, "a", True):
        line = refusal(InputError, ours, wrong)
        assert line == refusal(InputError, tt.Drop, name, wrong)
        assert line.startswith(f"{name}: p must be")


@EVERY
def test_training_and_evaluation(name: str) -> None:
    module, x = getattr(tt, name)(0.5), tensor(name)
    assert module.eval()(x) is x
    module.train()
    torch.manual_seed(0)
    y = module(x)
    torch.manual_seed(0)
    assert torch.equal(module(x), y)
    assert not torch.equal(module(x), y)
    assert torch.equal(getattr(tt, name)(0.0)(x), x)
    gone = getattr(tt, name)(1.0)(x)
    assert torch.equal(gone, torch.zeros_like(x))


@EVERY
def test_in_place(name: str) -> None:
    module, x = getattr(tt, name)(0.5, inplace=True), tensor(name)
    y = module(x)
    assert y is x
    leaf = tensor(name).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf"):
        module(leaf)
    inner = leaf * 1
    module(inner).sum().backward()
    assert leaf.grad is not None


@EVERY
def test_the_law_is_torchs(name: str) -> None:
    ours, theirs, x = getattr(tt, name)(0.3), getattr(nn, name)(0.3), tensor(name)
    values = [torch.stack([module(x) for _ in range(600)]).double() for module in (ours, theirs)]
    for moment in (lambda v: v.mean(0), lambda v: v.square().mean(0)):
        mine, other = map(moment, values)
        assert (mine - other).mean().abs() < 0.02
    assert torch.corrcoef(torch.stack([v.std(0).flatten() for v in values]))[0, 1] > 0.9


def test_three_axes_are_read_as_torch_reads_them() -> None:
    module, x = tt.Dropout2d(0.5), torch.ones(6, 20, 5)
    key = tt.seed(module, 0)[""].fold(0)
    assert torch.equal(module(x), tt.functional.drop("Dropout1d", x, 0.5, key=key))
    with pytest.warns(UserWarning, match="interpreted as shape"):
        theirs = nn.Dropout2d(0.5)(x)
    assert torch.equal(theirs, theirs[:, :, :1].expand_as(theirs))


@pytest.mark.parametrize("name", ["Dropout1d", "Dropout3d"])
def test_one_sample_without_its_axis(name: str) -> None:
    module, x = getattr(tt, name)(0.5), tensor(name)[0]
    torch.manual_seed(1)
    y = module(x)
    torch.manual_seed(1)
    assert torch.equal(y, module(x[None])[0])
    module.inplace = True
    torch.manual_seed(1)
    assert module(x) is x
    assert torch.equal(x, y)
    assert module.eval()(x) is x


@EVERY
def test_copies_and_files(name: str) -> None:
    module, x = getattr(tt, name)(0.4), tensor(name)
    other = copy.deepcopy(module)
    model = nn.Sequential(nn.Linear(3, 3), module)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    model.load_state_dict(torch.load(file, weights_only=True))
    torch.manual_seed(0)
    y = other(x)
    torch.manual_seed(0)
    assert torch.equal(module(x), y)


@EVERY
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
def test_gradients(name: str, training: bool, inplace: bool) -> None:
    module = getattr(tt, name)(0.5, inplace=inplace).train(training)
    x = torch.randn((2, 3, 2, 2, 2)[: len(SHAPES.get(name, (1, 1)))], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(seeded(module), (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(seeded(module), (x,))


def seeded(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    def call(x: torch.Tensor) -> torch.Tensor:
        torch.default_generator.manual_seed(3)
        return module(x.clone())

    return call


@pytest.mark.parametrize(
    "row", [r for r in CATALOGUE.values() if r.other not in PASSED], ids=lambda row: row.name
)
def test_any_variant_as_a_module(row: Any) -> None:
    module = tt.Drop(row.name)
    assert module.p == row.usual
    x = torch.randn(example_shape(row))
    y = module(x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    gain, _ = row.mean_of(row.usual)
    assert torch.allclose(module.eval()(x), gain * x)


def test_names_of_the_others() -> None:
    assert repr(tt.DropBlock2d(0.2, 3)) == "DropBlock2d(p=0.2, block=3)"
    assert repr(tt.GaussianDropout()) == "GaussianDropout(p=0.5)"
    torch.manual_seed(0)
    y = tt.DropPath(0.5)(torch.ones(200, 3))
    assert torch.equal(y, y[:, :1].expand(200, 3))
    y = tt.LockedDropout(0.5)(torch.ones(4, 9, 50))
    assert torch.equal(y, y[:, :1].expand(4, 9, 50))


def test_locked_dropout_takes_the_time_first() -> None:
    by_batch, by_time = nn.Sequential(tt.LockedDropout()), nn.Sequential(tt.LockedDropout(batch_first=False))
    for model in (by_batch, by_time):
        tt.seed(model, 0)
    x = torch.randn(9, 4, 50)  # (time, n, features)
    y = by_time(x)
    assert torch.equal(y, by_batch(x.transpose(0, 1)).transpose(0, 1))
    dropped = y == 0
    assert torch.equal(dropped, dropped[:1].expand(9, 4, 50))
    assert not torch.equal(dropped[:, 0], dropped[:, 1])
    assert repr(by_time[0]) == "LockedDropout(p=0.5, batch_first=False)"
    key = Key(3)
    tt.seed(by_time, key)
    whole = by_time(torch.ones(9, 8, 50))
    tt.seed(by_time, key)
    with tt.shard(8, 4, rows=4, axis=1):
        assert torch.equal(by_time(torch.ones(9, 4, 50)), whole[:, 4:])


def test_complex_numbers_are_refused_without_losing_a_part(refusal: Callable[..., str]) -> None:
    x = torch.ones(4, dtype=torch.complex64)
    for call in (tt.functional.dropout, tt.Dropout(0.5), tt.Drop("GaussianDropout")):
        assert "use torch.view_as_real(x)" in refusal(InputError, call, x)
    with pytest.raises(InputError, match=r"use x\.real and x\.imag"):
        tn.dropout(x.numpy(), 0.5, key=tn.Key(0))
    assert tt.functional.dropout(torch.view_as_real(x), 0.5).shape == (4, 2)


def test_rates_that_are_tensors(refusal: Callable[..., str]) -> None:
    assert tt.Dropout(torch.tensor(0.5)).p == 0.5
    x = torch.ones(1, 2, 2, 2)
    for call in (tt.Dropout, lambda p: F.drop_head(x, p), lambda p: F.dropout(x, p)):
        assert "use p.detach()" in refusal(InputError, call, torch.tensor(0.5, requires_grad=True))
    assert refusal(InputError, tt.DropPath, torch.tensor(0.5, device="meta")).endswith("data (meta).")


def test_tensors_without_data_have_shapes() -> None:
    x = torch.empty(2, 3, 4, 4, device="meta")
    key = tn.Key(0)
    for y in (
        F.targeted_dropout(x, 0.5, key=key),
        F.standout(x, x, key=key),
        F.dare_merge(x, [x], 0.5, key=key),
        tt.flex.attention(x, x, x, dropout_p=0.5, dropout_key=key),
    ):
        assert y.is_meta
        assert y.shape == x.shape


def test_float8_is_refused(refusal: Callable[..., str]) -> None:
    assert refusal(InputError, F.dropout, torch.ones(2).to(torch.float8_e4m3fn)) == (
        "Dropout: x must be float16, bfloat16, float32 or float64, got float8_e4m3fn; use x.float()."
    )


def test_what_is_refused(refusal: Callable[..., str]) -> None:
    assert refusal(InputError, tt.Drop, "Zoneout").startswith("Zoneout: needs a second operand")
    assert refusal(InputError, tt.Drop, "Dropout", 2) == "Dropout: p must be in [0, 1], got 2."
    assert refusal(InputError, tt.DropBlock2d, 0.1, 0).startswith("DropBlock2d: block must be")


def test_every_class_is_of_a_variant() -> None:
    classes = [value for value in vars(tt).values() if isinstance(value, type) and issubclass(value, Keyed)]
    assert len(classes) > 20
    for kind in classes:
        known = getattr(kind, "variant", None)
        assert known is None or known in {**CATALOGUE, **FUNCTIONS}, kind
    weights = {tt.WeightDrop, tt.DropConnect, tt.TargetedDropout}  # their parametrizations draw
    for name in tt.__all__:
        if name[0].isupper() and name != "Drop":
            assert issubclass(getattr(tt, name), Keyed) or getattr(tt, name) in weights


@pytest.mark.parametrize("name", [*MIRRORED, "GaussianDropout", "DropPath", "StochasticDepth"])
def test_traced_as_one_node(name: str) -> None:
    module, x = nn.Sequential(nn.Identity(), getattr(tt, name)(0.5)), tensor(name)
    graph = torch.fx.symbolic_trace(module)
    assert [(node.op, node.target) for node in graph.graph.nodes][2] == ("call_module", "1")
    assert not torch.equal(graph(x), graph(x))
    torch.manual_seed(0)
    y = graph(x)
    torch.manual_seed(0)
    assert torch.equal(module(x), y)
    assert torch.equal(graph.eval()(x), x)


def test_a_function_is_traced_as_one_node() -> None:
    graph, x = torch.fx.symbolic_trace(lambda x: tt.functional.dropout(x, 0.5) + 1), torch.ones(64)
    assert not torch.equal(graph(x), graph(x))
    graph = torch.fx.symbolic_trace(lambda x: tt.functional.dropout(x, 0.5, key=Key(3)))
    assert torch.equal(graph(x), tt.functional.dropout(x, 0.5, key=Key(3)))
    graph = torch.fx.symbolic_trace(lambda x: tt.functional.dropout(x, 0.5, training=False))
    assert torch.equal(graph(x), x)


# Into a model and back


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Dropout(0.2)
        self.body = nn.Sequential(
            nn.Linear(8, 8), nn.Dropout(0.3, inplace=True), nn.ModuleList([nn.Dropout2d(0.4)])[0]
        )
        self.again = self.shared

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.again(self.body[1](self.body[0](self.shared(x))))


def test_replaced_and_restored() -> None:
    model = Twice().train()
    before = repr(model)
    seen: list[int] = []
    model.shared.register_forward_hook(lambda *_: seen.append(1))
    assert tt.replace(model) is model
    assert [type(m) for m in (model.shared, *model.body[1:])] == [tt.Dropout, tt.Dropout, tt.Dropout2d]
    assert model.again is model.shared
    assert repr(model) == before
    torch.manual_seed(0)
    y = model(torch.ones(4, 8))
    assert seen == [1, 1]
    torch.manual_seed(0)
    assert torch.equal(model(torch.ones(4, 8)), y)
    assert tt.replace(model) is model  # a second time changes nothing
    assert tt.restore(model) is model
    assert [type(m) for m in (model.shared, *model.body[1:])] == [nn.Dropout, nn.Dropout, nn.Dropout2d]
    assert tt.restore(model) is model


def test_a_root_is_replaced_too() -> None:
    root = nn.Dropout(0.5)
    assert type(tt.replace(root)) is tt.Dropout
    torch.manual_seed(0)
    y = root(torch.ones(8))
    torch.manual_seed(0)
    key = torch.randint(-(2**63), 2**63 - 1, (1,)).item() % 2**64
    assert torch.equal(y, tt.functional.dropout(torch.ones(8), 0.5, key=Key(key)))


def test_autocast() -> None:
    model = nn.Sequential(nn.Linear(8, 8), tt.Dropout(0.5), nn.Linear(8, 8), tt.GaussianDropout(0.2))
    keys = tt.seed(model, 0)
    x = torch.ones(4, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = model[0](x)
        y = model[1](h)
        assert y.dtype == torch.bfloat16
        assert torch.equal(y, tt.functional.dropout(h, 0.5, key=keys["1"].fold(0)))
        q = h[None, None]
        z = tt.functional.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
        assert z.dtype == torch.bfloat16
        model(x).sum().backward()
    assert x.grad.dtype == torch.float32


def test_a_pattern_or_a_variant_of_ones_own() -> None:
    x = torch.ones(30, 4, 5)
    own = CATALOGUE["Dropout"].patterned("n 1 f")
    for module in (tt.Drop("Dropout", 0.5, pattern="n 1 f"), tt.Drop(own, 0.5)):
        key = tt.seed(module, 0)[""].fold(0)
        y = module(x)
        assert np.array_equal(y.numpy(), tn.drop("LockedDropout", x.numpy(), 0.5, key=key))
        assert torch.equal(module.eval()(x), x)
        assert str(tt.summary(nn.Sequential(module))).splitlines()[1].split()[1:3] == ["Dropout", "0.5"]
    assert repr(tt.Drop("Dropout", 0.5, pattern="n 1 f")) == "Drop('Dropout', p=0.5, pattern='n 1 f')"
    assert repr(tt.Drop(own, 0.5)) == "Drop(Variant('Dropout', 'n 1 f'), p=0.5)"
    with pytest.raises(InputError, match="pattern"):
        tt.Drop("Dropout", pattern="n 2")


# A rate of 0, and evaluation

IDLE: dict[str, tuple[Callable[[float], nn.Module], tuple[int, ...]]] = {
    **{name: (getattr(tt, name), SHAPES.get(name, (4, 3))) for name in MIRRORED},
    "GaussianDropout": (tt.GaussianDropout, (4, 3)),
    "DropBlock2d": (tt.DropBlock2d, (2, 3, 4, 4)),  # smaller than a block
    "LockedDropout": (tt.LockedDropout, (2, 3, 4)),
    "DropPath": (tt.DropPath, (4, 3)),
    "StochasticDepth": (lambda p: tt.StochasticDepth(p, "row"), (4, 3)),
    "ShakeDrop": (tt.ShakeDrop, (4, 3)),
    "DropHead": (tt.DropHead, (2, 3, 4, 5)),
    "DropKey": (tt.DropKey, (2, 3, 4, 4)),
    "PatchDropout": (tt.PatchDropout, (2, 5, 3)),
}


@pytest.mark.parametrize("name", IDLE)
def test_a_rate_of_zero_draws_nothing(name: str) -> None:
    make, shape = IDLE[name]
    module, x = make(0.0).train(), torch.randn(shape)
    state = torch.get_rng_state()
    assert module(x) is x
    tt.seed(module, 0)
    assert module(x) is x
    assert module._stream.calls == 0
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", sorted(set(IDLE) - {"ShakeDrop"}))
def test_evaluation_returns_x_itself(name: str) -> None:
    make, shape = IDLE[name]
    x = torch.randn(shape)
    assert make(0.5).eval()(x) is x


@pytest.mark.parametrize("name", ["Dropout", "DropPath"])
def test_a_compiled_module_at_rate_zero_is_empty(name: str) -> None:
    torch.compiler.reset()
    graphs: list[fx.GraphModule] = []

    def keep(graph: fx.GraphModule, _: Any) -> Any:
        graphs.append(graph)
        return graph

    module = nn.Sequential(nn.ReLU(), getattr(tt, name)(0.0))
    torch.compile(module, fullgraph=True, backend=keep)(torch.ones(3, 2))
    assert [node.op for node in graphs[0].graph.nodes] == ["placeholder", "call_function", "output"]


def test_a_functional_call_at_rate_zero_is_checked() -> None:
    x = torch.ones(2, 3, 4, 4)
    assert tt.functional.dropout(x, 0.0) is x
    assert tt.functional.drop("DropBlock2d", x, 0.1, training=False) is x
    assert tt.functional.drop("Zoneout", x, 0.0, other=x + 1) is x
    for call in (
        lambda: tt.functional.dropout(x.int(), 0.0),
        lambda: tt.functional.dropout(x, 0.0, key=3),  # pyright: ignore[reportArgumentType]
        lambda: tt.functional.dropout(x, 0.0, window=tn.Window.whole((3,))),
        lambda: tt.functional.drop("Zoneout", x, 0.0),
        lambda: tt.functional.drop("Zoneout", x, 0.0, other=x[0]),
    ):
        with pytest.raises(InputError):
            call()
    assert torch.equal(tt.functional.drop("ShakeShake", x, 0.0, other=x + 2, training=False), x + 1)
    assert not torch.equal(tt.functional.drop("ShakeShake", x, 0.0, other=x + 2), x)


def test_a_rate_has_no_gradient(refusal: Callable[..., str]) -> None:
    p = torch.tensor(0.5, requires_grad=True)
    line = refusal(InputError, tt.functional.dropout, torch.ones(3), p)
    assert line.startswith("Dropout: p has no gradient, got a tensor that requires grad; use p.detach()")


@pytest.mark.parametrize(
    ("name", "shape", "shared"),
    [("Dropout2d", (4, 9), 2), ("Dropout2d", (2, 3, 4, 4, 2), 2), ("Dropout3d", (4, 5, 6), 1)],
)
def test_axes_that_torch_takes_with_a_warning(name: str, shape: tuple[int, ...], shared: int) -> None:
    x = torch.ones(shape)
    for module in (getattr(tt, name)(0.5), getattr(nn, name)(0.5)):
        with pytest.warns(UserWarning, match="deprecated"):
            y = module(x)
        channels = y.reshape(*shape[:shared], -1)
        assert torch.equal(channels, channels[..., :1].expand_as(channels))
        assert set(y.unique().tolist()) <= {0.0, 2.0}


def test_feature_alpha_dropout_of_single_entries() -> None:
    x = torch.randn(40, 30)
    y = tt.FeatureAlphaDropout(0.5)(x)
    assert y.shape == x.shape
    assert 0.3 < (y == y.flatten().mode().values).float().mean() < 0.7
