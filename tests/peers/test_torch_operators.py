"""torch's samples of its dropout operators, and the checks that it installs, run on ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import thinnet.torch as tt
from thinnet import Key
from thinnet.errors import InputError
from thinnet.torch.functional import drop

# Forward-mode derivatives make torch call what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated")

# torch's operators, by the names of their entries, and what is ours.
OURS: dict[str, type[nn.Module]] = {
    "nn.functional.dropout": tt.Dropout,
    "nn.functional.dropout2d": tt.Dropout2d,
    "nn.functional.dropout3d": tt.Dropout3d,
    "nn.functional.alpha_dropout": tt.AlphaDropout,
    "nn.functional.feature_alpha_dropout.with_train": tt.FeatureAlphaDropout,
    "nn.functional.feature_alpha_dropout.without_train": tt.FeatureAlphaDropout,
}
EVERY = pytest.mark.parametrize("name", OURS, ids=lambda name: name.removeprefix("nn.functional."))
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KEY = Key(11)


@pytest.fixture
def entry(torchs: SimpleNamespace) -> Callable[[str], Any]:
    every = {op.full_name: op for op in torchs.operators.op_db}
    return every.__getitem__


def seeded(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that draws the same whenever it is called, and leaves torch's generator as it is."""

    def call(x: torch.Tensor) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return module(x)

    return call


def asked(op: Any, sample: Any) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "dropout2d: Received a 3D input", UserWarning)
        return op(sample.input, *sample.args, **sample.kwargs)


def of(name: str, sample: Any, inplace: bool = False) -> nn.Module:
    """Return the module that does what the sample asks of torch's function."""
    options = dict(sample.kwargs)
    training = options.pop("training", name != "nn.functional.alpha_dropout")
    if name.startswith("nn.functional.feature") and "training" not in sample.kwargs:
        training = False
    return OURS[name](**options, inplace=inplace).train(training)


def samples(op: Any, dtype: torch.dtype, requires_grad: bool = False) -> Iterator[Any]:
    for sample in op.reference_inputs("cpu", dtype, requires_grad=requires_grad):
        assert not sample.args
        assert set(sample.kwargs) <= {"p", "training"}
        yield sample


def keyed(name: str, sample: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Return the same as a function of the tensor alone; what is dropped is up to a key."""
    module = of(name, sample)
    row = type(module).__name__

    def call(x: torch.Tensor) -> torch.Tensor:
        if row == "Dropout2d" and x.dim() == 3:
            return drop("Dropout1d", x, module.p, key=KEY)
        if row == "Dropout3d" and x.dim() == 4:
            return call(x.unsqueeze(0)).squeeze(0)
        return drop(row, x, module.p, key=KEY)

    return call if module.training else None


def test_what_the_database_holds(torchs: SimpleNamespace) -> None:
    found = {op.full_name: op for op in torchs.operators.op_db if "dropout" in op.name}
    # The last is the derivative, which in ours is the operator itself.
    assert set(found) == {*OURS, "native_dropout_backward"}
    # Once torch has errors of its own to show, they are to be run below.
    assert not any(op.error_inputs_func or op.error_inputs_sparse_func for op in found.values())


@EVERY
def test_what_comes_out(name: str, entry: Callable[[str], Any]) -> None:
    op, ran, random = entry(name), 0, 0
    for dtype in op.dtypes:
        for sample in samples(op, dtype):
            x, module = sample.input, of(name, sample)
            if module.training and dtype not in FLOATS:
                continue
            before = x.clone()
            y, theirs = seeded(module)(x), asked(op, sample)
            assert (y.shape, y.dtype, y.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
            assert torch.equal(x, before)
            assert y is x or module.training
            if module.p in (0.0, 1.0) or not module.training:
                assert torch.equal(y, theirs), (dtype, sample)
            elif "alpha" not in name:
                # The same lanes, and the same two values of each.
                for value in (y, theirs):
                    torch.testing.assert_close(value, torch.where(value == 0, 0, x / (1 - module.p)))
                if name[-2:] in ("2d", "3d"):
                    # torch's Dropout2d of three axes, as it warns, is one of (n, c, length).
                    first = -1 if name[-2:] == "2d" and x.dim() == 3 else -int(name[-2])
                    for value in (y, theirs):
                        flat = (value == 0).flatten(first)
                        assert torch.equal(flat, flat[..., :1].expand_as(flat))
                random += 1
            ran += 1
    assert ran >= 4 * 4
    assert random or "alpha" in name


@EVERY
def test_strides_of_any_kind(name: str, entry: Callable[[str], Any]) -> None:
    op = entry(name)
    for sample in samples(op, torch.float64, requires_grad=True):
        other, call = sample.noncontiguous(), seeded(of(name, sample))
        assert not other.input.is_contiguous() or not other.input.dim()
        results = []
        for x in (sample.input, other.input):
            y = call(x.requires_grad_())
            (y * torch.arange(y.numel(), dtype=y.dtype).reshape(y.shape)).sum().backward()
            results.append((y, x.grad))
        torch.testing.assert_close(*results, rtol=0, atol=0)


@EVERY
@pytest.mark.parametrize("seen", ["negated", "conjugated"])
def test_views_with_a_bit_set(name: str, seen: str, entry: Callable[[str], Any]) -> None:
    op = entry(name)
    for sample in samples(op, torch.float64):
        x, call = sample.input, seeded(of(name, sample))
        view = torch._neg_view(-x) if seen == "negated" else torch.complex(x, -x).conj().imag
        assert view.is_neg()
        assert torch.equal(call(view), call(x))


@EVERY
def test_no_numbers_at_all(name: str, entry: Callable[[str], Any]) -> None:
    op = entry(name)
    for dtype in op.dtypes & set(FLOATS):
        for sample in samples(op, dtype):
            for x in (sample.input, sample.noncontiguous().input):
                module = of(name, sample)
                # A copy to the device would lose the strides.
                bare = torch.empty_strided(x.shape, x.stride(), dtype=dtype, device="meta")
                y, meta = module(x), module(bare)
                assert (meta.shape, meta.dtype, meta.stride()) == (y.shape, y.dtype, y.stride())
                assert meta.is_meta


@EVERY
def test_in_place_is_the_same(name: str, entry: Callable[[str], Any]) -> None:
    op = entry(name)
    for sample in samples(op, torch.float64, requires_grad=True):
        x, module = sample.input, of(name, sample, inplace=True)
        y, leaf = seeded(of(name, sample))(x), x.detach().clone().requires_grad_()
        inner = leaf.clone()
        assert seeded(module)(inner) is inner
        assert torch.equal(inner, y)
        y.sum().backward()
        seeded(module)(leaf.clone()).sum().backward()
        assert torch.equal(leaf.grad, x.grad)


@EVERY
def test_derivatives(name: str, entry: Callable[[str], Any], torchs: SimpleNamespace) -> None:
    op, ran = entry(name), 0
    assert op.supports_forward_ad
    assert op.supports_fwgrad_bwgrad
    for sample in samples(op, torch.float64, requires_grad=True):
        inplace = seeded(of(name, sample, inplace=True))
        for call in (seeded(of(name, sample)), lambda x, inplace=inplace: inplace(x.clone())):
            assert torchs.utils.gradcheck(
                call, (sample.input,), check_forward_ad=True, check_undefined_grad=True
            )
            assert torchs.utils.gradgradcheck(
                call, (sample.input,), check_fwd_over_rev=True, check_rev_over_rev=True
            )
        # torch's own cannot: whoever draws in a batch is refused; ours is handed a key.
        if (call := keyed(name, sample)) is not None:
            assert torchs.utils.gradcheck(
                call, (sample.input,), check_forward_ad=True, check_batched_forward_grad=True
            )
        ran += 1
    assert ran >= 4


@EVERY
def test_torchs_rules_for_composites(name: str, entry: Callable[[str], Any], torchs: SimpleNamespace) -> None:
    """Formulas of derivatives hold for tensors that are subclasses, in any mixture of arguments."""
    op, same = entry(name), torch.testing.assert_close
    for sample in samples(op, torch.float32, requires_grad=True):
        call = seeded(of(name, sample))
        torchs.composite.check_backward_formula(call, (sample.input,), {}, assert_equal_fn=same)
        torchs.composite.check_forward_ad_formula(call, (sample.input,), {}, assert_equal_fn=same)
        torchs.composite.check_with_mode(call, (sample.input,), {}, same)
        torchs.composite.check_all_permutations(call, (sample.input,), {}, same)


@EVERY
def test_batches(name: str, entry: Callable[[str], Any]) -> None:
    op = entry(name)
    for sample in samples(op, torch.float32):
        x, module = sample.input, of(name, sample)
        for dim in range(x.dim() + 1):
            stack = torch.stack([x, x + 1, x + 2], dim)
            same = torch.vmap(module, dim, dim, randomness="same")(stack)
            assert same.shape == stack.shape
            parts = torch.vmap(module, dim, randomness="different")(stack)
            assert parts.shape == (3, *x.shape)
            if not module.training or module.p == 0:
                assert torch.equal(same, stack)
            if (call := keyed(name, sample)) is not None:
                expected = torch.stack([call(part) for part in stack.unbind(dim)], dim)
                assert torch.equal(torch.vmap(call, dim, dim)(stack), expected)
                if module.p:
                    with pytest.raises(RuntimeError, match="random"):
                        torch.vmap(module, dim)(stack)
            else:
                assert torch.equal(torch.vmap(module, dim, dim)(stack), stack)


@EVERY
def test_what_torch_refuses(name: str, entry: Callable[[str], Any], torchs: SimpleNamespace) -> None:
    op, opinfo = entry(name), torchs.opinfo
    x = next(iter(samples(op, torch.float32))).input
    for p in (-1, 1.5):
        error = opinfo.ErrorInput(
            opinfo.SampleInput(x, p=p), error_type=ValueError, error_regex="probability"
        )
        given = error.sample_input
        with pytest.raises(error.error_type, match=error.error_regex):
            asked(op, given)
        with pytest.raises(error.error_type, match="p must be in"):
            of(name, given)
        with pytest.raises(InputError, match="p must be in"):
            drop(OURS[name].__name__, given.input, p)


@EVERY
def test_numbers_that_are_no_floats(name: str, entry: Callable[[str], Any]) -> None:
    op = entry(name)
    for sample in samples(op, torch.float32):
        module = of(name, sample)
        for dtype in (torch.bool, torch.int64, torch.complex64):
            x = sample.input.to(dtype)
            if not module.training or module.p == 0:  # nothing is drawn
                assert module(x) is x
                continue
            with pytest.raises(InputError, match="must be of floating point"):
                module(x)
