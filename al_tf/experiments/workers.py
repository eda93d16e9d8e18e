"""Worker processes for long tasks: when one dies, only its own task is affected."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ..errors import DataWarning

ATTEMPTS = 2
"""How often a task is given to a process before its deaths count as the task's fault."""

_one_at_a_time = threading.Lock()
_threads_here: int | None = None


class WorkerPool:
    """Processes that work through a list of tasks; use it in a ``with`` block.

    Parameters
    ----------
    jobs : int
        Number of processes; each begins with its first task.
    threads : int
        Threads of each, for BLAS, OpenMP and TensorFlow.
    """

    def __init__(self, jobs: int, threads: int) -> None:
        self._workers = [_Worker(threads) for _ in range(jobs)]
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for worker in self._workers:
            worker.stop()

    def kill(self) -> None:
        """End every process now, whatever it is doing."""
        for worker in self._workers:
            worker.stop(kill=True)

    def map(self, task: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Return for each argument tuple what `task` returned, or the exception it raised."""

        def one(given: tuple[Any, ...]) -> Any:
            worker = self._free.get()
            try:
                return worker.call(task, given)
            except Exception as error:
                return error
            finally:
                self._free.put(worker)

        with ThreadPoolExecutor(len(self._workers)) as threads:
            try:
                return list(threads.map(one, arguments))
            except BaseException:  # Ctrl-C
                threads.shutdown(wait=False, cancel_futures=True)
                self.kill()
                raise


class _Worker:
    """One process, started when it is needed and started again when it died."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._executor: Any = None
        self._stopped = False
        self._lock = threading.Lock()

    def call(self, task: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        from loky.process_executor import BrokenProcessPool, ShutdownExecutorError

        attempt = 1
        while True:
            try:
                return self._process().submit(task, *arguments).result()
            except (BrokenProcessPool, ShutdownExecutorError) as error:
                if self._stopped:
                    raise
                self._end(kill=True)
                if attempt == ATTEMPTS:
                    raise RuntimeError(f"worker process lost {attempt} times: {error}") from None
                attempt += 1

    def stop(self, *, kill: bool = False) -> None:
        with self._lock:
            self._stopped = True
        self._end(kill=kill)

    def _process(self) -> Any:
        from loky import ProcessPoolExecutor
        from loky.process_executor import ShutdownExecutorError

        with self._lock:
            if self._stopped:
                raise ShutdownExecutorError("the pool has been stopped")
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    max_workers=1,
                    initializer=_begin,
                    initargs=(os.getpid(),),
                    env=thread_environment(self._threads) | quiet_environment(),
                )
            return self._executor

    def _end(self, *, kill: bool) -> None:
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=kill)


def thread_environment(n: int) -> dict[str, str]:
    """Return the environment variables that limit a process to n threads.

    TensorFlow reads them when it starts; later changes have no effect.
    """
    names = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")
    variables = {f"{name}_NUM_THREADS": str(n) for name in names}
    variables["TF_NUM_INTRAOP_THREADS"] = str(n)
    variables["TF_NUM_INTEROP_THREADS"] = "1"
    return variables


@contextmanager
def limited_threads(n: int) -> Iterator[None]:
    """Do one thing at a time in this process, with n threads of BLAS, OpenMP and TensorFlow.

    TensorFlow reads its limit when it starts, so a process cannot change to another number.
    """
    global _threads_here
    with _one_at_a_time:
        if _threads_here not in (None, n):
            raise RuntimeError(
                f"This process works with {_threads_here} thread(s) and cannot change to {n}. "
                "Start new workers."
            )
        _threads_here = n
        os.environ.update(thread_environment(n))
        from threadpoolctl import threadpool_limits

        with threadpool_limits(n):
            yield


def quiet_environment() -> dict[str, str]:
    """Return the environment variable that keeps TensorFlow's log of devices off the screen."""
    name = "TF_CPP_MIN_LOG_LEVEL"
    return {name: os.environ.get(name, "3")}  # its errors are raised all the same


def _begin(parent: int) -> None:
    """Ignore Ctrl-C, which the parent handles, and end when the parent has ended or was killed.

    The parent has loaded the data and warned of them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore", DataWarning)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
