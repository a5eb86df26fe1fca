"""Room for large tensors: kept when it is freed, never shared while it is held."""

from __future__ import annotations

import gc
import mmap
import os
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

import thinnet.torch as tt
from thinnet import Key
from thinnet.errors import InputError
from thinnet.torch._ops import memory
from thinnet.torch.functional import dropout

LARGE = 1 << 19  # entries of float32: 2 MiB


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[memory._Pool]:
    own = memory._Pool()
    monkeypatch.setattr(memory, "_pool", own)
    monkeypatch.setattr(memory, "_LEAST", 1 << 20)
    yield own
    gc.collect()


def address(x: torch.Tensor) -> int:
    return x.untyped_storage().data_ptr()


def test_what_is_freed_is_used_again(pool: memory._Pool) -> None:
    x = torch.ones(LARGE)
    first = dropout(x, 0.5, key=Key(0))
    place = address(first)
    assert pool.held() == 0
    second = dropout(x, 0.5, key=Key(1))
    assert address(second) != place
    del first
    assert pool.held() == 4 * LARGE
    third = dropout(x, 0.5, key=Key(0))
    assert address(third) == place
    assert pool.held() == 0
    assert torch.equal(third[:1000], dropout(x[:1000], 0.5, key=Key(0)))
    view = third[5:]
    del third
    assert pool.held() == 0  # a view holds it too
    del view
    assert pool.held() == 4 * LARGE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_tensor_like_any_other(dtype: torch.dtype) -> None:
    x = torch.randn(8, 16, 96, 96).to(dtype).to(memory_format=torch.channels_last)
    y = memory.empty_like(x)
    assert (y.dtype, y.shape, y.stride(), y.device) == (x.dtype, x.shape, x.stride(), x.device)
    assert y.data_ptr() % 64 == 0
    strange = x[:, ::2]
    assert memory.empty_like(strange).stride() == torch.empty_like(strange).stride()
    model = nn.Sequential(tt.Dropout(0.5), nn.ReLU(inplace=True), nn.Flatten())
    model(x.requires_grad_()).sum().backward()
    assert x.grad.shape == x.shape
    z = dropout(x.detach(), 0.5)
    assert not z._is_view()
    z.resize_(3)
    assert z.shape == (3,)


def test_an_output_shrinks_and_a_clone_grows(pool: memory._Pool) -> None:
    y = dropout(torch.ones(LARGE), 0.5, key=Key(0))
    assert y.clone().resize_(2 * LARGE).shape == (2 * LARGE,)
    assert y.resize_(LARGE // 2).shape == (LARGE // 2,)
    with pytest.raises(RuntimeError, match="not resizable"):
        y.resize_(2 * LARGE)  # torch has written the new shape: y must not be read any more
    tt.set_kept_bytes(0)
    assert dropout(torch.ones(LARGE), 0.5).resize_(2 * LARGE).shape == (2 * LARGE,)


def test_similar_sizes_share_buffers(pool: memory._Pool) -> None:
    drawn = dropout(torch.ones(LARGE - 1000), 0.5)
    place = address(drawn)
    del drawn
    assert address(dropout(torch.ones(LARGE - 9000), 0.5)) == place
    for size in (1 << 20, 3_000_001, LARGE * 4 - 1, 123_456_789):
        rounded = memory._rounded(size)
        assert size <= rounded <= size * 9 / 8 + mmap.PAGESIZE
        assert rounded % mmap.PAGESIZE == 0


def test_the_size_that_was_used_last_is_kept_longest(pool: memory._Pool) -> None:
    tt.set_kept_bytes(12 << 20)
    small, large = dropout(torch.ones(LARGE), 0.5), dropout(torch.ones(4 * LARGE), 0.5)
    del small, large  # 2 MiB, then 8 MiB
    for _ in range(3):
        dropout(torch.ones(LARGE), 0.5)
    assert pool.held() == 10 << 20
    dropout(torch.ones(2 * LARGE), 0.5)  # 4 MiB more: the 8 MiB go
    assert {size: len(buffers) for size, buffers in pool.free.items()} == {2 << 20: 1, 4 << 20: 1}


def test_the_limit_holds(pool: memory._Pool, refusal: Callable[..., str]) -> None:
    tt.set_kept_bytes(5 << 20)
    assert tt.get_kept_bytes() == 5 << 20
    drawn = [dropout(torch.ones(LARGE), 0.5) for _ in range(4)]
    drawn.append(dropout(torch.ones(LARGE + LARGE // 2), 0.5))
    drawn.clear()
    gc.collect()
    assert 0 < pool.held() <= 5 << 20
    tt.set_kept_bytes(0)
    assert pool.held() == 0
    dropout(torch.ones(LARGE), 0.5)
    assert pool.held() == 0
    for wrong in (-1, 1.5, True):
        assert refusal(InputError, tt.set_kept_bytes, wrong).startswith("set_kept_bytes: limit must be")


def test_small_and_huge_tensors_are_torchs(pool: memory._Pool) -> None:
    dropout(torch.ones(1000), 0.5)
    tt.set_kept_bytes(1 << 20)
    dropout(torch.ones(LARGE), 0.5)
    assert pool.held() == 0


def test_threads_get_rooms_of_their_own(pool: memory._Pool) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        x = torch.full((LARGE,), float(number))
        for _ in range(30):
            y = dropout(x, 0.5)
            if not bool(((y == 0) | (y == 2 * number)).all()):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pool.held() <= tt.get_kept_bytes()


def test_large_pages_are_asked_for_where_there_are_such(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [len(memory._new(size)) for size in (1 << 20, 1 << 24)]
    assert sizes == [1 << 20, 1 << 24]
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    assert len(memory._new(1 << 24)) == 1 << 24


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is nothing to fork here")
def test_a_forked_process_writes_into_no_tensor_of_its_parent() -> None:
    y = dropout(torch.ones(LARGE), 0.5, key=Key(0))
    before = y.clone()
    child = os.fork()
    if not child:
        y[:8] = -1
        os._exit(0)
    os.waitpid(child, 0)
    assert torch.equal(y, before)


def test_room_is_the_processors_whatever_the_default_device() -> None:
    x = torch.ones(LARGE)
    with torch.device("meta"):
        assert dropout(x, 0.5, key=Key(0)).is_cpu
