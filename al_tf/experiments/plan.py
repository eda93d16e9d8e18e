"""The cost of an experiment before it runs: counts, and estimates from a short measurement."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

from .config import ExperimentConfig
from .estimators import build_estimator, gradient_steps
from .loop import query
from .setting import make_setting
from .workers import WorkerPool

MEASURED_STEPS = 64


@dataclass(frozen=True)
class Plan:
    """Counts, and estimates from a short measurement on the real images."""

    runs: int
    fits: int
    gradient_steps: int
    labels_per_run: int
    jobs: int
    seconds: float
    """Wall-clock estimate with that many jobs."""
    worker_bytes: int
    """Peak resident memory of one worker process."""
    query_seconds: dict[str, float]
    """One query of the whole pool, by strategy."""

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        total = self.worker_bytes * self.jobs / 2**30
        queries = ", ".join(f"{name} {s:.2f} s" for name, s in self.query_seconds.items())
        return "\n".join(
            [
                f"runs            {self.runs} (each up to {self.labels_per_run:,} labels)",
                f"fits            {self.fits}",
                f"gradient steps  {self.gradient_steps:,}",
                f"one query       {queries}",
                f"time            about {hours}:{minutes:02}:{seconds:02} with {self.jobs} job(s)",
                f"memory          {self.worker_bytes / 2**20:,.0f} MiB per worker, {total:.1f} GiB in all",
            ]
        )


def make_plan(config: ExperimentConfig, jobs: int) -> Plan:
    """Count the work of an experiment and estimate its time from a short measurement.

    The measurement runs in a worker process as the experiment would: it takes a few gradient steps,
    evaluates the test set and lets each strategy query the pool once.

    Parameters
    ----------
    config : ExperimentConfig
        The experiment, from its beginning.
    jobs : int
        Worker processes it would run on.

    Returns
    -------
    Plan
    """
    with WorkerPool(1, config.threads) as pool:
        (measured,) = pool.map(_measure, [(config,)])
    if isinstance(measured, BaseException):
        raise measured
    sizes = [config.initial + r * config.batch for r in range(config.rounds + 1)]
    if config.stop_budget is not None:
        sizes = [n for i, n in enumerate(sizes) if i == 0 or sizes[i - 1] < config.stop_budget]
    seeds, strategies = len(config.seeds), len(config.strategies)
    first, later = sizes[0], sizes[1:]
    evaluations = 1 + len(later) // config.eval_every
    fit_seconds = seeds * (
        measured.fit(config, first) + strategies * sum(measured.fit(config, n) for n in later)
    )
    eval_seconds = seeds * strategies * evaluations * measured.evaluate
    query_seconds = seeds * len(later) * sum(measured.queries.values())
    busy = min(jobs, seeds * strategies)
    steps = [gradient_steps(config, n) for n in sizes]
    return Plan(
        runs=seeds * strategies,
        fits=seeds * (1 + strategies * len(later)),
        gradient_steps=seeds * (steps[0] + strategies * sum(steps[1:])),
        labels_per_run=config.labels_per_run,
        jobs=busy,
        seconds=measured.start + (fit_seconds + eval_seconds + query_seconds) / busy,
        worker_bytes=measured.peak_bytes,
        query_seconds=measured.queries,
    )


@dataclass(frozen=True)
class _Measurement:
    start: float  # seconds until the first step could be taken: imports, data, tracing
    fit_seconds: float
    fit_steps: int  # 0 for a model without gradient steps
    evaluate: float
    queries: dict[str, float]
    peak_bytes: int

    def fit(self, config: ExperimentConfig, n_labeled: int) -> float:
        if not self.fit_steps:
            return self.fit_seconds
        return self.fit_seconds * gradient_steps(config, n_labeled) / self.fit_steps


def _measure(config: ExperimentConfig) -> _Measurement:
    began = time.perf_counter()
    setting = make_setting(config, config.seeds[0])
    brief = replace(config, epochs=1, min_steps=MEASURED_STEPS, fit_mode="scratch")
    estimator = build_estimator(brief, setting.n_classes)
    estimator.set_params(random_state=0)
    x, y = setting.data.x_train[setting.initial], setting.answers[setting.initial]
    estimator.fit(x, y)  # the first fit builds and traces
    estimator.predict_proba(setting.data.x_test[:1])
    start = time.perf_counter()
    estimator.fit(x, y)
    fitted = time.perf_counter()
    estimator.predict_proba(setting.data.x_test)
    evaluated = time.perf_counter()
    queries = {}
    for spec in config.strategies:
        before = time.perf_counter()
        query(setting, spec, estimator, setting.initial, y, number=1)
        queries[spec.label] = time.perf_counter() - before
    return _Measurement(
        start=start - began,
        fit_seconds=fitted - start,
        fit_steps=gradient_steps(brief, len(y)),
        evaluate=evaluated - fitted,
        queries=queries,
        peak_bytes=_peak_bytes(),
    )


def _peak_bytes() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
