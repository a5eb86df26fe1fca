"""What version 0.1.0 drew, trained, wrote and found: all of it still comes out, and every file is still read.

The files in tests/vectors/previous were written by 0.1.0 before the house was reordered, and never change.
What is computed without a logarithm, an exponential or a product of matrices is held to its bits, the rest to
five digits, since processors differ in the last one.
"""

from __future__ import annotations

import csv
import hashlib
import html
import importlib
import json
import shutil
import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

import thinnet as tn
from thinnet import net
from thinnet._core.random import permutation, uniform
from thinnet.schedules import Constant, Cosine, Curriculum, Early, Late, Linear

Array: TypeAlias = NDArray[Any]
Results: TypeAlias = dict[str, str]

VERSION = "0.1.0"
FILES = Path(__file__).parent / "vectors" / "previous"
KEY = tn.Key(2**63 + 11, 5)
DTYPES = ("float16", "float32", "float64")
RATES = (0.0, 0.1, 0.5, 1.0)
# Of what is held to its digits; a float16 has three.
NEAR, NEAR_HALF = 2e-5, 2e-3


def of(name: str) -> Callable[..., Any]:
    """Return a function that is no row of the catalogue."""
    return getattr(tn, name)


def known(name: str) -> Any:
    return json.loads((FILES / f"{name}.json").read_text("utf-8"))


# Arrays, and what is kept of them


def numbers(*shape: int, dtype: Any = "float64", step: int = 89) -> Array:
    """Return sixteenths of whole numbers from -125 to 125, which every dtype holds exactly."""
    each = np.arange(int(np.prod(shape)), dtype=np.int64) * step + step // 2
    return ((each % 251 - 125) / 16).astype(dtype).reshape(shape)


def strange(*shape: int, dtype: Any = "float64") -> Array:
    """Return such numbers, with -1, -0.0, infinity and NaN among them."""
    x = numbers(*shape, dtype=dtype)
    for first, value in ((1, -1), (3, -0.0), (5, np.inf), (7, np.nan)):
        x.reshape(-1)[first::17] = value
    return x


def digest(*arrays: Any) -> str:
    """Return 16 digits of what the bits of some arrays hash to; all NaNs count alike."""
    found = hashlib.blake2b(digest_size=8)
    for array in map(np.asarray, arrays):
        bits = np.ascontiguousarray(array)
        if bits.dtype.kind not in "iub":
            bits = bits.view(f"u{bits.itemsize}").copy()
            bits[np.isnan(array)] = 1  # the smallest number there is, which nothing here comes to
        elif bits.dtype.kind == "i":
            bits = bits.astype(np.int64)
        found.update(f"{array.shape}".encode() + bits.astype(bits.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def shown(*arrays: Any) -> str:
    """Return the numbers of some arrays as text, with six digits."""
    return " ".join(f"{v:.6g}" for a in arrays for v in np.asarray(a, np.float64).reshape(-1).tolist())


def is_near(text: str, expected: str, error: float = NEAR) -> bool:
    """Say whether two texts of `shown` hold the same numbers, to rounding."""
    a, b = (np.array(each.split(), np.float64) for each in (text, expected))
    return a.shape == b.shape and np.allclose(a, b, rtol=error, atol=error, equal_nan=True)


def window_of(shape: tuple[int, ...], axes: int) -> tn.Window:
    """Return the window of an array that lies inside a larger one along its first axes."""
    more = [(5, 3) if axis < axes else (0, 0) for axis in range(len(shape))]
    whole = tuple(n + extra for n, (extra, _) in zip(shape, more, strict=True))
    return tn.Window(whole, tuple(start for _, start in more), shape)


# Rows of the catalogue


def dtype_of(name: str) -> Any:
    if name != "bfloat16":
        return np.dtype(name)
    return np.dtype(pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed").bfloat16)


def drawn_by_row(name: str, shape: tuple[int, ...], other: bool, dtype: Any) -> Results:
    """Return what a row makes of strange numbers: at every rate, and in two windows; and its mean."""
    x = strange(*shape, dtype=dtype)
    more: dict[str, Any] = {"other": numbers(*shape, dtype=dtype, step=61)} if other else {}
    windows = [window_of(shape, 1), window_of(shape, len(shape))]
    with np.errstate(all="ignore"):
        drawn = [tn.drop(name, x, rate, key=KEY, **more) for rate in RATES]
        drawn += [tn.drop(name, x, 0.5, key=KEY, window=window, **more) for window in windows]
        means = [tn.drop(name, x, rate, key=KEY, mode="mean", **more) for rate in RATES]
    return {"sample": " ".join(map(digest, drawn)), "mean": " ".join(map(digest, means))}


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_rows_draw_the_bits_that_they_drew(dtype: str) -> None:
    rows = known("masks")["rows"]
    assert set(rows) <= set(tn.CATALOGUE)
    for name, row in rows.items():
        found = drawn_by_row(name, tuple(row["shape"]), row["other"], dtype_of(dtype))
        assert found == row[dtype], name


def drawn_with_rates(name: str) -> str:
    """Return what a row makes of numbers at a rate for each column, and with blocks of three."""
    if name == "DropBlock2d":
        return digest(tn.drop(name, numbers(2, 3, 7, 9), 0.2, key=KEY, block=(3, 2)))
    rates = np.linspace(0, 1, 9)
    return digest(*(tn.drop(name, numbers(8, 9), rates, key=KEY, mode=mode) for mode in ("sample", "mean")))


def drawn_plainly() -> Results:
    """Return keys, lanes, masks, uniform numbers and orders."""
    folded = [KEY.fold("hidden"), KEY.fold(7), KEY.fold("größe").fold(0).at(9), tn.Key(0).fold(2**64 - 1)]
    window = tn.Window((9, 7, 50), (3, 2, 11), (4, 5, 33))
    streamed = [KEY.at(KEY.step + i) for i in range(3)]
    return {
        "keys": " ".join(f"{key.value:016x}:{key.step}" for key in (*folded, *streamed)),
        "lanes": " ".join(digest(tn.lanes(KEY, shape)) for shape in [(1001,), (3, 5, 7), (0, 4)]),
        "windows": digest(tn.lanes(KEY, window), tn.lanes(KEY.at(6), window_of((3, 4), 2))),
        "mask": digest(tn.mask((5, 40), 0.3, key=KEY), tn.mask((4, 5, 33), 0.3, key=KEY, window=window)),
        "dropout": digest(tn.dropout(strange(40), 0.3, key=KEY)),
        "uniform": digest(uniform(KEY, (3, 7))),
        "permutation": digest(permutation(KEY, 101)),
        **{f"rates of {name}": drawn_with_rates(name) for name in RATED},
    }


RATED = ("Dropout", "VanillaDropout", "UnscaledDropout", "UnitDropout", "DropConnect", "DropBlock2d")


def test_keys_lanes_and_orders_are_what_they_were() -> None:
    assert drawn_plainly() == known("masks")["plain"]


# Variants outside of the catalogue: (what is called, the shape of x, along how many axes x may be cut)

MAPS, ROWS, TOKENS = (4, 6, 5, 7), (8, 12), (4, 9, 3)
EDGES = np.array([[0, 1, 2, 3, 1, 4, 4, 0], [1, 2, 3, 0, 0, 4, 2, 1]])
LOGITS = numbers(12, step=31) / 2
WEIGHTS = numbers(12, 4, step=47)
Case: TypeAlias = tuple[Callable[..., Any], tuple[int, ...], int]

EXACT: dict[str, Case] = {
    "cutout": (lambda x, **k: of("cutout")(x, 3, **k), MAPS, 4),
    "cutout of two sides": (lambda x, **k: of("cutout")(x, (2, 9), **k), MAPS, 4),
    "drop_head at 0": (lambda x, **k: of("drop_head")(x, 0.0, **k), MAPS, 4),
    "drop_head": (lambda x, **k: of("drop_head")(x, 0.5, **k), MAPS, 4),
    "drop_head at 1": (lambda x, **k: of("drop_head")(x, 1.0, **k), MAPS, 4),
    "max_pool_dropout at 0": (lambda x, **k: of("max_pool_dropout")(mild(x), 0.0, **k), MAPS, 4),
    "max_pool_dropout": (
        lambda x, **k: of("max_pool_dropout")(mild(x), 0.5, kernel_size=3, stride=2, **k),
        MAPS,
        4,
    ),
    "patch_dropout": (lambda x, **k: of("patch_dropout")(x, 0.5, **k), TOKENS, 1),
    "patch_dropout with a prefix": (lambda x, **k: of("patch_dropout")(x, 0.3, prefix=2, **k), TOKENS, 1),
    "patch_dropout at 1": (lambda x, **k: of("patch_dropout")(x, 1.0, prefix=1, **k), TOKENS, 1),
    "shake_drop": (lambda x, **k: of("shake_drop")(x, 0.5, **k), MAPS, 4),
    "shake_drop at 0": (lambda x, **k: of("shake_drop")(x, 0.0, **k), MAPS, 4),
    "shake_drop at 1": (lambda x, **k: of("shake_drop")(x, 1.0, **k), MAPS, 4),
    "shake_drop backward": (lambda x, **k: of("shake_drop")(x, 0.5, backward=True, **k), MAPS, 4),
    "shakeout": (lambda x, **k: of("shakeout")(x, 0.3, **k), ROWS, 0),
    "shakeout of convolutions": (lambda x, **k: of("shakeout")(x, 0.5, c=0.5, axis=1, **k), MAPS, 0),
    "shakeout at 1": (lambda x, **k: of("shakeout")(x, 1.0, **k), ROWS, 0),
    "targeted_dropout": (lambda x, **k: of("targeted_dropout")(x, 0.5, **k), ROWS, 0),
    "targeted_dropout of units": (
        lambda x, **k: of("targeted_dropout")(x, 0.6, target=0.7, units=True, axis=0, **k),
        MAPS,
        0,
    ),
    "targeted_dropout at 1": (lambda x, **k: of("targeted_dropout")(x, 1.0, axis=0, **k), ROWS, 0),
}

# Held to their digits; of those marked, in the mean alone.
ROUNDED: dict[str, Case] = {
    "concrete_dropout": (lambda x, **k: of("concrete_dropout")(x, LOGITS, **k), ROWS, 2),
    "concrete_dropout, soft": (lambda x, **k: of("concrete_dropout")(x, 0.5, temperature=1.0, **k), ROWS, 2),
    "variational_dropout": (lambda x, **k: of("variational_dropout")(x, LOGITS, **k), ROWS, 2),
    "local_noise": (lambda x, **k: of("local_noise")(x, WEIGHTS, WEIGHTS / 4, **k), ROWS, 0),
    "standout": (lambda x, **k: of("standout")(x, LOGITS, alpha=0.5, beta=1.0, **k), ROWS, 2),
    "max_pool_dropout, mean": (lambda x, **k: of("max_pool_dropout")(mild(x), 0.5, **k), MAPS, 4),
}


def mild(x: Array) -> Array:
    """Return what a rectifier could have made: no number below 0, and no NaN."""
    return np.nan_to_num(np.abs(x), posinf=np.inf)


def drawn_outside(case: Case, x: Array, mode: str) -> list[Any]:
    """Return what a function makes of x: of all of it, and of x as a part of a larger array."""
    call, shape, axes = case
    windows = [{"window": window_of(shape, count)} for count in {1, axes} if axes]
    with np.errstate(all="ignore"):
        each = [call(x, key=KEY, mode=mode, **more) for more in ({}, *windows)]
    return [array for made in each for array in (made if isinstance(made, tuple) else (made,))]


# 0.1.0 added the mean of these to +0, which lost the sign of -0; the law leaves a term with the factor 0 out.
UNSIGNED = {("shakeout at 1", "mean")}


def exactly(name: str) -> Results:
    shape = EXACT[name][1]
    each = [
        digest(
            *(
                y + y.dtype.type(0) if (name, mode) in UNSIGNED else y
                for y in drawn_outside(EXACT[name], strange(*shape, dtype=dtype), mode)
            )
        )
        for dtype in DTYPES
        for mode in (("sample",) if name.startswith("max_pool") else ("sample", "mean"))
    ]
    return {"digests": " ".join(each)}


def roughly(name: str, dtype: str) -> Results:
    x = numbers(*ROUNDED[name][1], dtype=dtype)
    modes = ("mean",) if name.endswith("mean") else ("sample", "mean")
    return {mode: shown(*(a.ravel()[:24] for a in drawn_outside(ROUNDED[name], x, mode))) for mode in modes}


@pytest.mark.parametrize("name", EXACT)
def test_functions_draw_the_bits_that_they_drew(name: str) -> None:
    assert exactly(name) == known("masks")["exact"][name]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROUNDED)
def test_functions_behind_a_logarithm_draw_what_they_drew(name: str, dtype: str) -> None:
    expected, found = known("masks")["rounded"][name][dtype], roughly(name, dtype)
    assert expected.keys() == found.keys()
    error = NEAR_HALF if dtype == "float16" else NEAR
    assert all(is_near(found[mode], expected[mode], error) for mode in found)


def edges_kept() -> Results:
    rates = [(rate, both) for rate in RATES for both in (False, True)]
    return {
        f"{rate}, {'undirected' if both else 'directed'}": digest(
            *of("drop_edges")(EDGES, rate, key=KEY, undirected=both)
        )
        for rate, both in rates
    }


def test_edges_that_stay_are_those_that_stayed() -> None:
    assert edges_kept() == known("masks")["edges"]


def penalties() -> Results:
    """Return the numbers that are added to losses."""
    logs = np.array([-30.0, -4.0, -1.5, 0.0, 0.7, 8.0])
    first, second = numbers(3, 4), numbers(3, 4, step=61)
    first[1, 2] = second[1, 2] = -np.inf
    return {
        "r_drop": shown(*of("r_drop")(first, second)),
        "concrete_kl": shown([of("concrete_kl")(logit, WEIGHTS, length=0.3) for logit in (-2.0, 0.0, 1.0)]),
        "sparse_kl": shown(of("sparse_kl")(logs)),
        "sparse_prune": shown(of("sparse_prune")(WEIGHTS[:6, 0], logs)),
        "variational_kl": shown(of("variational_kl")(logs)),
    }


def test_penalties_are_what_they_were() -> None:
    expected, found = known("masks")["penalties"], penalties()
    assert expected.keys() == found.keys()
    assert all(is_near(found[name], expected[name]) for name in found)


# Networks: what training makes of them, and their files


def image_network() -> tuple[net.Network, Array, Array]:
    branch = (
        net.Conv2d(4, 4, 3, padding=1, groups=2),
        net.BatchNorm(4),
        net.LeakyReLU(slope=0.1),
        net.Dropout(0.25, variant="DropPath"),
    )
    layers = [
        net.Conv2d(2, 4, 3, padding=1),
        net.BatchNorm(4),
        net.ReLU(),
        net.Dropout(Linear(0.0, 0.4, 20), variant="DropBlock2d", block=3),
        net.Residual(branch),
        net.MaxPool2d(2),
        net.AvgPool2d(2),
        net.Dropout(Early(0.3, 5), variant="Dropout2d"),
        net.Flatten(),
        net.DropConnect(net.Dense(16, 6), Cosine(0.1, 0.5, 9)),
        net.SELU(),
        net.Dense(6, 3, max_norm=2.0),
    ]
    network = net.Network(layers, key=tn.Key(7), input_shape=(2, 8, 8))
    return network, numbers(12, 2, 8, 8) / 8, np.arange(12) % 3


def dense_network() -> tuple[net.Network, Array, Array]:
    layers = [
        net.Dropout(0.2, variant="GaussianDropout"),
        net.Dense(5, 6, max_norm=2.5),
        net.GELU(),
        net.Dropout(Curriculum(0.5, gamma=0.01)),
        net.DropConnect(net.Dense(6, 6), 0.3, variant="Mixout"),
        net.Tanh(),
        net.DropConnect(net.Dense(6, 5), 0.2, per_sample=True),
        net.Sigmoid(),
        net.Gate(5),
        net.Dropout(Late(0.25, 7), variant="VanillaDropout"),
        net.Dropout(Constant(0.1), variant="AlphaDropout"),
        net.Dense(5, 2),
    ]
    network = net.Network(layers, key=tn.Key(2**64 - 1, 5), loss=net.Huber(delta=0.7), dtype="float64")
    network.weights[8]["gain"][:] = [0.0, 2.0, 0.5, 0.25, 1.0]
    network.weights[4]["pretrained"][:] = 0.125
    return network, numbers(20, 5) / 8, numbers(20, 2, step=61) / 8


def pooled_network() -> tuple[net.Network, Array, Array]:
    layers = [
        net.Conv2d(1, 3, (3, 2), stride=2, dilation=(1, 2)),
        net.ReLU(),
        net.GlobalAvgPool2d(),
        net.Dropout(0.5),
        net.Dense(3, 1),
    ]
    network = net.Network(layers, key=tn.Key(3), input_shape=(1, 7, 6), loss=net.PoissonDeviance())
    return network, numbers(8, 1, 7, 6) / 8, np.arange(8.0)


def plain_network() -> tuple[net.Network, Array, Array]:
    layers = [net.Dense(4, 8), net.ReLU(), net.Dropout(0.5), net.Dense(8, 1)]
    return net.Network(layers, key=tn.Key(0)), numbers(30, 4) / 8, np.arange(30) % 2


NETWORKS: dict[str, Callable[[], tuple[net.Network, Array, Array]]] = {
    "images": image_network,
    "dense": dense_network,
    "pooled": pooled_network,
    "plain": plain_network,
}
OPTIMIZERS: dict[str, Callable[[], net.Optimizer]] = {
    "images": lambda: net.AdamW(Cosine(0.01, 0.0, 6)),
    "dense": lambda: net.SGD(0.05, momentum=0.9),
    "pooled": net.Adam,
    "plain": net.Adam,
}


def trained(name: str) -> tuple[net.Network, Results]:
    """Return a network after three epochs, and what has become of it."""
    network, x, y = NETWORKS[name]()
    history = network.fit(x, y, epochs=3, batch=5, optimizer=OPTIMIZERS[name]())
    return network, {"loss": shown(history.loss), **answers(network, x), "weights": shown(network.flat[:200])}


def answers(network: net.Network, x: Array) -> Results:
    """Return what the mean network says of rows, and a thinned one."""
    thin = network.thinned(key=tn.Key(4))
    return {
        "mean": shown(network.logits(x[:4])),
        "drawn": shown(network.logits(x[:4], key=tn.Key(3, 100))),
        "thinned": shown(thin.logits(x[:4])),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train_as_they_trained(name: str) -> None:
    expected, (_, found) = known("trained")["networks"][name], trained(name)
    assert expected.keys() == found.keys()
    for part in found:
        assert is_near(found[part], expected[part], 5e-4), part


def contents(path: Path) -> tuple[Any, dict[str, bytes]]:
    """Return the description in a network's file, and its arrays."""
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    with safetensors.safe_open(path, framework="numpy") as opened:
        names = sorted(opened.keys())
        arrays = {n: opened.get_tensor(n) for n in names}
        described = json.loads(opened.metadata()["thinnet"])
    return described, {n: f"{a.dtype} {a.shape} ".encode() + a.tobytes() for n, a in arrays.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_files_of_networks_are_read_and_written_as_before(name: str, tmp_path: Path) -> None:
    path = FILES / f"{name}.safetensors"
    described, arrays = contents(path)
    network = net.Network.load(path)
    anew, x, _ = NETWORKS[name]()
    assert network.layers == anew.layers
    assert repr(network) == known("trained")["shown"][name]
    expected, found = known("trained")["networks"][name], answers(network, x)
    for part in found:
        assert is_near(found[part], expected[part]), part
    network.save(tmp_path / "again", metadata=described["extra"])
    assert contents(tmp_path / "again") == (described, arrays)
    network.fit(x, NETWORKS[name]()[2], epochs=1)  # and it can be trained on


def estimated() -> Results:
    """Return the weights of scikit-learn's estimators after a short fit with dropout."""
    from thinnet.sklearn import MLPClassifier, MLPRegressor

    x, found = numbers(40, 3) / 8, dict[str, str]()
    more: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 4, "batch_size": 8, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that four epochs are few
        for variant in ("Dropout", "GaussianDropout", "AlphaDropout"):
            own: dict[str, Any] = {**more, "dropout": 0.4, "input_dropout": 0.2, "variant": variant}
            one = MLPClassifier(**own, max_norm=3.0).fit(x, np.arange(40) % 3)
            two = MLPRegressor(**own, solver="sgd", alpha=0.01).fit(x, x[:, 0] - x[:, 1])
            found[f"classifier, {variant}"] = shown(*one.coefs_, *one.intercepts_, one.predict_proba(x[:3]))
            found[f"regressor, {variant}"] = shown(*two.coefs_, *two.intercepts_, two.predict(x[:3]))
    return found


def test_estimators_train_as_they_trained() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    expected, found = known("trained")["estimators"], estimated()
    assert expected.keys() == found.keys()
    for name in found:
        assert is_near(found[name], expected[name], 5e-4), name


# PyTorch: numbers that are finite, and above 0 but for rows of the catalogue


def torch_and_ours() -> tuple[Any, Any]:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    return importlib.import_module("torch"), importlib.import_module("thinnet.torch")


def tensor(array: Array, dtype: str = "float32") -> Any:
    torch, _ = torch_and_ours()
    return torch.from_numpy(np.ascontiguousarray(array)).to(getattr(torch, dtype))


def above(*shape: int, dtype: str = "float32", step: int = 89) -> Any:
    return tensor(np.abs(numbers(*shape, step=step)) + 0.5, dtype)


def bits(*tensors: Any) -> str:
    torch, _ = torch_and_ours()
    each = [t.detach() for t in tensors]
    return digest(*(t.view(torch.int16) if t.dtype is torch.bfloat16 else t for t in each))


def digits(*tensors: Any) -> str:
    return shown(*(t.detach().double().ravel()[:24] for t in tensors))


TORCH_DTYPES = ("float32", "bfloat16")


def torch_rows(dtype: str) -> Results:
    """Return what rows make of tensors: at two rates, in a window, and in evaluation."""
    _, tt = torch_and_ours()
    found: Results = {}
    for name, row in known("masks")["rows"].items():
        shape = tuple(row["shape"])
        x = tensor(numbers(*shape), dtype)
        more: dict[str, Any] = {"other": tensor(numbers(*shape, step=61), dtype)} if row["other"] else {}
        window = window_of(shape, len(shape))
        made = [tt.functional.drop(name, x, rate, key=KEY, **more) for rate in (0.1, 0.5)]
        made += [tt.functional.drop(name, x, 0.5, key=KEY, window=window, **more)]
        made += [tt.functional.drop(name, x, 0.5, training=False, **more)]
        found[name] = " ".join(map(bits, made))
    return found


@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_rows_on_tensors_draw_the_bits_that_they_drew(dtype: str) -> None:
    torch_and_ours()
    expected, found = known("torch")["rows"][dtype], torch_rows(dtype)
    assert expected.keys() == found.keys()
    for name in found:
        assert found[name] == expected[name], name


def torch_functions(dtype: str) -> tuple[Results, Results]:
    """Return what functions make of tensors: those held to bits, those held to digits."""
    _, tt = torch_and_ours()
    F = tt.functional
    maps, rows, tokens = (above(*shape, dtype=dtype) for shape in (MAPS, ROWS, TOKENS))
    logits, weights = tensor(LOGITS, dtype), tensor(WEIGHTS, dtype)
    branch = above(*MAPS, dtype=dtype).requires_grad_()
    shaken = F.shake_drop(branch, 0.5, key=KEY)
    shaken.backward(above(*MAPS, dtype=dtype, step=61))
    exact = {
        "dropout": bits(F.dropout(rows, 0.3, key=KEY)),
        "drop_head": bits(F.drop_head(maps, 0.5, key=KEY)),
        "max_pool_dropout": bits(F.max_pool_dropout(maps, 0.5, key=KEY, kernel_size=3, stride=2)),
        "patch_dropout": bits(*F.patch_dropout(tokens, 0.5, key=KEY, prefix=1)),
        "shake_drop": bits(shaken, branch.grad),
        "standout": bits(F.standout(rows, logits, key=KEY, alpha=0.5, beta=1.0)),
        "targeted_dropout": bits(F.targeted_dropout(weights, 0.6, key=KEY, target=0.7)),
        "targeted_dropout of units": bits(F.targeted_dropout(weights, 0.6, key=KEY, units=True)),
    }
    query, value = (tensor(numbers(2, 3, 4, 5, step=step) / 8, dtype) for step in (89, 61))
    attended = F.scaled_dot_product_attention(query, value, value, dropout_p=0.4, dropout_key=KEY)
    logs = tensor(np.array([-4.0, -1.5, 0.0, 0.7, 8.0]), dtype)
    rounded = {
        "concrete_dropout": digits(F.concrete_dropout(rows, logits, key=KEY)),
        "concrete_kl": digits(F.concrete_kl(logs[1], weights, length=0.3)),
        "max_pool_dropout, mean": digits(F.max_pool_dropout(maps, 0.5, training=False)),
        "r_drop_loss": digits(F.r_drop(weights, weights.flip(0), reduction="none")),
        "scaled_dot_product_attention": digits(attended),
        "sparse_kl": digits(F.sparse_kl(logs)),
        "standout, mean": digits(F.standout(rows, logits, training=False)),
        "variational_dropout": digits(F.variational_dropout(rows, logits, key=KEY)),
        "variational_kl": digits(F.variational_kl(logs)),
    }
    return exact, rounded


@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_functions_on_tensors_draw_what_they_drew(dtype: str) -> None:
    torch_and_ours()
    expected, (exact, rounded) = known("torch")["functions"][dtype], torch_functions(dtype)
    assert exact == expected["exact"]
    assert rounded.keys() == expected["rounded"].keys()
    for name in rounded:
        # A number of bfloat16 has eight bits; in torch 0.1.0 did not round the chances of Standout to
        # multiples of 1 / 65536, as NumPy does.
        error = 2e-2 if dtype == "bfloat16" else 2e-4 if name == "standout, mean" else NEAR
        assert is_near(rounded[name], expected["rounded"][name], error), name


def torch_modules() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return modules by name, and what they are called with."""
    torch, tt = torch_and_ours()
    nn = torch.nn
    rows, maps, tokens = above(4, 12), above(*MAPS), above(*TOKENS)
    state = above(4, 6, step=61) / 8
    return {
        "dropout": (tt.Dropout(0.5), (rows,)),
        "dropout1d": (tt.Dropout1d(0.5), (tokens,)),
        "dropout2d": (tt.Dropout2d(0.5), (maps,)),
        "dropout3d": (tt.Dropout3d(0.5), (above(2, 6, 2, 3, 4),)),
        "alpha": (tt.AlphaDropout(0.3), (rows,)),
        "feature alpha": (tt.FeatureAlphaDropout(0.3), (maps,)),
        "gaussian": (tt.GaussianDropout(0.3), (rows,)),
        "uniform": (tt.Drop("UniformDropout", 0.3), (rows,)),
        "blocks": (tt.DropBlock2d(0.2, 3), (maps,)),
        "locked": (tt.LockedDropout(0.5), (tokens,)),
        "path": (tt.DropPath(0.5), (maps,)),
        "depth": (tt.StochasticDepth(0.5), (maps,)),
        "depth of rows": (tt.StochasticDepth(0.5, "row"), (maps,)),
        "shake": (tt.ShakeDrop(0.5), (maps,)),
        "heads": (tt.DropHead(0.5), (maps,)),
        "logits": (tt.DropKey(0.3), (maps,)),
        "pool": (tt.MaxPoolDropout2d(2, p=0.5), (maps,)),
        "patches": (tt.PatchDropout(0.5, prefix=1), (tokens,)),
        "words": (tt.EmbeddingDropout(nn.Embedding(9, 4), 0.4), (torch.arange(18).reshape(3, 6) % 9,)),
        "standout": (tt.Standout(alpha=0.5, beta=1.0), (rows, tensor(LOGITS))),
        "concrete": (tt.ConcreteDropout(0.3), (rows,)),
        "connect": (tt.DropConnect(nn.Linear(12, 3), 0.5), (rows,)),
        "weights": (tt.WeightDrop(nn.LSTM(3, 4), p=0.4), (tokens,)),
        "targeted": (tt.TargetedDropout(nn.Linear(12, 3), 0.6, target=0.7), (rows,)),
        "variational": (tt.VariationalLinear(12, 3), (rows,)),
        "sparse": (tt.SparseVariationalLinear(12, 3), (rows,)),
        "sparse maps": (tt.SparseVariationalConv2d(6, 2, 3), (maps,)),
        "lstm": (tt.VariationalLSTM(3, 4), (tokens,)),
        "cell": (tt.ZoneoutLSTMCell(12, 6), (rows, (state, state))),
        "gru cell": (tt.ZoneoutGRUCell(12, 6), (rows, state)),
    }


# Those that multiply matrices, or take logarithms.
ROUGH = {"concrete", "connect", "weights", "targeted", "variational", "sparse", "sparse maps"}
ROUGH |= {"lstm", "cell", "gru cell"}


def torch_model() -> Results:
    """Return what the modules of a model draw: two calls at the first step, and one at the fourth."""
    torch, tt = torch_and_ours()
    modules = torch_modules()
    model = torch.nn.ModuleDict({name: module for name, (module, _) in modules.items()})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith(("logit", "log_alpha", "log_sigma2")):
                parameter.copy_(above(*parameter.shape, step=31) / 16)
    keys = tt.seed(model, 0)
    found: Results = {"keys": " ".join(f"{key.value:016x}" for key in keys.values())}
    for name, (module, given) in modules.items():
        made = [module(*given), module(*given)]
        with tt.step(model, 3):
            made.append(module(*given))
        each = [t for one in made for t in _tensors(one)]
        found[name] = digits(*each) if name in ROUGH else bits(*each)
    return found


def _tensors(value: Any) -> list[Any]:
    return [t for part in value for t in _tensors(part)] if isinstance(value, tuple) else [value]


@pytest.mark.filterwarnings("ignore:.*is deprecated")
def test_a_seeded_model_draws_what_it_drew() -> None:
    torch_and_ours()
    expected, found = known("torch")["model"], torch_model()
    assert expected.keys() == found.keys()
    for name in found:
        if name == "heads":  # 0.1.0 rounded the scale of a head to float32 first, which NumPy does not
            continue
        same = is_near(found[name], expected[name]) if name in ROUGH else found[name] == expected[name]
        assert same, name


def replaced() -> Results:
    """Return what a model of torch's own modules draws once ours are in it, and at what rates."""
    torch, tt = torch_and_ours()
    nn = torch.nn
    model = nn.Sequential(nn.Dropout(0.3), nn.Sequential(nn.AlphaDropout(0.2), nn.ReLU()), nn.Dropout(0.1))
    tt.replace(model)
    tt.seed(model, 7)
    rates = tt.schedule(model, Linear(0.0, 0.5, steps=10))
    with tt.step(model, 4):
        drawn = bits(model(above(4, 12)))
        return {"drawn": drawn, "rates": " ".join(f"{name}:{rate:.6g}" for name, rate in rates.rates.items())}


def test_a_replaced_model_draws_what_it_drew() -> None:
    torch_and_ours()
    assert replaced() == known("torch")["replaced"]


# Studies: a run that has finished, one that was stopped, and what is made of new rows

HOUSES = ("--target", "price", "--trials", "6", "--seeds", "3", "--max-width", "4", "--jobs", "1")
MIXED = (
    *("--target", "points", "--category", "code", "--drop", "noise", "--missing", "?", "--seed", "6"),
    *("--trials", "4", "--seeds", "2", "--max-width", "16", "--jobs", "1"),
    *("--variants", "Dropout,GaussianDropout"),
)
# When and how fast; who did it; digits of "difference" in words; code, which names modules by where they are.
PASSING = ("seconds", "created", "versions", "sentence", "code")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return the command line of a version that takes what 0.1.0 has trained for its own."""
    for module in ("optuna", "sklearn", "pandas", "matplotlib", "jinja2", "safetensors"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from thinnet import _cli as cli

    def call(*arguments: str | Path) -> None:
        assert cli.run([*map(str, arguments)]) == 0

    monkeypatch.setattr(tn, "__version__", VERSION)
    return call


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    """Leave charts empty, which take longer to draw than to find what they show."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda _, file, **_more: file.write(b"<svg />"))


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """Return a folder with what 0.1.0 left of its studies: `run`, `unfinished`, and `resumed` to its end."""
    folder = tmp_path / "before"
    shutil.unpack_archive(FILES / "studies.zip", folder)
    return folder


def results_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text("utf-8"))


def alike(a: Any, b: Any, error: float = 5e-4) -> bool:
    """Say whether two trees of JSON agree, numbers to rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(alike(a[name], b[name], error) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(alike(*pair, error) for pair in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= error * max(abs(a), abs(b), 1.0)
    return type(a) is type(b) and a == b


def measured(results: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a study found: what does not hang on single rows, and what does."""
    kept = {name: value for name, value in results.items() if name not in PASSING}
    single = {name: kept.pop(name) for name in ("difference", "boosting", "sweep", "grow")}
    for side in ("dropout", "baseline"):
        single[side] = {name: kept[side].pop(name) for name in ("scores", "mean")}
    for name, curves in kept["curves"].items():
        single[name, "curves"] = [curves.pop(each) for each in list(curves) if each.endswith("score")]
    rows = [*kept["where"], *kept["variants"], *(row for rows in kept["trials"].values() for row in rows)]
    single["rows"] = [row.pop("validation_score") for row in rows]
    return kept, single


def assert_same_study(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    assert (found["format"], found["options"]) == (expected["format"], expected["options"])
    for package in ("optuna", "scikit-learn"):  # whose searches and trees are theirs to change
        if found["versions"][package] != expected["versions"][package]:
            pytest.skip(f"the numbers were found with {package} {expected['versions'][package]}")
    (ours, our_rows), (theirs, their_rows) = measured(found), measured(expected)
    for name in theirs:
        assert alike(ours[name], theirs[name]), name
    # Of few rows, one that is on the edge between two classes may be judged otherwise.
    assert alike(our_rows, their_rows, 0.1 if expected["metric"] == "error" else 5e-4)


def test_a_finished_run_is_told_again(command: Callable[..., None], before: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(before / "run", run)
    command("study", FILES / "mixed.csv", *MIXED, "--out", run, "--quiet")
    for path in (before / "run").iterdir():
        assert (run / path.name).read_bytes() == path.read_bytes(), path.name
    assert results_of(run)["sentence"] in html.unescape((run / "report.html").read_text("utf-8"))


def test_a_model_predicts_what_it_predicted(
    command: Callable[..., None], before: Path, tmp_path: Path
) -> None:
    command("predict", before / "run", FILES / "new.csv", "--missing", "?", "--out", tmp_path / "out.csv")
    found, expected = (
        list(csv.reader(path.read_text("utf-8").splitlines()))
        for path in (tmp_path / "out.csv", FILES / "predictions.csv")
    )
    assert found[0] == expected[0]
    assert [row[0] for row in found] == [row[0] for row in expected]
    ours, theirs = (np.array([row[1:] for row in table[1:]], np.float64) for table in (found, expected))
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("undrawn")
def test_the_same_study_finds_the_same(command: Callable[..., None], before: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command("study", FILES / "mixed.csv", *MIXED, "--out", run, "--quiet")
    assert (run / "study.json").read_bytes() == (before / "run" / "study.json").read_bytes()
    ours, theirs = (contents(folder / "model.safetensors") for folder in (run, before / "run"))
    assert ours[1].keys() == theirs[1].keys()
    for described, _ in (ours, theirs):
        described["extra"].pop("versions")
    assert alike(ours[0], theirs[0])
    assert_same_study(results_of(run), results_of(before / "run"))


def finished_in(run: Path) -> Counter[tuple[str, str]]:
    """Return (stage, slot) of every finished training that a run keeps, and how often it was trained."""
    query = """
        select study_name, value_json from trials join studies using (study_id)
        join trial_user_attributes a on a.trial_id = trials.trial_id and a.key = 'slot'
        where state in ('COMPLETE', 'PRUNED')
    """
    connection = sqlite3.connect(run / "work" / "trainings.sqlite")
    try:
        return Counter((str(name), str(slot)) for name, slot in connection.execute(query))
    finally:
        connection.close()


@pytest.mark.usefixtures("undrawn")
def test_an_unfinished_run_goes_on_where_it_was(command: Callable[..., None], before: Path) -> None:
    run = before / "unfinished"
    kept = finished_in(run)
    command("study", FILES / "houses.csv", *HOUSES, "--out", run, "--quiet")
    after = finished_in(run)
    assert after > kept > Counter()
    assert set(after.values()) == {1}  # nothing that was finished is trained again
    assert_same_study(results_of(run), results_of(before / "resumed"))


def split_rows() -> str:
    """Return which rows of the mixed table are for training and for testing."""
    from thinnet.study import split

    columns: Any = split(str(FILES / "mixed.csv"), target="points", missing=["?"], seed=6)
    return " ".join(digest(np.asarray(part.index if hasattr(part, "index") else part)) for part in columns)


def test_the_same_rows_are_held_out(command: Callable[..., None]) -> None:
    assert split_rows() == known("trained")["split"]
