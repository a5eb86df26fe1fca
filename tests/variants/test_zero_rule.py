"""The zero rule for every name: a gain of 0 gives +0 whatever it multiplies, and kept zeros keep their sign.

Entries are compared by their bits with `gain * x + shift * other`. The gains are the result for x = 1, the
shifts the result for x = 0 and other = 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import thinnet as tn
from thinnet._core import native
from thinnet.variants import CATALOGUE, FUNCTIONS, Variant, drop
from thinnet.variants._guide import example_shape

Array = NDArray[Any]
Call = Callable[..., Array]

VALUES = np.array([1.0, -1.0, 0.0, -0.0, np.inf, -np.inf, np.nan, 0.3, -2.5, 1e300])
KEY = tn.Key(29, 3)
LOGITS = np.array([-np.inf, -800.0, -1.0, 0.0, 1.0, 800.0, np.inf])


def specials(shape: tuple[int, ...], first: int = 0) -> Array:
    """Return an array of special values, which no axis of the shapes used here lines up with."""
    return VALUES[(np.arange(np.prod(shape)) + first) * 7 % len(VALUES)].reshape(shape)


def bits(x: Array) -> Array:
    """Return the bits of an array, with one NaN for all."""
    return np.where(np.isnan(x), np.nan, x).view(np.int64)


def expected(gain: Array, shift: Array, x: Array, other: Array) -> Array:
    """Return the law, entry by entry in Python's own floating point."""
    flat = (each.ravel() for each in np.broadcast_arrays(gain, shift, x, other))
    entries: list[float] = []
    for g, s, a, b in zip(*flat, strict=True):
        terms = [float(factor) * float(value) for factor, value in ((g, a), (s, b)) if factor]
        entries.append(terms[0] + terms[1] if len(terms) > 1 else terms[0] if terms else 0.0)
    return np.array(entries).reshape(np.broadcast_shapes(gain.shape, x.shape))


@pytest.mark.parametrize("body", ["compiled", "numpy"])
@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
def test_rows(row: Variant, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if body == "numpy":
        monkeypatch.setattr(native, "library", None)
    shape = tuple(min(length, 8) for length in example_shape(row))  # blocks of 7 fit
    x, third = specials(shape), specials(shape, 3)
    constant = {"one": 1.0, "lowest": float(np.finfo(float).min)}.get(row.other, 0.0)
    for rate, mode in itertools.product((0.0, 0.5, 1.0), ("sample", "mean")):

        def call(x: Array, other: Array, rate: float = rate, mode: Any = mode) -> Array:
            more = {"other": other} if row.needs_other else {}
            return drop(row, x, rate, key=KEY, mode=mode, **more)

        one, none = np.ones(shape), np.zeros(shape)
        if row.needs_other:
            gain, shift, other = call(one, none), call(none, one), third
        else:
            shift = call(none, none) / (constant or 1.0)
            other = np.full(shape, constant)
            gain = np.where(shift == 1, 0.0, call(one, none) - shift * other)
        if row.other == "one":  # a sum was rounded above: the gains are those of the law
            gain, shift = (
                np.where(shift == call(none, none), part, 0.0) for part in _sides(row, rate, mode, shift)
            )
        assert np.array_equal(bits(call(x, third)), bits(expected(gain, shift, x, other))), (rate, mode)


def _sides(row: Variant, rate: float, mode: str, shift: Array) -> tuple[Array, Array]:
    """Return the gains and shifts of a law of two points whose shift tells its sides apart."""
    law: Any = row.law_of(rate)
    if mode == "mean":
        return tuple(np.full(shift.shape, part) for part in row.mean_of(rate))  # pyright: ignore[reportReturnType]
    dropped = shift == law.dropped[1]
    gain, second = (np.where(dropped, a, b) for a, b in zip(law.dropped, law.kept, strict=True))
    return gain, second


# The functions that multiply x by gains which do not depend on x.
GAINED: dict[str, tuple[tuple[int, ...], Call]] = {
    "ConcreteDropout": (
        (10, 7),
        lambda x, p, **k: tn.concrete_dropout(x, LOGITS, temperature=0.1 + p, **k),
    ),
    "VariationalDropout": ((10, 7), lambda x, p, **k: tn.variational_dropout(x, LOGITS, **k)),
    "SparseVariationalDropout": (
        (10, 7),
        lambda x, p, key, mode: tn.sparse_prune(x, LOGITS, threshold=4 * p - 2),
    ),
    "Standout": ((10, 7), lambda x, p, **k: tn.standout(x, LOGITS, beta=2 * p - 1, **k)),
    "TargetedDropout": ((10, 7), lambda x, p, **k: tn.targeted_dropout(x, p, target=1.0, **k)),
    "ShakeDrop": ((20, 7), tn.shake_drop),
    "Cutout": ((7, 1, 6, 7), lambda x, p, **k: tn.cutout(x, round(6 * p), **k)),
    "DropHead": ((7, 3, 3, 3), tn.drop_head),
    "MultiSampleDropout": ((10, 7), lambda x, p, **k: tn.multi_sample_dropout(x, p, samples=3, **k)),
}
# Those that do not multiply by gains, or not by gains alone: the tests below, and those of their laws.
OTHERS = {"MaxPoolDropout", "Shakeout", "PatchDropout", "RDrop", "drop_edges", "NEFTune", "dare_merge"}


def test_every_function_is_in_this_file() -> None:
    assert set(GAINED) | OTHERS == set(FUNCTIONS)


@pytest.mark.parametrize("name", GAINED)
@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("mode", ["sample", "mean"])
def test_functions(name: str, rate: float, mode: str) -> None:
    shape, call = GAINED[name]
    gain, x = call(np.ones(shape), rate, key=KEY, mode=mode), specials(shape)
    y = call(x, rate, key=KEY, mode=mode)
    assert np.array_equal(bits(y), bits(expected(gain, np.zeros(()), x, np.zeros(()))))


def test_a_pool_ignores_what_is_dropped() -> None:
    x = np.full((1, 1, 2, 20), np.inf)
    kept = tn.drop("UnscaledDropout", np.ones(x.shape), 0.9, key=KEY) == 1
    y = tn.max_pool_dropout(x, 0.9, key=KEY)
    assert np.array_equal(np.isinf(y[0, 0, 0]), kept[0, 0].reshape(2, 10, 2).any(axis=(0, 2)))
    assert not np.signbit(y).any()
    assert not np.isnan(tn.max_pool_dropout(x, 1.0, mode="mean")).any()


def test_the_constant_of_shakeout_is_finite() -> None:
    weights = np.array([[np.inf, -np.inf, 2.0, 0.0]] * 40)
    y = tn.shakeout(weights, 0.5, key=KEY, c=0.25)
    constant = np.isfinite(y[:, 0])
    assert 5 < constant.sum() < 35
    assert np.array_equal(y[constant], np.broadcast_to([-0.25, 0.25, -0.25, 0.0], (constant.sum(), 4)))
    assert np.array_equal(y[~constant][:, :2], weights[~constant][:, :2])


def test_noise_is_added_to_special_values() -> None:
    x = specials((1, 10, 3))
    shift = tn.neftune_noise(np.zeros(x.shape), 2.0, key=KEY)
    y = tn.neftune_noise(x, 2.0, key=KEY)
    assert np.array_equal(bits(y), bits(expected(np.ones(()), shift, x, np.ones(()))))
