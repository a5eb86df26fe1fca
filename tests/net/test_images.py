"""Pools, batch normalisation and branches: PyTorch's answers, networks of them, thinned ones, saved ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet._core.random import Key

KEY = Key(5)


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


def images(count: int, seed: int = 0) -> tuple[Any, Any]:
    """Return small images of two classes: a bright stripe that lies or stands."""
    generator = np.random.default_rng(seed)
    x, y = generator.normal(0, 0.3, (count, 1, 8, 8)), np.arange(count) % 2
    for image, label in zip(x, y, strict=True):
        at = generator.integers(0, 8)
        (image[0, at] if label else image[0, :, at])[...] += 1
    return x, y


def convnet(**options: Any) -> net.Network:
    block = (net.Conv2d(6, 6, 3, padding=1), net.BatchNorm(6), net.ReLU(), net.Dropout(0.2))
    layers = [
        *(net.Conv2d(1, 6, 3, padding=1), net.BatchNorm(6), net.ReLU(), net.MaxPool2d(2)),
        *(net.Residual(block), net.Dropout(0.3, variant="DropBlock2d", block=2), net.Flatten()),
        *(net.Dense(96, 16), net.ReLU(), net.Dropout(0.5), net.Dense(16, 2)),
    ]
    return net.Network(layers, key=Key(1), input_shape=(1, 8, 8), **options)


@pytest.mark.parametrize("case", [(2,), (3, 2), (3, 2, 1), ((3, 2), (1, 2), (1, 0))], ids=str)
@pytest.mark.parametrize(("kind", "peer"), [(net.MaxPool2d, "max_pool2d"), (net.AvgPool2d, "avg_pool2d")])
def test_pools_are_pytorchs(kind: Any, peer: str, case: Any) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    options = dict(zip(("stride", "padding"), case[1:], strict=False))
    layer, x = (
        kind(case[0], **options),
        random(3, 4, 7, 9).round(1),
    )  # rounded: some windows have two largest entries
    y, saved = layer.forward(x, {})
    dy = random(*y.shape, seed=1)
    tensor = torch.tensor(x, requires_grad=True)
    theirs = getattr(torch.nn.functional, peer)(tensor, *case)
    theirs.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, theirs.detach().numpy(), atol=1e-13)
    np.testing.assert_allclose(layer.backward(dy, saved, {}, {}), tensor.grad.numpy(), atol=1e-13)


@pytest.mark.parametrize("shape", [(12, 5), (6, 5, 3, 4)], ids=str)
def test_batch_normalisation_is_pytorchs(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer = net.BatchNorm(5, momentum=0.3, epsilon=1e-3)
    weights = {"gamma": random(5), "beta": random(5, seed=1), "mean": np.zeros(5), "variance": np.ones(5)}
    grads = {name: np.zeros(5) for name in ("gamma", "beta")}
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    theirs = kind(5, eps=1e-3, momentum=0.3).double()
    theirs.weight.data, theirs.bias.data = torch.tensor(weights["gamma"]), torch.tensor(weights["beta"])
    for step in range(3):
        x = 2 * random(*shape, seed=step) + 3
        tensor = torch.tensor(x, requires_grad=True)
        y, saved = layer.learn(x, weights)
        expected = theirs(tensor)
        np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-12)
        dy = random(*shape, seed=9)
        theirs.zero_grad()
        expected.backward(torch.tensor(dy))
        np.testing.assert_allclose(layer.backward(dy, saved, weights, grads), tensor.grad.numpy(), atol=1e-12)
        np.testing.assert_allclose(grads["gamma"], theirs.weight.grad.numpy(), atol=1e-12)
        np.testing.assert_allclose(grads["beta"], theirs.bias.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(weights["mean"], theirs.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(weights["variance"], theirs.running_var.numpy(), rtol=1e-12)
    theirs.eval()
    expected = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(layer.forward(x, weights)[0], expected, atol=1e-12)


def test_spatial_batch_normalisation_known_answer() -> None:
    """Stanford CS231n, assignment 2: seed 231, x = 4 * randn(2, 3, 4, 5) + 10."""
    x = 4 * np.random.RandomState(231).randn(2, 3, 4, 5) + 10
    layer = net.BatchNorm(3, momentum=1.0)
    weights = {"gamma": np.ones(3), "beta": np.zeros(3), "mean": np.zeros(3), "variance": np.ones(3)}
    y, _ = layer.learn(x, weights)
    np.testing.assert_allclose(weights["mean"], [9.33463814, 8.90909116, 9.11056338], atol=5e-9)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-14)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, rtol=1e-5)


def test_a_network_of_images_learns_and_prints_itself() -> None:
    x, y = images(400)
    network = convnet()
    network.fit(x, y, epochs=40, batch=32, optimizer=net.Adam(5e-3))
    unseen, truth = images(200, seed=1)
    assert (network.predict(unseen) == truth).mean() > 0.95
    lines = repr(network).splitlines()
    assert lines[0] == "Network 64 -> 2, 2,000 weights, float32"
    assert lines[1].split() == [
        "0",
        "Conv2d(1,",
        "6,",
        "3,",
        "padding=1)",
        "(n,",
        "1,",
        "8,",
        "8)",
        "->",
        "(n,",
        "6,",
        "8,",
        "8)",
        "60",
    ]
    assert lines[5].startswith("   4  Residual(Conv2d(6, 6, 3, padding=1), BatchNorm(")


def test_statistics_are_learned_in_training_alone() -> None:
    network, (x, y) = convnet(), images(64)
    before = copy.deepcopy(network.buffers())
    network.logits(x)
    network.logits(x, key=KEY)
    assert all(np.array_equal(a, b) for a, b in zip(before, network.buffers(), strict=True))
    network.fit(x, y, epochs=1)
    assert not any(np.array_equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


def test_patience_takes_back_the_statistics_too() -> None:
    network, (x, y) = convnet(), images(64)
    seen: list[Any] = []

    def remember(epoch: net.Epoch) -> None:
        seen.append((network.flat.copy(), copy.deepcopy(network.buffers())))

    history = network.fit(
        x, y, epochs=40, optimizer=net.Adam(0.05), validation=images(32, 2), patience=2, on_epoch=remember
    )
    flat, buffers = seen[history.best - 1]
    assert history.best < len(seen)
    assert np.array_equal(network.flat, flat)
    assert all(np.array_equal(a, b) for a, b in zip(network.buffers(), buffers, strict=True))


def test_a_thinned_network_of_images() -> None:
    x, y = images(64)
    network = convnet(dtype="float64")
    network.fit(x, y, epochs=2)
    thin = network.thinned(key=KEY)
    assert not any(isinstance(layer, net.Dropout) for layer in thin.layers)
    assert not any(isinstance(layer, net.Dropout) for layer in thin.layers[4].branch)  # type: ignore[attr-defined]
    # one row, drawn with the same key, has the lanes of the thinned network's units
    np.testing.assert_allclose(thin.logits(x[:1]), network.logits(x[:1], key=KEY), rtol=1e-12)


def test_a_network_of_images_is_saved_and_copied_whole(tmp_path: Path) -> None:
    x, y = images(64)
    network = convnet()
    network.fit(x, y, epochs=2)
    for other in (network, network.thinned(key=KEY)):
        other.save(tmp_path / "images.safetensors")
        for again in (net.Network.load(tmp_path / "images.safetensors"), copy.deepcopy(other)):
            assert again.layers == other.layers
            assert np.array_equal(again.logits(x), other.logits(x))


def test_one_row_has_no_variance() -> None:
    network, (x, y) = (
        net.Network([net.Dense(3, 2), net.BatchNorm(2)], key=Key(0)),
        (random(9, 3), np.arange(9) % 2),
    )
    with pytest.raises(ValueError, match="one row has no variance"):
        network.fit(x, y, batch=4)
