"""Networks on disk: round trips, files that are not networks, and disks that fill up."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import FileError, InputError, MissingPackage
from thinnet.schedules import Cosine, Curriculum, Early, Late, Linear

Edit = Callable[[dict[str, Any], dict[str, Any]], Any]

load = net.Network.load_with_metadata


def build(dtype: str = "float64") -> net.Network:
    layers = [
        net.Dropout(0.2, variant="GaussianDropout"),
        net.Dense(3, 4, max_norm=2.5),
        net.SELU(),
        net.Dropout(Curriculum(0.5, gamma=0.01)),
        net.Dense(4, 4),
        net.LeakyReLU(slope=0.3),
        net.Gate(4),
        net.Dropout(Late(0.25, np.int64(7)), variant="VanillaDropout"),
        net.Dense(4, np.int64(2)),
    ]
    network = net.Network(layers, key=Key(2**64 - 1, 5), loss=net.Huber(delta=0.7), dtype=dtype)
    network.weights[6]["gain"][:] = [0.0, 2.0, 0.5, 1 / 3]
    network.fit(np.ones((5, 3)), np.ones((5, 2)), epochs=2)
    return network


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    build().save(path)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_round_trip_brings_back_everything(tmp_path: Path, dtype: str) -> None:
    network, path = build(dtype), tmp_path / "größe 1.safetensors"
    extra = {"classes": ["a", "ß"], "nested": {"n": 1.5, "none": None}}
    network.save(path, metadata=extra)
    again, brought = net.Network.load_with_metadata(path)
    assert brought == extra
    assert again.layers == network.layers
    assert (again.loss, again.dtype, again.key, again.step) == (
        network.loss,
        network.dtype,
        network.key,
        network.step,
    )
    assert again.flat.tobytes() == network.flat.tobytes()
    assert again.weights[6]["gain"].tobytes() == network.weights[6]["gain"].tobytes()
    assert repr(again) == repr(network)
    x = np.random.default_rng(0).standard_normal((6, 3)).astype(dtype)
    for key in (None, Key(3, 100)):
        assert np.array_equal(again.forward(x, key=key), network.forward(x, key=key))
    for one in (network, again):
        one.fit(x, np.zeros((6, 2)), epochs=2, batch=2)
    assert again.flat.tobytes() == network.flat.tobytes()
    again.save(path)  # over the old one
    assert net.Network.load_with_metadata(path)[1] == {}


@pytest.mark.parametrize("rate", [Linear(0.0, 0.5, 9), Cosine(0.1, 0.5, 9), Early(0.5, 9)], ids=repr)
def test_every_schedule_comes_back(tmp_path: Path, rate: Any) -> None:
    network = net.Network([net.Dropout(rate), net.Dense(2, 2)], loss=net.SquaredError(), key=Key(0))
    network.save(tmp_path / "a")
    assert net.Network.load(tmp_path / "a").layers == network.layers


def test_a_thinned_network_comes_back(tmp_path: Path) -> None:
    thin = build().thinned(key=Key(3))
    thin.save(tmp_path / "thin")
    x = np.ones((2, 3))
    assert np.array_equal(net.Network.load(tmp_path / "thin").forward(x), thin.forward(x))


# What can be wrong with a file. Each edit gets the description and the weights of a good one.


def rename(old: str, new: str) -> Edit:
    return lambda d, w: w.update({new: w.pop(old)})


def put(*path: Any, value: Any) -> Edit:
    def edit(d: dict[str, Any], w: dict[str, Any]) -> None:
        at: Any = d
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value

    return edit


def without(name: str) -> Edit:
    return lambda d, w: d.pop(name)


EDITS: dict[str, Edit] = {
    "a layer that is a command": put("layers", 1, value={"type": "os.system", "command": "echo"}),
    "a layer that is no layer": put("layers", 1, value={"type": "Key", "value": 0}),
    "a layer that is another class": put("layers", 2, value={"type": "np"}),
    "the base of all layers": put("layers", 2, value={"type": "Layer"}),
    "a layer without a type": put("layers", 1, value={"inputs": 3, "outputs": 4}),
    "a type that is a list": put("layers", 1, "type", value=["Dense"]),
    "a field too many": put("layers", 1, "colour", value="red"),
    "a layer that is a number": put("layers", 1, value=7),
    "layers that are text": put("layers", value="Dense"),
    "layers that are none": put("layers", value=None),
    "no layers": put("layers", value=[]),
    "a size that is text": put("layers", 1, "inputs", value="3"),
    "a size that does not fit": put("layers", 1, "outputs", value=5),
    "a size beyond memory": put("layers", 1, value={"type": "Dense", "inputs": 10**9, "outputs": 10**9}),
    "a gate beyond memory": put("layers", 6, "units", value=10**15),
    "a slope that is text": put("layers", 5, "slope", value="0.3"),
    "a slope that is a schedule": put("layers", 5, "slope", value={"type": "Constant", "value": 0.3}),
    "a rate out of range": put("layers", 0, "rate", value=1.5),
    "a rate that is text": put("layers", 0, "rate", value="abc"),
    "a variant that is unknown": put("layers", 0, "variant", value="Eval"),
    "a variant that is a list": put("layers", 0, "variant", value=[]),
    "a schedule that is unknown": put("layers", 0, "rate", value={"type": "exec", "value": 1}),
    "a schedule that is an alias": put("layers", 0, "rate", value={"type": "Schedule"}),
    "a schedule of text": put("layers", 0, "rate", value={"type": "Constant", "value": "x"}),
    "a loss that is unknown": put("loss", value={"type": "eval"}),
    "a loss that is a layer": put("loss", value={"type": "ReLU"}),
    "a loss that is none": put("loss", value=None),
    "a loss of text": put("loss", "delta", value="big"),
    "another dtype": put("dtype", value="float32"),
    "a dtype that is none of ours": put("dtype", value="object"),
    "a dtype that is no dtype": put("dtype", value="float7"),
    "a dtype that is a list": put("dtype", value=[]),
    "a key out of range": put("key", value=[2**64, 0]),
    "a key of text": put("key", value="ab"),
    "a key that is a number": put("key", value=3),
    "a step below 0": put("step", value=-1),
    "a step without end": put("step", value=float("inf")),
    "a step of text": put("step", value="x"),
    "an extra that is a list": put("extra", value=[1]),
    "another format": put("format", value="thinnet.network/9"),
    "no format": without("format"),
    "no layers at all": without("layers"),
    "no loss": without("loss"),
    "no key": without("key"),
    "no extra": without("extra"),
    "a weight missing": lambda d, w: w.pop("4.bias"),
    "a weight too many": lambda d, w: w.update({"9.weight": np.ones(3)}),
    "a weight of another name": rename("4.bias", "4.shift"),
    "a weight of another layer": rename("4.bias", "5.bias"),
    "a weight of another shape": lambda d, w: w.update({"4.weight": np.ones((4, 5))}),
    "a weight transposed": lambda d, w: w.update({"1.weight": np.ones((4, 3))}),
    "a weight of another dtype": lambda d, w: w.update({"4.bias": np.ones(4, np.float32)}),
    "no weights": lambda d, w: w.clear(),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_description_that_is_wrong(saved: Path, edit: Edit, refusal: Callable[..., str]) -> None:
    with safetensors.safe_open(saved, framework="numpy") as opened:
        description = json.loads(opened.metadata()["thinnet"])
    weights = safetensors.numpy.load_file(saved)
    edit(description, weights)
    safetensors.numpy.save_file(weights, saved, {"thinnet": json.dumps(description)})
    line = refusal(FileError, load, saved)
    assert line.startswith(f"{saved}: ")
    assert len(line) < len(str(saved)) + 200


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {"thinnet": ""},
        {"thinnet": "{"},
        {"thinnet": "[]"},
        {"thinnet": "null"},
        {"thinnet": "[" * 100_000},
    ],
    ids=["none", "foreign", "empty", "cut", "list", "null", "deep"],
)
def test_safetensors_that_are_not_ours(tmp_path: Path, metadata: Any, refusal: Callable[..., str]) -> None:
    path = tmp_path / "foreign.safetensors"
    safetensors.numpy.save_file({"a": np.ones(3)}, path, metadata)
    line = refusal(FileError, net.Network.load, path)
    assert line.startswith(f"{path}: not a network of thinnet (")
    assert line.endswith("; load a file that Network.save wrote.")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.999])
def test_files_that_are_cut_short(saved: Path, share: float, refusal: Callable[..., str]) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(len(whole) * share)])
    line = refusal(FileError, load, saved)
    assert line.startswith(f"{saved}: not a complete safetensors file")
    assert line.endswith("save the network again.")


def test_files_of_another_kind(tmp_path: Path, refusal: Callable[..., str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("area,price\n" * 100)
    assert refusal(FileError, load, path).startswith(f"{path}: not a complete safetensors file")
    missing = tmp_path / "none"
    assert refusal(FileError, load, missing) == f"{missing}: cannot be read: no such file or folder."
    assert refusal(FileError, load, tmp_path) == f"{tmp_path}: cannot be read: it is a folder."
    inside = path / "model"
    line = refusal(FileError, load, inside)
    assert line == f"{inside}: cannot be read: a part of the path is a file, not a folder."


def test_places_that_cannot_be_written_to(tmp_path: Path, refusal: Callable[..., str]) -> None:
    network = build()
    lost = tmp_path / "none" / "model"
    assert refusal(FileError, network.save, lost) == f"{lost}: cannot be written: no such file or folder."
    assert refusal(FileError, network.save, tmp_path) == f"{tmp_path}: cannot be written: it is a folder."
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_network(
    saved: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in refusal(FileError, build("float32").save, saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, refusal: Callable[..., str]) -> None:
    class Mine(net.ReLU):
        pass

    class Wish(net.SquaredError):
        pass

    def network(layer: net.Layer, loss: net.Loss | None = None) -> net.Network:
        return net.Network([net.Dense(2, 2), layer], loss=loss or net.SquaredError(), key=Key(0))

    cases = [
        (network(Mine()), None, "Network.save: Mine is not a class of thinnet.net,"),
        (network(net.ReLU(), Wish()), None, "Network.save: Wish is not a class of thinnet.net,"),
        (
            network(net.Dropout(lambda step: 0.5)),
            None,
            "Network.save: function is not a class of thinnet.schedules",
        ),
        (network(net.ReLU()), {"x": np.ones(2)}, "Network.save: layers and metadata must be plain JSON ("),
        (network(net.ReLU()), {"x": np.nan}, "Network.save: layers and metadata must be plain JSON ("),
        (net.Network([net.Dense(2, 2)], key=Key(0)), None, "Network: no loss is known yet"),
    ]
    for made, extra, said in cases:
        assert refusal(InputError, made.save, tmp_path / "a", metadata=extra).startswith(said)
    assert list(tmp_path.iterdir()) == []


def test_without_safetensors(
    saved: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    remedy = 'the package safetensors is not installed; run: pip install "thinnet[save]"'
    assert refusal(MissingPackage, build().save, saved) == f"Network.save: {remedy}"
    assert refusal(MissingPackage, net.Network.load, saved) == f"Network.load: {remedy}"


def test_paths_and_metadata_of_other_types(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, build().save, 3) == "Network.save: path must be a path, got 3."
    assert refusal(InputError, net.Network.load, None) == "Network.load: path must be a path, got None."
    line = refusal(InputError, build().save, tmp_path / "a", metadata=3)
    assert line == "Network.save: metadata must be a dict, got 3."


def optimizers() -> list[net.Optimizer]:
    return [net.SGD(0.05, momentum=0.9), net.Adam(0.01), net.AdamW(Cosine(0.01, 0.0, steps=12))]


@pytest.mark.parametrize("number", range(3))
def test_training_resumes_exactly_with_the_saved_state_of_the_optimizer(tmp_path: Path, number: int) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "model.safetensors"
    x, y = rng.standard_normal((30, 3)), rng.standard_normal((30, 2))
    whole, first = build(), build()
    options = {"batch": 10, "epochs": 2}
    kept, before, after = (optimizers()[number] for _ in range(3))
    for _ in range(2):
        whole.fit(x, y, optimizer=kept, **options)
    first.fit(x, y, optimizer=before, **options)
    first.save(path, optimizer=before)
    second = net.Network.load(path, optimizer=after)
    assert after.step == before.step > 0
    second.fit(x, y, optimizer=after, **options)
    assert second.flat.tobytes() == whole.flat.tobytes()
    assert net.Network.load(path).flat.tobytes() == first.flat.tobytes()  # the state may be left alone


def test_a_state_that_does_not_fit_is_refused(
    saved: Path, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    adam, path = net.Adam(), tmp_path / "with.safetensors"
    assert "has no state of an optimizer; pass optimizer=" in refusal(
        FileError, net.Network.load, saved, optimizer=adam
    )
    network = build()
    network.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, optimizer=adam)
    network.save(path, optimizer=adam)
    line = refusal(FileError, net.Network.load, path, optimizer=net.SGD(momentum=0.9))
    assert "its optimizer is Adam, not SGD" in line
    adam.state = [moment[:-1] for moment in adam.state]
    network.save(path, optimizer=adam)
    fresh = net.Adam()
    assert "do not match its weights" in refusal(FileError, net.Network.load, path, optimizer=fresh)
    assert (fresh.step, fresh.state) == (0, [])
    line = refusal(InputError, network.save, path, optimizer="adam")
    assert line.startswith("Network.save: optimizer must be a")
