"""What a summary observes: the masks that autograd keeps, and the calls that drop in evaluation."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

import thinnet.torch as tt
from thinnet.errors import InputError
from thinnet.torch._internals import FORCED

pytestmark = pytest.mark.skipif(FORCED, reason="no public name of PyTorch observes operators")


class After(nn.Module):
    """A dropout after a layer, whose output autograd follows."""

    def __init__(self, module: Any, call: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.module, self.call = module, call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 1
        return self.module(y) if self.call is None else self.call(self.module, y)


def bytes_saved(model: nn.Module, x: torch.Tensor) -> int:
    """Return the bytes of all tensors that autograd saves, without views of x and without parameters."""
    storages = {}

    def pack(saved: torch.Tensor) -> torch.Tensor:
        storages[id(saved.untyped_storage())] = saved.untyped_storage()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        model(x)
    own = {id(p.untyped_storage()) for p in model.parameters()}
    return sum(storage.nbytes() for number, storage in storages.items() if number not in own)


def by_hand(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return x.div(0.5) * (torch.rand(len(x), 1, 1, 1) + 0.5).floor_()


# 2 x 4 x 3 x 5 entries of float32 are 480 bytes.
KEPT = [
    (tt.Dropout(0.5), None, 0),
    (tt.GaussianDropout(0.5), None, 0),
    (tt.DropBlock2d(0.1, 3), None, 0),
    (tt.ShakeDrop(), None, None),
    (nn.Dropout(0.5), None, 480),
    (nn.Dropout2d(0.5), None, 32),
    (nn.AlphaDropout(0.5), None, 480),
    (nn.Identity(), lambda module, x: F.dropout(x, 0.5), 480),
    (nn.Identity(), by_hand, 8),
    (tt.Standout(), lambda module, x: module(x, torch.zeros_like(x)), None),
    (tt.DropHead(0.5), None, None),
]


@pytest.mark.parametrize(("module", "call", "expected"), KEPT)
def test_the_bytes_that_are_kept(module: Any, call: Any, expected: int | None) -> None:
    model, x = After(module, call), torch.ones(2, 4, 3, 5, requires_grad=True)
    row = tt.summary(model, x).rows[0]
    assert row.kept_bytes == bytes_saved(model, x)
    if expected is not None:
        assert row.kept_bytes == expected
    else:
        assert row.kept_bytes > 0


def test_modules_that_keep_more_than_a_mask() -> None:
    x = torch.ones(2, 4, 3, requires_grad=True)
    concrete, patches = After(tt.ConcreteDropout(0.5)), After(tt.PatchDropout(0.5))
    row = tt.summary(concrete, x).rows[0]
    assert 2 * x.nbytes <= row.kept_bytes < bytes_saved(concrete, x)  # the rest is x itself
    assert tt.summary(patches, x).rows[0].kept_bytes == bytes_saved(patches, x) - x.nbytes > 0
    words = tt.EmbeddingDropout(nn.Embedding(10, 4), 0.5)
    assert tt.summary(words, torch.arange(6)).rows[0].kept_bytes == 6 * (4 + 1)  # gains, and which are 0
    found = tt.summary(nn.Sequential(nn.Linear(3, 3), tt.ConcreteDropout(0.5), tt.Dropout(0.5)), x)
    assert found.saved == x.nbytes  # ConcreteDropout saves nothing


def test_a_recomputed_mask_is_not_kept() -> None:
    class Checkpointed(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.utils.checkpoint.checkpoint(super().forward, x, use_reentrant=False)

    x = torch.ones(2, 3, requires_grad=True)
    assert tt.summary(Checkpointed(nn.Dropout(0.5)), x).rows[0].kept_bytes == 0
    assert tt.summary(nn.Sequential(nn.Dropout(0.5)), x).rows[0].kept_bytes == 24


# Evaluation


class Ungated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Dropout(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)
        return self.inner(F.dropout(y, 0.2)) + torch.randn_like(x)


def test_calls_that_drop_in_evaluation_are_named() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Ungated())
    notes = tt.summary(model, torch.ones(2, 3, 4)).notes
    assert [note for note in notes if "in evaluation" in note] == [
        f"1: F.{name} drops (p={p}) in evaluation too; let p or training follow self.training."
        for name, p in (("scaled_dot_product_attention", 0.1), ("dropout", 0.2))
    ]
    assert model.training


def test_a_forward_that_fails_in_evaluation_is_listed_without_it() -> None:
    class Trains(nn.Dropout):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            assert self.training
            return F.dropout(input, self.p)

    found = tt.summary(nn.Sequential(Trains(0.5)), torch.ones(3))
    assert not any("in evaluation" in note for note in found.notes)


# Rates of modules that remain


def test_a_module_that_remains_shows_its_own_rate() -> None:
    class OwnDropBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop_prob = 0.25

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.empty_like(x).bernoulli_(0.99)

    row = tt.summary(nn.Sequential(OwnDropBlock()), torch.ones(2, 3)).rows[0]
    assert (row.variant.rpartition("'s ")[2], row.p, row.ours) == ("OwnDropBlock", 0.25, False)


def test_layers_that_transformers_drops() -> None:
    class Layers(nn.Module):
        layerdrop: float | None = 0.0
        config: Any = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if self.training and torch.rand([]) < (self.layerdrop or 0.0) else x + 1

    model = Layers()
    assert tt.summary(model, torch.ones(2)).rows == ()
    model.layerdrop = 0.5
    assert [(row.variant, row.p) for row in tt.summary(model, torch.ones(2)).rows] == [("rand", 0.5)]
    model.layerdrop, model.config = None, SimpleNamespace(layerdrop=0.0)
    assert tt.summary(model, torch.ones(2)).rows == ()


def test_inputs_that_do_not_fit(refusal: Callable[..., str]) -> None:
    model = nn.Sequential(nn.Linear(9, 9), tt.Dropout(0.5))
    line = refusal(InputError, tt.summary, model, 3)
    assert line.startswith("summary: the forward of Sequential fails with these inputs: TypeError: linear()")
    line = refusal(InputError, tt.summary, model, torch.ones(2, 3))
    assert line.endswith("mat1 and mat2 shapes cannot be multiplied (2x3 and 9x9)")
    assert model.training


def test_the_modules_of_a_wrapped_model_are_listed() -> None:
    model = nn.DataParallel(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)))
    assert [row.module for row in tt.summary(model, torch.ones(2, 3)).rows] == ["1"]
