"""Optimisers: PyTorch's trajectories, pieces, decay, schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from thinnet import net
from thinnet._core.random import Key
from thinnet.errors import InputError
from thinnet.schedules import Cosine, Linear

Array = NDArray[np.float64]

# Name, our arguments, PyTorch's class and arguments.
CASES: dict[str, tuple[Callable[[], net.Optimizer], str, dict[str, Any]]] = {
    "sgd": (lambda: net.SGD(0.05), "SGD", {"lr": 0.05}),
    "sgd l2": (lambda: net.SGD(0.05, l2=0.3), "SGD", {"lr": 0.05, "weight_decay": 0.3}),
    "momentum": (lambda: net.SGD(0.02, momentum=0.9), "SGD", {"lr": 0.02, "momentum": 0.9}),
    "nesterov": (
        lambda: net.SGD(0.02, momentum=0.9, nesterov=True, l2=0.1),
        "SGD",
        {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "adam": (lambda: net.Adam(0.03), "Adam", {"lr": 0.03}),
    "adam l2": (
        lambda: net.Adam(0.03, betas=(0.8, 0.95), epsilon=1e-3, l2=0.3),
        "Adam",
        {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3},
    ),
    "adamw": (lambda: net.AdamW(0.03, weight_decay=0.2), "AdamW", {"lr": 0.03, "weight_decay": 0.2}),
}
# A quartic bowl in eight directions, of which the first five are matrices and decay.
STEPS, DECAYED = 12, 5
START = np.array([1.0, -2.0, 0.5, 3.0, -0.25, 1.5, -1.0, 0.0])
CENTRE = np.array([0.0, 1.0, 0.4, -1.0, 0.0, 2.0, 1.0, 0.5])


def gradient(w: Any) -> Any:
    return (w - CENTRE) + 0.3 * (w - CENTRE) ** 3


def ours(optimizer: net.Optimizer) -> list[Array]:
    w, path = START.copy(), []
    for _ in range(STEPS):
        optimizer.update(w, gradient(w), DECAYED)
        path.append(w.copy())
    return path


def theirs(torch: Any, name: str, options: dict[str, Any]) -> list[Array]:
    parts = [torch.tensor(part, requires_grad=True) for part in (START[:DECAYED], START[DECAYED:])]
    groups = [{"params": parts[:1]}, {"params": parts[1:], "weight_decay": 0.0}]
    optimizer, path = getattr(torch.optim, name)(groups, **options), []
    for _ in range(STEPS):
        w = np.concatenate([part.detach().numpy() for part in parts])
        whole = torch.tensor(gradient(w))
        parts[0].grad, parts[1].grad = whole[:DECAYED].clone(), whole[DECAYED:].clone()
        optimizer.step()
        path.append(np.concatenate([part.detach().numpy() for part in parts]))
    return path


@pytest.mark.parametrize("name", CASES)
def test_trajectories_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    mine, peer = ours(CASES[name][0]()), theirs(torch, *CASES[name][1:])
    for step, (a, b) in enumerate(zip(mine, peer, strict=True)):
        assert np.allclose(a, b, rtol=1e-12, atol=1e-13), step


@pytest.mark.parametrize("name", CASES)
def test_trajectories_are_the_known_ones(name: str, vectors: Callable[[str], Any]) -> None:
    known = vectors("optimizers")["cases"]
    assert list(known) == list(CASES)
    path = ours(CASES[name][0]())
    for step, weights in known[name].items():
        assert np.allclose(path[int(step) - 1], weights, rtol=1e-12, atol=1e-13), step


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_weights_are_updated_in_pieces_without_a_seam(name: str, dtype: str) -> None:
    # 80,000 weights are three pieces, and the border between matrices and biases lies inside the second.
    size, decayed = 80_000, 50_001
    generator = np.random.default_rng(0)
    start, g = generator.standard_normal((2, size)).astype(dtype)
    whole, one = start.copy(), CASES[name][0]()
    for _ in range(3):
        one.update(whole, g.copy(), decayed)
    assert whole.dtype == dtype
    for first, last in ((0, 20_000), (49_990, 50_010), (79_000, 80_000)):
        part, again = start[first:last].copy(), CASES[name][0]()
        for _ in range(3):
            again.update(part, g[first:last].copy(), max(0, min(decayed - first, last - first)))
        assert np.array_equal(part, whole[first:last])


@pytest.mark.parametrize("optimizer", [net.SGD(0.1, l2=0.5), net.Adam(l2=0.5), net.AdamW()], ids=repr)
def test_decay_pulls_weights_but_not_biases(optimizer: net.Optimizer) -> None:
    network = net.Network([net.Dense(4, 3), net.Tanh(), net.Dense(3, 2)], dtype="float64", key=Key(0))
    network.flat[:] = 1.0
    optimizer.update(network.flat, np.zeros_like(network.flat), network.decayed)
    for i in (0, 2):
        assert (network.weights[i]["weight"] < 1).all()
        assert (network.weights[i]["bias"] == 1).all()


@pytest.mark.parametrize("kind", [net.SGD, net.Adam, net.AdamW])
def test_the_learning_rate_may_follow_a_schedule(kind: Any) -> None:
    schedule = Cosine(0.1, 0.0, 5)
    scheduled, path = kind(schedule), []
    w, by_hand = START.copy(), START.copy()
    constant = kind(1.0)
    for step in range(7):
        assert scheduled.rate_now() == schedule(step)
        scheduled.update(w, gradient(w), DECAYED)
        constant.learning_rate = schedule(step)
        constant.update(by_hand, gradient(by_hand), DECAYED)
        path.append(w.copy())
    assert np.array_equal(w, by_hand)
    assert np.array_equal(path[5], path[6])  # a rate of 0 moves nothing
    assert not np.array_equal(path[3], path[4])


def test_a_network_of_another_size_begins_afresh() -> None:
    optimizer = net.Adam(0.1)
    for _ in range(50):
        optimizer.update(np.ones(3), np.ones(3), 0)
    w, expected = np.ones(4), np.ones(4)
    optimizer.update(w, np.ones(4), 0)
    net.Adam(0.1).update(expected, np.ones(4), 0)
    assert np.array_equal(w, expected)


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf, None, "0.1"])
def test_a_schedule_that_leaves_its_range_is_named(rate: Any, refusal: Callable[..., str]) -> None:
    optimizer = net.Adam(lambda step: rate if step == 2 else 0.1)
    w = np.ones(3)
    for _ in range(2):
        optimizer.update(w, np.ones(3), 0)
    line = refusal(InputError, optimizer.update, w, np.ones(3), 0)
    assert (
        line
        == f"Adam: a schedule of learning_rate must return numbers of at least 0, got {rate!r} at step 2."
    )


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: net.SGD(0), "SGD: learning_rate must be a number greater than 0, got 0."),
    (lambda: net.Adam(-1e-3), "Adam: learning_rate must be a number greater than 0, got -0.001."),
    (lambda: net.AdamW(np.nan), "AdamW: learning_rate must be a number greater than 0, got nan."),
    (lambda: net.SGD(np.inf), "SGD: learning_rate must be a number greater than 0, got inf."),
    (lambda: net.SGD(l2=-1), "SGD: l2 must be a number of at least 0, got -1."),
    (lambda: net.Adam(l2=np.nan), "Adam: l2 must be a number of at least 0, got nan."),
    (lambda: net.SGD(momentum=1.5), "SGD: momentum must be a number in [0, 1], got 1.5."),
    (lambda: net.SGD(nesterov=True), "SGD: nesterov needs a momentum greater than 0, got 0."),
    (lambda: net.AdamW(betas=(0.9, 1.0)), "AdamW: betas must be two numbers in [0, 1), got (0.9, 1.0)."),
    (
        lambda: net.Adam(betas=(0.9, 0.99, 0.999)),
        "Adam: betas must be two numbers in [0, 1), got (0.9, 0.99, 0.999).",
    ),
    (lambda: net.Adam(betas=0.9), "Adam: betas must be two numbers in [0, 1), got 0.9."),
    (lambda: net.Adam(epsilon=-1), "Adam: epsilon must be a number greater than 0, got -1."),
    (lambda: net.AdamW(epsilon=np.nan), "AdamW: epsilon must be a number greater than 0, got nan."),
    (lambda: net.SGD(momentum=0.9, nesterov="no"), "SGD: nesterov must be True or False, got 'no'."),
    (lambda: net.SGD(momentum="0.9"), "SGD: momentum must be a number in [0, 1], got '0.9'."),
    (lambda: net.AdamW(weight_decay=np.inf), "AdamW: weight_decay must be a number of at least 0, got inf."),
    (lambda: net.AdamW(weight_decay=-0.1), "AdamW: weight_decay must be a number of at least 0, got -0.1."),
]


@pytest.mark.parametrize(("call", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_optimisers_refuse(call: Callable[[], Any], said: str, refusal: Callable[..., str]) -> None:
    assert refusal(InputError, call) == said


def test_optimisers_say_what_they_are() -> None:
    assert repr(net.SGD(Linear(0.1, 0.0, 9))).startswith(
        "SGD(learning_rate=Linear(start=0.1, stop=0.0, steps=9)"
    )
    assert repr(net.AdamW(1e-3)) == "AdamW(learning_rate=0.001, weight_decay=0.01)"
