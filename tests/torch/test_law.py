"""One law: every name draws the bits in torch that it draws in NumPy, whatever it multiplies.

All rows and all functions, training and evaluation, rates 0, 1/2 and 1, four dtypes, a window; x is ±1, ±0,
±infinity, NaN and ordinary numbers. Bits are compared; any NaN equals any NaN.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import thinnet as tn
import thinnet.torch as tt
from thinnet import CATALOGUE, Key, Window
from thinnet.torch._apply import apply, round_once
from thinnet.variants import FUNCTIONS, Variant
from thinnet.variants._guide import example_shape

F = tt.functional
Array = NDArray[Any]

KEY = Key(2**63 + 5, 4)
RATES = (0.0, 0.5, 1.0)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
# Of a length that no axis below divides, so that every value meets kept and dropped entries.
VALUES = [1.0, -1.0, 0.0, -0.0, np.inf, -np.inf, np.nan, 0.3, -2.5, 7.0, 0.0123, -31.7, 100.1]


def specials(shape: tuple[int, ...], dtype: torch.dtype, first: int = 0) -> torch.Tensor:
    """Return a tensor of special values and ordinary numbers, in an order without a pattern."""
    order = torch.randperm(int(np.prod(shape)), generator=torch.Generator().manual_seed(first))
    return torch.tensor(VALUES, dtype=torch.float64)[order % len(VALUES)].reshape(shape).to(dtype)


def array_of(x: torch.Tensor) -> Array:
    """Return a tensor as NumPy knows it; bfloat16 is that of ml_dtypes."""
    if x.dtype != torch.bfloat16:
        return x.numpy()
    halves = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    return x.view(torch.uint16).numpy().view(halves.bfloat16)


def tensor_of(x: Any) -> torch.Tensor:
    array = np.ascontiguousarray(x)
    if array.dtype.name != "bfloat16":
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)


def assert_same_bits(ours: Any, numpys: Any, what: Any) -> None:
    """Assert that results, or tuples of them, have one shape, one dtype and the same bits."""
    if isinstance(numpys, tuple):
        for one, other in zip(ours, numpys, strict=True):
            assert_same_bits(one, other, what)
        return
    expected, y = tensor_of(numpys), ours.detach()
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype), what
    if y.is_floating_point():
        kind = INTEGERS[y.element_size()]
        assert torch.equal(y.isnan(), expected.isnan()), what
        y, expected = (
            t.nan_to_num(1.0, torch.inf, -torch.inf).contiguous().view(kind) for t in (y, expected)
        )
    assert torch.equal(y, expected), what


def window_of(shape: tuple[int, ...]) -> Window:
    """Return a window of a larger array: its first axis alone is cut."""
    more = (5, *(0 for _ in shape[1:]))
    return Window(tuple(a + b for a, b in zip(shape, more, strict=True)), (3, *(0 for _ in shape[1:])), shape)


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
def test_rows(row: Variant) -> None:
    shape = tuple(min(length, 8) for length in example_shape(row))  # blocks of 7 fit
    for dtype, rate, training in itertools.product(DTYPES, RATES, (True, False)):
        x, other = specials(shape, dtype), specials(shape, dtype, 1)
        ours = {"other": other} if row.needs_other else {}
        numpys = {"other": array_of(other)} if row.needs_other else {}
        mode: Any = "sample" if training else "mean"
        what = row.name, dtype, rate, mode
        for window in (None, window_of(shape)) if training else (None,):
            y = F.drop(row, x, rate, key=KEY, training=training, window=window, **ours)
            z = tn.drop(row, array_of(x), rate, key=KEY, mode=mode, window=window, **numpys)
            assert_same_bits(y, z, what)


# The logits of the rates 0, 1/2 and 1.
LOGITS = {0.0: -np.inf, 0.5: 0.0, 1.0: np.inf}
MANY = np.linspace(-4, 4, 14)
ROWS, MAPS, TOKENS = (9, 14), (9, 4, 5, 6), (9, 8, 3)
EDGES = np.random.default_rng(0).integers(0, 6, (2, 60))
MATRIX = np.random.default_rng(1).integers(-4, 5, (14, 6)).astype(float)

Call = Callable[..., Any]
# (shape of x, torch's function, NumPy's function) for each public function that draws or multiplies.
TWINS: dict[str, tuple[tuple[int, ...], Call, Call]] = {
    "concrete_dropout": (
        ROWS,
        lambda x, p, **k: F.concrete_dropout(x, LOGITS[p], **k),
        lambda x, p, **k: tn.concrete_dropout(x, LOGITS[p], **k),
    ),
    "concrete_dropout of many rates": (
        ROWS,
        lambda x, _, **k: F.concrete_dropout(x, torch.from_numpy(MANY), **k),
        lambda x, _, **k: tn.concrete_dropout(x, MANY, **k),
    ),
    "variational_dropout": (
        ROWS,
        lambda x, p, **k: F.variational_dropout(x, LOGITS[p], **k),
        lambda x, p, **k: tn.variational_dropout(x, LOGITS[p], **k),
    ),
    "variational_dropout of many rates": (
        ROWS,
        lambda x, _, **k: F.variational_dropout(x, torch.from_numpy(MANY), **k),
        lambda x, _, **k: tn.variational_dropout(x, MANY, **k),
    ),
    "standout": (
        ROWS,
        lambda x, p, **k: F.standout(x, -LOGITS[p], alpha=0.5, **k),
        lambda x, p, **k: tn.standout(x, -LOGITS[p], alpha=0.5, **k),
    ),
    "standout of many rates": (
        ROWS,
        lambda x, _, **k: F.standout(x, torch.from_numpy(MANY), beta=1.0, **k),
        lambda x, _, **k: tn.standout(x, MANY, beta=1.0, **k),
    ),
    "local_noise": (
        ROWS,
        lambda x, p, **k: F.local_noise(x, torch.from_numpy(MATRIX.T.copy()), LOGITS[p] / 2, **k),
        lambda x, p, **k: tn.local_noise(x, MATRIX, LOGITS[p] / 2, **k),
    ),
    "shake_drop": (MAPS, F.shake_drop, tn.shake_drop),
    "drop_head": (MAPS, F.drop_head, tn.drop_head),
    "cutout": (
        MAPS,
        lambda x, p, **k: F.cutout(x, (round(6 * p), 3), **k),
        lambda x, p, **k: tn.cutout(x, (round(6 * p), 3), **k),
    ),
    "max_pool_dropout": (
        MAPS,
        lambda x, p, **k: F.max_pool_dropout(pooled(x), p, kernel_size=3, stride=2, **k),
        lambda x, p, **k: tn.max_pool_dropout(
            array_of(pooled(tensor_of(x))), p, kernel_size=3, stride=2, **k
        ),
    ),
    "patch_dropout": (
        TOKENS,
        lambda x, p, **k: F.patch_dropout(x, p, prefix=2, **k),
        lambda x, p, **k: tn.patch_dropout(x, p, prefix=2, **k),
    ),
    "targeted_dropout": (
        MAPS,
        lambda x, p, **k: F.targeted_dropout(x, p, target=0.7, **k),
        lambda x, p, **k: tn.targeted_dropout(x, p, target=0.7, axis=0, **k),
    ),
    "targeted_dropout of units": (
        MAPS,
        lambda x, p, **k: F.targeted_dropout(x, p, units=True, **k),
        lambda x, p, **k: tn.targeted_dropout(x, p, units=True, axis=0, **k),
    ),
    "shakeout": (
        MAPS,
        F.shakeout,
        lambda x, p, **k: tn.shakeout(x, p, axis=1, **k),
    ),
    "neftune_noise": (
        TOKENS,
        lambda x, p, **k: F.neftune_noise(x, 10 * p, **k),
        lambda x, p, **k: tn.neftune_noise(x, 10 * p, **k),
    ),
    "multi_sample_dropout": (
        ROWS,
        lambda x, p, **k: F.multi_sample_dropout(x, p, samples=3, **k),
        lambda x, p, **k: tn.multi_sample_dropout(x, p, samples=3, **k),
    ),
}
# Weights are whole, several samples have a window of their own, and edges are not of floating point.
WITHOUT_WINDOW = {"targeted_dropout", "targeted_dropout of units", "shakeout", "multi_sample_dropout"}
# Below; penalties hold logarithms and are compared in test_functional.
APART = {"sparse_prune", "drop_edges", "dare_merge", "r_drop", "concrete_kl", "variational_kl", "sparse_kl"}


def pooled(x: torch.Tensor) -> torch.Tensor:
    """Return entries of at least 0, which the mean of a pool adds without rounding in float64."""
    return (x.abs().double() * 8).round().div(8).to(x.dtype)


def test_every_function_has_its_twin_here() -> None:
    functions = {function.__name__ for row in FUNCTIONS.values() for function in row.functions}
    assert functions == {name.partition(" ")[0] for name in TWINS} | APART
    assert functions < set(F.__all__)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's of sums of inf and -inf
@pytest.mark.parametrize("name", TWINS)
def test_functions(name: str) -> None:
    shape, ours, numpys = TWINS[name]
    for dtype, rate, training in itertools.product(DTYPES, RATES, (True, False)):
        x, mode = specials(shape, dtype), "sample" if training else "mean"
        what = name, dtype, rate, mode
        assert_same_bits(
            ours(x, rate, key=KEY, training=training), numpys(array_of(x), rate, key=KEY, mode=mode), what
        )
        if training and name not in WITHOUT_WINDOW:
            size = (shape[0], MATRIX.shape[1]) if name == "local_noise" else shape
            more = {"key": KEY, "window": window_of(size)}
            assert_same_bits(ours(x, rate, **more), numpys(array_of(x), rate, **more), what)


def test_drop_edges() -> None:
    for rate, undirected in itertools.product(RATES, (False, True)):
        ours = F.drop_edges(torch.from_numpy(EDGES), rate, key=KEY, undirected=undirected)
        assert_same_bits(ours, tn.drop_edges(EDGES, rate, key=KEY, undirected=undirected), (rate, undirected))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_weights_that_are_pruned_or_merged(dtype: torch.dtype) -> None:
    weight, logs = specials(ROWS, dtype), torch.linspace(-8, 8, 14, dtype=torch.float64)
    ours = F.sparse_prune(weight, logs, threshold=1.0)
    assert_same_bits(ours, tn.sparse_prune(array_of(weight), logs.numpy(), threshold=1.0), "sparse_prune")
    tuned = [specials(ROWS, dtype, seed) for seed in (1, 2)]
    for rate in RATES:
        merged = F.dare_merge(weight, tuned, rate, key=KEY, weights=[0.5, 2.0])
        numpys = tn.dare_merge(
            array_of(weight), list(map(array_of, tuned)), rate, key=KEY, weights=[0.5, 2.0]
        )
        assert_same_bits(merged, numpys, rate)


# Backward

GAINED = ["concrete_dropout", "variational_dropout", "standout", "drop_head", "cutout"]


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_gradients_of_rows_follow_the_law(row: Variant, dtype: torch.dtype) -> None:
    shape = tuple(min(length, 8) for length in example_shape(row))
    x, other, dy = (specials(shape, dtype, seed) for seed in range(3))
    third = other if row.needs_other else None
    for rate, training in itertools.product(RATES, (True, False)):
        inputs = [t.clone().requires_grad_() for t in ((x,) if third is None else (x, third))]
        more = {"other": inputs[1]} if third is not None else {}
        y = F.drop(row, inputs[0], rate, key=KEY, training=training, **more)
        grads = torch.autograd.grad(y, inputs, dy, allow_unused=True)
        # The derivative of a term is its factor: the law of ones, and of ones in place of the other.
        one = torch.ones(shape, dtype=torch.float64)
        for i, grad in enumerate(grads):
            if grad is None:  # a factor of 0 everywhere
                continue
            base = {"other": torch.zeros_like(one)} if third is not None else {}
            factor = F.drop(row, one if i == 0 else one - 1, rate, key=KEY, training=training, **base)
            if i == 1:
                factor = F.drop(row, one - 1, rate, key=KEY, training=training, other=one)
            elif third is None and row.other != "zero":
                factor = factor - F.drop(row, one - 1, rate, key=KEY, training=training)
            dropped = factor.abs() < 1e-12
            assert not grad[dropped].view(INTEGERS[grad.element_size()]).any(), (rate, training, i)
            near = apply(factor[~dropped], 0.0, dy[~dropped])
            assert torch.allclose(grad[~dropped], near, rtol=1e-2, equal_nan=True), (rate, training, i)


@pytest.mark.parametrize("name", GAINED)
def test_gradients_of_functions_are_themselves(name: str) -> None:
    shape, ours, _ = TWINS[name]
    for dtype, rate, training in itertools.product(DTYPES, RATES, (True, False)):
        x, dy = specials(shape, dtype).requires_grad_(), specials(shape, dtype, 1)
        (dx,) = torch.autograd.grad(ours(x, rate, key=KEY, training=training), x, dy)
        expected = ours(dy, rate, key=KEY, training=training)
        assert_same_bits(dx, array_of(expected), (name, dtype, rate, training))


def test_the_backward_of_shake_drop_is_numpys() -> None:
    for dtype, rate in itertools.product(DTYPES, RATES):
        x, dy = specials(MAPS, dtype).requires_grad_(), specials(MAPS, dtype, 1)
        (dx,) = torch.autograd.grad(F.shake_drop(x, rate, key=KEY), x, dy)
        assert_same_bits(dx, tn.shake_drop(array_of(dy), rate, key=KEY, backward=True), (dtype, rate))


@pytest.mark.parametrize("logit", [-np.inf, -800.0, 800.0, np.inf])
def test_extreme_parameters_get_a_gradient_of_zero(logit: float) -> None:
    x = specials(ROWS, torch.float64)
    for call in (
        lambda z: F.concrete_dropout(x, z, key=KEY),
        lambda z: F.standout(x, z, training=False),
    ):
        z = torch.tensor(logit, dtype=torch.float64, requires_grad=True)
        dy = torch.where(x.isfinite(), 1.0, torch.inf).double()
        (dz,) = torch.autograd.grad(call(z), z, dy)
        assert dz == 0


# The multiplication itself


def test_apply_is_numpys() -> None:
    from thinnet._core.apply import apply as numpys

    gains = torch.tensor([0.0, 1.0, -0.5, 3.3], dtype=torch.float64)
    for dtype, kind in itertools.product(
        (torch.float16, torch.float32, torch.float64), (None, torch.float32)
    ):
        x, other = (specials((11, 1, 1), dtype, seed) for seed in (0, 1))
        gain, shift = gains[:, None].to(kind or torch.float64), gains.to(kind or torch.float64)
        y, z = apply(gain, shift, x, other), numpys(gain.numpy(), shift.numpy(), x.numpy(), other.numpy())
        assert_same_bits(y, z, (dtype, kind))
        for g, s in itertools.product(gains.tolist(), repeat=2):
            y, z = apply(g, s, x, other), numpys(g, s, x.numpy(), other.numpy())
            assert_same_bits(y, z, (dtype, g, s))


def test_float64_is_rounded_to_float16_once() -> None:
    halves = torch.arange(0, 0x7C00, dtype=torch.int32).to(torch.int16).view(torch.float16).double()
    ties = (halves[1:] + halves[:-1]) / 2
    for moved in (0.0, 1e-12, -1e-12):
        y = torch.cat([ties * (1 + moved), -ties * (1 + moved), torch.tensor([-0.0, torch.inf, 1e300])])
        with np.errstate(over="ignore"):
            expected = y.numpy().astype(np.float16)
        assert_same_bits(round_once(y, torch.float16), expected, moved)
