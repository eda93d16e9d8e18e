"""Committed studies carried out again here, and how far their results are from the records.

    KERAS_BACKEND=jax python benchmarks/again.py figures/fashion_mnist figures/cifar10
    python benchmarks/again.py --quick

On JAX the networks of all runs are trained as one, unless --apart says otherwise; elsewhere every
run is trained in a worker process. A study that was
begun in the folder given with --out goes on there. Seeds, pools and first labels are those of the
records, so that every run has its partner: differences of the area under the learning curve are
paired by seed, and a device that computes the same thing stays within the noise between seeds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from _harness import ROOT, Row, accelerator, machine, parser, table, write

COLUMNS = {
    "study": "study", "strategy": "strategy", "seeds": "seeds", "seconds": "s", "fit": "fit, s",
    "query": "query, s", "here": "here", "record": "record", "difference": "difference", "low": "low",
    "high": "high", "same_data": "same data", "verdict": "verdict here", "verdict_record": "verdict of the record",
}  # fmt: skip


def carried_out_again(
    folder: Path, out: Path, *, apart: bool, seeds: int | None, rounds: int | None
) -> list[Row]:
    """Return a row for each strategy of one study."""
    import keras

    from al_tf.analysis import verdict_table
    from al_tf.experiments import (
        ExperimentConfig,
        load_profile,
        read_meta,
        read_study,
        run_experiment,
    )
    from al_tf.studies import metric_of

    study, metric = read_study(folder), metric_of(folder)
    config = ExperimentConfig.from_dict(load_profile(folder / "study.toml"))
    if seeds is not None:
        config = replace(config, seeds=config.seeds[:seeds])
    if rounds is not None:
        config = replace(config, rounds=rounds)
    together = keras.backend.backend() == "jax" and config.model == "cnn" and not apart
    start = time.perf_counter()
    here = run_experiment(config, out / folder.name, vectorized=together, progress=True)
    seconds = time.perf_counter() - start
    same_data = study.meta["data_fingerprint"] == read_meta(out / folder.name)["data_fingerprint"]
    record = study.results[
        study.results["seed"].isin(config.seeds) & (study.results["round"] <= config.rounds)
    ]
    words = {
        name: verdict_table(results, metric).set_index("strategy")["verdict"]
        for name, results in (("verdict", here), ("verdict_record", record))
    }
    rows = []
    for label in config.labels:
        both = pd.concat(
            [
                results[results["strategy"] == label].assign(strategy=name)
                for name, results in (("here", here), ("record", record))
            ]
        )
        gap = verdict_table(both, metric, baseline="record").set_index("strategy").loc["here"]
        ours = here[here["strategy"] == label]
        rows.append(
            {
                "study": folder.name,
                "strategy": label,
                "metric": metric,
                "together": together,
                "same_data": same_data,
                "seeds": int(gap["n_seeds"]),
                "seconds": seconds,
                "fit": ours["seconds_fit"].sum(),
                "query": ours["seconds_query"].sum(),
                "here": gap["value"],
                "record": gap["baseline_value"],
                **{name: gap[name] for name in ("difference", "low", "high", "p")},
                **{name: verdicts[label] for name, verdicts in words.items()},
            }
        )
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument(
        "studies", nargs="*", type=Path, help="folders; by default figures/fashion_mnist"
    )
    options.add_argument("--out", type=Path, help="where the runs are kept")
    options.add_argument("--seeds", type=int, help="only the first of them")
    options.add_argument("--apart", action="store_true", help="train the runs one by one")
    args = options.parse_args(argv)
    facts, rows = machine(), []
    with tempfile.TemporaryDirectory() as scratch:
        for folder in args.studies or [ROOT / "figures" / "fashion_mnist"]:
            seeds, rounds = (2, 1) if args.quick else (args.seeds, None)
            rows += carried_out_again(
                folder, args.out or Path(scratch), apart=args.apart, seeds=seeds, rounds=rounds
            )
            print(table(rows, COLUMNS))
            what = (
                f"Committed studies again, on {accelerator() or 'this CPU'}, beside their records"
            )
            print(write("again", what, rows, facts))


if __name__ == "__main__":
    main()
