"""A fast experiment, strategies that misbehave, and how two results are compared."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil

from al_tf import register_strategy
from al_tf.experiments import ExperimentConfig, load_records
from al_tf.strategies import get_strategy

SECONDS = ["seconds_query", "seconds_fit", "seconds_eval"]


def fast_config(**changes):
    """Return a config whose runs take tenths of a second and no TensorFlow."""
    settings = {
        "dataset": "digits",
        "model": "logistic",
        "model_params": {"max_iter": 15},
        "strategies": "margin",
        "seeds": 2,
        "initial": 30,
        "batch": 10,
        "rounds": 4,
        "pool": 600,
    }
    return ExperimentConfig(**{**settings, **changes})


def numbers(out_dir):
    """Return all records without what a clock said."""
    return load_records(out_dir).drop(columns=SECONDS)


def results_text(out_dir):
    """Return results.csv without its timings: the bytes that a resumed experiment must repeat."""
    lines = (Path(out_dir) / "results.csv").read_text().splitlines()
    keep = [i for i, name in enumerate(lines[0].split(",")) if name not in SECONDS]
    return "\n".join(",".join(line.split(",")[i] for i in keep) for line in lines)


def wait_for_records(out_dir, process):
    """Return when the process has written the first record; fail if it ends before."""
    deadline = time.monotonic() + 60
    while not list(Path(out_dir).glob("runs/*.jsonl")):
        assert process.poll() is None, "the process ended without a record"
        assert time.monotonic() < deadline, "no record within a minute"
        time.sleep(0.02)


def registered(function):
    """Register as often as the module is loaded: by the tests, and in worker processes."""
    return register_strategy(function.__name__, function, overwrite=True)


@registered
def fails_late(classifier, X, n_instances=1, *, random_state=None):
    """Raise once 50 images are labeled."""
    if len(classifier.X_training) >= 50:
        raise ZeroDivisionError("the strategy broke")
    return get_strategy("random")(classifier, X, n_instances, random_state=random_state)


@registered
def dies_once(classifier, X, n_instances=1, *, random_state=None, marker="", times=1):
    """Kill its own process, as an operating system short of memory would, at most `times`."""
    if len(classifier.X_training) >= 50:
        for i in range(times):
            path = Path(f"{marker}-{i}")
            if not path.exists():
                path.touch()
                os.kill(os.getpid(), signal.SIGKILL)
    return get_strategy("margin")(classifier, X, n_instances, random_state=random_state)


@registered
def eats_memory(classifier, X, n_instances=1, *, random_state=None, marker=""):
    """Need more memory than the process may have, once; then choose as margin does."""
    if len(classifier.X_training) >= 50 and not Path(marker).exists():
        import resource

        Path(marker).touch()
        used = psutil.Process().memory_info().vms
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, before[1]))
        try:
            np.empty(2**30)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
    return get_strategy("margin")(classifier, X, n_instances, random_state=random_state)


@registered
def spies(classifier, X, n_instances=1, *, random_state=None, path=""):
    """Write down what a strategy can see of labels: those of the labeled set."""
    np.savez(f"{path}-{len(classifier.y_training)}", y=classifier.y_training, n=len(X))
    return get_strategy("random")(classifier, X, n_instances, random_state=random_state)
