from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_poisson_deviance

from thinnet.net import Loss
from thinnet.sklearn._losses import CrossEntropy, HalfPoissonDeviance, HalfSquaredError, Logistic

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(6, 3))
CASES = [
    (CrossEntropy(), RNG.integers(0, 3, 6)),
    (Logistic(), RNG.integers(0, 2, (6, 3)).astype(float)),
    (HalfPoissonDeviance(), RNG.poisson(2.0, (6, 3)).astype(float)),
    (HalfSquaredError(), RNG.normal(size=(6, 3))),
]


@pytest.mark.parametrize(("loss", "y"), CASES, ids=lambda value: type(value).__name__)
def test_gradients_are_link_minus_target(loss: Loss, y: np.ndarray) -> None:
    target = np.eye(3)[y] if y.ndim == 1 else y
    _, gradient = loss.rows(Z, y)
    np.testing.assert_allclose(gradient, loss.link(Z) - target, atol=1e-12)
    # the slope of the sum over outputs, which for squared errors is three times the mean's
    factor = 3 if isinstance(loss, HalfSquaredError) else 1
    step = 1e-6 * np.eye(18)[7].reshape(6, 3)
    slope = (loss.rows(Z + step, y)[0].sum() - loss.rows(Z - step, y)[0].sum()) / 2e-6
    assert gradient[2, 1] == pytest.approx(factor * slope, rel=1e-6)


def test_values_are_those_of_scikit_learns_metrics() -> None:
    (soft, classes), (logistic, labels), (poisson, counts), _ = CASES
    assert soft.rows(Z, classes)[0].mean() == pytest.approx(log_loss(classes, soft.link(Z), labels=range(3)))
    each = [log_loss(labels[:, i], logistic.link(Z)[:, i], labels=[0, 1]) for i in range(3)]
    assert logistic.rows(Z, labels)[0].mean() == pytest.approx(sum(each))
    half = [mean_poisson_deviance(counts[:, i], poisson.link(Z)[:, i]) / 2 for i in range(3)]
    assert poisson.rows(Z, counts)[0].mean() == pytest.approx(sum(half))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_of_a_class_is_bounded_and_its_gradient_is_not_lost(dtype: type) -> None:
    z = np.array([[1000.0, -1000.0]], dtype)
    rows, gradient = CrossEntropy().rows(z, np.array([1]))
    assert rows[0] == pytest.approx(-np.log(np.finfo(dtype).eps))
    assert gradient.tolist() == [[1.0, -1.0]]
    rows, gradient = Logistic().rows(z[:, :1], np.zeros((1, 1), dtype))
    assert rows[0] == pytest.approx(-np.log(np.finfo(dtype).eps))
    assert gradient.tolist() == [[1.0]]
