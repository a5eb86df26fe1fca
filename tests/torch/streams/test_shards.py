"""Shards: each process draws its part of one mask."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

import thinnet as tn
import thinnet.torch as tt
from thinnet import CATALOGUE, Key, Window
from thinnet.errors import InputError
from thinnet.torch._internals import FORCED
from thinnet.variants import Variant
from thinnet.variants._guide import example_shape
from thinnet.variants._variant import PASSED

KEY = Key(11, 2)
RUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_any_window_is_numpys(row: Variant, dtype: torch.dtype) -> None:
    shape = tuple(min(length, 9) for length in example_shape(row))
    whole = tuple(2 * length for length in shape)
    start = tuple(length // 2 for length in shape)
    x, other = torch.randn((2, *shape), dtype=torch.float64).to(dtype)
    more = {"other": other} if row.other in PASSED else {}
    window = Window(whole, start, shape)
    y = tt.functional.drop(row.name, x, 0.3, key=KEY, window=window, **more)
    named = {name: value.numpy() for name, value in more.items()}
    assert np.array_equal(y.numpy(), tn.drop(row, x.numpy(), 0.3, key=KEY, window=window, **named))


@pytest.mark.parametrize("row", [r for r in CATALOGUE.values() if r.flows], ids=lambda row: row.name)
def test_shares_of_a_batch_put_together(row: Variant) -> None:
    shape = (6, *(min(length, 9) for length in example_shape(row)[1:]))
    x = torch.randn(shape)
    whole = tt.functional.drop(row.name, x, 0.3, key=KEY)
    parts = []
    for start, stop in ((0, 1), (1, 4), (4, 6)):
        with tt.shard(global_batch=6, start=start, rows=stop - start):
            parts.append(tt.functional.drop(row.name, x[start:stop], 0.3, key=KEY))
    assert torch.equal(torch.cat(parts), whole)


def test_weights_are_no_rows() -> None:
    weight = torch.ones(5, 4)
    with tt.shard(global_batch=64, start=32, rows=4):
        inside = tt.functional.drop("DropConnect", weight, 0.5, key=KEY)
    assert torch.equal(inside, tt.functional.drop("DropConnect", weight, 0.5, key=KEY))


def test_modules_outside_of_the_catalogue() -> None:
    x = torch.randn(6, 4, 3, 5).abs()
    q = torch.randn(6, 2, 7, 8)
    calls: list[Callable[[slice], torch.Tensor]] = [
        lambda s: tt.functional.drop_head(x[s], 0.5, key=KEY),
        lambda s: tt.functional.shake_drop(x[s], 0.5, key=KEY),
        lambda s: tt.functional.concrete_dropout(x[s], torch.tensor(0.0), key=KEY),
        lambda s: tt.functional.variational_dropout(x[s], torch.tensor(-1.0), key=KEY),
        lambda s: tt.functional.standout(x[s], x[s], key=KEY),
        lambda s: tt.functional.max_pool_dropout(x[s], 0.5, key=KEY),
        lambda s: tt.functional.patch_dropout(x[s].flatten(2), 0.5, key=KEY)[0],
        lambda s: tt.functional.scaled_dot_product_attention(
            q[s], q[s], q[s], dropout_p=0.5, dropout_key=KEY
        ),
    ]
    for call in calls:
        parts = []
        for start, stop in ((0, 2), (2, 6)):
            with tt.shard(global_batch=6, start=start, rows=stop - start):
                parts.append(call(slice(start, stop)))
        assert torch.allclose(torch.cat(parts), call(slice(0, 6)), atol=1e-6)


@pytest.mark.parametrize("script", ["data_parallel", "tensor_parallel"])
def test_two_processes_are_one(script: str, tmp_path: Path) -> None:
    program = Path(__file__).with_name(f"{script}_program.py")
    done = subprocess.run(
        [*RUN, str(program)], capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("the same") == 2


def test_what_is_refused(refusal: Callable[..., str]) -> None:
    def inside(batch: Any, start: Any, rows: int = 2) -> None:
        with tt.shard(batch, start, rows=rows - 1):
            tt.functional.dropout(torch.ones(rows, 3), 0.5, key=KEY)

    number = "must be a whole number of at least"
    assert refusal(InputError, inside, 0, 0) == f"shard: global_batch {number} 1, got 0."
    assert refusal(InputError, inside, 4, -1) == "shard: start must be a whole number in [0, 4], got -1."
    assert refusal(InputError, inside, 4, 3, 3) == "shard: rows must be a whole number in [0, 1], got 2."
    with pytest.warns(UserWarning, match="rows is missing"), tt.shard(4, 3):
        complaint = refusal(InputError, tt.functional.dropout, torch.ones(2, 3), 0.5, key=KEY)
    assert complaint.startswith("Dropout: rows 3 to 5 do not fit into shard(global_batch=4)")
    window = Window((4, 4), (0, 0), (2, 2))
    complaint = refusal(InputError, tt.functional.dropout, torch.ones(3, 3), 0.5, key=KEY, window=window)
    assert complaint.startswith("Dropout: the window has size (2, 2), but x has shape (3, 3)")
    assert tt.functional.dropout(torch.ones(2), 0.5, key=KEY).shape == (2,)  # nothing of a shard is left


@pytest.mark.parametrize("seeded", [False, True])
def test_a_recomputation_after_the_block_draws_the_same_part(seeded: bool) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(6, 6), tt.Dropout(0.5), torch.nn.Linear(6, 6))
    rows = torch.randn(4, 6)
    gradients = []
    for forgets in (False, True):
        if seeded:
            tt.seed(model, 0)
        torch.manual_seed(1)
        x = rows.clone().requires_grad_()
        with tt.shard(global_batch=8, start=4, rows=4):
            y = checkpoint(model, x, use_reentrant=False) if forgets else model(x)
        y.square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


def test_a_shard_is_that_of_its_thread() -> None:
    found: dict[int, bool] = {}
    x = torch.ones(8, 50)
    whole = tt.functional.dropout(x, 0.5, key=KEY)
    both = threading.Barrier(2)

    def work(start: int) -> None:
        with tt.shard(global_batch=8, start=start, rows=4):
            both.wait()
            part = tt.functional.dropout(x[start : start + 4], 0.5, key=KEY)
            both.wait()
        found[start] = torch.equal(part, whole[start : start + 4])

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: True, 4: True}
    assert torch.equal(tt.functional.dropout(x, 0.5, key=KEY), whole)


def test_a_shard_begins_in_the_batch(refusal: Callable[..., str]) -> None:
    line = refusal(InputError, tt.shard(global_batch=4, start=9).__enter__)
    assert line == "shard: start must be a whole number in [0, 4], got 9."
    with tt.shard(global_batch=4, start=4, rows=0):
        assert tt.functional.dropout(torch.ones(0, 3), 0.5, key=KEY).shape == (0, 3)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("seeded", [False, True])
def test_a_key_of_an_earlier_shard_has_no_shard_now(seeded: bool, reentrant: bool) -> None:
    if FORCED and not seeded:
        pytest.skip("the fallback refuses any key that had two shards")
    model = torch.nn.Sequential(tt.Dropout(0.5))
    if seeded:
        tt.seed(model, 0)
    x = torch.ones(4, 6)

    def forward(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        with tt.step(model, 0) if seeded else contextlib.nullcontext():
            return checkpoint(lambda x: model(x).square(), x, use_reentrant=reentrant)

    with tt.shard(global_batch=8, start=4, rows=4):
        if seeded:
            with tt.step(model, 0):
                model(x)
        else:
            torch.manual_seed(0)
            model(x)
    a = x.clone().requires_grad_()
    y = forward(a)
    y.sum().backward()
    assert torch.equal(a.grad != 0, y.detach() != 0)
    # The same key in two forwards before the first backward.
    with tt.shard(global_batch=8, start=4, rows=4):
        first = forward(a)
    forward(a)
    with pytest.raises(InputError, match="cannot tell the shard of the forward that is being recomputed"):
        first.sum().backward()


@pytest.mark.skipif(FORCED, reason="the fallback refuses any key that had two shards")
def test_shares_that_differ_in_their_tokens_alone() -> None:
    model = torch.nn.Sequential(tt.Dropout(0.5))
    tt.seed(model, 0)
    xs = [torch.ones(4, 6, requires_grad=True) for _ in range(2)]
    ys: list[torch.Tensor] = []
    for start, x in zip((0, 4), xs, strict=True):
        with tt.step(model, 0), tt.shard(global_batch=8, start=start, rows=4):
            ys.append(checkpoint(lambda x: model(x).square(), x, use_reentrant=False))
    torch.cat(ys).sum().backward()
    for x, y in zip(xs, ys, strict=True):
        assert torch.equal(x.grad != 0, y.detach() != 0)
    assert not torch.equal(*ys)


def test_rows_that_are_folded_into_the_batch() -> None:
    x = torch.randn(6, 5, 3)  # each row is five windows
    whole = tt.functional.dropout(x.flatten(0, 1), 0.5, key=KEY)
    with tt.shard(global_batch=6, start=2, rows=4):
        part = tt.functional.dropout(x[2:].flatten(0, 1), 0.5, key=KEY)
    assert torch.equal(part, whole[10:])


def test_a_batch_on_another_axis(refusal: Callable[..., str]) -> None:
    x = torch.randn(8, 6, 3)  # (time, n, features)
    whole = tt.functional.dropout(x, 0.5, key=KEY)
    with tt.shard(global_batch=6, start=2, rows=4, axis=1):
        assert torch.equal(tt.functional.dropout(x[:, 2:], 0.5, key=KEY), whole[:, 2:])
        line = refusal(InputError, tt.functional.dropout, torch.ones(4), 0.5, key=KEY)
        assert line == "Dropout: x must have axis 1, the batch of this shard, got (4,)."
    with tt.shard(global_batch=6, start=2, rows=4):
        line = refusal(InputError, tt.functional.dropout, torch.ones(8, 4, 3), 0.5, key=KEY)
    assert line == (
        "Dropout: x of shape (8, 4, 3) may have the 4 rows of this shard on two axes; use shard(…, axis=0) "
        "if other axes are folded into the batch, else the axis of the batch."
    )
    with tt.shard(global_batch=6, start=2, rows=4, axis=0):
        assert tt.functional.dropout(torch.ones(8, 4, 3), 0.5, key=KEY).shape == (8, 4, 3)
    for shape in ((3, 4, 3), (5, 3)):
        with tt.shard(global_batch=6, start=2, rows=4):
            line = refusal(InputError, tt.functional.dropout, torch.ones(shape), 0.5, key=KEY)
        assert line == (
            f"Dropout: axis 0 must be the 4 rows of this shard, got {shape}; use shard(…, axis=) for the "
            "axis of the batch, or window= here."
        )


@pytest.mark.filterwarnings("ignore:.*is deprecated")
@pytest.mark.parametrize("seeded", [False, True])
def test_a_compiled_model_takes_the_present_shard(seeded: bool) -> None:
    torch.compiler.reset()
    model = torch.nn.Sequential(tt.Dropout(0.5))
    if seeded:
        tt.seed(model, 0)
    compiled = torch.compile(lambda x: model(x).square(), backend="aot_eager", fullgraph=True)

    def forward(call: Callable[..., torch.Tensor]) -> torch.Tensor:
        torch.manual_seed(0)
        with tt.step(model, 0) if seeded else contextlib.nullcontext():
            return call(torch.ones(4, 6))

    whole = forward(compiled)
    with tt.shard(global_batch=8, start=4, rows=4):
        part = forward(compiled)
        assert torch.equal(part, forward(lambda x: model(x).square()))
        assert not torch.equal(part, whole)
    x = torch.ones(4, 6, requires_grad=True)
    for inside in (True, False):
        with tt.shard(global_batch=8, start=4, rows=4):
            y = checkpoint(compiled, x, use_reentrant=False)
            if inside:
                (dx,) = torch.autograd.grad(y.sum(), x)
                assert torch.equal(dx != 0, y != 0)
    with pytest.raises(InputError, match="run backward inside the same"):
        y.sum().backward()
