"""Streams: keys by seed, name, step and call, and the same keys in a recomputation."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import thinnet.torch as tt
from thinnet import Key
from thinnet.errors import InputError
from thinnet.torch._streams import streams

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated")


class Twice(nn.Module):
    """Calls one dropout several times, and may forget its activations."""

    def __init__(self, *, forgets: bool = False, reentrant: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), tt.Dropout(0.5), nn.Tanh(), tt.Dropout(0.2))
        self.forgets, self.reentrant = forgets, reentrant

    def part(self, x: torch.Tensor) -> torch.Tensor:
        return self.body[1](self.body(x) + x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = checkpoint(self.part, x, use_reentrant=self.reentrant) if self.forgets else self.part(x)
        return x


def trained(model: nn.Module, call: Callable[..., torch.Tensor] | None = None) -> list[torch.Tensor]:
    """Return losses and gradients of three steps."""
    start = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=start)
    x = torch.randn(4, 8, generator=start)
    tt.seed(model, 0)
    found: list[torch.Tensor] = []
    for t in range(3):
        model.zero_grad()
        own = x.clone().requires_grad_()
        with tt.step(model, t):
            loss = (model if call is None else call)(own).square().sum()
            loss.backward()
        found += [loss.detach(), own.grad, *(p.grad.clone() for p in model.parameters())]
    return found


def test_masks_are_those_of_the_named_keys() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(tt.Dropout(0.5)))
    keys = tt.seed(model, 7)
    assert keys == {"1.0": Key(7).fold("1.0")}
    drop, x = model[1][0], torch.ones(3, 8)
    for t in (0, 5):
        with tt.step(model, t):
            for call in range(3):
                expected = tt.functional.dropout(x, 0.5, key=keys["1.0"].fold(call).at(t))
                assert torch.equal(drop(x), expected)
    assert tt.seed(model, Key(7)) == keys


def test_the_generator_goes_on_but_does_not_decide() -> None:
    model = nn.Sequential(tt.Dropout(0.5))
    drawn = []
    for number in (1, 2):
        tt.seed(model, 0)
        torch.manual_seed(number)
        drawn.append(model(torch.ones(64)))
    assert torch.equal(*drawn)
    after = torch.rand(3)
    torch.manual_seed(2)
    nn.Sequential(tt.Dropout(0.5))(torch.ones(64))
    assert torch.equal(torch.rand(3), after)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_repeated_forward_draws_its_masks_again(reentrant: bool) -> None:
    plain = trained(Twice())
    again = trained(Twice(forgets=True, reentrant=reentrant))
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    assert not torch.equal(plain[0], plain[len(plain) // 3])


@pytest.mark.usefixtures("unfused")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_models_draw_the_same(forgets: bool, backend: str) -> None:
    torch.compiler.reset()
    model = Twice(forgets=forgets)
    compiled = trained(model, torch.compile(model, fullgraph=True, backend=backend))
    for a, b in zip(compiled, trained(Twice()), strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_several_backwards_after_several_forwards() -> None:
    """As with gradient accumulation and pipelines: all forwards first, and the last one back first."""
    gradients = []
    for forgets in (False, True):
        torch.manual_seed(3)
        model = Twice(forgets=forgets)
        nn.init.constant_(model.body[0].weight, 0.3)
        nn.init.zeros_(model.body[0].bias)
        tt.seed(model, 1)
        xs = [torch.full((2, 8), float(i), requires_grad=True) for i in (1, 2)]
        losses = [model(x).square().sum() for x in xs]
        for loss in reversed(losses):
            loss.backward()
        gradients.append(torch.stack([x.grad for x in xs]))
    assert torch.equal(*gradients)


def test_an_unknown_recomputation_is_an_error_and_never_a_wrong_mask() -> None:
    model = nn.Sequential(nn.Linear(8, 8), tt.Dropout(0.5), nn.Linear(8, 8))
    tt.seed(model, 0)
    x = torch.ones(2, 8, requires_grad=True)
    y = checkpoint(model, x, use_reentrant=False, preserve_rng_state=False)
    torch.rand(1)
    with pytest.raises(InputError, match="1: cannot tell which forward is being recomputed"):
        y.sum().backward()

    def reseeded(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        return model(x)

    y = x
    for _ in range(3):
        y = checkpoint(reseeded, y, use_reentrant=False)
    with pytest.raises(InputError, match="do not reseed torch within a step"):
        y.sum().backward()


def test_the_optimizer_counts() -> None:
    model = nn.Sequential(nn.Linear(4, 4), tt.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    key = tt.seed(model, 0, optimizer=optimizer)["1"]
    x = torch.ones(5, 4)
    for t in range(3):
        assert torch.equal(model[1](x), tt.functional.dropout(x, 0.5, key=key.fold(0).at(t)))
        optimizer.step()


def test_copies_go_on_by_themselves() -> None:
    model = nn.Sequential(tt.Dropout(0.5), tt.Dropout(0.5))
    tt.seed(model, 0)
    x = torch.ones(50)
    with tt.step(model, 4):
        other = copy.deepcopy(model)
        with tt.step(other, 9):
            away = other(x)
        assert not torch.equal(away, model(x))
    with tt.step(model, 9):
        assert torch.equal(model(x), away)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    with tt.step(loaded, 9):
        assert torch.equal(loaded(x), away)
    assert dict(model.state_dict()) == {}


class Watch(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


def test_copies_keep_their_step_under_a_mode() -> None:
    module = tt.Dropout(0.5)
    key, x = tt.seed(module, 0)[""], torch.ones(50)
    other = copy.deepcopy(module)
    for t, each in ((4, module), (9, other)):
        with tt.step(each, t), Watch():
            assert torch.equal(each(x), tt.functional.dropout(x, 0.5, key=key.fold(0).at(t)))


def test_wrappers_change_no_name() -> None:
    model = nn.Sequential(nn.Linear(2, 2), tt.Dropout(0.5))
    keys = tt.seed(model, 3)
    assert tt.seed(torch.compile(model), 3) == keys
    assert tt.seed(nn.DataParallel(model), 3) == keys
    root = tt.Dropout(0.5)
    assert tt.seed(root, 3) == {"": Key(3).fold("")}


def test_memory_of_calls_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_REMEMBERED", 100)
    drop = tt.Dropout(0.5)
    tt.seed(drop, 0)
    for _ in range(3 * streams._REMEMBERED):
        drop(torch.ones(1))
    assert sum(map(len, drop._stream._calls)) <= 2 * streams._REMEMBERED
    assert len(drop._stream._folded) <= streams._REMEMBERED


def test_transforms_of_functions_see_one_mask() -> None:
    drop = tt.Dropout(0.5)
    key = tt.seed(drop, 0)[""]
    x = torch.ones(3, 20)
    expected = tt.functional.dropout(x[0], 0.5, key=key.fold(0))
    assert torch.equal(torch.vmap(drop)(x), expected.expand(3, 20))


def test_what_is_refused(refusal: Callable[..., str]) -> None:
    def entered(model: nn.Module, t: Any) -> None:
        with tt.step(model, t):
            pass

    bare, seeded = nn.Sequential(nn.Dropout(0.5)), tt.Dropout(0.5)
    assert refusal(InputError, tt.seed, bare, 0).endswith("use thinnet.torch.replace(model) first.")
    assert refusal(InputError, tt.seed, tt.Dropout(), -1).startswith("Key: value must be a whole number")
    assert refusal(InputError, entered, seeded, 0).endswith("use thinnet.torch.seed(model, 0) first.")
    tt.seed(seeded, 0)
    assert refusal(InputError, entered, seeded, -1).startswith("Key.at: step must be")
    complaint = refusal(InputError, torch.jit.script, nn.Sequential(tt.Dropout(0.5)))
    assert complaint.startswith("Dropout: torch.jit.script does not take it; use torch.compile")


class Masks(torch.utils.data.Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> torch.Tensor:
        return tt.functional.dropout(torch.ones(64), 0.5)


def test_workers_of_a_data_loader_draw_as_torch_does() -> None:
    drawn = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(0)
        loader = torch.utils.data.DataLoader(Masks(), num_workers=2, generator=generator)
        drawn.append(torch.cat(list(loader)))
    assert torch.equal(*drawn)
    assert len({tuple(row.tolist()) for row in drawn[0]}) == 8


class SeededMasks(torch.utils.data.Dataset[torch.Tensor]):
    """A data set that augments with a seeded module."""

    def __init__(self) -> None:
        self.drop = tt.Dropout(0.5)
        tt.seed(self.drop, 0)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.drop(torch.ones(64))


def test_workers_do_not_repeat_the_masks_of_a_seeded_module() -> None:
    masks, drawn = SeededMasks(), []
    for _ in range(2):
        generator = torch.Generator().manual_seed(0)
        loader = torch.utils.data.DataLoader(masks, num_workers=2, generator=generator)
        drawn.append([*loader, *loader])  # two epochs
    rows = torch.cat(drawn[0])
    assert len({tuple(row.tolist()) for row in rows}) == len(rows)
    assert all(torch.equal(a, b) for epochs in drawn for a, b in zip(epochs, drawn[0], strict=True))
    key = Key(0).fold("")
    assert torch.equal(masks[0], tt.functional.dropout(torch.ones(64), 0.5, key=key.fold(0)))


def test_copies_inside_a_model_need_seeds_of_their_own(refusal: Callable[..., str]) -> None:
    layer = nn.TransformerEncoderLayer(4, 1, 4, dropout=0.5, batch_first=True)
    tt.replace(layer)
    tt.seed(layer, 0)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    line = refusal(InputError, tt.step(encoder, 0).__enter__)
    assert line.startswith("step: 'layers.1")
    assert line.endswith("use thinnet.torch.seed(model, 0) after the copies are made.")
    tt.seed(encoder, 0)
    with tt.step(encoder, 0):
        x = torch.ones(1, 50, 4)
        assert not torch.equal(encoder.layers[0].dropout1(x), encoder.layers[1].dropout1(x))


def test_threads_count_every_call() -> None:
    drop = tt.Dropout(0.5)
    tt.seed(drop, 0)
    stream = drop._stream
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda i: stream.next(i).value, range(4000)))
    finally:
        sys.setswitchinterval(interval)
    assert len(set(found)) == 4000


OTHER_PROCESS = """
import sys, torch, thinnet.torch as tt
from torch import nn
calls = torch.export.load(sys.argv[1]).module(), torch.jit.load(sys.argv[2])
x = torch.ones(32)
print([calls[0](x).tolist(), calls[1](x).tolist()])
model = nn.Sequential(tt.Dropout(0.5))
tt.seed(model, 7)
with tt.step(model, 3):
    print([calls[0](x).tolist(), calls[1](x).tolist()])
"""


@pytest.mark.filterwarnings("ignore")
def test_saved_graphs_of_seeded_models_run_in_another_process(tmp_path: Path) -> None:
    model = nn.Sequential(tt.Dropout(0.5))
    key, x = tt.seed(model, 7)["0"], torch.ones(32)
    paths = tmp_path / "model.pt2", tmp_path / "model.jit"
    torch.export.save(torch.export.export(model, (x,)), paths[0])
    torch.jit.save(torch.jit.trace(model, x, check_trace=False), paths[1])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OTHER_PROCESS, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # At step 0, where that process has seeded nothing; then at the step of the same seed and name.
    for line, step in zip(done.stdout.splitlines(), (0, 3), strict=True):
        wanted = [tt.functional.dropout(x, 0.5, key=key.fold(call).at(step)).tolist() for call in range(2)]
        assert json.loads(line) == wanted


def test_many_calls_with_one_token_remain_unknown() -> None:
    module = tt.Dropout(0.5)
    tt.seed(module, 0)
    x = torch.ones(64, requires_grad=True)
    outputs: list[torch.Tensor] = []
    for _ in range(3):
        torch.manual_seed(0)
        outputs.append(checkpoint(lambda x: module(x) * x, x, use_reentrant=False))
    for y in outputs:
        with pytest.raises(InputError, match="cannot tell which forward"):
            y.sum().backward()


def test_a_step_that_is_entered_again_has_the_same_keys() -> None:
    module = tt.Dropout(0.5)
    tt.seed(module, 0)
    x = torch.ones(64, requires_grad=True)
    for _ in range(2):
        torch.manual_seed(0)
        with tt.step(module, 3):
            y = checkpoint(lambda x: module(x) * x, x, use_reentrant=False)
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(dx, 2 * y.detach())


def test_tracing_takes_no_key_for_a_constant() -> None:
    module = tt.Dropout(0.5)
    tt.seed(module, 0)
    x = torch.ones(64)
    traced: Any = torch.jit.trace(module, x, check_trace=False)
    with tt.step(module, 0):
        wanted = module(x), module(x)
    with tt.step(module, 0):
        assert torch.equal(traced(x), wanted[0])
        assert torch.equal(traced(x), wanted[1])
    with FakeTensorMode() as mode:
        assert module(mode.from_tensor(x)).shape == x.shape


def test_a_schedule_continues_after_another_seed() -> None:
    module = tt.Dropout(0.5)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)])
    tt.seed(module, 0)
    ramp = tt.schedule(module, lambda t: t / 10)
    tt.seed(module, 1, optimizer=optimizer)
    optimizer.step()
    assert ramp.rates == {"": 0.1}


def test_an_optimizer_steps_the_last_seed_alone_and_no_copy() -> None:
    model = nn.Sequential(nn.Linear(4, 4), tt.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        tt.seed(model, 0, optimizer=optimizer)
    assert len(optimizer._optimizer_step_post_hooks) == 1
    other = copy.deepcopy(model)
    optimizer.step()
    assert (model[1]._stream.clock.step, other[1]._stream.clock.step) == (1, 0)
    tt.seed(other, 0)
    optimizer.step()
    assert model[1]._stream.clock.step == 2


def test_models_and_optimizers_that_are_none(refusal: Callable[..., str]) -> None:
    assert refusal(InputError, tt.seed, None, 0) == "seed: model must be a torch.nn.Module, got NoneType."
    assert refusal(InputError, tt.replace, 3) == "replace: model must be a torch.nn.Module, got int."
    complaint = refusal(InputError, tt.seed, tt.Dropout(), 0, optimizer=3)
    assert complaint == "seed: optimizer must be a torch.optim.Optimizer, got int."
