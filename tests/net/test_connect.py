"""Dropped weights: what reaches a layer, its gradient, its mean, its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet import CATALOGUE, Key, drop, net
from thinnet.errors import InputError
from thinnet.schedules import Linear

from .test_gradients import TOLERANCE, away_from_kinks, numeric, relative_error

WEIGHTS = [row.name for row in CATALOGUE.values() if row.site == "weight"]
LAYERS = {"dense": (net.Dense(5, 4), (6, 5)), "conv": (net.Conv2d(2, 3, 3, padding=1), (2, 2, 4, 4))}


def weights_of(layer: net.DropConnect) -> dict[str, Any]:
    kept = {name: away_from_kinks(shape, 3) for name, (shape, _) in layer.buffers().items()}
    return {name: away_from_kinks(shape, 1) for name, shape in layer.shapes().items()} | kept


@pytest.mark.parametrize("inner", LAYERS)
@pytest.mark.parametrize("variant", WEIGHTS)
@pytest.mark.parametrize("key", [None, Key(3, 4)], ids=["mean", "sample"])
@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0, Linear(0.2, 0.6, 10)], ids=str)
def test_gradients_of_every_variant_for_weights(inner: str, variant: str, key: Key | None, rate: Any) -> None:
    plain, shape = LAYERS[inner]
    check(net.DropConnect(plain, rate, variant=variant), shape, key)


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_gradients_where_each_row_has_its_own_weights(rate: float) -> None:
    check(net.DropConnect(net.Dense(5, 4), rate, per_sample=True), (6, 5), Key(1))


def check(layer: net.DropConnect, shape: tuple[int, ...], key: Key | None) -> None:
    weights, x = weights_of(layer), away_from_kinks(shape)
    grads = {name: np.full_like(weights[name], np.nan) for name in layer.shapes()}
    y, saved = layer.forward(x, weights, key=key)
    assert y.shape == (len(x), *layer.output_shape(x.shape[1:]))
    r = away_from_kinks(y.shape, 2)
    dx = layer.backward(r, saved, weights, grads)

    def value() -> float:
        return float(np.vdot(r, layer.forward(x, weights, key=key)[0]))

    assert np.allclose(dx, numeric(value, x), atol=1e-6)
    for name, grad in grads.items():
        assert np.allclose(grad, numeric(value, weights[name]), atol=1e-6), name
    if np.any(dx):
        assert relative_error(dx, numeric(value, x)) < TOLERANCE
    alone = {name: np.full_like(grad, np.nan) for name, grad in grads.items()}
    layer.gradients(r, layer.forward(x, weights, key=key)[1], weights, alone)
    assert all(np.array_equal(alone[name], grads[name]) for name in grads)


def test_the_weights_are_those_of_drop() -> None:
    layer, key = net.DropConnect(net.Dense(5, 4), 0.5), Key(7)
    weights, x = weights_of(layer), away_from_kinks((6, 5))
    y, _ = layer.forward(x, weights, key=key)
    assert np.allclose(y, x @ drop("DropConnect", weights["weight"], 0.5, key=key) + weights["bias"])
    assert np.allclose(layer.forward(x, weights)[0], x @ weights["weight"] + weights["bias"])


def test_each_row_has_its_own_weights_however_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, key = net.DropConnect(net.Dense(5, 4), 0.5, per_sample=True), Key(7)
    weights, x = weights_of(layer), away_from_kinks((6, 5))
    every = drop("DropConnect", np.broadcast_to(weights["weight"], (6, 5, 4)).copy(), 0.5, key=key)
    expected = np.einsum("nd,ndk->nk", x, every) + weights["bias"]
    assert np.allclose(layer.forward(x, weights, key=key)[0], expected)
    monkeypatch.setattr("thinnet.net._connect._ENTRIES", 45)
    assert np.allclose(layer.forward(x, weights, key=key)[0], expected)
    check(layer, (6, 5), key)


def test_mixout_goes_back_to_pretrained_weights() -> None:
    made = net.Network([net.DropConnect(net.Dense(4, 3), 1.0, variant="Mixout")], key=Key(0))
    made.weights[0]["pretrained"][:] = 2.0
    x = np.ones((2, 4), np.float32)
    assert np.allclose(made.logits(x, key=Key(1)), 8.0)
    assert made.buffers()[0].shape == (4, 3)
    assert made.flat.size == 15


def test_a_thinned_network_is_the_plain_layer_with_the_weights_of_its_key() -> None:
    block = net.Residual((net.DropConnect(net.Dense(6, 6), 0.3), net.ReLU()))
    made = net.Network(
        [net.DropConnect(net.Dense(4, 6), 0.5), net.ReLU(), block, net.Dense(6, 2)], key=Key(0)
    )
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    thin = made.thinned(key=Key(9))
    assert np.allclose(thin.logits(x), made.logits(x, key=Key(9)), atol=1e-6)
    assert not any(layer.draws for layer in thin.layers if not isinstance(layer, net.Residual))
    assert 0 < np.mean(thin.weights[0]["weight"] == 0) < 1


@pytest.mark.parametrize("variant", WEIGHTS)
def test_it_learns_and_is_saved(variant: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((200, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    layers = [
        net.DropConnect(net.Dense(4, 32, max_norm=3.0), 0.2, variant=variant),
        net.ReLU(),
        net.Dense(32, 2),
    ]
    made = net.Network(layers, key=Key(0))
    losses = made.fit(x, y, epochs=60, batch=20).loss
    assert losses[-1] < 0.6 * losses[0]
    assert np.linalg.norm(made.weights[0]["weight"], axis=0).max() <= 3.0 + 1e-5
    made.save(tmp_path / "net.safetensors")
    again = net.Network.load(tmp_path / "net.safetensors")
    assert repr(again) == repr(made)
    assert np.array_equal(again.predict(x), made.predict(x))
    assert np.array_equal(again.logits(x, key=Key(2)), made.logits(x, key=Key(2)))


def test_a_schedule_inside_is_saved(tmp_path: Path) -> None:
    made = net.Network(
        [net.DropConnect(net.Dense(4, 2), Linear(0.0, 0.5, 9))], loss=net.SoftmaxCrossEntropy(), key=Key(0)
    )
    made.save(tmp_path / "net.safetensors")
    assert net.Network.load(tmp_path / "net.safetensors").layers == made.layers


def test_a_schedule_is_not_asked_for_a_mean_that_is_the_weights() -> None:
    x, y = np.random.default_rng(0).standard_normal((32, 4)), np.arange(32) % 2
    never_ends = net.DropConnect(net.Dense(4, 8), lambda step: step / 1000)
    made = net.Network([never_ends, net.ReLU(), net.Dense(8, 2)], key=Key(0))
    made.fit(x, y, epochs=2, batch=16, validation=(x, y))
    plain = x.astype("f4") @ made.weights[0]["weight"] + made.weights[0]["bias"]
    assert np.allclose(never_ends.forward(x.astype("f4"), made.weights[0])[0], plain)


def test_what_is_refused(refusal: Callable[..., str]) -> None:
    def refused(*arguments: Any, **options: Any) -> str:
        return refusal(InputError, net.DropConnect, *arguments, **options)

    assert refused(net.ReLU(), 0.5) == "DropConnect: layer must be Dense or Conv2d, got ReLU."
    assert refused(net.Dense(2, 3), 1.5) == "DropConnect: rate must be in [0, 1], got 1.5."
    assert (
        refused(net.Dense(2, 3), 0.5, variant="Dropout")
        == "DropConnect: Dropout does not act on weights; its site is activation."
    )
    assert "did you mean" in refused(net.Dense(2, 3), 0.5, variant="MixOut")
    assert refused(net.Dense(2, 3), 0.5, per_sample="no").endswith(
        "per_sample must be True or False, got 'no'."
    )
    assert net.DropConnect(net.Dense(2, 3), 0.5, per_sample=np.True_).per_sample is True
    for layer, variant in ((net.Conv2d(2, 2, 3), "DropConnect"), (net.Dense(2, 3), "Mixout")):
        line = refused(layer, 0.5, variant=variant, per_sample=True)
        assert (
            line
            == 'DropConnect: per_sample needs a Dense layer, a variant without other and the pattern "...".'
        )
