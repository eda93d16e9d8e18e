"""Runs computed in worker processes of this machine, on a Dask cluster, or in this process."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import NamedTuple

from ..strategies import REGISTRY, StrategyInfo
from .cluster import dask_client
from .config import ExperimentConfig
from .loop import run_strategy
from .records import run_name
from .study import has_study, read_meta
from .workers import WorkerPool, limited_threads


class Run(NamedTuple):
    """One strategy, or the upper line, with one seed."""

    label: str
    seed: int
    strategies: tuple[StrategyInfo, ...]
    """Those that it asks: its own, or all that an upper line draws on."""

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


def perform(config: ExperimentConfig, run: Run, out_dir: Path) -> None:
    """Carry out a run in this process, with the experiment's number of threads."""
    _check_folder(config, out_dir)
    for strategy in run.strategies:
        REGISTRY.setdefault(strategy.name, strategy)  # one that the caller registered
    with limited_threads(config.threads):
        run_strategy(config, run.label, run.seed, out_dir)


def _check_folder(config: ExperimentConfig, out_dir: Path) -> None:
    meta = read_meta(out_dir) if has_study(out_dir) else {}
    if meta.get("config") != config.to_dict():
        raise RuntimeError(
            f"{out_dir} on this worker does not hold this experiment. Workers on other "
            "machines must see the results folder under the same path (a shared disk)."
        )


def run_here(config: ExperimentConfig, runs: list[Run], out_dir: Path) -> Failures:
    """Carry out `runs` one after the other in this process."""
    failures: Failures = {}
    for run in runs:
        try:
            perform(config, run, out_dir)
        except Exception as error:
            failures[run.name] = failure_of(error)
    return failures


def run_in_processes(
    config: ExperimentConfig, runs: list[Run], out_dir: Path, jobs: int
) -> Failures:
    """Carry out `runs` in `jobs` worker processes of this machine."""
    with WorkerPool(jobs, config.threads) as pool:
        outcomes = pool.map(perform, [(config, run, out_dir) for run in runs])
    return {
        run.name: failure_of(outcome)
        for run, outcome in zip(runs, outcomes, strict=True)
        if isinstance(outcome, BaseException)
    }


def run_on_dask(
    config: ExperimentConfig, runs: list[Run], out_dir: Path, scheduler: str
) -> Failures:
    """Carry out `runs` on the workers of a Dask cluster.

    Workers write to `out_dir` themselves: it must be on a disk that all of them see under the
    same path. A run whose worker dies goes on from its last record on another worker.
    """
    failures: Failures = {}
    with dask_client(scheduler) as client:
        from distributed import as_completed

        futures = {
            client.submit(perform, config, run, out_dir, pure=False): run.name for run in runs
        }
        try:
            for future in as_completed(futures):
                if future.status != "finished":
                    failures[futures[future]] = failure_of(future.exception())
        except BaseException:  # Ctrl-C: runs that have not begun shall not
            client.cancel(list(futures))
            raise
    return failures


def failure_of(error: BaseException) -> Failure:
    """Keep the traceback of an error, a worker's part included, and its first line."""
    lines = [*str(error).splitlines(), ""]
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure(f"{type(error).__name__}: {lines[0][:300]}", trace)
