"""`replace` on models of timm and torchvision as they are."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import thinnet.torch as tt
from thinnet.torch._internals import FORCED


def test_a_vision_transformer_of_timm(library: Callable[[str], ModuleType]) -> None:
    timm = library("timm")
    model: Any = timm.create_model(
        "vit_tiny_patch16_224",
        pretrained=False,
        img_size=32,
        patch_size=8,
        depth=2,
        proj_drop_rate=0.1,
        attn_drop_rate=0.1,
        drop_path_rate=0.2,
        patch_drop_rate=0.25,
    )
    x = torch.randn(2, 3, 32, 32)
    expected = model.eval()(x)
    before = repr(model)
    names = tt.replace(model)
    kinds = {type(model.get_submodule(name)).__name__ for name in names}
    assert kinds == {"Dropout", "DropPath", "PatchDropout"}
    assert {name: model.get_submodule(name).p for name in names if name.endswith("drop_path1")} == {
        "blocks.1.drop_path1": pytest.approx(0.2)
    }
    assert torch.equal(model.eval()(x), expected)
    model.train()
    assert not torch.equal(model(x), model(x))
    rows = tt.summary(model, *(() if FORCED else (x,))).rows
    assert {row.module for row in rows if row.ours} == set(names)
    # timm passes attn_drop_rate to a function of torch, which the fallbacks cannot observe
    functions = [] if FORCED else ["F.scaled_dot_product_attention"] * 2
    assert [row.variant for row in rows if not row.ours] == functions
    tt.restore(model)
    assert repr(model) == before
    assert torch.equal(model.eval()(x), expected)


def test_blocks_of_timm(library: Callable[[str], ModuleType]) -> None:
    drop: Any = library("timm.layers.drop")
    model = nn.Sequential(
        drop.DropBlock2d(0.2, 3), drop.DropPath(0.0), drop.DropPath(0.5, scale_by_keep=False)
    )
    assert tt.replace(model) == ["0", "1"]
    x = torch.ones(4, 8, 14, 14)
    y = model[0](x)
    assert torch.equal(y, y[:, :1].expand(4, 8, 14, 14))
    assert torch.equal(model[1](x), x)


def test_modules_of_torchvision(library: Callable[[str], ModuleType]) -> None:
    ops: Any = library("torchvision.ops")
    model = nn.Sequential(
        ops.StochasticDepth(0.5, "batch"), ops.DropBlock2d(0.2, 3), ops.StochasticDepth(0.5, "row")
    )
    assert tt.replace(model) == ["0", "1", "2"]
    assert [type(m).__name__ for m in model] == ["StochasticDepth", "Drop", "StochasticDepth"]
    x = torch.ones(64, 2, 8, 8)
    whole = torch.stack([model[0](x) for _ in range(20)])
    assert {float(y.unique()) for y in whole} == {0.0, 2.0}
    rows = model[2](x)
    assert torch.equal(rows, rows[:, :1, :1, :1].expand_as(rows))
    assert torch.equal(model.eval()(x), x)
    tt.restore(model)
    assert type(model[1]) is ops.DropBlock2d
    assert vars(model[1])["p"] == 0.2


def test_a_model_of_torchvision(library: Callable[[str], ModuleType]) -> None:
    models: Any = library("torchvision.models")
    model = models.convnext_tiny(weights=None, num_classes=3, stochastic_depth_prob=0.3)
    names = tt.replace(model)
    assert len(names) == 18
    keys = tt.seed(model, 0)
    assert list(keys) == names
    x = torch.randn(2, 3, 32, 32)
    with tt.step(model, 1), torch.no_grad():
        y = model(x)
    with tt.step(model, 1), torch.no_grad():
        assert torch.equal(model(x), y)
