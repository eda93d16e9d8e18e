"""How many labels it takes to find the defects of the magnetic tiles, against random.

    python benchmarks/defects.py [--quick] [--jobs 2] [--runs FOLDER]

Paired seeds: each has its own split by tile, and the same initial set for every strategy. Prints,
and writes to ``benchmarks/results/defects.json``, the labels needed until a share of the pool's
defects has been found, the paired saving against random with its 95 % interval, and the defects
found at equal labels. Random needs no model: its order is carried to the end of the pool with a
cheap one, and checked to be the order of the shorter run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from al_tf import ExperimentConfig, run_experiment
from al_tf.analysis import format_table
from al_tf.analysis.verdict import holm, paired_test
from al_tf.experiments import load_records
from al_tf.experiments.setting import make_setting

RESULTS = Path(__file__).parent / "results" / "defects.json"
DEFECTIVE = 1
SHARES = (0.5, 0.8)


def configs(quick: bool) -> tuple[ExperimentConfig, ExperimentConfig]:
    """Return the experiment, and the cheap one that carries random to the end of the pool."""
    common = {
        "dataset": "magnetic_tile",
        "dataset_options": {"labels": "binary", "size": 32},
        "seeds": 3 if quick else 10,
        "initial": 50,
        "batch": 100,
        "pool": None,
    }
    model = {"epochs": 10, "min_steps": 60 if quick else 100}
    compared = ExperimentConfig(
        strategies=("margin", "badge"), rounds=4 if quick else 8, eval_every=4, **model, **common
    )
    to_the_end = ExperimentConfig(
        strategies=("random",), rounds=9, eval_every=9, model="logistic", **common
    )
    return compared, to_the_end


def found_by_label(records: pd.DataFrame) -> dict[tuple[str, int], np.ndarray]:
    """Return for each strategy and seed the defects found within the first 1, 2, … labels."""
    return {
        (strategy, seed): np.cumsum(np.concatenate(list(rows["queried_labels"])) == DEFECTIVE)
        for (strategy, seed), rows in records.groupby(["strategy", "seed"])
    }


def labels_to_find(found: np.ndarray, wanted: int) -> float:
    """Return how many labels it took to find `wanted` defects; NaN if they were not found."""
    return float(np.searchsorted(found, wanted) + 1) if found[-1] >= wanted else np.nan


def savings_table(
    found: dict[tuple[str, int], np.ndarray], defects: dict[int, int], pool: dict[int, int]
) -> pd.DataFrame:
    """Compare labels until a share of the defects is found, seed by seed.

    A seed in which a strategy did not get there within its labels is charged the whole pool, so
    that the saving is never overstated; ``seeds_reached`` counts the others.
    """
    rows = []
    for strategy in sorted({s for s, _ in found} - {"random"}):
        for share in SHARES:
            ours, theirs, reached = [], [], 0
            for seed, total in defects.items():
                wanted = int(np.ceil(share * total))
                mine = labels_to_find(found[strategy, seed], wanted)
                reached += not np.isnan(mine)
                ours.append(pool[seed] if np.isnan(mine) else mine)
                theirs.append(labels_to_find(found["random", seed], wanted))
            test = paired_test(np.subtract(theirs, ours))
            rows.append(
                {
                    "strategy": strategy,
                    "share": share,
                    "labels": np.mean(ours),
                    "labels_random": np.mean(theirs),
                    "saved": float(test.mean),
                    "saved_low": float(test.low),
                    "saved_high": float(test.high),
                    "p": float(test.p),
                    "seeds": len(ours),
                    "seeds_reached": reached,
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"].to_numpy()))


def found_table(
    found: dict[tuple[str, int], np.ndarray], defects: dict[int, int], at: list[int]
) -> pd.DataFrame:
    """Return the mean share of the defects found at equal labels, and the paired difference."""
    rows = []
    for strategy in sorted({s for s, _ in found}):
        for labels in at:
            ours = [found[strategy, s][labels - 1] / total for s, total in defects.items()]
            theirs = [found["random", s][labels - 1] / total for s, total in defects.items()]
            test = paired_test(np.subtract(ours, theirs))
            rows.append(
                {
                    "strategy": strategy,
                    "labels": labels,
                    "found": float(np.mean(ours)),
                    "more_than_random": float(test.mean),
                    "low": float(test.low),
                    "high": float(test.high),
                }
            )
    return pd.DataFrame(rows)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three seeds, fewer rounds")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("results/defects"))
    args = parser.parse_args(argv)
    compared, to_the_end = configs(args.quick)
    runs = args.runs / ("quick" if args.quick else "full")
    run_experiment(to_the_end, runs / "random", jobs=args.jobs)
    run_experiment(compared, runs / "compared", jobs=args.jobs)
    found = found_by_label(load_records(runs / "compared"))
    whole = found_by_label(load_records(runs / "random"))
    for (strategy, seed), counts in whole.items():
        if not np.array_equal(found[strategy, seed], counts[: len(found[strategy, seed])]):
            raise RuntimeError(f"Seed {seed}: random's two runs chose different images.")
        found[strategy, seed] = counts
    pools = {seed: _pool(compared, seed) for seed in compared.seeds}
    defects = {seed: int((answers == DEFECTIVE).sum()) for seed, answers in pools.items()}
    sizes = {seed: len(answers) for seed, answers in pools.items()}
    shortest = min(map(len, found.values()))
    at = list(range(compared.initial + compared.batch, shortest + 1, compared.batch))
    savings, table = savings_table(found, defects, sizes), found_table(found, defects, at)
    print(format_table(savings), format_table(table), sep="\n")
    content = {
        "command": "python benchmarks/defects.py",
        "config": compared.to_dict(),
        "pool": sizes,
        "defects_in_pool": defects,
        "savings": savings.to_dict("records"),
        "found": table.to_dict("records"),
    }
    if not args.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    return 0


def _pool(config: ExperimentConfig, seed: int) -> np.ndarray:
    """Return the true classes of a seed's pool."""
    setting = make_setting(config, seed)
    return setting.answers[setting.pool]


if __name__ == "__main__":
    sys.exit(main())
