"""CNN and probe from 10, 50 and 200 labels, on the same random labeled sets, paired seeds.

    python benchmarks/few_labels.py [--quick] [--repetitions N] [--folder FOLDER] [--jobs N]

Fashion-MNIST and the JPEG copy of CIFAR-10; for each seed a pool of 2,000 images, of which 10, 50 and
200 are labeled at random. The CNN is `build_cnn` with the settings of every experiment, the probe
works on features of EfficientNet-Lite0 at 128 pixels. Both are tested on the whole test set.
Experiments go on in FOLDER where they were stopped. Nothing is timed. Writes
``results/few_labels.json``.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import _harness
import pandas as pd

from al_tf.analysis import learning_curve_table
from al_tf.datasets import dataset_status
from al_tf.experiments import ExperimentConfig, run_experiment

DATASETS = ("fashion_mnist", "cifar10")
MODELS = {"cnn": {}, "probe": {"backbone_size": 128}}
METRICS = ("accuracy", "f1_macro")


def measured(dataset: str, model: str, seeds: int, folder: Path, jobs: int) -> list[_harness.Row]:
    """Run an experiment, or go on with it, and return a row for each number of labels."""
    config = ExperimentConfig(
        dataset=dataset,
        model=model,
        strategies=("random",),
        seeds=seeds,  # type: ignore[arg-type]
        initial=10,
        batch=(40, 150),
        rounds=2,
        pool=2000,
        **MODELS[model],  # type: ignore[arg-type]
    )
    results = run_experiment(config, folder, jobs=jobs)
    curves = learning_curve_table(results, list(METRICS))
    return [row_of(model, dataset, seeds, part) for _, part in curves.groupby("n_labeled")]


def row_of(model: str, dataset: str, seeds: int, curves: pd.DataFrame) -> _harness.Row:
    """Return the row of one number of labels, from its line of each metric."""
    row = {"case": model, "dataset": dataset, "labels": int(curves["n_labeled"].iloc[0])}
    row["seeds"] = seeds
    for line in curves.itertuples():
        row |= {line.metric: line.mean, f"{line.metric}_low": line.low}
        row |= {f"{line.metric}_high": line.high}
    return row


def main(argv: Sequence[str] | None = None) -> None:
    """Run both models on every dataset that is here."""
    options = _harness.parser(__doc__)
    options.add_argument("--repetitions", type=int, help="seeds")
    options.add_argument(
        "--folder", type=Path, default=_harness.ROOT / "results" / "few_labels", help="of studies"
    )
    options.add_argument("--jobs", type=int, default=2)
    args = options.parse_args(argv)
    seeds = args.repetitions or (2 if args.quick else 10)
    here = {status.name for status in dataset_status() if status.found}
    if missing := [name for name in DATASETS if name not in here]:
        raise _harness.Skipped(f"{', '.join(missing)}: not here, see `al-tf data list`")
    facts, rows = _harness.machine(), []
    for dataset, model in itertools.product(DATASETS, MODELS):
        rows += measured(dataset, model, seeds, args.folder / f"{model}_{dataset}", args.jobs)
    columns = ("dataset", "case", "labels", "accuracy", "accuracy_low", "accuracy_high", "f1_macro")
    print(_harness.table(rows, dict(zip(columns, columns, strict=True))))
    path = _harness.write(
        "few_labels",
        "CNN and probe from 10, 50 and 200 random labels: mean and 95 % interval over seeds.",
        rows,
        facts,
    )
    print(f"\nWritten: {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
