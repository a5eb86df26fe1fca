from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import InputError


def digits(count: int) -> tuple[Any, Any]:
    x, y = load_digits(return_X_y=True)
    return x[:count].reshape(-1, 1, 8, 8) / 16, y[:count]


def test_the_first_loss_of_the_small_convnet_is_near_ln_10() -> None:
    """As the exercise checks it: small weights make every class as likely."""
    network = net.three_layer_convnet((3, 32, 32), key=Key(0), loss=net.SoftmaxCrossEntropy())
    network.flat *= 1e-2
    x = np.random.default_rng(0).standard_normal((50, 3, 32, 32)).astype(np.float32)
    assert network.mean_loss(x, np.arange(50) % 10) == pytest.approx(math.log(10), rel=1e-3)


@pytest.mark.parametrize(
    "dropout",
    [
        None,
        net.Dropout(0.25),
        net.Dropout(0.25, variant="Dropout2d"),
        net.Dropout(0.2, variant="DropBlock2d", block=2),
    ],
    ids=str,
)
def test_the_small_convnet_overfits_100_images(dropout: net.Layer | None) -> None:
    x, y = digits(100)
    small: dict[str, Any] = {"filters": 8, "kernel_size": 3, "hidden": 50}
    network = net.three_layer_convnet((1, 8, 8), **small, dropout=dropout, key=Key(1))
    network.fit(x, y, epochs=60, batch=20, optimizer=net.Adam(3e-3))
    assert (network.predict(x) == y).mean() == 1


@pytest.mark.parametrize(("depth", "convolutions"), [(11, 8), (13, 10), (16, 13)])
def test_vgg_has_the_papers_layers(depth: int, convolutions: int) -> None:
    network = net.vgg(
        depth, width=1 / 16, dropout=0.4, pools=net.Dropout(0.1, variant="DropBlock2d"), key=Key(0)
    )
    kinds = [type(layer) for layer in network.layers]
    assert kinds.count(net.Conv2d) == convolutions
    assert kinds.count(net.Dense) == 3
    assert kinds.count(net.MaxPool2d) == 5
    dropouts = [layer for layer in network.layers if isinstance(layer, net.Dropout)]
    assert [layer.rate for layer in dropouts] == [0.1] * 5 + [0.4, 0.4]
    assert [layer.row.block for layer in dropouts[:5]] == [(side, side) for side in (7, 7, 4, 2, 1)]
    assert network.shapes[0] == (3, 32, 32)
    channels = [layer.outputs for layer in network.layers if isinstance(layer, net.Conv2d)]
    assert (channels[0], channels[-1]) == (4, 32)


def test_the_full_vgg_11_has_as_many_weights_as_its_shapes_say() -> None:
    network = net.vgg(11, width=0.5, input_shape=(3, 64, 64), key=Key(0))
    assert network.logits(np.zeros((1, 3, 64, 64))).shape == (1, 10)
    dense = [layer for layer in network.layers if isinstance(layer, net.Dense)]
    assert dense[0].inputs == 256 * 2 * 2


def test_vgg_learns() -> None:
    x, y = digits(200)
    images = np.pad(np.repeat(np.repeat(x, 4, 2), 4, 3), 0)
    network = net.vgg(11, input_shape=(1, 32, 32), width=1 / 16, dropout=0.2, key=Key(0))
    history = network.fit(images, y, epochs=12, batch=25, optimizer=net.Adam(2e-3))
    assert history.loss[-1] < 0.5 * history.loss[0]


def test_a_branch_is_dropped_for_whole_rows() -> None:
    layers = [net.Residual((net.Conv2d(2, 2, 1), net.Dropout(0.5, variant="DropPath"))), net.Flatten()]
    network = net.Network(layers, input_shape=(2, 3, 3), dtype="float64", key=Key(0))
    x = np.random.default_rng(0).standard_normal((200, 2, 3, 3))
    mean, drawn = network.logits(x), network.logits(x, key=Key(1))
    alone = (drawn == x.reshape(200, -1)).all(axis=1)
    doubled = np.isclose(drawn, 2 * mean - x.reshape(200, -1)).all(axis=1)
    assert 70 < alone.sum() < 130
    assert np.array_equal(alone, ~doubled)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: net.vgg(12, key=Key(0)), "vgg: depth must be 11, 13 or 16, got 12."),
        (lambda: net.vgg(11, width=0, key=Key(0)), "vgg: width must be a number greater than 0, got 0."),
        (
            lambda: net.vgg(11, input_shape=(1, 28, 28), key=Key(0)),
            "vgg: images must be at least 32 high and wide, got (1, 28, 28).",
        ),
        (
            lambda: net.three_layer_convnet(kernel_size=4, key=Key(0)),
            "three_layer_convnet: kernel_size must be odd, got 4.",
        ),
    ],
)
def test_what_is_refused(call: Callable[[], Any], line: str, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, call) == line


@pytest.mark.parametrize("groups", [1, 4, 32])
def test_first_weights_of_groups_keep_the_spread_of_what_flows(groups: int) -> None:
    layers = [net.Conv2d(32, 32, 3, padding=1, groups=groups), net.ReLU(), net.Flatten(), net.Dense(512, 2)]
    network = net.Network(layers, key=Key(0), input_shape=(32, 4, 4))
    weight = network.weights[0]["weight"]
    assert weight.std() == pytest.approx(math.sqrt(2 / (32 // groups * 9)), rel=0.1)


def test_a_branch_keeps_no_max_norm(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, net.Residual, (net.Dense(4, 4, max_norm=0.5),))
    assert line == "Residual: layer 0 has a max_norm, which a branch cannot keep; leave it out."


def test_what_cannot_stand_between_layers(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, net.Dropout, 0.1, variant="Zoneout")
    assert line == "Dropout: Zoneout does not act between two layers; its site is state."
