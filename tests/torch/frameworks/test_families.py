"""Whole families of models: after `replace` every dropout is thinnet's, and they train."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import thinnet.torch as tt
from thinnet.torch._internals import FORCED
from thinnet.torch._models.foreign import counterpart

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def _families() -> Any:
    """Return the module beside this one; tests are no package."""
    path = Path(__file__).with_name("families.py")
    spec: Any = importlib.util.spec_from_file_location("families", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["families"] = module
    spec.loader.exec_module(module)
    return module


FAMILIES = _families().FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_three_steps(name: str, library: Callable[[str], ModuleType]) -> None:
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        model, given, loss = FAMILIES[name](library)
        before = () if FORCED else tt.summary(model, **given).rows
        assert tt.replace(model) is model
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        tt.seed(model, 0, optimizer=optimizer)
        model.train()
        for _ in range(3):
            optimizer.zero_grad()
            value = loss(model(**given))
            value.backward()
            optimizer.step()
            losses.append(value.item())
        weights = [p for p in model.parameters() if p.requires_grad]
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in weights)
    assert all(map(torch.isfinite, torch.tensor(losses)))
    assert losses[:3] == losses[3:]
    if not FORCED:
        rows = tt.summary(model, **given).rows
        assert [row for row in rows if not row.ours] == []
        assert {row.module for row in rows} >= {row.module for row in before}
        assert len(before) > 0


def test_every_drop_path_of_transformers() -> None:
    """Each class is compiled from its source: importing all models takes minutes."""
    root = importlib.util.find_spec("transformers")
    assert root is not None
    assert root.origin is not None
    names = set()
    for path in Path(root.origin).parent.glob("models/*/modeling_*.py"):
        text = path.read_text("utf-8")
        if "DropPath(nn.Module)" not in text:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("DropPath"):
                found: dict[str, Any] = {"torch": torch, "nn": nn}
                exec(compile(ast.Module([node], []), path.name, "exec"), found)
                module = found[node.name](0.2)
                other = counterpart(module)
                assert other is not None, node.name
                assert (type(other.ours), other.ours.p) == (tt.DropPath, 0.2)
                names.add(node.name)
    assert len(names) >= 40


def test_stable_dropout_of_transformers(library: Callable[[str], ModuleType]) -> None:
    module = library("transformers.models.sew_d.modeling_sew_d").StableDropout(0.25)
    model = tt.replace(nn.Sequential(module))
    keys, x = tt.seed(model, 0), torch.ones(4, 5)
    assert torch.equal(model(x), tt.functional.dropout(x, 0.25, key=keys["0"].fold(0)))
    assert module.drop_prob == 0.25
