"""Losses: extreme logits, answers, targets, and PyTorch's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from thinnet import net
from thinnet.errors import InputError

SOFTMAX, BINARY = net.SoftmaxCrossEntropy(), net.BinaryCrossEntropy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (SOFTMAX, np.array([0, 1])),
        (SOFTMAX, np.array([[1.0, 0, 0], [0, 0.5, 0.5]])),
        (BINARY, np.array([[1.0, 0, 1], [0, 0.5, 1]])),
        (net.SquaredError(), np.zeros((2, 3))),
        (net.AbsoluteError(), np.zeros((2, 3))),
        (net.Huber(), np.zeros((2, 3))),
    ],
    ids=repr,
)
def test_logits_of_ten_thousand_do_no_harm(loss: net.Loss, y: Any, dtype: str) -> None:
    z = np.array([[-1e4, 1e4, 0], [1e4, 1e4, -1e4]], dtype)
    y = loss.targets(y, 3, z.dtype)
    value, gradient = loss(z, y)
    assert np.isfinite(value)
    assert value > 0
    assert gradient.dtype == z.dtype
    assert np.isfinite(gradient).all()
    assert np.isfinite(loss.link(z)).all()


def test_certain_and_right_costs_nothing_certain_and_wrong_costs_the_logit() -> None:
    z = np.array([[1e4, 0.0]], np.float32)
    assert SOFTMAX(z, np.array([0]))[0] == 0
    assert SOFTMAX(z, np.array([1]))[0] == 1e4
    right, wrong = np.array([[1.0, 0.5]], np.float32), np.array([[0.0, 0.5]], np.float32)
    half = np.log(2) / 2  # the second logit says one half
    assert BINARY(z, right)[0] == pytest.approx(half)
    assert BINARY(z, wrong)[0] == pytest.approx(1e4 / 2 + half)


def test_links_are_probabilities() -> None:
    z = np.random.default_rng(0).standard_normal((5, 3)) * 4
    assert np.allclose(SOFTMAX.link(z), np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=1e-12)
    assert np.allclose(BINARY.link(z), 1 / (1 + np.exp(-z)), rtol=1e-12)
    assert np.array_equal(net.Huber().link(z), z)


def test_a_batch_of_weightless_rows_teaches_nothing() -> None:
    value, gradient = SOFTMAX(np.ones((2, 3)), np.array([0, 1]), sample_weight=np.zeros(2))
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize(
    ("loss", "y", "said"),
    [
        (SOFTMAX, [0, 3], "classes must be in [0, 3), got 3."),
        (SOFTMAX, [-1, 1], "classes must be in [0, 3), got -1."),
        (SOFTMAX, [0.0, 1.0], "classes must be whole numbers, got float64."),
        (SOFTMAX, ["a", "b"], "classes must be whole numbers, got <U1."),
        (SOFTMAX, [["a", "b", "c"]], "targets must be an array of real numbers, got 'a'."),
        (BINARY, [0, 2], "targets must be in [0, 1], got 2."),
        (BINARY, [[0.5, -0.25, 1]], "targets must be in [0, 1], got -0.25."),
        (BINARY, [np.nan, 1], "targets must be in [0, 1], got nan."),
        (net.SquaredError(), ["a", "b"], "targets must be an array of real numbers, got 'a'."),
        (net.PoissonDeviance(), [1, -2], "targets must be at least 0, got -2."),
        (net.Huber(), [None, {}], "targets must be an array of real numbers, got None."),
    ],
)
def test_targets_that_make_no_sense(loss: net.Loss, y: Any, said: str, refusal: Callable[..., str]) -> None:
    line = refusal(InputError, loss.targets, y, 3, np.dtype("float32"))
    assert line == f"{type(loss).__name__}: {said}"


def test_the_delta_of_huber_is_positive(refusal: Callable[..., str]) -> None:
    for delta in (0, -1.0, np.nan):
        assert refusal(InputError, net.Huber, delta=delta).startswith(
            "Huber: delta must be a number greater than 0, got"
        )


def test_the_poisson_deviance_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    z, y = np.array([[-1.0], [0.5], [2.0]]), np.array([[0.0], [2.0], [7.0]])
    expected = metrics.mean_poisson_deviance(y, np.exp(z))
    assert net.PoissonDeviance()(z, y)[0] == pytest.approx(expected, rel=1e-12)


def test_losses_are_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    peers = torch.nn.functional
    generator = np.random.default_rng(1)
    z, real = 3 * generator.standard_normal((2, 11, 4))
    classes, p = generator.integers(0, 4, 11), generator.dirichlet(np.ones(4), 11)
    cases = [
        (SOFTMAX, classes, peers.cross_entropy),
        (SOFTMAX, p, peers.cross_entropy),
        (BINARY, p, peers.binary_cross_entropy_with_logits),
        (net.SquaredError(), real, peers.mse_loss),
        (net.AbsoluteError(), real, peers.l1_loss),
        (net.Huber(delta=0.7), real, lambda a, b: peers.huber_loss(a, b, delta=0.7)),
    ]
    for loss, y, peer in cases:
        logits = torch.tensor(z, requires_grad=True)
        theirs = peer(logits, torch.tensor(y))
        theirs.backward()
        value, gradient = loss(z, y)
        assert value == pytest.approx(theirs.item(), rel=1e-12), loss
        assert np.allclose(gradient, logits.grad.numpy(), rtol=1e-10, atol=1e-15), loss
