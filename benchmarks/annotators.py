"""Annotators who err: a second opinion or a new label? Answers as the budget, paired seeds.

    python benchmarks/annotators.py [--quick] [--repetitions N] [--folder FOLDER] [--jobs N]

Three annotators who are wrong 10 or 30 percent of the time, each on their own, answer about the
magnetic tiles (good or defective) and Fashion-MNIST (a pool of 1,000 images for each seed). A probe is
trained on the majority of the answers; `random` and `margin` choose new images, and spend the answers
as `al_tf.experiments.annotators` says: never, always, or when doubtful. Experiments go on in FOLDER
where they were stopped. Nothing is timed. Writes ``results/annotators.json``.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import _harness
import numpy as np
import pandas as pd

from al_tf.analysis import verdict_table
from al_tf.experiments import ExperimentConfig, StrategySpec, load_records, run_experiment
from al_tf.experiments.setting import load_data

DATASETS: dict[str, tuple[str, dict[str, Any]]] = {
    "magnetic_tile": (
        "f1_macro",
        {
            "dataset_options": {"labels": "binary", "size": 224},
            "model_params": {"C": 0.01, "class_weight": "balanced"},
            "pool": None,
        },
    ),
    "fashion_mnist": ("accuracy", {"model_params": {"C": 0.01}, "pool": 1000}),
}
"""The measure of each dataset, and its settings; C is small because labels are wrong."""
RATES = (0.1, 0.3)
N_ANNOTATORS = 3
DOUBTS = (0.5, 0.8)
CHOOSERS = ("random", "margin")


def entries() -> list[StrategySpec]:
    """Return the ways to spend answers."""
    specs = []
    for name in CHOOSERS:
        specs.append(StrategySpec(name, name))
        specs.append(StrategySpec(f"{name}-always", name, relabel="always"))
        specs += [
            StrategySpec(f"{name}-doubt-{doubt}", name, relabel="when_doubtful", doubt=doubt)
            for doubt in (DOUBTS if name == "margin" else DOUBTS[:1])
        ]
    return specs


def config_of(dataset: str, rate: float, seeds: int, *, quick: bool) -> ExperimentConfig:
    """Return 50 to 500 answers (or 50 to 200)."""
    return ExperimentConfig(
        dataset=dataset,
        model="probe",
        strategies=tuple(entries()),
        seeds=seeds,  # type: ignore[arg-type]
        initial=50,
        batch=(50, 100),
        rounds=2 if quick else 5,
        annotators=[rate] * N_ANNOTATORS,
        **DATASETS[dataset][1],
    )


def verdicts(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return each way's verdict against asking never, for each strategy that chooses images."""
    tables = []
    for name in CHOOSERS:
        own = results[results["strategy"].str.startswith(name)]
        tables.append(verdict_table(own, metric, baseline=name))
    return pd.concat(tables, ignore_index=True)


def end_of_runs(config: ExperimentConfig, records: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return images labeled, and the part of their labels that is wrong, at the end of the runs."""
    measured: dict[str, list[tuple[int, float]]] = {}
    for (label, seed), rounds in records.groupby(["strategy", "seed"], sort=False):
        truth = load_data(config, int(seed)).y_train
        given: dict[int, list[int]] = {}
        for asked, answered in zip(rounds["asked"], rounds["answered"], strict=True):
            for image, answer in zip(asked, answered, strict=True):
                given.setdefault(image, []).append(answer)
        wrong = [Counter(g).most_common(1)[0][0] != truth[image] for image, g in given.items()]
        measured.setdefault(str(label), []).append((len(given), float(np.mean(wrong))))
    return {
        label: {"images": mean(n for n, _ in each), "wrong_labels": mean(w for _, w in each)}
        for label, each in measured.items()
    }


def measured(config: ExperimentConfig, folder: Path, jobs: int) -> list[_harness.Row]:
    """Run an experiment, or go on with it, and return a row for each way to spend answers."""
    results = run_experiment(config, folder, jobs=jobs, progress=False)
    metric, rate = DATASETS[config.dataset][0], config.annotators[0]
    ends = end_of_runs(config, load_records(folder))
    final = results.groupby(["strategy", "seed"], sort=False)[metric].last()
    rows = []
    for line in verdicts(results, metric).itertuples():
        rows.append(
            {
                "case": line.strategy,
                "dataset": config.dataset,
                "errors": rate,
                "metric": metric,
                "seeds": line.n_seeds,
                **ends[line.strategy],
                "aubc": line.value,
                "final": float(final[line.strategy].mean()),
                "difference": none_for_nan(line.difference),
                "low": none_for_nan(line.low),
                "high": none_for_nan(line.high),
                "p_holm": none_for_nan(line.p_holm),
                "verdict": line.verdict,
            }
        )
    return rows


def none_for_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def main(argv: Sequence[str] | None = None) -> None:
    """Run every experiment whose dataset is here."""
    options = _harness.parser(__doc__)
    options.add_argument("--repetitions", type=int, help="seeds")
    options.add_argument(
        "--folder", type=Path, default=_harness.ROOT / "results" / "annotators", help="of studies"
    )
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--datasets", default=",".join(DATASETS), help="only these")
    args = options.parse_args(argv)
    seeds = args.repetitions or (2 if args.quick else 10)
    facts, rows = _harness.machine(), []
    for dataset, rate in itertools.product(args.datasets.split(","), RATES):
        config = config_of(dataset, rate, seeds, quick=args.quick)
        folder = args.folder / f"{dataset}-{rate}{'-quick' if args.quick else ''}"
        rows += measured(config, folder, args.jobs)
        print(f"{dataset}, errors {rate}: done", flush=True)
    columns = ("case", "dataset", "errors", "seeds", "images", "wrong_labels", "aubc", "final")
    columns += ("difference", "low", "high", "verdict")
    print(_harness.table(rows, dict(zip(columns, columns, strict=True))))
    path = _harness.write(
        "annotators",
        "500 answers of three annotators who err, spent on new images or on second opinions.",
        rows,
        facts,
    )
    print(f"\nWritten: {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
