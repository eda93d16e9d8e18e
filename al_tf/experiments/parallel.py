"""Where runs are computed: worker processes of this machine, a Dask cluster, or right here."""

from __future__ import annotations

import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..strategies import REGISTRY, StrategyInfo
from .config import ExperimentConfig
from .loop import run_strategy
from .records import read_meta, run_name

ATTEMPTS = 2  # a run whose process died is resumed once


class Run(NamedTuple):
    """One strategy with one seed."""

    label: str
    seed: int
    strategy: StrategyInfo

    @property
    def name(self) -> str:
        """Name in files and messages."""
        return run_name(self.label, self.seed)


class Failure(NamedTuple):
    """Why a run failed."""

    summary: str
    trace: str


Failures = dict[str, Failure]
"""By name of the run."""

_one_run_at_a_time = threading.Lock()
_threads_here: int | None = None


def perform(config: ExperimentConfig, run: Run, out_dir: Path) -> None:
    """Carry out a run in this process, with the experiment's number of threads."""
    meta = read_meta(out_dir) if (out_dir / "config.json").exists() else {}
    if meta.get("config") != config.to_dict():
        raise RuntimeError(
            f"{out_dir} on this worker is not the folder of this experiment. Workers on other "
            "machines must see the results folder under the same path (a shared disk)."
        )
    REGISTRY.setdefault(run.strategy.name, run.strategy)  # one that the caller registered
    with _one_run_at_a_time, _limited_threads(config.threads):
        run_strategy(config, run.label, run.seed, out_dir)


@contextmanager
def _limited_threads(n: int) -> Iterator[None]:
    """Hold BLAS, OpenMP and TensorFlow to n threads; TensorFlow reads its own when it starts."""
    global _threads_here
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


def thread_environment(n: int) -> dict[str, str]:
    """Return the environment variables that hold a process to n threads."""
    names = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")
    variables = {f"{name}_NUM_THREADS": str(n) for name in names}
    variables["TF_NUM_INTRAOP_THREADS"] = str(n)
    variables["TF_NUM_INTEROP_THREADS"] = "1"
    return variables


def run_here(config: ExperimentConfig, runs: list[Run], out_dir: Path) -> Failures:
    """Carry out `runs` one after the other in this process."""
    failures: Failures = {}
    for run in runs:
        try:
            perform(config, run, out_dir)
        except Exception as error:
            failures[run.name] = _described(error)
    return failures


class WorkerPool:
    """Worker processes, each with its own queue end: one that dies takes down its own run alone.

    Parameters
    ----------
    jobs : int
        Number of processes.
    threads : int
        Threads in each.
    """

    def __init__(self, jobs: int, threads: int) -> None:
        self.jobs, self.threads = jobs, threads
        self._executors: set[Any] = set()
        self._stopping = threading.Event()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        for executor in list(self._executors):
            executor.shutdown(wait=True, kill_workers=True)

    def map(self, task: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[Any]:
        """Return for each argument tuple what `task` returned, or the exception it raised."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for i in range(len(arguments)):
            waiting.put(i)
        outcomes: list[Any] = [None] * len(arguments)
        with ThreadPoolExecutor(min(self.jobs, max(len(arguments), 1))) as threads:
            work = [
                threads.submit(self._serve, task, arguments, waiting, outcomes)
                for _ in range(min(self.jobs, len(arguments)))
            ]
            try:
                for future in work:
                    future.result()
            except BaseException:  # Ctrl-C: let nobody start another run
                self.__exit__()
                raise
        return outcomes

    def _serve(
        self,
        task: Callable[..., Any],
        arguments: list[tuple[Any, ...]],
        waiting: queue.SimpleQueue[int],
        outcomes: list[Any],
    ) -> None:
        executor = None
        while not self._stopping.is_set():
            try:
                i = waiting.get_nowait()
            except queue.Empty:
                break
            executor, outcomes[i] = self._attempt(executor, task, arguments[i])
        if executor is not None:
            executor.shutdown(wait=True)
            self._executors.discard(executor)

    def _attempt(
        self, executor: Any, task: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> tuple[Any, Any]:
        from loky.process_executor import BrokenProcessPool, ShutdownExecutorError

        for attempt in range(ATTEMPTS):
            executor = executor or self._new_executor()
            try:
                return executor, executor.submit(task, *arguments).result()
            except (BrokenProcessPool, ShutdownExecutorError) as error:
                executor.shutdown(wait=True, kill_workers=True)
                self._executors.discard(executor)
                executor, last = None, error
                if self._stopping.is_set() or attempt == ATTEMPTS - 1:
                    break
            except Exception as error:
                return executor, error
        message = (
            f"its worker process died {ATTEMPTS} times, perhaps for want of memory; see dmesg."
        )
        return None, RuntimeError(f"{message}\n{last}")

    def _new_executor(self) -> Any:
        from loky import ProcessPoolExecutor

        executor = ProcessPoolExecutor(
            max_workers=1,
            initializer=_begin_worker,
            initargs=(os.getpid(),),
            env=thread_environment(self.threads),
        )
        self._executors.add(executor)
        return executor


def _begin_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end when it is gone, even if it was killed."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    import time

    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def run_in_processes(
    config: ExperimentConfig, runs: list[Run], out_dir: Path, jobs: int
) -> Failures:
    """Carry out `runs` in `jobs` worker processes of this machine."""
    with WorkerPool(jobs, config.threads) as pool:
        outcomes = pool.map(perform, [(config, run, out_dir) for run in runs])
    return {
        run.name: _described(outcome)
        for run, outcome in zip(runs, outcomes, strict=True)
        if isinstance(outcome, BaseException)
    }


def run_on_dask(
    config: ExperimentConfig, runs: list[Run], out_dir: Path, scheduler: str
) -> Failures:
    """Carry out `runs` on the workers of a Dask cluster.

    Workers write to `out_dir` themselves: it must be on a disk that all of them see under the
    same path. A run whose worker dies is given to another one and goes on from its last record.
    """
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "The Dask backend needs the package distributed: pip install 'al-tf[dask]'"
        ) from None
    failures: Failures = {}
    with Client(scheduler, timeout="30s", set_as_default=False) as client, client.as_current():
        futures = {
            client.submit(perform, config, run, out_dir, pure=False): run.name for run in runs
        }
        try:
            for future in as_completed(futures):
                if future.status != "finished":
                    failures[futures[future]] = _described(future.exception())
        except BaseException:  # Ctrl-C: runs that have not begun shall not
            client.cancel(list(futures))
            raise
    return failures


def _described(error: BaseException) -> Failure:
    """Keep the traceback of an error, a worker's part included, and its first line."""
    lines = [*str(error).splitlines(), ""]
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure(f"{type(error).__name__}: {lines[0][:300]}", trace)
