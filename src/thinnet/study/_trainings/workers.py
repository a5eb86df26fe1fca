"""Worker processes: each trains with one BLAS thread, and none outlives the study."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, TypeVar

from thinnet._core.threads import set_num_threads
from thinnet.errors import RunError
from thinnet.study._trainings.training import Job, Outcome, run_job

__all__ = ["Workers"]

T = TypeVar("T")

# How long Ctrl-C may have to wait, in seconds.
_LISTEN = 0.5


class Workers:
    """Run jobs in `count` processes.

    One BLAS thread each: sums then have one order, so the numbers do not depend on `count`.

    Inside its `with`, Ctrl-C waits for `run`: raised anywhere, KeyboardInterrupt would get lost in a
    callback of the storage's, or leave a claim that nobody knows of. A second Ctrl-C does not wait.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._interrupted = False
        self._before: Any = None
        self._pool: ProcessPoolExecutor

    def run(
        self, jobs: Iterator[tuple[T, Job]], done: Callable[[T, Outcome], None], beat: Callable[[], None]
    ) -> None:
        """Run jobs, each taken when a process is free; call `done` as each ends and `beat` all the while."""
        running: dict[Future[Outcome], T] = {}
        try:
            while True:
                self._check()
                while len(running) < self.count and (following := next(jobs, None)) is not None:
                    with _without_ctrl_c():
                        running[self._pool.submit(run_job, following[1])] = following[0]
                if not running:
                    return
                ended, _ = wait(running, timeout=_LISTEN, return_when=FIRST_COMPLETED)
                for future in ended:
                    done(running.pop(future), future.result())
                beat()
        except BrokenProcessPool as error:
            raise RunError(
                "study: a worker process died, perhaps for want of memory; run it again with fewer --jobs."
            ) from error

    def _check(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> None:
        self._check()
        self._interrupted = True

    def __enter__(self) -> Workers:
        # Who ignores Ctrl-C, as a process in the background does, goes on ignoring it.
        if threading.current_thread() is threading.main_thread() and callable(
            signal.getsignal(signal.SIGINT)
        ):
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        # Only now: interrupted half-way, the pool would leave a semaphore that nobody unlinks.
        self._pool = ProcessPoolExecutor(
            self.count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # Nothing that still runs is wanted any more.
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if kind is None:
            self._check()


@contextlib.contextmanager
def _without_ctrl_c() -> Generator[None]:
    """Block Ctrl-C for a process that is made here: it inherits that, and never sees it while it starts.

    The kernel may hand the signal to another thread of this process all the same; `_interrupt` takes it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """Limit BLAS and kernels to one thread, leave Ctrl-C to the parent, and end when the parent ends."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
