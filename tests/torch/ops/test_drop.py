"""The operator, over the whole catalogue: NumPy's bits, every derivative, torch's own checks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

import thinnet as tn
import thinnet.torch as tt
from thinnet import CATALOGUE, Key
from thinnet.errors import InputError
from thinnet.torch.functional import drop, dropout
from thinnet.variants import Variant
from thinnet.variants._guide import example_shape
from thinnet.variants._variant import PASSED

# Forward-mode derivatives make torch call what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated")

ROWS = pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
KEY = Key(2**64 - 3, 7)


def some(
    row: Variant, most: int, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return a tensor that a row takes, and the other operand of those that take one."""
    shape = tuple(min(length, most) for length in example_shape(row))
    generator = torch.Generator().manual_seed(3)
    x, other = torch.randn((2, *shape), generator=generator, dtype=torch.float64).to(dtype)
    return x, {"other": other} if row.other in PASSED else {}


@ROWS
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_bits_are_those_of_numpy(row: Variant, dtype: str) -> None:
    x, more = some(row, 9, getattr(torch, dtype))
    y = drop(row.name, x, 0.3, key=KEY, **more)
    expected = tn.drop(row, x.numpy(), 0.3, key=KEY, **{name: value.numpy() for name, value in more.items()})
    assert np.array_equal(y.numpy().view(np.uint8), expected.view(np.uint8))
    address = torch.tensor([KEY.value - 2**64, KEY.step])
    # The operator, which compiled and transformed functions call, and with a gradient in sight.
    seen = torch.ops.thinnet.drop.default(x, more.get("other"), address, row.name, 0.3, [])
    assert np.array_equal(seen.numpy().view(np.uint8), expected.view(np.uint8))
    with_gradient = drop(row.name, x.requires_grad_(), 0.3, key=KEY, **more).detach()
    assert np.array_equal(with_gradient.numpy().view(np.uint8), expected.view(np.uint8))


@ROWS
def test_bfloat16_is_rounded_from_float32(row: Variant) -> None:
    x, more = some(row, 9, torch.bfloat16)
    y = drop(row.name, x, 0.3, key=KEY, **more)
    wide = drop(row.name, x.float(), 0.3, key=KEY, **{name: value.float() for name, value in more.items()})
    if row.other == "lowest":
        wide = wide.clamp(min=torch.finfo(torch.bfloat16).min)
    assert torch.equal(y, wide.bfloat16())


@ROWS
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck reads it, in 2.15
def test_torchs_checks_of_an_operator(row: Variant) -> None:
    x, more = some(row, 7, torch.float32)
    inputs = x.requires_grad_(), more.get("other"), torch.tensor([5, 1]), row.name, 0.3, []
    # To a compiler rows of one law, with blocks or without, with another operand or without, are the same.
    kind = row.law, bool(row.block), row.needs_other
    first = next(
        each for each in CATALOGUE.values() if (each.law, bool(each.block), each.needs_other) == kind
    )
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    checks = (*checks, "test_aot_dispatch_dynamic") if row is first else checks
    checked = torch.library.opcheck(torch.ops.thinnet.drop.default, inputs, test_utils=checks)
    assert set(checked.values()) == {"SUCCESS"}


@ROWS
def test_gradients_of_every_order_and_direction(row: Variant) -> None:
    if row.block:
        row = row.sized(2)
    x, more = some(row, 3 if len(example_shape(row)) < 5 else 2)
    x, *others = (value.requires_grad_() for value in (x, *more.values()))

    def call(x: torch.Tensor, *other: torch.Tensor) -> torch.Tensor:
        named = {"other": other[0]} if other else {}
        y = drop(row.name, x, 0.3, key=KEY, block=row.block or None, **named)
        return y.clamp(min=-100) if row.other == "lowest" else y

    assert torch.autograd.gradcheck(call, (x, *others), check_forward_ad=True)
    # The derivative is the operator again, so a random direction tells as much as every entry.
    assert torch.autograd.gradgradcheck(call, (x, *others), fast_mode=True)


def test_any_strides() -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = dropout(x, 0.4, key=KEY)
    last = x.to(memory_format=torch.channels_last)
    y = dropout(last, 0.4, key=KEY)
    assert torch.equal(y, plain)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(
        dropout(x.transpose(1, 3), 0.4, key=KEY), dropout(x.transpose(1, 3).contiguous(), 0.4, key=KEY)
    )
    assert torch.equal(dropout(x[:, ::2], 0.4, key=KEY), dropout(x[:, ::2].contiguous(), 0.4, key=KEY))
    assert dropout(torch.ones(()), 0.5, key=KEY).shape == ()
    assert dropout(torch.ones(0, 3), 0.5, key=KEY).shape == (0, 3)


@pytest.mark.parametrize("shape", [(1 << 17,), (4, 8)])
@pytest.mark.parametrize("name", ["Dropout", "GaussianDropout", "Mixout"])
def test_storages_can_be_resized(name: str, shape: tuple[int, ...]) -> None:
    x, other = torch.ones(shape), torch.zeros(shape)
    y = drop(name, x, 0.5, key=KEY, **({"other": other} if name == "Mixout" else {}))
    for tensor in (x, other, y):
        storage = tensor.untyped_storage()
        assert storage.resizable()
        storage.resize_(0)  # as FSDP does between uses of a parameter


def test_backward_keeps_the_key_and_nothing_else() -> None:
    kept: list[torch.Tensor] = []
    x = torch.ones(1000, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = dropout(x, 0.5)
    assert sum(t.numel() * t.element_size() for t in kept) <= 16
    y.sum().backward()
    assert torch.equal(x.grad, y)


def test_transforms_of_functions() -> None:
    x = torch.ones(3, 50)
    same = torch.vmap(lambda x: dropout(x, 0.5), randomness="same")(x)
    assert torch.equal(same, same[:1].expand(3, 50))
    other = torch.vmap(lambda x: dropout(x, 0.5), randomness="different")(x)
    assert not torch.equal(other[0], other[1])
    with pytest.raises(RuntimeError, match="random"):
        torch.vmap(lambda x: dropout(x, 0.5))(x)
    y = dropout(x[0], 0.5, key=KEY)
    assert torch.equal(torch.func.grad(lambda x: dropout(x, 0.5, key=KEY).sum())(x[0]), y)
    each = torch.vmap(torch.func.grad(lambda x: dropout(x, 0.5, key=KEY).sum()))(x)
    assert torch.equal(each, y.expand(3, 50))
    _, tangent = torch.func.jvp(lambda x: dropout(x, 0.5, key=KEY), (x[0],), (2 * x[0],))
    assert torch.equal(tangent, 2 * y)


def cubes(x: torch.Tensor) -> torch.Tensor:
    """Return the cubes of kept entries, with a scale of 2; their second derivative is 48 x, the third 48."""
    return dropout(x, 0.5, key=KEY) ** 3


def test_nested_transforms_take_every_level() -> None:
    func, x = torch.func, torch.arange(1.0, 7)
    kept = (dropout(x, 0.5, key=KEY) != 0).float()

    def total(x: torch.Tensor) -> torch.Tensor:
        return cubes(x).sum()

    def slope(x: torch.Tensor) -> torch.Tensor:
        return func.grad(total)(x).sum()

    assert torch.equal(func.grad(slope)(x), 48 * x * kept)
    assert torch.equal(func.grad(lambda x: func.grad(slope)(x).sum())(x), 48 * kept)
    second = torch.diag(48 * x * kept)
    assert torch.equal(func.hessian(total)(x), second)
    assert torch.equal(func.jacrev(func.jacrev(total))(x), second)
    assert torch.equal(func.jacfwd(func.jacfwd(total))(x), second)
    ones = torch.ones(6)
    _, forward_twice = func.jvp(lambda x: func.jvp(cubes, (x,), (ones,))[1], (x,), (ones,))
    assert torch.equal(forward_twice, 48 * x * kept)
    _, pull = func.vjp(cubes, x)
    assert torch.equal(pull(ones)[0], 24 * x**2 * kept)
    each = torch.vmap(func.hessian(total))(torch.stack([x, 2 * x]))
    assert torch.equal(each, torch.stack([second, 2 * second]))
    through = func.grad(lambda x: torch.vmap(cubes)(x.reshape(2, 3)).sum())(x)
    parts = torch.cat([func.grad(total)(part) for part in x.split(3)])
    assert torch.equal(through, parts)


def test_transforms_within_autograd() -> None:
    x = torch.arange(1.0, 7).requires_grad_()
    kept = (dropout(x.detach(), 0.5, key=KEY) != 0).float()
    inner = torch.func.grad(lambda x: cubes(x).sum())
    (outer,) = torch.autograd.grad(inner(x).sum(), x)
    assert torch.equal(outer, 48 * x.detach() * kept)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x.detach(), torch.ones(6))
        _, tangent = torch.autograd.forward_ad.unpack_dual(inner(dual))
    assert torch.equal(tangent, outer)


@ROWS
def test_a_batch_draws_the_bits_of_its_entries(row: Variant) -> None:
    x, more = some(row, 9, torch.float16)
    batch, others = (
        torch.stack([x, -2 * x, x + 1]),
        {name: torch.stack([v, -v, v]) for name, v in more.items()},
    )
    key = torch.tensor([KEY.value - 2**64, KEY.step])
    addresses = torch.stack([key, key + 1, key - 1])

    def call(x: torch.Tensor, key: torch.Tensor, other: dict[str, torch.Tensor]) -> torch.Tensor:
        return drop(row.name, x, 0.3, key=key, **other)

    def entries(call: Any, addresses: torch.Tensor) -> torch.Tensor:
        each = ({name: value[i] for name, value in others.items()} for i in range(3))
        return torch.stack([call(*entry) for entry in zip(batch, addresses, each, strict=True)])

    one_mask = torch.vmap(call, in_dims=(0, None, 0))(batch, key, others)
    assert torch.equal(one_mask.view(torch.int16), entries(call, key.expand(3, 2)).view(torch.int16))
    own_masks = torch.vmap(call)(batch, addresses, others)
    assert torch.equal(own_masks.view(torch.int16), entries(call, addresses).view(torch.int16))
    last = torch.vmap(call, in_dims=(x.dim(), None, x.dim()), out_dims=x.dim())(
        batch.movedim(0, -1), key, {name: value.movedim(0, -1) for name, value in others.items()}
    )
    assert torch.equal(last.movedim(-1, 0), one_mask)


def test_batches_within_batches() -> None:
    x, keys = torch.arange(1.0, 25).reshape(2, 3, 4), torch.arange(6)[:, None].reshape(2, 3, 1)
    rates = torch.tensor([[0.1, 0.5, 0.9], [0.2, 0.4, 0.6]], dtype=torch.float64)

    def cubes(x: torch.Tensor, key: torch.Tensor, p: Any = 0.5) -> torch.Tensor:
        return dropout(x, p, key=key) ** 3

    def expected(keys: torch.Tensor, call: Any, *more: torch.Tensor) -> torch.Tensor:
        each = [[call(x[i, j], keys[i, j], *(m[i, j] for m in more)) for j in range(3)] for i in range(2)]
        return torch.stack([torch.stack(row) for row in each])

    vmap = torch.vmap
    full = vmap(vmap(cubes))(x, keys)
    assert torch.equal(full, expected(keys, cubes))
    inner = vmap(vmap(cubes), in_dims=(0, None))(x, keys[0])  # the outer batch shares the keys
    assert torch.equal(inner, expected(keys[:1].expand(2, 3, 1), cubes))
    outer = vmap(vmap(cubes, in_dims=(0, None)))(x, keys[:, 0])
    assert torch.equal(outer, expected(keys[:, :1].expand(2, 3, 1), cubes))
    alone = vmap(vmap(cubes, in_dims=(None, 0)), in_dims=(None, 0))(x[0, 0], keys)
    assert torch.equal(alone[1, 2], cubes(x[0, 0], keys[1, 2]))
    scheduled = vmap(vmap(cubes))(x, keys, rates)
    assert torch.equal(scheduled, expected(keys, cubes, rates))
    shared = vmap(vmap(cubes), in_dims=(0, None, None))(x, keys[0], rates[0])
    assert torch.equal(shared, expected(keys[:1].expand(2, 3, 1), cubes, rates[:1].expand(2, 3)))
    both = vmap(vmap(cubes, in_dims=(0, 0, None)))(x, keys, rates[:, 0])
    assert torch.equal(both, expected(keys, cubes, rates[:, :1].expand(2, 3)))

    def slope(x: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return torch.func.grad(lambda x: cubes(x, key).sum())(x)

    assert torch.equal(vmap(vmap(slope))(x, keys), expected(keys, slope))
    total = torch.func.grad(lambda x: vmap(vmap(cubes))(x, keys).sum())(x)
    assert torch.equal(total, expected(keys, slope))
    curvature = torch.func.hessian(lambda x: vmap(cubes)(x, keys[0]).sum())(x[0])
    assert curvature.shape == (3, 4, 3, 4)
    second = torch.func.hessian(lambda x: cubes(x, keys[0, 1]).sum())(x[0, 1])
    assert torch.equal(curvature[1, :, 1], second)


def test_windows_in_batches() -> None:
    window, x = tn.Window((4, 9), (1, 2), (2, 5)), torch.ones(3, 2, 5)
    keys = torch.arange(3)[:, None]
    each = torch.stack([dropout(one, 0.5, key=key, window=window) for one, key in zip(x, keys, strict=True)])
    assert torch.equal(torch.vmap(lambda x, key: dropout(x, 0.5, key=key, window=window))(x, keys), each)
    same = torch.vmap(lambda x: dropout(x, 0.5, key=keys[1], window=window))(x)
    assert torch.equal(same, each[1].expand(3, 2, 5))
    assert torch.vmap(lambda x, key: dropout(x, 0.5, key=key))(x[:0], keys[:0]).shape == (0, 2, 5)


def test_a_batch_is_one_call() -> None:
    class Count(torch.utils._python_dispatch.TorchDispatchMode):
        seen: int = 0

        def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.seen += call.namespace == "thinnet"
            return call(*args, **(kwargs or {}))

    x, keys = torch.ones(20, 5), torch.arange(20)[:, None]
    for run in (
        lambda: torch.vmap(lambda x: dropout(x, 0.5, key=KEY))(x),
        lambda: torch.vmap(lambda x, key: dropout(x, 0.5, key=key))(x, keys),
    ):
        with Count() as count:
            run()
        assert count.seen == 1


def test_many_gradients_at_once() -> None:
    x = torch.ones(6, requires_grad=True)
    y = dropout(x, 0.5, key=KEY)
    (each,) = torch.autograd.grad(y, x, torch.eye(6), is_grads_batched=True)
    assert torch.equal(each, torch.diag(y.detach()))
    whole = torch.autograd.functional.jacobian(lambda x: dropout(x, 0.5, key=KEY), x, vectorize=True)
    assert torch.equal(whole, each)


def test_tensors_with_a_bit_set() -> None:
    x = torch.arange(1.0, 7)
    y = dropout(-x, 0.5, key=KEY)
    assert torch.equal(dropout(torch._neg_view(x), 0.5, key=KEY), y)
    assert torch.equal(dropout(torch.complex(x, x).conj().imag, 0.5, key=KEY), y)
    assert torch.equal(dropout(torch._efficientzerotensor(6), 0.5, key=KEY), torch.zeros(6))
    leaf = torch.ones(6, requires_grad=True)
    dropout(leaf, 0.5, key=KEY).backward(torch._neg_view(x))
    assert torch.equal(leaf.grad, y)
    with torch.inference_mode():
        assert torch.equal(dropout(-x, 0.5, key=KEY), y)


@pytest.mark.filterwarnings("ignore")
def test_compiled_whole_and_once() -> None:
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return dropout(torch.relu(x), 0.5) * 2

    torch.compiler.reset()
    compiled = torch.compile(Model(), fullgraph=True, backend=backend)
    x = torch.ones(4, 6, requires_grad=True)
    drawn = [compiled(x) for _ in range(4)]
    assert len(graphs) == 1
    assert len({tuple(y.flatten().tolist()) for y in drawn}) > 1
    whole = torch.compile(
        lambda x: dropout(x, 0.5, key=torch.tensor([9])), fullgraph=True, backend="aot_eager"
    )
    y = whole(x)
    y.sum().backward()
    assert torch.equal(y, dropout(x, 0.5, key=Key(9)))
    assert torch.equal(x.grad, y)


class Every(torch.nn.Module):
    """The modules of all rows that can stand between two layers; each gets an input of its own."""

    def __init__(self, rows: list[Variant]) -> None:
        super().__init__()
        self.each = torch.nn.ModuleList(tt.Drop(row.name, 0.3, block=row.block or None) for row in rows)

    def forward(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        return [module(x.relu()) for module, x in zip(self.each, inputs, strict=True)]


@pytest.mark.filterwarnings("ignore")
def test_every_module_is_compiled_whole_in_both_modes() -> None:
    torch.compiler.reset()
    rows = [row for row in CATALOGUE.values() if row.flows]
    model, inputs = Every(rows), [some(row, 9)[0] for row in rows]
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.manual_seed(0)
    drawn = compiled(inputs)
    for row, x, y in zip(rows, inputs, drawn, strict=True):
        assert y.shape == x.shape
        assert not torch.equal(y, x.relu()), row.name
    model.eval()
    for row, ours, y in zip(rows, model(inputs), compiled(inputs), strict=True):
        assert torch.equal(ours, y), row.name


@pytest.mark.filterwarnings("ignore")
def test_variants_of_ones_own_are_compiled_and_exported() -> None:
    torch.compiler.reset()
    own = replace(CATALOGUE["Dropout"], name="Mine", pattern="n 1")
    x, address = torch.ones(6, 4), torch.tensor([9])

    def call(x: torch.Tensor, key: torch.Tensor) -> list[torch.Tensor]:
        blocks = drop("DropBlock1d", x[None], 0.3, key=key, block=2)
        shared = drop("Dropout", x, 0.5, key=key, pattern="n 1")
        return [drop(own, x, 0.5, key=key), shared, blocks, drop(own, x, 0.5, training=False)]

    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    for ours, expected in zip(compiled(x, address), call(x, Key(9)), strict=True):
        assert torch.equal(ours, expected)
    mine, shared, *_ = call(x, address)
    assert torch.equal(mine, shared)
    mapped = torch.vmap(lambda x: drop(own, x, 0.5, key=address))(torch.stack([x, 2 * x]))
    assert torch.equal(mapped, torch.stack([mine, 2 * mine]))


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_function_takes_a_new_rate_at_every_call() -> None:
    torch.compiler.reset()
    x, key, graphs = torch.ones(64), torch.tensor([9]), []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(lambda x, p: dropout(x, p, key=key), fullgraph=True, backend=backend)
    for rate in (0.1, 0.5, 0.9):
        scheduled = torch.tensor(rate, dtype=torch.float64)
        assert torch.equal(compiled(x, scheduled), dropout(x, rate, key=key))
        own = x.clone().requires_grad_()
        torch.ops.thinnet.drop_scheduled.default(own, None, key, "Dropout", scheduled, []).sum().backward()
        assert torch.equal(own.grad, dropout(x, rate, key=key))
    assert len(graphs) == 1
    inputs = x.requires_grad_(), None, key, "Dropout", torch.tensor(0.3, dtype=torch.float64), []
    checked = torch.library.opcheck(torch.ops.thinnet.drop_scheduled.default, inputs)
    assert set(checked.values()) == {"SUCCESS"}
    rates = torch.tensor([0.1, 0.5], dtype=torch.float64)
    each = torch.vmap(lambda p: dropout(x.detach(), p, key=key))(rates)
    assert torch.equal(each[1], dropout(x.detach(), 0.5, key=key))


def test_the_positions_are_torchs() -> None:
    x = torch.ones(8)
    y = dropout(x, 0.5, key=KEY)
    assert torch.equal(dropout(x, p=0.5, key=KEY), y)
    assert dropout(x, 0.5, False) is x
    z = x.clone()
    assert dropout(z, 0.5, True, True, key=KEY) is z
    assert torch.equal(z, y)
    assert dropout(z, 0.5, training=False, inplace=True) is z


def test_exported() -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            return dropout(x, 0.5, key=key)

    program = torch.export.export(Model(), (torch.ones(8), torch.tensor([3])))
    assert "thinnet.drop" in str(program.graph)
    assert torch.equal(
        program.module()(torch.ones(8), torch.tensor([4])), dropout(torch.ones(8), 0.5, key=Key(4))
    )


def test_a_tensor_of_the_meta_device_knows_its_shape() -> None:
    y = dropout(torch.empty(3, 4, device="meta"), 0.5)
    assert (y.shape, y.device.type) == ((3, 4), "meta")


@ROWS
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_evaluation_is_the_mean_network(row: Variant, rate: float) -> None:
    x, more = some(row, 9)
    x.view(-1)[0] = torch.inf
    named = {name: value.numpy() for name, value in more.items()}
    expected = tn.drop(row, x.numpy(), rate, key=KEY, mode="mean", **named)
    y = drop(row.name, x.requires_grad_(), rate, training=False, **more)
    assert torch.allclose(y, torch.from_numpy(expected), equal_nan=True)
    assert y.stride() == x.stride()
    y[y.isfinite()].sum().backward()
    gain, _ = row.mean_of(rate)
    assert torch.allclose(x.grad.view(-1)[1:], torch.tensor(gain, dtype=x.dtype))


# Where the key comes from


def test_torchs_seed_is_ours() -> None:
    x = torch.ones(64)
    torch.manual_seed(5)
    first, second = dropout(x, 0.5), dropout(x, 0.5)
    torch.manual_seed(5)
    assert torch.equal(dropout(x, 0.5), first)
    with torch.random.fork_rng():
        dropout(x, 0.5)
    assert torch.equal(dropout(x, 0.5), second)
    assert not torch.equal(first, second)


def test_the_key_is_the_cpus_whatever_the_default_device() -> None:
    x = torch.ones(64)
    torch.manual_seed(5)
    y = dropout(x, 0.5)
    torch.manual_seed(5)
    with torch.device("meta"):
        assert torch.equal(dropout(x, 0.5), y)
        assert dropout(x, 0.5, key=KEY).device.type == "cpu"


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_draws_the_same_masks_again(reentrant: bool) -> None:
    layer = torch.nn.Linear(16, 16)

    def block(x: torch.Tensor) -> torch.Tensor:
        return dropout(layer(dropout(layer(x), 0.5)).relu(), 0.5)

    x = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))
    grads = []
    for run in (block, lambda x: checkpoint(block, x, use_reentrant=reentrant)):
        own = x.clone().requires_grad_()
        torch.manual_seed(0)
        run(own).square().sum().backward()
        grads.append(own.grad)
    assert torch.equal(*grads)


# What is refused


def test_tensors_that_are_refused(refusal: Callable[..., str]) -> None:
    def told(x: torch.Tensor, rate: float = 0.5, name: str = "Dropout", **more: Any) -> str:
        return refusal(InputError, drop, name, x, rate, **more)

    x = torch.ones(4, 4)
    assert told(x.int()) == "Dropout: x must be of floating point, got int32; use x.float()."
    assert told(x, "0.5") == "Dropout: p must be a number in [0, 1], got '0.5'."
    assert told(x, True) == "Dropout: p must be a number in [0, 1], got True."
    assert told(x, torch.ones(2)).startswith("Dropout: p must be one number, got torch.float32 of shape")
    assert told(x, name="Zoneout", other=3) == "Zoneout: other must be a tensor, got int."
    assert told(x, other=x) == "Dropout: takes no other."
    assert told(x, 1.5) == "Dropout: p must be in [0, 1], got 1.5."
    assert told(x, float("nan")) == "Dropout: p must be in [0, 1], got nan."
    assert told(x.to_sparse()).startswith("Dropout: x must be dense")
    assert "did you mean 'Dropout'" in told(x, name="Dropot")
    assert "needs 4 axes" in told(x, name="Dropout2d")
    assert told(x, name="Zoneout") == "Zoneout: other is missing; pass the previous state as other=."
    assert "the shape and dtype of x" in told(x, name="Zoneout", other=x.double())
    assert told(x, name="Zoneout", training=False).startswith("Zoneout: other is missing")
    assert told(x, 5.0, training=False) == "Dropout: p must be in [0, 1], got 5."
    assert told(x, key=torch.tensor(3)).endswith("use thinnet.Key(0).")
    assert told(x, key=3) == "Dropout: key must be a thinnet.Key, got 3; use thinnet.Key(0)."
    complaint = told(torch.ones(4, 4, dtype=torch.complex64))
    assert complaint == (
        "Dropout: x must be of floating point, got complex64; use torch.view_as_real(x), whose last axis is "
        "the real and the imaginary part."
    )


def test_a_thread_trains_after_it_has_drawn_in_inference_mode() -> None:
    def run() -> None:
        with torch.inference_mode():
            tt.functional.dropout(torch.ones(3))
        tt.functional.dropout(torch.ones(3, requires_grad=True)).sum().backward()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()
