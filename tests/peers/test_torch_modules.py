"""torch's tests of modules, as they are installed, run on ours; its database of modules has no dropout."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch import nn

import thinnet.torch as tt
from thinnet.errors import InputError

# Forward-mode derivatives make torch call what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated")

RATES = ({}, {"p": 0.0}, {"p": 0.3}, {"p": 1.0})
# What each class is made of, and the shapes that it takes.
OURS: dict[type[nn.Module], tuple[tuple[dict[str, Any], ...], tuple[tuple[int, ...], ...]]] = {
    tt.Dropout: (RATES, ((), (5,), (2, 3, 4), (2, 3, 4, 2))),
    tt.Dropout1d: (RATES, ((3, 4), (2, 3, 4))),
    tt.Dropout2d: (RATES, ((3, 4, 2), (2, 3, 4, 2))),
    tt.Dropout3d: (RATES, ((3, 2, 2, 2), (2, 3, 2, 2, 2))),
    tt.AlphaDropout: (RATES, ((), (5,), (2, 3, 4))),
    tt.FeatureAlphaDropout: (RATES, ((2, 3, 4), (2, 3, 2, 2))),
    tt.Drop: (({"variant": "UnitDropout"}, {"variant": "UniformDropout", "p": 0.3}), ((5, 6),)),
    tt.GaussianDropout: (RATES[:3], ((5,), (2, 3, 4))),
    tt.DropPath: (RATES, ((4, 3), (2, 3, 4, 2))),
    tt.StochasticDepth: (({"mode": "row", "p": 0.3}, {"mode": "batch", "p": 0.6}), ((4, 3), (2, 3, 4, 2))),
    tt.DropBlock2d: (({"block": 2}, {"p": 0.6, "block": 3}), ((2, 2, 4, 4),)),
    tt.LockedDropout: (RATES, ((2, 3, 4),)),
}
MIRRORED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
EVERY = pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
MODES = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
DTYPES = pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=lambda d: str(d)[6:]
)


@pytest.fixture
def case(torchs: SimpleNamespace) -> Iterator[Any]:
    """Return what torch's tests of modules ask for; every forward draws the same."""

    class Case(torchs.nn.NNTestCase):
        def _forward(self, module: nn.Module, inputs: Any) -> Any:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                return module(*inputs) if isinstance(inputs, tuple) else module(inputs)

        def _backward(
            self, module: nn.Module, inputs: Any, output: torch.Tensor, dy: Any, create_graph: bool = False
        ) -> Any:
            output.backward(dy, retain_graph=True, create_graph=create_graph)
            return tuple(x.grad for x in inputs) if isinstance(inputs, tuple) else inputs.grad

        def _get_parameters(self, module: nn.Module) -> tuple[list[Any], list[Any]]:
            return list(module.parameters()), [p.grad for p in module.parameters()]

        def _zero_grad_parameters(self, module: nn.Module) -> None:
            module.zero_grad()

        def runTest(self) -> None: ...

    made = Case()
    made.setUp()
    yield made
    made.tearDown()


def entry(torchs: SimpleNamespace, kind: type[nn.Module]) -> Any:
    """Return the entry of torch's database of modules for a class of ours."""

    def inputs(info: Any, device: Any, dtype: Any, requires_grad: bool, training: bool, **_: Any) -> Any:
        arguments, shapes = OURS[info.module_cls]
        named, call = torchs.modules.ModuleInput, torchs.modules.FunctionInput
        return [
            named(
                call(**options),
                call(
                    torch.testing.make_tensor(
                        shape, device=device, dtype=dtype, requires_grad=requires_grad, low=-3, high=3
                    )
                ),
                reference_fn=None if training else _mean,
            )
            for options in arguments
            for shape in shapes
        ]

    def errors(info: Any, device: Any, dtype: Any, requires_grad: bool, training: bool, **_: Any) -> Any:
        wrong, call, where = torchs.modules.ErrorModuleInput, torchs.modules.FunctionInput, torchs.modules
        options, shapes = OURS[info.module_cls][0][-1], OURS[info.module_cls][1]
        for p in (-0.1, 1.1, float("nan")):
            if p == p or not issubclass(kind, MIRRORED):  # theirs let NaN in
                yield wrong(
                    where.ModuleInput(call(**{**options, "p": p})), error_type=ValueError, error_regex="p"
                )
        yield wrong(
            where.ModuleInput(call(**options), call(torch.ones(shapes[-1], dtype=torch.int64))),
            error_on=where.ModuleErrorEnum.FORWARD_ERROR,
            error_type=InputError,
            error_regex="floating point",
        )

    return torchs.modules.ModuleInfo(
        kind,
        module_inputs_func=inputs,
        module_error_inputs_func=errors,
        train_and_eval_differ=True,
        module_memformat_affects_out=True,
        dtypes=(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    )


def _mean(module: Any, parameters: Any, x: torch.Tensor) -> torch.Tensor:
    # At a rate of 1 nothing is what the mean network has; torch's classes hand on x all the same.
    return torch.zeros_like(x) if module.p == 1 and not isinstance(module, MIRRORED) else x


def made(
    torchs: SimpleNamespace,
    kind: type[nn.Module],
    training: bool,
    dtype: torch.dtype = torch.float64,
    requires_grad: bool = False,
) -> Iterator[tuple[nn.Module, torch.Tensor, Any]]:
    """Yield each module of a class, a tensor for it, and the entry of the database for both."""
    info = entry(torchs, kind)
    for given in info.module_inputs_func(info, "cpu", dtype, requires_grad, training):
        module = kind(*given.constructor_input.args, **given.constructor_input.kwargs).train(training)
        yield module, *given.forward_input.args, given


def called(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return module(x)


def test_what_the_databases_hold(torchs: SimpleNamespace) -> None:
    # Once torch has entries of its own, they are to be run here instead of ours.
    assert not [info.name for info in torchs.modules.module_db if issubclass(info.module_cls, MIRRORED)]
    every = [*torchs.nn.module_tests, *torchs.nn.get_new_module_tests()]
    assert not [given for given in every if "Dropout" in given.get("module_name", given.get("fullname", ""))]
    every = [value for value in vars(tt).values() if isinstance(value, type)]
    # What DropKey drops is as low as numbers go, too low for differences to be taken.
    assert {kind for kind in every if issubclass(kind, (tt.Drop, *MIRRORED))} <= {*OURS, tt.DropKey}


def test_nobody_else_notices(torchs: SimpleNamespace) -> None:
    assert settings.default.max_examples == settings.get_profile("thinnet").max_examples == 40
    assert not torch.backends.flags_frozen()


@EVERY
@MODES
def test_torchs_own_checks_of_a_module(
    kind: type[nn.Module], training: bool, torchs: SimpleNamespace, case: Any
) -> None:
    """Any strides, pickling, derivatives of both orders and directions, batches of them, in place, casts."""

    def constructor(**options: Any) -> nn.Module:
        return kind(**options).train(training)

    for _, x, given in made(torchs, kind, training):
        options = given.constructor_input.kwargs
        torchs.nn.NewModuleTest(
            constructor=lambda options=options, **more: constructor(**options, **more),
            fullname=kind.__name__,
            input_fn=lambda x=x: x.clone(),  # its version counts from 0, as the test's own copy's does
            # In evaluation and at rate 0 a module returns its input, and has nothing to do in place.
            check_inplace=training and issubclass(kind, MIRRORED) and options.get("p") != 0,
            supports_forward_ad=True,
            supports_fwgrad_bwgrad=True,
            default_dtype=torch.float64,
        )(case)


@EVERY
@MODES
@DTYPES
def test_forward_and_backward(
    kind: type[nn.Module], training: bool, dtype: torch.dtype, torchs: SimpleNamespace
) -> None:
    for module, x, given in made(torchs, kind, training, dtype, requires_grad=True):
        y = called(module, x)
        assert (y.shape, y.dtype, y.stride()) == (x.shape, x.dtype, x.stride())
        y.sum().backward()
        assert x.grad.dtype == dtype
        if given.reference_fn is not None and dtype.itemsize > 2:
            torch.testing.assert_close(y, given.reference_fn(module, x))
        meta = module(x.detach().to("meta"))
        assert (meta.shape, meta.dtype, meta.stride(), meta.is_meta) == (x.shape, dtype, y.stride(), True)


@EVERY
@MODES
def test_copied_cast_and_moved(kind: type[nn.Module], training: bool, torchs: SimpleNamespace) -> None:
    for module, x, _ in made(torchs, kind, training, torch.float32):
        y, file = called(module, x), io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        copies = (
            copy.copy(module),
            copy.deepcopy(module),
            pickle.loads(pickle.dumps(module)),  # our own, of a moment ago
            torch.load(file, weights_only=False),
            copy.deepcopy(module).half().double().float(),
            copy.deepcopy(module).to("meta").to_empty(device="cpu"),
            copy.deepcopy(module).requires_grad_(False).share_memory(),
        )
        for other in copies:
            assert (type(other), repr(other), other.training) == (kind, repr(module), training)
            assert torch.equal(called(other, x), y)
        assert not module.state_dict()
        assert str(module.load_state_dict({}, strict=True)) == "<All keys matched successfully>"
        # Factories of modules pass these on; what has no parameters takes none, as torch's takes none.
        for name in ("device", "dtype"):
            with pytest.raises(TypeError, match=name):
                kind(**{name: None})


@EVERY
@MODES
def test_the_mode_is_the_whole_tree_s(kind: type[nn.Module], training: bool, torchs: SimpleNamespace) -> None:
    for module, _, _ in made(torchs, kind, training):
        tree = nn.Sequential(nn.Sequential(module))
        assert module.training == training
        tree.train(not training)
        assert module.training == (not training)
        assert not list(tree.parameters())
        assert not list(tree.buffers())


@EVERY
@MODES
def test_formats_of_memory(kind: type[nn.Module], training: bool, torchs: SimpleNamespace) -> None:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    seen = 0
    for module, x, _ in made(torchs, kind, training):
        if (form := formats.get(x.dim())) is None:
            continue
        seen += 1
        last = x.to(memory_format=form)
        y = called(module.to(memory_format=form), last)
        assert y.is_contiguous(memory_format=form)
        assert torch.equal(y, called(module, x))
    assert seen or 4 not in map(len, OURS[kind][1])


@EVERY
def test_the_two_modes_differ(kind: type[nn.Module], torchs: SimpleNamespace) -> None:
    differ = [
        not torch.equal(called(module, x), called(module.eval(), x))
        for module, x, _ in made(torchs, kind, True)
        if module.p > 0 and x.dim() > 1
    ]
    assert sum(differ) >= len(differ) / 2 > 0


@EVERY
@MODES
def test_errors(kind: type[nn.Module], training: bool, torchs: SimpleNamespace) -> None:
    info, where = entry(torchs, kind), torchs.modules.ModuleErrorEnum
    for wrong in info.module_error_inputs_func(info, "cpu", torch.float64, False, training):
        given = wrong.module_error_input
        options = given.constructor_input.kwargs
        if wrong.error_on is where.CONSTRUCTION_ERROR:
            with pytest.raises(wrong.error_type, match=wrong.error_regex):
                kind(**options)
        elif training:
            with pytest.raises(wrong.error_type, match=wrong.error_regex):
                kind(**options)(*given.forward_input.args)


# What torch has in its databases that holds a dropout


def replaced(module: nn.Module) -> nn.Module:
    tt.replace(module)
    assert {type(m) for m in module.modules() if isinstance(m, MIRRORED)} <= set(OURS)
    return module


@MODES
@pytest.mark.filterwarnings("ignore::UserWarning")  # of nested tensors
def test_torchs_transformers_with_ours_inside(training: bool, torchs: SimpleNamespace) -> None:
    ran = 0
    for info in torchs.modules.module_db:
        if "Transformer" not in info.name:
            continue
        for given in info.module_inputs_func(info, "cpu", torch.float32, True, training):
            module = info.module_cls(*given.constructor_input.args, **given.constructor_input.kwargs)
            if not any(isinstance(m, MIRRORED) for m in module.modules()):
                continue
            module.train(training)
            named = given.forward_input
            with torch.random.fork_rng():
                torch.manual_seed(0)
                theirs = module(*named.args, **named.kwargs)
                ours = replaced(module)(*named.args, **named.kwargs)
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
            ran += 1
    assert ran > 20


@pytest.mark.filterwarnings("ignore::UserWarning")  # of nested tensors
def test_torchs_older_tests_with_ours_inside(torchs: SimpleNamespace, case: Any) -> None:
    ran = []
    for given in torchs.nn.get_new_module_tests():
        if "Transformer" not in given.get("module_name", ""):
            continue
        kind = getattr(nn, given["module_name"])
        torchs.nn.NewModuleTest(
            constructor=lambda *arguments, kind=kind: replaced(kind(*arguments)),
            fullname=given["module_name"],
            **given,
        )(case)
        ran.append(given["module_name"])
    assert len(ran) > 2
