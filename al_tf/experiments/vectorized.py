"""All runs of an experiment side by side in this process, their networks trained as one, on JAX.

Runs wait for each other at every fit: strategies are asked one after the other, then all models of
the round are fitted together by `fit_together`, then each is evaluated and recorded.
The candidates of an upper line are fitted one by one.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .config import ExperimentConfig
from .loop import Fit, Steps, round_zero, run_steps
from .parallel import Failures, Run, failure_of
from .records import read_run, run_path
from .setting import make_setting
from .workers import limited_threads

K = TypeVar("K", bound=Hashable)


def check_vectorized(config: ExperimentConfig, backend: str, jobs: int | None) -> None:
    """Raise unless the runs of an experiment can be trained as one here.

    Raises
    ------
    ValueError
        For a model other than ``"cnn"``, together with worker processes or a cluster, and unless
        Keras is on JAX.
    """
    if config.model != "cnn":
        raise ValueError(
            f"vectorized=True trains the networks of model='cnn' as one; got {config.model!r}. Leave "
            "it out."
        )
    if backend != "processes" or jobs:
        raise ValueError(
            "vectorized=True works in this process, without worker processes or a cluster: leave out "
            "jobs and backend."
        )
    from ..network.together import check_backend

    check_backend()


def run_together(config: ExperimentConfig, runs: list[Run], out_dir: Path) -> Failures:
    """Carry out `runs` side by side in this process; see `run_experiment`."""
    with limited_threads(config.threads):
        # round 0 of each seed first: its lock is held while it waits for its fit
        new = [
            run for run in runs if not read_run(run_path(out_dir, run.label, run.seed), repair=True)
        ]
        seeds = dict.fromkeys(run.seed for run in new)
        zero = _side_by_side(
            {seed: round_zero(make_setting(config, seed), out_dir) for seed in seeds}
        )
        failures = {run.name: zero[run.seed] for run in new if run.seed in zero}
        going = {
            run.name: run_steps(config, run.label, run.seed, out_dir)
            for run in runs
            if run.name not in failures
        }
        failures |= _side_by_side(going)
    return {name: failure_of(error) for name, error in failures.items()}


def _side_by_side(steps: Mapping[K, Steps[Any]]) -> dict[K, BaseException]:
    """Carry out all `steps` to their ends, their fits as one; return those that failed, and why."""
    failures: dict[K, BaseException] = {}
    waiting: dict[K, Fit] = {}

    def go_on(name: K, seconds: float | None) -> None:
        try:
            waiting[name] = next(steps[name]) if seconds is None else steps[name].send(seconds)
        except StopIteration:
            pass
        except Exception as error:
            failures[name] = error

    try:
        for name in steps:
            go_on(name, None)
        while waiting:
            fits, waiting = waiting, {}
            start = time.perf_counter()
            errors = _fitted(fits)
            seconds = (time.perf_counter() - start) / len(fits)
            for name in fits:
                if (error := errors.get(name)) is None:
                    go_on(name, seconds)
                else:
                    failures[name] = error
                    steps[name].close()
    finally:
        for one in steps.values():
            one.close()  # Ctrl-C: their locks are released
    return failures


def _fitted(fits: Mapping[K, Fit]) -> dict[K, Exception]:
    """Fit all models, those on one dataset together; return what failed."""
    from ..network.together import fit_together

    by_data: dict[str, list[K]] = {}
    for name, fit in fits.items():
        by_data.setdefault(fit.setting.data.fingerprint, []).append(name)
    errors: dict[K, Exception] = {}
    for names in by_data.values():
        group = [fits[name] for name in names]
        classifiers: list[Any] = [fit.estimator for fit in group]
        failed = fit_together(
            classifiers,
            group[0].setting.x_train,
            [np.asarray(fit.labeled) for fit in group],
            [fit.answers for fit in group],
        )
        errors |= {n: error for n, error in zip(names, failed, strict=True) if error is not None}
    return errors
