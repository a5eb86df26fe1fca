"""Private names of PyTorch: all in one file, each with a fallback."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import thinnet.torch as tt
from thinnet.errors import InputError
from thinnet.torch import _internals

ROOM = Path(_internals.__file__).parent
FILES = sorted(
    path
    for path in ROOM.parent.rglob("*.py")
    if path != ROOM / "_internals.py" and "torch" in path.read_text("utf-8")
)


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names(tree: ast.AST) -> set[str]:
    """Return the private names that a file defines: variables, functions, classes, parameters, attributes."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return {name for name in found if private(name)}


def test_no_other_file_uses_a_private_name_of_torch() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    ours = {"_replace", "_asdict"}.union(
        *(own_names(tree) for path, tree in trees.items() if ROOM in path.parents)
    )
    offenders: list[str] = []
    for path, tree in trees.items():
        for node in ast.walk(tree):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                offenders += [f"{where} {name}" for name in names if private(name)]
            elif isinstance(node, ast.Import):
                names = [part for alias in node.names for part in alias.name.split(".")]
                if names[0] == "torch":
                    offenders += [f"{where} {name}" for name in names if private(name)]
            elif ROOM in path.parents and isinstance(node, ast.Attribute) and private(node.attr):
                offenders += [f"{where} {node.attr}"] if node.attr not in ours else []
    assert not offenders


@pytest.mark.skipif(_internals.FORCED, reason="here they are forced")
def test_this_version_has_every_private_name() -> None:
    assert _internals.MISSING == []


@pytest.mark.filterwarnings("ignore:.*is deprecated", "ignore::torch.jit.TracerWarning")
def test_what_is_observed() -> None:
    seen: dict[str, tuple[bool, bool, bool]] = {}

    def look(name: str, x: torch.Tensor) -> torch.Tensor:
        seen[name] = _internals.in_eager_mode(), _internals.in_transform(), _internals.is_tracing()
        return x * 2

    x = torch.ones(3)
    look("eager", x)
    torch.vmap(lambda x: look("vmap", x))(x)
    torch.func.grad(lambda x: look("grad", x).sum())(x)
    torch.func.jvp(lambda x: look("jvp", x), (x,), (x,))
    torch.jit.trace(lambda x: look("trace", x), (x,), check_trace=False)
    with torch.autograd.forward_ad.dual_level():
        look("dual", x)
    eager = not _internals.FORCED
    assert seen == {
        "eager": (eager, False, False),
        "vmap": (False, True, False),
        "grad": (False, True, False),
        "jvp": (False, True, False),
        "trace": (False, False, True),
        "dual": (False, False, False),
    }


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputation_is_seen(reentrant: bool) -> None:
    seen: list[bool] = []

    def look(x: torch.Tensor) -> torch.Tensor:
        seen.append(_internals.in_backward())
        return x.square()

    def backward() -> None:
        x = torch.ones(3, requires_grad=True)
        checkpoint(look, x, use_reentrant=reentrant).sum().backward()

    backward()
    thread = threading.Thread(target=backward)
    thread.start()
    thread.join()
    assert seen == [False, True, False, True]
    assert not _internals.in_backward()


def test_wrappers_change_no_names() -> None:
    model = nn.Sequential(nn.Linear(3, 3), tt.Dropout(0.5))
    wrapped = nn.Sequential(torch.compile(model, backend="eager"))
    assert list(tt.seed(wrapped, 0)) == ["0.1"]


@pytest.mark.skipif(_internals.FORCED, reason="here they are forced")
def test_the_fallbacks_draw_the_same_masks_and_gradients() -> None:
    program = """
import torch, thinnet as tn, thinnet.torch as tt
x = torch.arange(1.0, 41.0).reshape(4, 10).requires_grad_()
model = torch.nn.Sequential(tt.Dropout(0.5), tt.Drop("Dropout1d", 0.3), tt.DropPath(0.4))
torch.manual_seed(3)
y = tt.functional.dropout(x, 0.4, key=tn.Key(1))
z = model[0](x).square() + y
tt.seed(model, 7)
z = z * model[0](x)
(g,) = torch.autograd.grad(z.sum(), x, create_graph=True)
(h,) = torch.autograd.grad(g.square().sum(), x)
print(y.tolist(), z.tolist(), g.tolist(), h.tolist())
"""

    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(program, {})
    environment = {**os.environ, "THINNET_TORCH_FALLBACKS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == here.getvalue()


def test_another_value_of_the_switch_is_refused(
    monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    for value, forced in (("", False), ("0", False), ("1", True)):
        monkeypatch.setenv("THINNET_TORCH_FALLBACKS", value)
        assert _internals._read_switch() == forced
    monkeypatch.setenv("THINNET_TORCH_FALLBACKS", "x")
    assert refusal(InputError, _internals._read_switch) == (
        "THINNET_TORCH_FALLBACKS: must be 0 or 1, got 'x'; set it to 1 or unset it."
    )
