"""Run the report's experiments and draw its figures: what ``make report`` calls.

    python figures/make.py [--profile smoke|quick|report] [--only DATASET] [--jobs N] [--results DIR]

Records go to ``results/PROFILE/DATASET``, where the next call continues, and the figures beside
them; with ``--profile report`` the figures and the tables behind them are copied to
``figures/DATASET``, the committed ones. A dataset that cannot be had is skipped, with the reason
in the table at the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from al_tf.analysis import format_table
from al_tf.datasets import dataset_status, fetch_dataset
from al_tf.errors import DataNotFoundError
from al_tf.experiments import ExperimentConfig, load_profile, run_experiment
from al_tf.reporting import read_experiments, report_table, write_report

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ("digits", "fashion_mnist")
PROFILES = ("smoke", "quick", "report")


def make(dataset: str, profile: str, results: Path, jobs: int | None) -> Path:
    """Run one experiment to its end, draw its figures, and return their folder."""
    if not next(status for status in dataset_status() if status.name == dataset).found:
        print(f"{dataset}: not on this machine yet, fetching it", flush=True)
        fetch_dataset(dataset, report=print)
    folder = results / profile / dataset
    run_experiment(ExperimentConfig.from_dict(load_profile(profile, dataset)), folder, jobs=jobs)
    experiments = read_experiments([folder])
    write_report(experiments, folder, command=f"python figures/make.py --profile {profile}")
    print(format_table(report_table(experiments), "md"), flush=True)
    if profile == "report":
        publish(folder, ROOT / "figures" / dataset)
    return folder / "figures"


def publish(folder: Path, target: Path) -> None:
    """Copy the figures and the tables behind them to where they are committed."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder / "figures", target)
    for name in ("config.json", "results.csv", "verdict.csv"):
        shutil.copy(folder / name, target)


def main(argv: list[str] | None = None) -> int:
    """Make every dataset's figures; return 0 if there is at least one."""
    parser = argparse.ArgumentParser(description="Run the report's experiments, draw its figures.")
    parser.add_argument("--profile", choices=PROFILES, default="quick")
    parser.add_argument("--only", choices=DATASETS, help="this dataset alone")
    parser.add_argument("--jobs", type=int, help="worker processes; all cores if not given")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="records go here")
    args = parser.parse_args(argv)
    outcomes = []
    for dataset in [args.only] if args.only else DATASETS:
        print(f"\n== {dataset} ({args.profile}) ==", flush=True)
        try:
            folder = make(dataset, args.profile, args.results, args.jobs)
            outcomes.append((dataset, "done", os.path.relpath(folder)))
        except DataNotFoundError as error:
            print(f"SKIPPED {dataset}: {error}", file=sys.stderr, flush=True)
            outcomes.append((dataset, "SKIPPED", str(error).splitlines()[0]))
    print("\ndataset         outcome  figures, or why not")
    for dataset, outcome, where in outcomes:
        print(f"{dataset:<15} {outcome:<8} {where}")
    return 0 if any(outcome == "done" for _, outcome, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
