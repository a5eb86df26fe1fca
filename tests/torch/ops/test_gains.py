"""The operator thinnet::gains: what NumPy draws, its derivatives, and what compilers and transforms see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import thinnet as tn
from thinnet import Key, Window
from thinnet.torch import functional as F  # noqa: N812 - its usual name
from thinnet.torch._ops import gains as op
from thinnet.torch._ops import keys
from thinnet.variants._beyond import concrete, standout, variational

# Forward-mode derivatives make torch call what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated")

KEY = Key(2**63 + 5, 4)
ADDRESS = keys.to_tensor(KEY)
EDGES = torch.tensor([[0, 1, 2, 1], [1, 0, 3, 0]])
# (shape, parameter, options) of each entry of the operator's table.
EACH: dict[str, tuple[tuple[int, ...], torch.Tensor | None, list[float]]] = {
    "ConcreteDropout": ((3, 4), torch.linspace(-1, 1, 4, dtype=torch.float64), [0.5]),
    "VariationalDropout": ((3, 4), torch.linspace(-3, -1, 4, dtype=torch.float64), []),
    "VariationalDropout noise": ((3, 4), None, []),
    "Standout": ((3, 4), torch.linspace(-1, 1, 4, dtype=torch.float64), [0.7, 0.1]),
    "Standout mean": ((3, 4), torch.linspace(-1, 1, 4, dtype=torch.float64).expand(3, 4), [0.7, 0.1]),
    "ShakeDrop": ((5, 2, 3), None, [0.5, 1.0]),
    "DropHead": ((3, 4, 2, 2), None, [0.5]),
    "Cutout": ((3, 2, 6, 5), None, [3.0, 2.0]),
    "TargetedDropout": (
        (4, 6),
        torch.linspace(-2, 3, 24, dtype=torch.float64).reshape(4, 6),
        [0.5, 0.5, 0.0],
    ),
    "PatchDropout": ((3, 7, 2), None, [0.4, 1.0]),
    "NEFTune": ((3, 7, 2), None, [5.0]),
    "drop_edges": ((2, 4), EDGES, [0.5, 1.0]),
}
LEARNED = ("ConcreteDropout", "VariationalDropout", "Standout mean")


def test_the_table_is_complete() -> None:
    assert set(EACH) == set(op._SOURCES)
    assert set(LEARNED) == {name for name, source in op._SOURCES.items() if source.slope is not None}


@pytest.mark.parametrize("name", EACH)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck reads it, in 2.15
def test_torchs_checks_of_an_operator(name: str) -> None:
    shape, parameter, options = EACH[name]
    if name == "Standout mean":  # a step function, whose derivative is that of the sigmoid
        checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    else:
        checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    given = parameter.clone().requires_grad_() if name in LEARNED and parameter is not None else parameter
    inputs = ADDRESS, name, list(shape), [], given, options
    found = torch.library.opcheck(torch.ops.thinnet.gains.default, inputs, test_utils=checks)
    assert set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize("name", EACH)
def test_every_way_to_call_draws_the_same(name: str) -> None:
    shape, parameter, options = EACH[name]
    direct = op.gains(name, KEY, shape, (), parameter, options)
    seen = torch.ops.thinnet.gains.default(ADDRESS, name, list(shape), [], parameter, options)
    assert torch.equal(seen, direct)
    both = torch.stack([ADDRESS, ADDRESS + 1])
    each = torch.vmap(lambda key: op.gains(name, key, shape, (), parameter, options))(both)
    other = op.gains(name, keys.to_key(both[1]), shape, (), parameter, options)
    assert torch.equal(each, torch.stack([direct, other]))


def test_gains_are_numpys() -> None:
    window = Window((7, 9), (2, 3), (4, 5))
    logit = np.linspace(-2, 2, 5)
    for name, numpys, options in (
        ("ConcreteDropout", concrete.gains(KEY, window, logit, temperature=0.3), [0.3]),
        ("VariationalDropout", variational.gains(KEY, window, logit), []),
        ("Standout", standout.gains(KEY, window, logit), [1.0, 0.0]),
    ):
        ours = op.gains(name, KEY, (4, 5), [2, 3, 7, 9], torch.from_numpy(logit), options)
        assert np.array_equal(ours, numpys)
    assert np.array_equal(
        op.gains("VariationalDropout noise", KEY, (4, 5), [2, 3, 7, 9]), variational.normals(KEY, window)
    )


@pytest.mark.parametrize("name", ["ConcreteDropout", "VariationalDropout"])
def test_gradients_of_every_order_and_direction(name: str) -> None:
    shape, parameter, options = EACH[name]
    assert parameter is not None
    given = parameter.clone().requires_grad_()

    def call(value: torch.Tensor) -> torch.Tensor:
        return op.gains(name, KEY, shape, (), value, options)

    assert torch.autograd.gradcheck(call, (given,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(call, (given,))
    (expected,) = torch.autograd.grad(call(given).sum(), given)
    mapped = torch.vmap(torch.func.grad(lambda value: call(value).sum()))(parameter.expand(2, -1))
    assert torch.allclose(mapped, expected.expand(2, -1))
    second = torch.autograd.functional.hessian(lambda value: call(value).square().sum(), parameter)
    assert second.any()
    assert torch.allclose(torch.func.hessian(lambda value: call(value).square().sum())(parameter), second)
    _, tangent = torch.func.jvp(call, (parameter,), (torch.ones_like(parameter),))
    assert torch.allclose(tangent.sum(0), expected)


@pytest.mark.filterwarnings("ignore")
def test_functions_are_compiled_whole() -> None:
    logit, maps = torch.tensor(0.3, requires_grad=True), torch.ones(3, 4, 6, 6)

    def call(x: torch.Tensor, key: torch.Tensor) -> list[torch.Tensor]:
        return [
            F.concrete_dropout(x, logit, key=key),
            F.variational_dropout(x, logit, key=key),
            F.standout(x, x, key=key) + F.standout(x, x, training=False),
            F.drop_head(x, 0.5, key=key),
            F.shake_drop(x, 0.5, key=key),
            F.cutout(x, 3, key=key),
            F.patch_dropout(x.flatten(2), 0.5, key=key, prefix=1)[0],
            F.targeted_dropout(x, 0.5, key=key),
            F.shakeout(x, 0.5, key=key),
            F.max_pool_dropout(x, 0.5, key=key),
            F.neftune_noise(x.flatten(2), 5.0, key=key),
            F.multi_sample_dropout(x, 0.5, key=key, samples=2),
        ]

    torch.compiler.reset()
    results: list[list[torch.Tensor]] = []
    for way in (call, torch.compile(call, fullgraph=True, backend="aot_eager")):
        x = maps.clone().requires_grad_()
        outputs = way(x, ADDRESS)
        grads = torch.autograd.grad(sum((y * (i + 1)).sum() for i, y in enumerate(outputs)), (x, logit))
        results.append([*outputs, *grads])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-6)


def test_a_device_gets_a_copy() -> None:
    x = torch.empty(2, 4, 3, 3, device="meta")
    y = F.drop_head(x, 0.5, key=tn.Key(0))
    assert (y.shape, y.device.type) == (x.shape, "meta")
    assert F.patch_dropout(x[0], 0.5, key=tn.Key(0))[0].shape == (4, 2, 3)
