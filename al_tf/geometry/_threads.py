"""Tiles on all cores: a thread pool that returns its results in order.

One thread per tile, each with a single-threaded BLAS, beats one tile on a threaded BLAS: the
elementwise parts run on all cores too, and no result depends on the number of threads.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

Task = TypeVar("Task")
Result = TypeVar("Result")

_MINE = threading.local()
_ONE_KERNEL_AT_A_TIME = threading.RLock()  # the BLAS thread limit belongs to the process
_BEFORE: list[int] = []  # threads that BLAS may use outside `one_blas_thread`, while inside it


def ordered_map(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Apply `function` to every task on as many threads as BLAS may use, results in order.

    At most two results per thread are held before the caller consumes them. Meanwhile BLAS is
    limited to one thread, and kernels started from other threads wait.

    Parameters
    ----------
    function : callable
        Must release the interpreter lock for most of its time (numpy does).
    tasks : iterable

    Yields
    ------
    result
        ``function(task)``, in the order of `tasks`.
    """
    tasks = list(tasks)
    function = _without_blas_warnings(function)
    with one_blas_thread() as n_threads:
        if min(n_threads, len(tasks)) <= 1:
            yield from map(function, tasks)
            return
        pool = _pool(n_threads)
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(function, task))
                if len(waiting) >= 2 * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)


def for_each(function: Callable[[Task], object], tasks: Iterable[Task]) -> None:
    """Run `ordered_map` where only the side effects of `function` matter."""
    for _ in ordered_map(function, tasks):
        pass


def _without_blas_warnings(function: Callable[[Task], Result]) -> Callable[[Task], Result]:
    """Ignore the processor's "invalid value" flag while `function` runs.

    OpenBLAS now and then sets it in a product of finite matrices (it reads beyond the ends of
    small ones). Kernels check that their input is finite beforehand.
    """

    def quiet(task: Task) -> Result:
        with np.errstate(invalid="ignore"):
            return function(task)

    return quiet


@contextmanager
def one_blas_thread() -> Iterator[int]:
    """Limit BLAS to one thread inside the block; yields the number of threads it had before.

    Kernels inside the block run on that many threads, and start sooner: the limit is set already.
    """
    with _ONE_KERNEL_AT_A_TIME:
        if _BEFORE:
            yield _BEFORE[-1]
            return
        n_threads = n_workers()
        _BEFORE.append(n_threads)
        try:
            with _blas().limit(limits=1):
                yield n_threads
        finally:
            _BEFORE.clear()


def n_workers() -> int:
    """Return how many threads BLAS may use now: the user's own limit, else the cores."""
    if before := _BEFORE[:]:
        return before[-1]
    limits = [library["num_threads"] for library in _blas().info()]
    return max(limits) if limits else os.cpu_count() or 1


def scratch(name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """Return an array to write a tile into, the same memory at every call of this thread.

    A fresh array of a megabyte costs as much as filling it: the system maps and clears its pages.

    Parameters
    ----------
    name : str
        Its purpose; arrays of different names do not overlap.
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray
        With arbitrary content. It lives as long as the kernel's thread.
    """
    wanted = math.prod(shape)
    held: dict[str, np.ndarray] = _MINE.__dict__
    key = f"{name} {np.dtype(dtype)}"
    if key not in held or len(held[key]) < wanted:
        held[key] = np.empty(wanted, dtype=dtype)
    return held[key][:wanted].reshape(shape)


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    """Return the threads of all kernels; they are kept, and their scratch memory with them."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="al_tf")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has no threads


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
