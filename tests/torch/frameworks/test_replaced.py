"""`replace` on models of timm and torchvision as they are."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

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
    tt.replace(model)
    names = [row.module for row in tt.summary(model).rows if row.ours]
    kinds = {type(model.get_submodule(name)).__name__ for name in names}
    assert kinds == {"Dropout", "DropPath", "PatchDropout"}
    assert {name: model.get_submodule(name).p for name in names if name.endswith("drop_path1")} == {
        "blocks.1.drop_path1": pytest.approx(0.2)
    }
    assert torch.equal(model.eval()(x), expected)
    model.train()
    assert not torch.equal(model(x), model(x))
    rows = tt.summary(model, *(() if FORCED else (x,))).rows
    # timm passes attn_drop_rate to a function of torch, which the fallbacks cannot observe
    functions = set() if FORCED else {"blocks.0.attn", "blocks.1.attn"}
    assert {row.module for row in rows if row.ours} == set(names) | functions
    assert all(row.ours for row in rows)
    tt.restore(model)
    assert repr(model) == before
    assert torch.equal(model.eval()(x), expected)


def test_a_model_of_torchvision(library: Callable[[str], ModuleType]) -> None:
    models: Any = library("torchvision.models")
    model = models.convnext_tiny(weights=None, num_classes=3, stochastic_depth_prob=0.3)
    tt.replace(model)
    keys = tt.seed(model, 0)
    assert len(keys) == 18
    x = torch.randn(2, 3, 32, 32)
    with tt.step(model, 1), torch.no_grad():
        y = model(x)
    with tt.step(model, 1), torch.no_grad():
        assert torch.equal(model(x), y)
