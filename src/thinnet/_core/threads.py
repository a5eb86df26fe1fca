"""Threads: a range of entries is cut into equal parts, one for each thread of a pool.

The result at an entry depends on its place alone, so it is the same for any number of threads. The caller
takes parts too, so it never waits for a thread that is busy with other work.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from thinnet.errors import InputError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["count_cores", "get_num_threads", "set_num_threads", "split"]

Work = Callable[[int, int], object]

# Long parts begin at multiples of this number: at the border of a cache line and of a vector.
_ALIGNED = 64


class _Shared:
    """The state that the threads of a process share."""

    lock = threading.Lock()
    pool: ThreadPoolExecutor | None = None
    wanted = 0  # 0: not known yet


def get_num_threads() -> int:
    """Return the number of threads that large arrays are split over.

    The number is that of the last call of `set_num_threads`, else the environment variable
    THINNET_NUM_THREADS, else the number of processors that this process may use.
    """
    if not _Shared.wanted:
        text = os.environ.get("THINNET_NUM_THREADS", "").strip()
        _Shared.wanted = (
            _count("THINNET_NUM_THREADS", int(text) if text.isdecimal() and len(text) < 10 else text)
            if text
            else count_cores()
        )
    return _Shared.wanted


def set_num_threads(count: int) -> None:
    """Split large arrays over `count` threads from now on; 1 keeps all work in the calling thread.

    Parameters
    ----------
    count : int
        At least 1. No result depends on it.

    Raises
    ------
    InputError
        Not a whole number of at least 1.

    Examples
    --------
    >>> import thinnet as tn
    >>> before = tn.get_num_threads()
    >>> tn.set_num_threads(1)
    >>> tn.get_num_threads()
    1
    >>> tn.set_num_threads(before)
    """
    count = _count("set_num_threads", count)
    with _Shared.lock:
        if count != _Shared.wanted and _Shared.pool is not None:
            _Shared.pool.shutdown(wait=False)  # its threads finish their parts
            _Shared.pool = None
        _Shared.wanted = count


def split(work: Work, total: int, least: int) -> None:
    """Call `work(begin, end)` for parts of [0, total), in parallel if each has at least `least` entries."""
    parts = min(get_num_threads(), total // least) if total >= 2 * least else 1
    if parts < 2:
        work(0, total)
        return
    step = -(-total // parts)
    if step > _ALIGNED * _ALIGNED:
        step = -(-step // _ALIGNED) * _ALIGNED
    waiting = deque((begin, min(begin + step, total)) for begin in range(0, total, step))

    def take() -> None:
        while waiting:
            try:
                part = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            work(*part)

    helpers = _start(take, parts - 1)
    try:
        take()
    finally:
        # A helper that has not begun is cancelled; one that has begun still writes to the arrays.
        errors = [helper.exception() for helper in helpers if not helper.cancel()]
    for error in errors:
        if error is not None:
            raise error


def _start(take: Callable[[], None], count: int) -> list[Future[None]]:
    """Start up to `count` pool threads; the caller does the parts that they do not take, so zero is fine."""
    helpers: list[Future[None]] = []
    with _Shared.lock, contextlib.suppress(RuntimeError):  # no more threads, or the interpreter shuts down
        pool = _thread_pool()
        for _ in range(count):
            helpers.append(pool.submit(take))
    return helpers


def _thread_pool() -> ThreadPoolExecutor:
    if _Shared.pool is None:
        from concurrent.futures import ThreadPoolExecutor  # not at the top: it brings logging along

        _Shared.pool = ThreadPoolExecutor(max(1, get_num_threads() - 1), thread_name_prefix="thinnet")
    return _Shared.pool


def _forget() -> None:
    """Reset the state in a forked child: the threads of the parent, which may hold the lock, are gone."""
    _Shared.lock, _Shared.pool = threading.Lock(), None


def count_cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _count(owner: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{owner}: must be a whole number of at least 1, got {value!r}.")
    return value


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
