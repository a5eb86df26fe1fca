"""Patterns and variants of a user's own in layers: what they draw, how they print, how they are saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thinnet as tn
from thinnet import net
from thinnet.errors import InputError
from thinnet.variants import _catalogue as catalogue
from thinnet.variants import find

KEY = tn.Key(5, 2)
X = np.random.default_rng(0).standard_normal((6, 8))


@pytest.fixture
def own() -> Iterator[tn.variants.Variant]:
    """Return a variant that is not in the catalogue, and remove it afterwards."""
    row = replace(find("Dropout"), name="RowsOfMyOwn", pattern="n 1")
    yield row
    catalogue._rows.pop(row.name, None)


@pytest.mark.parametrize("pattern", ["n 1", "1 f", "n f", "..."])
@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_a_pattern_draws_what_drop_draws(pattern: str, rate: float) -> None:
    layer = net.Dropout(rate, pattern=pattern)
    y, saved = layer.forward(X, {}, key=KEY)
    expected = tn.drop("Dropout", X, rate, pattern=pattern, key=KEY)
    assert np.array_equal(y, expected)
    assert np.array_equal(layer.backward(X, saved, {}, {}), expected)
    assert layer.forward(X, {})[0] is X


def test_a_pattern_of_weights_draws_what_drop_draws() -> None:
    layer = net.DropConnect(net.Dense(8, 3), 0.5, pattern="n 1")  # whole inputs
    weights = {"weight": np.random.default_rng(1).standard_normal((8, 3)), "bias": np.ones(3)}
    dropped = tn.drop("DropConnect", weights["weight"], 0.5, pattern="n 1", key=KEY)
    assert (dropped == 0).all(axis=1).any()
    assert np.array_equal(layer.forward(X, weights, key=KEY)[0], X @ dropped + 1)


def test_a_variant_is_accepted_where_its_name_is(own: tn.variants.Variant) -> None:
    y, _ = net.Dropout(0.5, variant=own).forward(X, {}, key=KEY)
    assert np.array_equal(y, tn.drop(own, X, 0.5, key=KEY))
    weights = replace(find("DropConnect"), name="WeightsOfMyOwn")
    assert net.DropConnect(net.Dense(8, 3), 0.5, variant=weights).row is weights


def build(*dropout: net.Layer) -> net.Network:
    layers = [net.Dense(8, 5), net.ReLU(), *dropout, net.Dense(5, 2)]
    return net.Network(layers, key=tn.Key(0), loss=net.SquaredError())


def test_patterns_and_variants_are_printed(own: tn.variants.Variant) -> None:
    lines = repr(build(net.Dropout(0.5, variant=own), net.Dropout(0.1, pattern="n 1"))).splitlines()
    assert lines[3].split()[1] == "RowsOfMyOwn(0.5)"
    assert 'Dropout(0.1, pattern="n 1")' in lines[4]


def test_a_pattern_is_not_fused_into_the_dense_layer() -> None:
    network = build(net.Dropout(0.5, pattern="n 1"))
    rows = np.abs(X).astype("f4")
    z = network.forward(rows, key=KEY)
    by_hand = np.maximum(rows @ network.weights[0]["weight"] + network.weights[0]["bias"], 0)
    own_key = net._dropout.mask_key(KEY, 2).at(KEY.step)
    by_hand = tn.drop("Dropout", by_hand, 0.5, pattern="n 1", key=own_key)
    assert np.allclose(z, by_hand @ network.weights[3]["weight"] + network.weights[3]["bias"], atol=1e-5)


def test_saved_networks_keep_patterns_and_registered_variants(
    own: tn.variants.Variant, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    path = tmp_path / "net.safetensors"
    network = build(net.Dropout(0.5, variant=own), net.Dropout(0.1, pattern="n 1"))
    line = refusal(InputError, network.save, path)
    assert line == (
        "Network.save: the variant RowsOfMyOwn is not in the catalogue, so the file could not be loaded; "
        "call thinnet.register(variant) first."
    )
    tn.register(own)
    network.save(path)
    loaded = net.Network.load(path)
    assert loaded.layers[2] == net.Dropout(0.5, variant="RowsOfMyOwn")
    assert loaded.layers[3] == net.Dropout(0.1, pattern="n 1")
    rows = X.astype("f4")
    assert np.array_equal(loaded.forward(rows, key=KEY), network.forward(rows, key=KEY))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: net.Dropout(0.5, pattern=""), "pattern"),
        (lambda: net.Dropout(0.5, pattern=3), "pattern"),
        (lambda: net.Dropout(0.5, variant=3), "variant must be a str, got 3"),
        (lambda: net.DropConnect(net.Dense(8, 3), 0.5, pattern="n c 1 1"), "DropConnect: "),
        (lambda: net.DropConnect(net.Dense(8, 3), 0.5, pattern="n 1", per_sample=True), "per_sample needs"),
        (lambda: build(net.Dropout(0.5, pattern="n c 1 1")), 'layer 2, Dropout(0.5, pattern="n c 1 1")'),
    ],
)
def test_what_is_refused(make: Callable[[], Any], said: str, refusal: Callable[..., str]) -> None:
    assert said in refusal(InputError, make)
