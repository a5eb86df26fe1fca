from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinnet.errors import FileError, InputError
from thinnet.gallery import _images as images


def idx(array: np.ndarray[Any, Any]) -> bytes:
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def mnist(folder: Path, train: str = "train", *, packed: bool = True) -> Path:
    generator = np.random.default_rng(0)
    for name, count in ((train, 6), ("t10k", 4)):
        parts = {
            "images-idx3": generator.integers(0, 256, (count, 5, 4)),
            "labels-idx1": np.arange(count) % 3,
        }
        for kind, array in parts.items():
            end = ".gz" if packed else ""
            data = gzip.compress(idx(array)) if packed else idx(array)
            (folder / f"{name}-{kind}-ubyte{end}").write_bytes(data)
    return folder


def archive(path: Path, **changed: Any) -> Path:
    generator = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "x_train": generator.integers(0, 256, (6, 5, 4, 3), np.uint8),
        "y_train": np.arange(6) % 3,
        "x_test": generator.integers(0, 256, (4, 5, 4, 3), np.uint8),
        "y_test": np.arange(4) % 3,
    }
    kept = {name: array for name, array in {**arrays, **changed}.items() if array is not None}
    np.savez(path, **kept)
    return path


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("train", ["train", "train10k"])
def test_mnists_folder(tmp_path: Path, train: str, packed: bool) -> None:
    found = images.read(mnist(tmp_path, train, packed=packed))
    assert (found.name, found.shape, found.classes) == ("MNIST", (1, 5, 4), 3)
    assert found.x.shape == (6, 1, 5, 4)
    assert found.x.dtype == np.float32
    assert (
        found.x[0, 0, 0, 0] == np.float32(np.random.default_rng(0).integers(0, 256, (6, 5, 4))[0, 0, 0]) / 255
    )
    assert found.y_test.tolist() == [0, 1, 2, 0]


def test_an_archive_has_its_channels_last(tmp_path: Path) -> None:
    found = images.read(archive(tmp_path / "small.npz"))
    assert (found.name, found.shape) == ("small", (3, 5, 4))
    first = np.random.default_rng(1).integers(0, 256, (6, 5, 4, 3), np.uint8)
    assert np.array_equal(found.x[2, 1], first[2, :, :, 1].astype(np.float32) / 255)
    assert found.flat().x.shape == (6, 60)
    assert found.some(2, 3).x_test.shape == (3, 3, 5, 4)


def test_digits_are_split_by_a_seed() -> None:
    one, again, other = images.digits(100), images.digits(100), images.digits(100, seed=1)
    assert one.x.shape == (100, 1, 8, 8)
    assert len(one.x_test) == 1697
    assert np.array_equal(one.x, again.x)
    assert not np.array_equal(one.x, other.x)
    assert images.load("layer", (), 100).name == "digits"


def test_no_pickle_is_loaded(tmp_path: Path, refusal: Callable[..., str]) -> None:
    loud = np.array([{"a": 1}] * 6, dtype=object)
    path = archive(tmp_path / "loud.npz", y_train=loud)
    assert "an array cannot be read" in refusal(InputError, images.read, path)
    (tmp_path / "raw.npz").write_bytes(pickle.dumps({"x_train": 1}))
    assert "not an .npz of arrays x_train" in refusal(InputError, images.read, tmp_path / "raw.npz")


def cut(path: Path) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - min(40, len(whole) - 7)])
    return path


def without(path: Path) -> Path:
    path.unlink()
    return path.parent


BAD: list[tuple[Callable[[Path], Path], type, str]] = [
    (lambda folder: folder / "none.npz", FileError, "cannot be read: no such file or folder."),
    (lambda folder: archive(folder / "a.npz", x_test=None), InputError, "holds no x_test."),
    (
        lambda folder: archive(folder / "a.npz", x_train=np.ones((6, 5, 4))),
        InputError,
        "images must be uint8",
    ),
    (lambda folder: archive(folder / "a.npz", y_train=np.arange(5)), InputError, "one for each of 6 images"),
    (lambda folder: archive(folder / "a.npz", y_train=np.full(6, -1)), InputError, "whole numbers from 0 on"),
    (
        lambda folder: archive(folder / "a.npz", y_train=np.full(6, 2)),
        InputError,
        "0, 1 and so on without a gap",
    ),
    (
        lambda folder: archive(folder / "a.npz", y_test=np.full(4, 10**12)),
        InputError,
        "got 3 from 0 to 10000000",
    ),
    (
        lambda folder: archive(folder / "a.npz", x_test=np.ones((4, 5, 5, 3), np.uint8)),
        InputError,
        "training images have shape (5, 4, 3), but test images have (5, 5, 3).",
    ),
    (lambda folder: cut(archive(folder / "a.npz")), FileError, "truncated or damaged"),
    (
        lambda folder: cut(mnist(folder) / "t10k-images-idx3-ubyte.gz").parent,
        FileError,
        "truncated or damaged",
    ),
    (
        lambda folder: cut(mnist(folder, packed=False) / "t10k-labels-idx1-ubyte").parent,
        InputError,
        "not an idx file of 1 axes of bytes, or truncated.",
    ),
    (
        lambda folder: cut(mnist(folder, packed=False) / "t10k-images-idx3-ubyte").parent,
        InputError,
        "not an idx file of 3 axes of bytes, or truncated.",
    ),
    (
        lambda folder: without(mnist(folder) / "t10k-labels-idx1-ubyte.gz"),
        InputError,
        "has no t10k-labels-idx1-ubyte.gz; name MNIST's folder of idx files.",
    ),
]


@pytest.mark.parametrize(("make", "kind", "line"), BAD, ids=[line for _, _, line in BAD])
def test_what_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], kind: Any, line: str, refusal: Callable[..., str]
) -> None:
    assert line in refusal(kind, images.read, make(tmp_path))


def test_one_place_alone(tmp_path: Path, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, images.load, "layer", (tmp_path, tmp_path))
    assert line == "gallery layer: data must be one file or folder of images, got 2."
