"""`replace` and `restore`: classes, rates and names of other packages' modules stay alive."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import thinnet as tn
import thinnet.torch as tt
from thinnet.errors import InputError
from thinnet.schedules import Linear
from thinnet.torch._models.foreign import counterpart
from thinnet.variants import find


def fake(package: str, name: str, **held: Any) -> nn.Module:
    """Return a module of the name that another package's has, and with what it holds."""
    path, _, kind = f"{package}.{name}".rpartition(".")
    body = {"__module__": path, "__qualname__": kind, "forward": lambda self, x: x}
    made = type(kind, (nn.Module,), body)()
    for key, value in held.items():
        setattr(made, key, value)
    return made


BLOCKS = {
    "block_size": 3,
    "gamma_scale": 1.0,
    "with_noise": False,
    "inplace": False,
    "couple_channels": True,
    "scale_by_keep": True,
}
FOREIGN = [
    (fake("timm.layers", "drop.DropPath", drop_prob=0.2, scale_by_keep=True), "DropPath", (64, 3)),
    (fake("timm.layers", "drop.DropPath", drop_prob=0.2, scale_by_keep=False), "LayerDrop", (64, 3)),
    (fake("timm.layers", "drop.DropBlock2d", drop_prob=0.2, **BLOCKS), "SharedDropBlock2d", (2, 3, 8, 8)),
    (
        fake("timm.layers", "drop.DropBlock2d", drop_prob=0.2, **BLOCKS | {"couple_channels": False}),
        "DropBlock2d",
        (2, 3, 8, 8),
    ),
    (fake("timm.layers", "drop.DropBlock2d", drop_prob=0.2, **BLOCKS | {"with_noise": True}), None, ()),
    (
        fake("timm.layers", "patch_dropout.PatchDropout", prob=0.2, num_prefix_tokens=1, ordered=False),
        "PatchDropout",
        (2, 9, 3),
    ),
    (
        fake("torchvision.ops", "stochastic_depth.StochasticDepth", p=0.2, mode="row"),
        "StochasticDepth",
        (64, 3),
    ),
    (
        fake("torchvision.ops", "drop_block.DropBlock2d", p=0.2, block_size=3, inplace=False, eps=1e-6),
        "DropBlock2d",
        (2, 3, 8, 8),
    ),
    (
        fake("torchvision.ops", "drop_block.DropBlock3d", p=0.2, block_size=3, inplace=False, eps=1e-6),
        "DropBlock3d",
        (2, 3, 8, 8, 8),
    ),
]


@pytest.mark.parametrize(
    ("module", "variant", "shape"), FOREIGN, ids=lambda v: getattr(type(v), "__qualname__", v)
)
def test_other_packages_modules(module: Any, variant: str | None, shape: tuple[int, ...]) -> None:
    model, kind, held = nn.Sequential(nn.Dropout(0.5), module), type(module), dict(vars(module))
    rate = "p" if "p" in held else "prob" if "prob" in held else "drop_prob"
    assert tt.replace(model) is model
    assert type(model[0]) is tt.Dropout
    if variant is None:
        assert type(module) is kind
        return
    assert isinstance(module, kind)
    assert (module.variant, module.p, type(module).__module__.partition(".")[0]) == (variant, 0.2, "thinnet")
    torch.manual_seed(0)
    x = torch.randn(shape)
    assert not torch.equal(module(x), module(x))
    assert module.eval()(x) is x
    setattr(module.train(), rate, 0.3)
    assert (module.p, getattr(module, rate)) == (0.3, 0.3)
    module.p = 0.3
    tt.seed(model, 0)
    assert tt.restore(model) is model
    assert type(module) is kind
    assert vars(module) == held | {rate: 0.3}


# Classes that are known by what they do


class ModelDropPath(nn.Module):
    """As each vision model of transformers has one."""

    def __init__(self, drop_prob: float | None = None) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        if self.drop_prob == 0.0 or not self.training:
            return hidden_states
        keep = 1 - (self.drop_prob or 0.0)
        shape = (hidden_states.shape[0],) + (1,) * (hidden_states.ndim - 1)
        return hidden_states.div(keep) * (keep + torch.rand(shape)).floor_()

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob}"


class UnscaledDropPath(ModelDropPath):
    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden_states) * (1 - self.drop_prob if self.training else 1)


class StableDropout(ModelDropPath):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, self.drop_prob, self.training)


class LockedDropout(ModelDropPath):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * nn.functional.dropout(torch.ones_like(x[:1]), self.drop_prob, self.training)


class NoisyDropPath(ModelDropPath):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn_like(x) if self.training else x


class DropPathOfTwo(ModelDropPath):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + y


class Mine(nn.Dropout):
    """torch's, under another name."""


class Own(nn.Dropout):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) + 1


@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        (ModelDropPath, "DropPath"),
        (UnscaledDropPath, "LayerDrop"),
        (StableDropout, "Dropout"),
        (Mine, "Dropout"),
        (LockedDropout, None),
        (NoisyDropPath, None),
        (DropPathOfTwo, None),
        (Own, None),
        (lambda p: nn.Linear(2, 2), None),
    ],
)
def test_classes_are_known_by_what_they_do(kind: Callable[..., Any], variant: str | None) -> None:
    state = torch.get_rng_state()
    module = kind(0.25)
    found = counterpart(module)
    assert (found and found.ours.variant) == variant
    if variant is not None:
        assert found.ours.p == 0.25
        assert torch.equal(torch.get_rng_state(), state)


def test_an_instance_with_its_own_forward_is_left() -> None:
    module: Any = nn.Dropout(0.5)
    module.forward = lambda x: x
    assert counterpart(module) is None


def test_forwards_of_their_own_are_reached() -> None:
    """A subclass, and an instance as hooks of other packages leave it: their calls are drawn by thinnet."""
    changed: Any = nn.Dropout(0.25)
    old = changed.forward
    changed.forward = lambda x: old(x) + 1
    model = tt.replace(nn.Sequential(Own(0.5), changed))
    keys, x = tt.seed(model, 0), torch.ones(4, 5)
    y = tt.functional.dropout(x, 0.5, key=keys["0"].fold("Dropout").fold(0)) + 1
    expected = tt.functional.dropout(y, 0.25, key=keys["1"].fold("Dropout").fold(0)) + 1
    assert torch.equal(model(x), expected)
    tt.restore(model)
    assert [type(m) for m in model] == [Own, nn.Dropout]
    assert "forward" not in vars(model[0])
    assert torch.equal(model.eval()(x), x + 2)


# Classes, copies and files


@pytest.mark.parametrize("made", [ModelDropPath, Mine])
def test_a_module_of_both_classes_is_copied_and_pickled(made: Any) -> None:
    model = tt.replace(nn.Sequential(made(0.5)))
    module = model[0]
    assert isinstance(module, made)
    assert type(module).__name__ == made.__name__
    assert type(module) is type(tt.replace(nn.Sequential(made(0.1)))[0])
    keys = tt.seed(model, 3)
    x = torch.ones(40, 2)
    with tt.step(model, 2):
        expected = model(x)
    assert 0 < expected.count_nonzero() < 80
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),  # of a moment ago
        torch.load(file, weights_only=False),
    ):
        assert type(other[0]) is type(module)
        with tt.step(other, 2):
            assert torch.equal(other(x), expected)
        other[0].p = 0.0
        assert torch.equal(other(x), x)
        assert type(tt.restore(other)[0]) is made
    assert module.p == 0.5
    assert keys["0"] == tn.Key(3).fold("0")


def test_a_module_of_both_classes_compiles() -> None:
    torch.compiler.reset()
    model = tt.replace(nn.Sequential(ModelDropPath(0.5), UnscaledDropPath(0.5)))
    keys = tt.seed(model, 0)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.ones(64, 3)
    y = tt.functional.drop("DropPath", x, 0.5, key=keys["0"].fold(0))
    expected = tt.functional.drop("LayerDrop", y, 0.5, key=keys["1"].fold(0), pattern="n 1...")
    assert torch.equal(compiled(x), expected)
    assert expected.unique().tolist() == [0.0, 2.0]


def test_the_attributes_of_the_rate_follow_a_schedule() -> None:
    model = tt.replace(nn.Sequential(ModelDropPath(0.9), Mine(0.9)))
    assert repr(model[0]) == "ModelDropPath(drop_prob=0.9)"
    tt.schedule(model, Linear(0.0, 0.5, steps=10)).step(5)
    assert (model[0].drop_prob, model[0].p, model[1].p) == (0.25, 0.25, 0.25)
    assert repr(model[0]) == "ModelDropPath(drop_prob=0.25)"
    model[0].drop_prob = 1.0
    assert not model[0](torch.ones(9, 2)).any()
    model[0].drop_prob = None
    assert model[0].p == 0.0


# Blocks


def blocks(kind: str, size: int, **options: Any) -> Any:
    """Return a DropBlock of torchvision's or timm's names, replaced."""
    if kind == "timm":
        module = fake(
            "timm.layers", "drop.DropBlock2d", drop_prob=0.5, **BLOCKS | {"block_size": size} | options
        )
    else:
        module = fake("torchvision.ops", "drop_block.DropBlock2d", p=0.5, block_size=size, **options)
    return tt.replace(nn.Sequential(module))


@pytest.mark.parametrize(("kind", "clipped"), [("timm", (3, 4)), ("torchvision", (3, 3))])
def test_blocks_are_clipped_to_small_maps(kind: str, clipped: tuple[int, int]) -> None:
    model = blocks(kind, 7)
    variant = model[0].variant
    keys, x = tt.seed(model, 0), torch.ones(8, 2, 3, 4)
    expected = tt.functional.drop(variant, x, 0.5, key=keys["0"].fold(0), block=clipped)
    assert torch.equal(model(x), expected)
    assert model.eval()(x) is x
    model.train()
    large = torch.ones(8, 2, 9, 9)
    expected = tt.functional.drop(variant, large, 0.5, key=keys["0"].fold(1), block=7)
    assert torch.equal(model(large), expected)


@pytest.mark.parametrize("kind", ["timm", "torchvision"])
def test_blocks_write_to_their_input_in_place(kind: str) -> None:
    for inplace in (False, True):
        x = torch.ones(8, 2, 9, 9)
        assert (blocks(kind, 3, inplace=inplace)(x) is x) == inplace == bool((x == 0).any())


def test_blocks_compile_and_are_copied() -> None:
    torch.compiler.reset()
    model = nn.Sequential(blocks("timm", 3, scale_by_keep=False, gamma_scale=0.5), blocks("torchvision", 7))
    tt.seed(model, 0)
    model = copy.deepcopy(model)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.ones(4, 2, 4, 5)
    with tt.step(model, 1):
        expected = model(x)
    with tt.step(model, 1):
        assert torch.equal(compiled(x), expected)
    assert not torch.equal(compiled(x), expected)


def test_the_options_of_timms_blocks() -> None:
    x = torch.ones(64, 1, 16, 16)
    torch.manual_seed(0)
    y = blocks("timm", 3, gamma_scale=0.5)(x)
    assert float((y == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    y = blocks("timm", 3, scale_by_keep=False)(x)
    assert y.unique().tolist() == [0.0, 1.0]
    assert float((y == 0).float().mean()) == pytest.approx(0.5, abs=0.02)
    y = blocks("timm", 3, gamma_scale=4.0)(x)
    assert not y.any()


def test_timms_count_of_patches() -> None:
    module: Any = fake(
        "timm.layers", "patch_dropout.PatchDropoutWithIndices", prob=0.3, num_prefix_tokens=1, ordered=True
    )
    tt.replace(nn.Sequential(module))
    x = torch.arange(13.0).view(1, 13, 1).expand(2, 13, 3)
    y, index = module(x)
    assert y.shape == (2, 1 + int(12 * 0.7), 3)
    assert torch.equal(y[:, 1:, 0], index + 1.0)
    assert module.eval()(x) == (x, None)
    module.train().prob = 0.0
    assert module(x) == (x, None)


# Models


def test_an_error_leaves_the_model_as_it_was(refusal: Callable[..., str]) -> None:
    model = nn.Sequential(nn.Dropout(0.5), ModelDropPath(1.5))
    assert "1.5" in refusal(InputError, tt.replace, model)
    assert type(model[0]) is nn.Dropout

    class Stubborn(nn.Dropout):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "p" and isinstance(self, tt.Dropout):
                raise RuntimeError("stubborn")
            super().__setattr__(name, value)

    model = nn.Sequential(nn.Dropout(0.5), Stubborn(0.5), nn.Dropout(0.5))
    before = [dict(vars(m)) for m in model]
    with pytest.raises(RuntimeError, match="stubborn"):
        tt.replace(model)
    assert [type(m) for m in model] == [nn.Dropout, Stubborn, nn.Dropout]
    assert [dict(vars(m)) for m in model] == before


def test_a_model_without_dropout_is_returned_with_a_warning() -> None:
    model = nn.Linear(2, 2)
    with pytest.warns(UserWarning, match="^replace: the model holds no dropout; nothing was changed.$"):
        assert tt.replace(model) is model
    assert tt.restore(model) is model
    ours = tt.Dropout(0.5)
    assert tt.replace(tt.replace(ours)) is ours


def test_a_rate_of_0_counts_no_call() -> None:
    made = [
        blocks("timm", 3),
        tt.replace(nn.Sequential(UnscaledDropPath(0.5))),
        tt.replace(nn.Sequential(Mine())),
    ]
    x = torch.ones(8, 2, 6, 6)
    for model in made:
        tt.seed(model, 0)
        with tt.step(model, 1):
            expected = model(x)
        with tt.step(model, 1):
            model[0].p = 0.0
            assert model(x) is x
            model[0].p = 0.5
            assert torch.equal(model(x), expected)


def test_no_row_is_added_to_the_catalogue() -> None:
    blocks("timm", 3, scale_by_keep=False)(torch.ones(2, 1, 8, 8))
    with pytest.raises(InputError):
        find("UnscaledSharedDropBlock2d")
