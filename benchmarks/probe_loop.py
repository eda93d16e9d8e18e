"""Whole active-learning runs of the linear probe beside modAL with scikit-learn's regression.

    python benchmarks/probe_loop.py [--quick] [--repetitions N]

Fashion-MNIST through EfficientNet-Lite0 at 96 pixels; 200 labels and 10 × 100 more by margin, pool
of 10,000, 2,000 test images scored in every round. Both sides are given the same features, the same
penalty and the same labeled set at round 0, in a process each; the peer is a plain modAL learner on
`StandardScaler` and `LogisticRegression`. Embedding is timed apart. Then an experiment, ten paired
seeds of eight strategies on two workers, with its own embedding apart too.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from _harness import (
    Row,
    Skipped,
    Values,
    arguments,
    bars,
    interleaved,
    machine,
    medians,
    peer_python,
    table,
    timed,
    versions,
    write,
)
from loop import compared, side

from al_tf import ExperimentConfig, load_backbone, load_dataset, run_experiment
from al_tf.errors import DataNotFoundError
from al_tf.experiments.features import embed_images

SIZE = 96
FULL = {"initial": 200, "batch": 100, "rounds": 10, "pool": 10_000, "test": 2_000, "C": 0.3}
QUICK = {**FULL, "rounds": 2, "pool": 800, "test": 300}
OURS, PEER = "al_tf, linear probe", "modAL + scikit-learn"
STRATEGIES = (
    "random", "margin", "entropy", "kcenter", "typiclust", "badge", "cluster_margin", "power_margin",
)  # fmt: skip
COLUMNS = {
    "case": "", "seconds": "seconds", "cpu_seconds": "CPU s", "peak_mb": "peak MB",
    "fit": "fit s", "query": "query s", "evaluate": "evaluate s", "accuracy": "accuracy",
    "ratio": "× peer",
}  # fmt: skip


def saved_features(folder: Path, settings: dict) -> tuple[Path, Values]:
    """Write features of the pool and of the test images; return the file and what it took."""
    try:
        data = load_dataset("fashion_mnist")
    except DataNotFoundError as error:
        raise Skipped(f"Fashion-MNIST is not here: {error}") from None
    backbone = load_backbone("efficientnet_lite0", size=SIZE)
    arrays = {
        "y_train": data.y_train[: settings["pool"]],
        "y_test": data.y_test[: settings["test"]],
    }

    def embed() -> None:
        for part in ("train", "test"):
            images = getattr(data, f"x_{part}")[: len(arrays[f"y_{part}"])]
            arrays[f"x_{part}"] = backbone.features(images, cache_dir=folder)

    seconds = timed(embed)
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz", seconds


def single(data: Path, peer: Path, settings: dict, repetitions: int) -> list[Row]:
    """One run of margin; each repetition has its own seed, the same for both sides."""

    def case(name: str, python: str | Path, seeds: Iterator[int]) -> Values:
        return side(name, python, data, settings, [["margin", next(seeds)]])

    cases = {
        OURS: partial(case, "al_tf_probe", sys.executable, iter(range(repetitions))),
        PEER: partial(case, "modal_logistic", peer, iter(range(repetitions))),
    }
    return compared(medians(interleaved(cases, repetitions)), "seconds")


def experiment(settings: dict, seeds: int, strategies: Sequence[str]) -> Row:
    """Ten seeds of eight strategies with records, as `al-tf run --jobs 2` makes them."""
    names = {field.name for field in dataclasses.fields(ExperimentConfig)}
    config = ExperimentConfig(
        dataset="fashion_mnist", model="probe", backbone_size=SIZE, strategies=strategies,
        seeds=range(seeds), **{key: value for key, value in settings.items() if key in names},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        embedding = timed(
            lambda: embed_images(config, config.seeds, Path(folder, "embedded"), progress=True)
        )
        runs = timed(lambda: run_experiment(config, Path(folder, "study"), jobs=2, progress=True))
    n_runs = seeds * len(strategies)
    case = f"al_tf, {seeds} seeds × {len(strategies)} strategies"
    seconds = {key: [value] for key, value in runs.items()}
    return {
        "case": case,
        "seconds": runs["seconds"],
        "seconds_per_run": runs["seconds"] / n_runs,
        "embedding_seconds": embedding["seconds"],
        "values": seconds,
    }


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=5, quick=2)
    settings = QUICK if args.quick else FULL
    facts, peer = machine(), peer_python("modal")
    with tempfile.TemporaryDirectory() as folder:
        data, embedding = saved_features(Path(folder), settings)
        rows = single(data, peer, settings, args.repetitions)
    print(f"\n{table(rows, COLUMNS)}\n")
    ours, theirs = (row["values"]["accuracy"] for row in rows)
    differences = np.subtract(ours, theirs).tolist()
    error = stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else None
    said = "one repetition" if error is None else f"± {error:.4f} (standard error)"
    print(f"accuracy, paired difference: {mean(differences):+.4f} {said}")
    print(f"embedding took {embedding['seconds']:.0f} s")
    grid = experiment(settings, *((2, STRATEGIES[:2]) if args.quick else (10, STRATEGIES)))
    print(
        f"{grid['case']}: {grid['seconds']:.0f} s on two workers, {grid['seconds_per_run']:.2f} s "
        f"a run; embedding before it {grid['embedding_seconds']:.0f} s"
    )
    what = f"Fashion-MNIST, features at {SIZE} pixels, margin, {settings}"
    path = write(
        "probe_loop", what, [*rows, grid], facts, peer_versions=versions(peer), settings=settings,
        embedding=embedding, accuracy_difference={"mean": mean(differences), "error": error},
    )  # fmt: skip
    picture = bars(
        "probe_loop", "A whole run of the linear probe", {"": rows}, "seconds", "seconds"
    )
    print(f"\nWritten: {path}, {picture}")


if __name__ == "__main__":
    main()
