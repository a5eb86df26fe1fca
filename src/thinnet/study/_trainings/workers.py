"""Worker processes: each trains with one BLAS thread, and all end with the study."""

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
from thinnet.study._spelling import spell_option
from thinnet.study._trainings.job import TrainingJob, TrainingOutcome
from thinnet.study._trainings.training import run_job

__all__ = ["Workers"]

T = TypeVar("T")

# Ctrl-C takes effect after so many seconds at most.
_POLL = 0.5


class Workers:
    """Run jobs in `count` processes.

    Each has one BLAS thread: sums then have one order, so the numbers do not depend on `count`.

    Within the `with` block, `run` raises KeyboardInterrupt after Ctrl-C. Raised at any other place, it could
    be swallowed by a callback of the storage or leave a claim unreleased. A second Ctrl-C raises at once.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._interrupted = False
        self._before: Any = None
        self._pool: ProcessPoolExecutor

    def run(
        self,
        jobs: Iterator[tuple[T, TrainingJob]],
        record: Callable[[T, TrainingOutcome], None],
        renew_claims: Callable[[], None],
    ) -> None:
        """Run jobs, one for each free process; call `record` after each, `renew_claims` repeatedly."""
        running: dict[Future[TrainingOutcome], T] = {}
        try:
            while True:
                self._check()
                while len(running) < self.count and (following := next(jobs, None)) is not None:
                    with _without_ctrl_c():
                        running[self._pool.submit(run_job, following[1])] = following[0]
                if not running:
                    return
                ended, _ = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
                for future in ended:
                    record(running.pop(future), future.result())
                renew_claims()
        except BrokenProcessPool as error:
            raise RunError(
                "study: a worker process died, perhaps because memory ran out; run it again with fewer "
                f"{spell_option('jobs')}."
            ) from error

    def _check(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> None:
        self._check()
        self._interrupted = True

    def __enter__(self) -> Workers:
        # A process that ignores Ctrl-C, such as one in the background, keeps ignoring it.
        if threading.current_thread() is threading.main_thread() and callable(
            signal.getsignal(signal.SIGINT)
        ):
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        # After the handler is set: an interrupted constructor would leave a semaphore that is never unlinked.
        self._pool = ProcessPoolExecutor(
            self.count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # The results of the running jobs are no longer needed.
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if kind is None:
            self._check()


@contextlib.contextmanager
def _without_ctrl_c() -> Generator[None]:
    """Block Ctrl-C for a process that starts here: it inherits the mask, so its start is never interrupted.

    The kernel may still deliver the signal to another thread of this process, where `_interrupt` runs.
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
