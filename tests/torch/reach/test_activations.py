"""Functional dropout in a forward draws thinnet's masks, at the documented keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import thinnet as tn
import thinnet.torch as tt

F: Any = nn.functional
T: Any = torch
X = torch.arange(1.0, 241).reshape(2, 3, 4, 10)

# A call, the kind of its stream, and the function of thinnet that it equals.
CALLS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str, torch.Tensor]] = {
    "F.dropout": (lambda x: F.dropout(x, 0.3), "Dropout", X),
    "F.dropout inplace": (lambda x: F.dropout(x, 0.3, inplace=True), "Dropout", X),
    "F.dropout1d": (lambda x: F.dropout1d(x, 0.3), "Dropout1d", X[0]),
    "F.dropout2d": (lambda x: F.dropout2d(x, 0.3), "Dropout2d", X),
    "F.dropout3d": (lambda x: F.dropout3d(x, 0.3, inplace=True), "Dropout3d", X[..., None]),
    "F.alpha_dropout": (lambda x: F.alpha_dropout(x, 0.3, training=True), "AlphaDropout", X),
    "F.feature_alpha_dropout": (lambda x: F.feature_alpha_dropout(x, 0.3, True), "FeatureAlphaDropout", X),
    "torch.dropout": (lambda x: T.dropout(x, 0.3, True), "Dropout", X),
    "torch.dropout_": (lambda x: T.dropout_(x, 0.3, True), "Dropout", X),
    "torch.alpha_dropout": (lambda x: T.alpha_dropout(x, 0.3, True), "AlphaDropout", X),
    "torch.alpha_dropout_": (lambda x: T.alpha_dropout_(x, 0.3, train=True), "AlphaDropout", X),
    "torch.feature_dropout": (lambda x: T.feature_dropout(x, 0.3, True), "Dropout2d", X),
    "torch.feature_dropout_": (lambda x: T.feature_dropout_(x, 0.3, True), "Dropout2d", X),
    "torch.feature_alpha_dropout": (
        lambda x: T.feature_alpha_dropout(x, 0.3, True),
        "FeatureAlphaDropout",
        X,
    ),
    "torch.feature_alpha_dropout_": (
        lambda x: T.feature_alpha_dropout_(x, 0.3, True),
        "FeatureAlphaDropout",
        X,
    ),
}


class Calling(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_draws_at_the_key_of_its_module_kind_and_number(name: str) -> None:
    call, kind, x = CALLS[name]
    model = tt.replace(nn.Sequential(nn.Identity(), Calling(call)))
    key = tt.seed(model, 5)["1"].fold(kind)
    with tt.step(model, 3):
        model(x.clone())
        given = x.clone()
        y = model(given)
    assert torch.equal(y, tt.functional.drop(kind, x, 0.3, key=key.fold(1).at(3)))
    in_place = "inplace" in name or name.endswith("_") or "3d" in name
    assert torch.equal(given, y if in_place else x)


@pytest.mark.parametrize("axes", [2, 3, 4, 5, 6])
def test_channels_of_any_number_of_axes(axes: int) -> None:
    x = torch.ones(5, 7, *[2] * (axes - 2))
    model = tt.replace(Calling(lambda x: T.feature_dropout(x, 0.5, True)))
    y = model(x).flatten(1) if axes == 2 else model(x).flatten(2)
    assert y.unique().tolist() == [0.0, 2.0]
    if axes > 2:
        assert (y == y[..., :1]).all()
    alpha = tt.replace(Calling(lambda x: T.feature_alpha_dropout(x, 0.5, True)))(x)
    assert len(alpha.unique()) == 2


@pytest.mark.parametrize("p", [0.0, 0])
def test_a_rate_of_zero_draws_nothing(p: float) -> None:
    model = tt.replace(Calling(lambda x: F.dropout(F.dropout(x, p), 0.5)))
    keys = tt.seed(model, 0)
    y = model(X)
    key = keys[""].fold("Dropout").fold(0).at(0)
    assert torch.equal(y, tt.functional.dropout(X, 0.5, key=key))


def test_evaluation_is_torchs_and_calls_outside_are_torchs() -> None:
    model = tt.replace(Calling(lambda x: F.dropout(x, 0.5, training=False)))
    assert model(X) is X
    torch.manual_seed(0)
    theirs = F.dropout(X, 0.5)
    other = Calling(lambda x: F.dropout(x, 0.5))
    torch.manual_seed(0)
    assert torch.equal(other(X), theirs)
    torch.manual_seed(0)
    assert not torch.equal(tt.replace(other)(X), theirs)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_rate_may_be_a_tensor(compiled: bool) -> None:
    model = tt.replace(Calling(F.dropout))
    tt.seed(model, 0)
    run = torch.compile(model, fullgraph=True, backend="eager") if compiled else model
    for step, p in enumerate((0.5, 0.25)):
        key = tn.Key(0).fold("").fold("Dropout").fold(0).at(step)
        with tt.step(model, step):
            y = run(X, torch.tensor(p))
        assert torch.equal(y, tt.functional.dropout(X, p, key=key))


@pytest.mark.parametrize(
    "x", [torch.ones(3, dtype=torch.complex64), torch.ones(3, dtype=torch.int64), torch.eye(3).to_sparse()]
)
def test_tensors_that_thinnet_does_not_take_are_torchs(x: torch.Tensor) -> None:
    def outcome(model: nn.Module) -> tuple[Any, str]:
        torch.manual_seed(0)
        try:
            return None, str(model(x))
        except (RuntimeError, NotImplementedError) as error:
            return type(error), str(error)

    assert outcome(tt.replace(Calling(lambda x: F.dropout(x, 0.5)))) == outcome(
        Calling(lambda x: F.dropout(x, 0.5))
    )


def test_a_rate_outside_is_refused_in_one_line() -> None:
    with pytest.raises(tn.errors.InputError, match=r"^Dropout: p must be in \[0, 1\], got 1.5"):
        tt.replace(Calling(lambda x: F.dropout(x, 1.5)))(X)
