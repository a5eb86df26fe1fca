"""A network's twin in PyTorch: the same masks to the bit, the same losses to rounding."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thinnet import _cli as cli
from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.gallery import _convnet as convnet
from thinnet.gallery import _images as images
from thinnet.gallery import _overfit as overfit
from thinnet.gallery._backend import NUMPY, Losses
from thinnet.gallery._twins import MaskComparison, TorchBackend, Twin, TwinDropout, module
from thinnet.net._layers import Layer
from thinnet.schedules import Cosine, Linear
from thinnet.variants import drop

WAYS = [(name, way) for name, family in convnet.FAMILIES.items() for way in family.ways]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_every_network_of_the_convnet_exhibit_has_an_equal_twin(name: str, way: str) -> None:
    family, data = convnet.FAMILIES[name], images.digits(20).some(20, 10)
    x, x_test = (convnet.enlarge(part) if name == "vgg" else part for part in (data.x, data.x_test))
    made = family.make(data, family.ways[way], Key(3))
    # in float64 rounding has no time to grow
    network, again = (
        net.Network(made.layers, key=made.key, input_shape=made.shapes[0], flat=made.flat, dtype="float64")
        for _ in range(2)
    )
    twin = Twin(again)
    np.testing.assert_allclose(twin.logits(x_test), network.logits(x_test), rtol=1e-9)
    # two epochs of batches of 8, 8 and 4: their order is drawn, the last is smaller
    losses = [
        each.fit(x, data.y, epochs=2, batch=8, optimizer=net.Adam(Cosine(1e-3, 0.0, 6))).loss
        for each in (network, twin)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-7)
    np.testing.assert_allclose(twin.logits(x_test), network.logits(x_test), rtol=1e-5)
    random = [each for each in network.layers if isinstance(each, net.Dropout) and each.rate]
    assert len(twin.comparisons) == 4 * len(random)  # at steps 0, 1, 2, 4
    assert all(each.equal for each in twin.comparisons)
    assert (way == "no dropout") == (not random)


def test_the_curve_is_learned_alike() -> None:
    torchs = TorchBackend()
    ours, theirs = (overfit.learn(0.5, 0.01, 1, 20, each) for each in (NUMPY, torchs))
    np.testing.assert_allclose(theirs.loss, ours.loss, rtol=1e-3)
    np.testing.assert_allclose(theirs.curve, ours.curve, atol=1e-3)
    assert torchs.twins[0].comparisons == [MaskComparison(True, 20 * 300)] * 2 * 6  # steps 0, 1, 2, 4, 8, 16


def test_a_dropout_layer_draws_at_its_key_and_step() -> None:
    x = np.arange(1, 65, dtype=np.float32).reshape(2, 2, 4, 4)
    layer = net.Dropout(Linear(0.2, 0.6, 8), variant="DropBlock2d", block=2)
    twin = TwinDropout(layer, Key(1).at(8))
    expected = drop("DropBlock2d", x, 0.6, key=Key(1).at(8), block=2)
    assert np.array_equal(twin(torch.tensor(x)).numpy(), expected)
    twin.key = Key(1).at(7)
    assert not np.array_equal(twin(torch.tensor(x)).numpy(), expected)
    mean = TwinDropout(net.Dropout(Linear(0.0, 0.25, 8), variant="VanillaDropout"), Key(1)).eval()
    assert np.array_equal(mean(torch.tensor(x)).numpy(), 0.75 * x)


@pytest.mark.parametrize("wrong", ["key", "rate"])
def test_masks_that_differ_are_reported(wrong: str) -> None:
    backend = TorchBackend()
    twin = backend.trainable(overfit.network(0.5, Key(0)))
    first: Any = twin.modules[2]
    if wrong == "key":
        first.key = Key(5)
    else:
        first.layer = net.Dropout(0.25)
    x, y, _ = overfit.points(Key(0))
    twin.fit(x, y, epochs=2, batch=20, optimizer=net.Adam())
    assert [each.equal for each in twin.comparisons] == [False, True, False, True]
    found = {"this": Losses([1.0, 2.0], [3.0, 5.0])}
    lines = backend.comparison("early", found, lambda other: {"this": Losses([1.0, 2.25], [3.5, 5.0])})
    assert lines[1].endswith("compared with NumPy, masks equal: 2 of 4 layers and steps, 24,000 entries")
    assert lines[3].split() == ["this", "2.5e-01", "4.250000", "4.000000", "5.0e-01"]


def test_a_twin_leaves_pytorch_and_the_network_alone(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(partial(torch.set_num_threads, torch.get_num_threads()))
    torch.set_num_threads(2)
    before = torch.get_rng_state()
    made = net.three_layer_convnet((1, 8, 8), kernel_size=3, dropout=net.Dropout(0.5), key=Key(0))
    flat = made.flat.copy()
    twin = Twin(made)
    twin.fit(np.ones((4, 1, 8, 8)), np.arange(4), epochs=1, batch=4, optimizer=net.Adam())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 2
    assert np.array_equal(made.flat, flat)
    assert not np.array_equal(twin.logits(np.ones((1, 1, 8, 8))), made.logits(np.ones((1, 1, 8, 8))))


@pytest.mark.parametrize("layer", [net.BatchNorm(3), net.Tanh(), net.Dense(2, 2, max_norm=1.0)])
def test_layers_without_a_twin(layer: Layer, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, module, layer, {}, Key(0))
    assert line == f"Twin: {layer!r} has no twin in PyTorch; train it with --backend numpy."


def test_what_else_is_refused(refusal: Callable[..., str]) -> None:
    twin = Twin(net.Network([net.Dense(2, 1)], loss=net.AbsoluteError(), key=Key(0)))
    words: dict[str, Any] = {"epochs": 1, "batch": 2}
    for optimizer in (net.AdamW(), net.Adam(l2=0.1)):
        line = refusal(InputError, twin.fit, np.eye(2), [0.5, 1.5], optimizer=optimizer, **words)
        assert line == f"Twin: optimizer must be thinnet.net.Adam() without l2, got {optimizer!r}."
    line = refusal(InputError, twin.fit, np.eye(2), [0.5, 1.5], optimizer=net.Adam(), **words)
    assert line.startswith("Twin: AbsoluteError() has no twin in PyTorch; ")


def test_the_command_reports_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = overfit.run
    monkeypatch.setattr(overfit, "run", lambda data, backend: run(data, 2, 12, backend))
    assert cli.run(["gallery", "overfit", "--backend", "torch", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    # two speeds, two seeds, two layers, five steps
    assert "masks equal: 40 of 40 layers and steps, 240,000 entries\n" in out
    rows = re.findall(r"^(learning rate .+, .+?)  +(\S+)  +\S+  +\S+  +\S+$", out, re.MULTILINE)
    assert len(rows) == 4
    assert all(float(early) < 1e-2 for _, early in rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["overfit.gif", "overfit.html", "overfit.png"]


def test_convnets_are_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    families = {name: convnet.FAMILIES[name] for name in ("dense", "convnet")}
    for name, value in {"TRAIN": 40, "TEST": 20, "FAMILIES": families}.items():
        monkeypatch.setattr(convnet, name, value)
    lines = convnet.run(seeds=2, epochs=1, backend=TorchBackend()).lines
    at = next(i for i, line in enumerate(lines) if line.startswith("PyTorch"))
    # two steps and two seeds; two ways with two layers each, three with one
    assert "masks equal: 28 of 28 layers and steps" in lines[at]
    rows = lines[at + 2 :]
    ways = [f"{family.title}, {way}" for family in families.values() for way in family.ways]
    assert [line.split("  ")[0] for line in rows] == ways
    assert all(float(line.split()[-4]) < 1e-4 for line in rows)
