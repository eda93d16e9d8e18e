"""Labels that are wrong: how many of them the probe's suspects hold, beside cleanlab's.

    python benchmarks/suspects.py [--quick] [--repetitions N] [--peers-python PATH]

Of the magnetic tiles (good or defective) and Fashion-MNIST, 200 or 1,000 labels are drawn, and 10
or 30 percent of them are changed to another class at random. A probe is trained on nine tenths and
judges the last tenth, ten times; `suspect_labels` ranks the labels by these probabilities, and
cleanlab gets the same ones. A repetition is a seed. Nothing is timed.

For rankings: average precision, and precision among as many labels as are wrong. For a set of
labels called wrong: its precision and recall. Errors that the datasets have of themselves count as
right labels. Writes ``results/suspects.json``.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import _harness
import numpy as np
from sklearn.metrics import average_precision_score

from al_tf import LinearProbeClassifier, load_backbone, load_dataset
from al_tf.errors import DataNotFoundError
from al_tf.experiments import ExperimentConfig
from al_tf.experiments.setting import draw_pool
from al_tf.seeding import stream
from al_tf.suspects import SCORES, out_of_fold_proba, suspect_labels

DATASETS: dict[str, dict[str, Any]] = {
    "magnetic_tile": {"labels": "binary", "size": 224},
    "fashion_mnist": {},
}
LABELS = (200, 1000)
RATES = (0.1, 0.3)
PENALTIES = (0.01, 0.3)
"""C of the judging probe: that of `al_tf.suspects`, and the probe's default."""


class Case(NamedTuple):
    """What was judged."""

    dataset: str
    labels: int
    errors: float
    C: float

    def file(self, seed: int) -> str:
        """Return the name of the file of a seed."""
        return f"{self.dataset}-{self.labels}-{self.errors}-{self.C}-{seed}.npz"


def features_of(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features and true classes of the images that a seed may draw from."""
    dataset = load_dataset(name, seed=seed, **DATASETS[name])
    pool = draw_pool(ExperimentConfig(pool=max(LABELS)), seed, len(dataset.x_train))
    features = load_backbone("efficientnet_lite0").features(dataset.x_train[pool])
    return features, dataset.y_train[pool]


def with_errors(y: np.ndarray, rate: float, n_classes: int, seed: int) -> np.ndarray:
    """Return labels of which exactly a part `rate`, drawn at random, is another class."""
    rng = stream(seed, "errors")
    wrong = rng.permutation(len(y))[: round(rate * len(y))]
    given = y.copy()
    given[wrong] = (y[wrong] + rng.integers(1, n_classes, len(wrong))) % n_classes
    return given


def judge(folder: Path, name: str, labels: Sequence[int], seeds: range) -> None:
    """Write labels, truth and out-of-fold probabilities of every case of a dataset."""
    for seed in seeds:
        features, y = features_of(name, seed)
        n_classes = int(y.max()) + 1
        for n, rate, C in itertools.product(labels, RATES, PENALTIES):
            rows = stream(seed, "labeled").permutation(len(y))[:n]
            given = with_errors(y[rows], rate, n_classes, seed)
            proba = out_of_fold_proba(
                LinearProbeClassifier(backbone=None, C=C),
                features[rows],
                given,
                classes=range(n_classes),
                random_state=seed,
            )
            proba /= proba.sum(
                axis=1, keepdims=True
            )  # float32 sums are too far from 1 for cleanlab
            path = folder / Case(name, n, rate, C).file(seed)
            np.savez(path, labels=given, truth=y[rows], proba=proba)
        print(f"{name}, seed {seed}: done", flush=True)


def answers(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what al_tf and cleanlab say: by name, a score (lower = more suspect) or a flag."""
    with np.load(path) as case:
        labels, proba = case["labels"], case["proba"]
    for score in SCORES:
        found = suspect_labels(labels, proba, classes=range(proba.shape[1]), score=score)
        yield f"al_tf score {score}", np.nan_to_num(found.score, nan=np.inf)
    yield "al_tf flag disputed", found.disputed
    beside = path.with_suffix(".cleanlab.npz")
    if beside.exists():
        with np.load(beside) as peer:
            for name in peer.files:
                yield f"cleanlab {name}", peer[name]


def measures(answer: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Return average precision and precision at the number of errors, or precision and recall."""
    if answer.dtype == bool:
        return {
            "precision": float(wrong[answer].mean()) if answer.any() else float("nan"),
            "recall": float(answer[wrong].mean()),
        }
    suspicion = -np.minimum(answer, 2.0)
    first = np.argsort(answer, kind="stable")[: wrong.sum()]
    return {
        "average_precision": float(average_precision_score(wrong, suspicion)),
        "precision_at_errors": float(wrong[first].mean()),
    }


def summary(folder: Path, case: Case, seeds: range) -> list[_harness.Row]:
    """Return a row for each answer: means and standard deviations over the seeds."""
    values: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        path = folder / case.file(seed)
        with np.load(path) as data:
            wrong = data["labels"] != data["truth"]
        for name, answer in answers(path):
            values.setdefault(name, []).append(measures(answer, wrong))
    rows = []
    for name, each in values.items():
        row: _harness.Row = {"case": name, **case._asdict()}
        row["values"] = {key: [v[key] for v in each] for key in each[0]}
        for key, of_seeds in row["values"].items():
            row[key] = mean(of_seeds)
            row[f"{key}_sd"] = stdev(of_seeds) if len(of_seeds) > 1 else None
        rows.append(row)
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    options = _harness.parser(__doc__)
    options.add_argument("--repetitions", type=int, help="seeds")
    options.add_argument("--peers-python", help="interpreter of an environment with cleanlab")
    args = options.parse_args(argv)
    seeds = range(args.repetitions or (2 if args.quick else 10))
    labels = LABELS[:1] if args.quick else LABELS
    facts, rows = _harness.machine(), []
    if not args.peers_python:
        try:
            args.peers_python = str(_harness.peer_python("skactiveml"))
        except _harness.Skipped as reason:
            print(f"SKIPPED: cleanlab ({reason})")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for dataset in DATASETS:
            try:
                judge(folder, dataset, labels, seeds)
            except DataNotFoundError as error:
                print(f"SKIPPED {dataset}: {error}")
        if args.peers_python:
            _harness.isolated("sides/suspects.py", folder, python=args.peers_python)
        for case in map(Case._make, itertools.product(DATASETS, labels, RATES, PENALTIES)):
            if (folder / case.file(0)).exists():
                rows += summary(folder, case, seeds)
    columns = ("case", "dataset", "labels", "errors", "C")
    columns += ("average_precision", "precision_at_errors", "precision", "recall")
    print(_harness.table(rows, dict(zip(columns, columns, strict=True))))
    path = _harness.write(
        "suspects",
        "Injected label errors among the labels that out-of-fold probabilities of a probe dispute.",
        rows,
        facts,
        seeds=len(seeds),
        peers_versions=_harness.versions(args.peers_python) if args.peers_python else None,
    )
    print(f"\nWritten: {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
