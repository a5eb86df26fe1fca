"""The gains of functions: they never see x, their slopes are their derivatives, and bfloat16 goes through."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thinnet as tn
from thinnet._core.random import Key, Window
from thinnet.variants import _beyond as beyond
from thinnet.variants._beyond import (
    concrete,
    cutout,
    heads,
    neftune,
    shakedrop,
    standout,
    targeted,
    variational,
)

KEY = Key(31, 4)
X = np.random.default_rng(0).standard_normal((6, 5))
LOGITS = np.linspace(-4, 4, 30).reshape(6, 5)
WHOLE = Window.whole(X.shape)
IMAGES = np.random.default_rng(1).standard_normal((3, 4, 6, 5))
PIXELS, TOKENS = Window.whole(IMAGES.shape), IMAGES[:, 0]

PAIRS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "concrete": (
        lambda: concrete.gains(KEY, WHOLE, LOGITS, temperature=0.3) * X,
        lambda: tn.concrete_dropout(X, LOGITS, key=KEY, temperature=0.3),
    ),
    "variational": (
        lambda: variational.gains(KEY, WHOLE, LOGITS) * X,
        lambda: tn.variational_dropout(X, LOGITS, key=KEY),
    ),
    "standout": (
        lambda: standout.gains(KEY, WHOLE, LOGITS, alpha=0.5, beta=1.0) * X,
        lambda: tn.standout(X, LOGITS, key=KEY, alpha=0.5, beta=1.0),
    ),
    "standout, mean": (
        lambda: standout.mean_gain(LOGITS) * X,
        lambda: tn.standout(X, LOGITS, mode="mean"),
    ),
    "shakedrop": (
        lambda: shakedrop.gains(KEY, WHOLE, rate=0.5, backward=False) * X,
        lambda: tn.shake_drop(X, 0.5, key=KEY),
    ),
    "shakedrop, backward": (
        lambda: shakedrop.gains(KEY, WHOLE, rate=0.5, backward=True) * X,
        lambda: tn.shake_drop(X, 0.5, key=KEY, backward=True),
    ),
    "shakedrop, mean": (lambda: shakedrop.mean_gain(0.3) * X, lambda: tn.shake_drop(X, 0.3, mode="mean")),
    "targeted": (
        lambda: (
            targeted.gains(KEY, WHOLE, targeted.candidates(X, target=0.6, units=False, axis=-1), rate=0.7) * X
        ),
        lambda: tn.targeted_dropout(X, 0.7, key=KEY, target=0.6),
    ),
    "heads": (
        lambda: heads.gains(KEY, PIXELS, rate=0.5) * IMAGES,
        lambda: tn.drop_head(IMAGES, 0.5, key=KEY),
    ),
    "cutout": (
        lambda: cutout.gains(KEY, PIXELS, height=2, width=3) * IMAGES,
        lambda: tn.cutout(IMAGES, (2, 3), key=KEY),
    ),
    "neftune": (
        lambda: TOKENS + neftune.shifts(KEY, Window.whole(TOKENS.shape), alpha=5.0),
        lambda: tn.neftune_noise(TOKENS, 5.0, key=KEY),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_function_applies_its_gains(name: str) -> None:
    by_gains, function = PAIRS[name]
    assert np.array_equal(by_gains(), function())


def test_every_gain_has_the_key_and_the_window_first() -> None:
    files = [file for file in vars(beyond).values() if inspect.ismodule(file)]
    drawing = [file.gains for file in files if hasattr(file, "gains")]
    assert len(drawing) == 7
    for gains in drawing:
        names = list(inspect.signature(gains).parameters)
        assert names[:2] == ["key", "window"]
        assert "x" not in names


def numerically(function: Callable[[Any], Any], at: Any) -> Any:
    return (function(at + 1e-6) - function(at - 1e-6)) / 2e-6


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_the_slope_of_concrete_gains(temperature: float) -> None:
    def gains(logit: Any) -> Any:
        return concrete.gains(KEY, WHOLE, logit, temperature=temperature)

    slope = concrete.slope(np, gains(LOGITS), LOGITS, temperature=temperature)
    assert np.allclose(slope, numerically(gains, LOGITS), rtol=1e-5, atol=1e-7)
    ends = np.array([-np.inf, -800.0, 800.0, np.inf])
    drawn = concrete.gains(KEY, Window.whole((4,)), ends, temperature=temperature)
    assert np.isfinite(concrete.slope(np, drawn, ends, temperature=temperature)).all()


def test_the_slope_of_variational_gains() -> None:
    def gains(log_alpha: Any) -> Any:
        return variational.gains(KEY, WHOLE, log_alpha)

    slope = variational.slope(np, gains(LOGITS), LOGITS)
    assert np.allclose(slope, numerically(gains, LOGITS), rtol=1e-6, atol=1e-8)
    assert not slope[LOGITS > 0].any()
    assert slope[LOGITS < 0].all()


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (-0.5, 2.0)])
def test_the_slope_of_the_mean_of_standout(alpha: float, beta: float) -> None:
    def smooth(logits: Any) -> Any:
        return 1 / (1 + np.exp(-(alpha * logits + beta)))

    slope = standout.mean_slope(np, LOGITS, alpha=alpha, beta=beta)
    assert np.allclose(slope, numerically(smooth, LOGITS), rtol=1e-6, atol=1e-9)
    realised = standout.mean_gain(LOGITS, alpha=alpha, beta=beta)
    assert np.abs(realised - smooth(LOGITS)).max() <= 0.5 / 65536


BFLOAT16: dict[str, Callable[[Any], Any]] = {
    "concrete_dropout": lambda x: tn.concrete_dropout(x, 0.3, key=KEY),
    "variational_dropout": lambda x: tn.variational_dropout(x, -0.5, key=KEY),
    "standout": lambda x: tn.standout(x, 0.3, key=KEY),
    "shake_drop": lambda x: tn.shake_drop(x, 0.5, key=KEY),
    "targeted_dropout": lambda x: tn.targeted_dropout(x, 0.5, key=KEY),
    "shakeout": lambda x: tn.shakeout(x, 0.5, key=KEY, c=0.25),
    "sparse_prune": lambda x: tn.sparse_prune(x, LOGITS),
    "multi_sample_dropout": lambda x: tn.multi_sample_dropout(x, 0.5, key=KEY),
    "local_noise": lambda x: tn.local_noise(x, np.eye(5), -1.0, key=KEY),
    "dare_merge": lambda x: tn.dare_merge(x, [x[::-1]], 0.5, key=KEY),
    "drop_head": lambda x: tn.drop_head(x.reshape(1, 2, 3, 5), 0.5, key=KEY),
    "cutout": lambda x: tn.cutout(x.reshape(1, 1, 6, 5), 2, key=KEY),
    "max_pool_dropout": lambda x: tn.max_pool_dropout(abs(x).reshape(1, 1, 6, 5), 0.5, key=KEY),
    "max_pool_dropout, mean": lambda x: tn.max_pool_dropout(abs(x).reshape(1, 1, 6, 5), 0.5, mode="mean"),
    "patch_dropout": lambda x: tn.patch_dropout(x.reshape(1, 6, 5), 0.5, key=KEY)[0],
    "neftune_noise": lambda x: tn.neftune_noise(x.reshape(1, 6, 5), 5.0, key=KEY),
}


@pytest.mark.parametrize("name", BFLOAT16)
def test_bfloat16_is_rounded_from_a_wider_type(name: str) -> None:
    bfloat16: Any = pytest.importorskip("ml_dtypes").bfloat16
    x = X.astype(bfloat16)
    y, wide = BFLOAT16[name](x), BFLOAT16[name](x.astype(np.float32))
    assert y.dtype == bfloat16
    assert np.array_equal(y, wide.astype(bfloat16))
