from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thinnet._core.random import Key
from thinnet.gallery import _xor as xor
from thinnet.variants import dropout

KEY = Key(3)


def loss(w1: Any, w2: Any, rule: str) -> float:
    h = xor.sigmoid(xor.X @ w1)
    a = h if rule == "none" else dropout(h, xor.RATE, key=KEY)
    return float(np.square(xor.sigmoid(a @ w2) - xor.Y).sum() / 2)


@pytest.mark.parametrize("rule", xor.RULES)
def test_only_the_tutorials_gradient_is_wrong(rule: str) -> None:
    generator = np.random.default_rng(0)
    w1, w2 = generator.standard_normal((5, 3, 4)), generator.standard_normal((5, 4, 1))
    g1, g2 = xor.step(w1, w2, rule, key=KEY)
    numeric = np.zeros_like(w1)
    for at in np.ndindex(*w1.shape):
        e = np.zeros_like(w1)
        e[at] = 1e-6
        numeric[at] = (loss(w1 + e, w2, rule) - loss(w1 - e, w2, rule)) / 2e-6
    assert np.allclose(g1, numeric, atol=1e-8) == (rule != "tutorial")
    assert g2.shape == w2.shape


def test_what_many_seeds_show() -> None:
    none, right, tutorial = (xor.train(rule, seeds=10, steps=15_000) for rule in xor.RULES)
    assert none.solved.sum() >= 9
    assert none.errors[-1].mean() < 0.03 < right.errors[-1].mean()
    assert np.median(none.largest[-1]) < np.median(right.largest[-1]) < np.median(tutorial.largest[-1]) / 2
    assert none.steps[0] == 1
    assert none.steps[-1] == 15_000
    assert none.errors.shape == (len(none.steps), 10)
