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
from typing import TypeVar

from thinnet.errors import RunError
from thinnet.study.training import Job, Outcome, run_job

__all__ = ["Workers"]

T = TypeVar("T")


class Workers:
    """Run jobs in `count` processes.

    One BLAS thread each: sums then have one order, so the numbers do not depend on `count`.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ProcessPoolExecutor(
            count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
        )

    def run(
        self, jobs: Iterator[tuple[T, Job]], done: Callable[[T, Outcome], None], beat: Callable[[], None]
    ) -> None:
        """Run jobs, each taken when a process is free; call `done` as each ends and `beat` every second."""
        running: dict[Future[Outcome], T] = {}
        try:
            while True:
                while len(running) < self.count and (following := next(jobs, None)) is not None:
                    with _without_ctrl_c():
                        running[self._pool.submit(run_job, following[1])] = following[0]
                if not running:
                    return
                ended, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in ended:
                    done(running.pop(future), future.result())
                beat()
        except BrokenProcessPool as error:
            raise RunError(
                "study: a worker process died, perhaps for want of memory; run it again with fewer --jobs."
            ) from error

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # Nothing that still runs is wanted any more.
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _without_ctrl_c() -> Generator[None]:
    """Hold Ctrl-C back: a process that is made here never sees it, not even while it starts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """Limit BLAS to one thread, leave Ctrl-C to the parent, and end when the parent ends."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
