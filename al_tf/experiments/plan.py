"""The cost of an experiment before it runs: counts, and estimates from a short measurement."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

import numpy as np
from loky import cpu_count

from ..seeding import stream
from .config import ExperimentConfig
from .estimators import build_estimator, gradient_steps
from .features import backbone_of, images_needed, sees_features
from .querying import query
from .setting import Setting, load_data, make_setting
from .upper_line import RANDOM_BATCHES
from .workers import WorkerPool

MEASURED_STEPS = {"cnn": 64, "finetuned": 2}
"""Gradient steps that are timed; a pretrained network takes seconds for one."""
MEASURED_IMAGES = 64
"""Images of a pretrained network's forward pass that is timed, once that many have compiled it."""


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
    images_embedded: int = 0
    """Images that a pretrained network turns into features, once for all runs; 0 without one."""
    embedding_seconds: float = 0.0
    """That, on all cores, if none of them was embedded before; part of `seconds`."""

    def __str__(self) -> str:
        total = self.worker_bytes * self.jobs / 2**30
        queries = ", ".join(f"{name} {s:.2f} s" for name, s in self.query_seconds.items())
        embedding = []
        if self.images_embedded:
            embedding = [
                f"embedding       {self.images_embedded:,} images once, about "
                f"{_clock(self.embedding_seconds)}; none that was embedded before"
            ]
        return "\n".join(
            [
                f"runs            {self.runs} (each up to {self.labels_per_run:,} labels)",
                f"fits            {self.fits}",
                f"gradient steps  {self.gradient_steps:,}",
                f"one query       {queries}",
                *embedding,
                f"time            about {_clock(self.seconds)} with {self.jobs} job(s)",
                f"memory          {self.worker_bytes / 2**20:,.0f} MiB per worker, {total:.1f} GiB in all",
            ]
        )


def make_plan(config: ExperimentConfig, jobs: int) -> Plan:
    """Count the work of an experiment and estimate its time from a short measurement.

    The measurement runs in a worker process as the experiment would: it takes a few gradient steps,
    evaluates the test set and lets each strategy query the pool once. With a pretrained network in
    the model, a part of the images stands for all of them.

    Parameters
    ----------
    config : ExperimentConfig
        The experiment, from its beginning.
    jobs : int
        Worker processes it would run on.

    Returns
    -------
    Plan

    Examples
    --------
    >>> from al_tf.experiments import ExperimentConfig, make_plan
    >>> config = ExperimentConfig(
    ...     dataset="digits", strategies=["random", "margin"], seeds=range(3), model="logistic",
    ...     initial=50, batch=25, rounds=2, pool=200)
    >>> plan = make_plan(config, jobs=1)
    >>> plan.runs, plan.fits, plan.labels_per_run
    (6, 15, 100)
    """
    with WorkerPool(1, config.threads) as pool:
        (measured,) = pool.map(_measure, [(config,)])
    if isinstance(measured, BaseException):
        raise measured
    images, embedding = _embedding(config) if sees_features(config) else (0, 0.0)
    first, later = _label_counts(config)
    seeds, runs = len(config.seeds), len(config.labels)
    upper = config.upper_line
    candidates = len(upper) + RANDOM_BATCHES if upper else 0
    fits_a_round = runs + candidates  # the upper line tries its candidates, then fits the best
    evaluations = bool(first) + len(later) // config.eval_every
    fit_seconds = seeds * (
        measured.fit(config, first) + fits_a_round * sum(measured.fit(config, n) for n in later)
    )
    scored = config.validation / max(measured.test_images, 1) * candidates * len(later)
    eval_seconds = seeds * (runs * evaluations + scored) * measured.evaluate
    asked = [*measured.queries, *upper]
    query_seconds = seeds * len(later) * sum(measured.queries[label] for label in asked)
    busy = min(jobs, seeds * runs)
    steps = [gradient_steps(config, n) for n in later]
    return Plan(
        runs=seeds * runs,
        fits=seeds * (bool(first) + fits_a_round * len(later)),
        gradient_steps=seeds
        * (gradient_steps(config, first) * bool(first) + fits_a_round * sum(steps)),
        labels_per_run=config.labels_per_run,
        jobs=busy,
        seconds=embedding + measured.start + (fit_seconds + eval_seconds + query_seconds) / busy,
        worker_bytes=measured.peak_bytes,
        query_seconds=measured.queries,
        images_embedded=images,
        embedding_seconds=embedding,
    )


def _label_counts(config: ExperimentConfig) -> tuple[int, list[int]]:
    """Return the number of labels at round 0, and those of the later rounds, a budget heeded."""
    sizes = [config.initial]
    for number in range(1, config.rounds + 1):
        if config.stop_budget is not None and sizes[-1] >= config.stop_budget:
            break
        sizes.append(sizes[-1] + config.batch_of(number))
    return sizes[0], sizes[1:]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _embedding(config: ExperimentConfig) -> tuple[int, float]:
    """Return how many images have to be embedded, and how long that takes on all cores."""
    needed = [len(rows) + len(data.x_test) for _, data, rows in images_needed(config, config.seeds)]
    with WorkerPool(1, cpu_count()) as pool:
        (seconds,) = pool.map(_seconds_per_image, [(config,)])
    if isinstance(seconds, BaseException):
        raise seconds
    return sum(needed), sum(needed) * seconds


def _seconds_per_image(config: ExperimentConfig) -> float:
    backbone = backbone_of(config)
    images = load_data(config, config.seeds[0]).x_train[:MEASURED_IMAGES]
    backbone.features(images, cache_dir=False)  # the first pass compiles
    start = time.perf_counter()
    backbone.features(images, cache_dir=False)
    return (time.perf_counter() - start) / len(images)


def _with_stand_ins(setting: Setting) -> Setting:
    """Return the setting with random numbers of the features' shape: they take the same time."""
    dim = backbone_of(setting.config).dim
    rng = stream(0, "plan")
    train, test = (
        rng.standard_normal((len(x), dim), np.float32) for x in (setting.x_train, setting.x_test)
    )
    return replace(setting, x_train=train, x_test=test)


@dataclass(frozen=True)
class _Measurement:
    start: float  # seconds until the first step could be taken: imports, data, tracing
    fit_seconds: float
    fit_steps: int  # 0 for a model without gradient steps
    evaluate: float
    test_images: int
    queries: dict[str, float]
    peak_bytes: int

    def fit(self, config: ExperimentConfig, n_labeled: int) -> float:
        if not n_labeled:
            return 0.0
        if not self.fit_steps:
            return self.fit_seconds
        return self.fit_seconds * gradient_steps(config, n_labeled) / self.fit_steps


def _measure(config: ExperimentConfig) -> _Measurement:
    began = time.perf_counter()
    setting = make_setting(config, config.seeds[0])
    if sees_features(config):
        setting = _with_stand_ins(setting)
    steps = MEASURED_STEPS.get(config.model, 0)
    brief = replace(config, epochs=1, min_steps=steps, fit_mode="scratch")
    sample, asked = _sample(setting)
    estimator = build_estimator(brief, setting.n_classes)
    estimator.set_params(random_state=0)
    x, y = setting.x_train[sample.initial], setting.answers[sample.initial]
    estimator.fit(x, y)  # the first fit builds and traces
    estimator.predict_proba(sample.x_test[:MEASURED_IMAGES])
    start = time.perf_counter()
    estimator.fit(x, y)
    fitted = time.perf_counter()
    estimator.predict_proba(sample.x_test)
    evaluated = time.perf_counter()
    queries = {}
    for spec in config.strategies:
        before = time.perf_counter()
        size = min(config.batch_of(1), len(sample.pool) - len(sample.initial))
        query(sample, spec, estimator, sample.initial, y, 1, size)
        queries[spec.label] = (time.perf_counter() - before) * asked
    return _Measurement(
        start=start - began,
        fit_seconds=fitted - start,
        fit_steps=gradient_steps(brief, len(y)),
        evaluate=(evaluated - fitted) * len(setting.x_test) / len(sample.x_test),
        test_images=len(setting.x_test),
        queries=queries,
        peak_bytes=_peak_bytes(),
    )


def _sample(setting: Setting) -> tuple[Setting, float]:
    """Return what is measured, and how many times as many images a query looks at."""
    some = setting.initial if len(setting.initial) else setting.pool[: setting.config.batch_of(1)]
    if setting.config.model != "finetuned":
        return replace(setting, initial=some), 1.0
    initial = some[:MEASURED_IMAGES]
    rest = np.setdiff1d(setting.pool, initial)
    unlabeled = rest[: max(MEASURED_IMAGES, setting.config.batch_of(1))]
    part = replace(
        setting,
        initial=initial,
        pool=np.union1d(initial, unlabeled),
        x_test=setting.x_test[:MEASURED_IMAGES],
    )
    return part, (len(setting.pool) - setting.config.initial) / len(unlabeled)


def _peak_bytes() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
