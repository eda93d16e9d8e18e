"""Whole active-learning runs: this package beside modAL with SciKeras.

    python benchmarks/loop.py [--quick] [--repetitions N]

Fashion-MNIST, 200 labels and 10 × 100 more by margin, 20 epochs, pool of 10,000, test set of
10,000 evaluated in every round (`grid.py` has four runs, `growth.py` many rounds). Both sides train
`al_tf.build_cnn` with the same labeled sets at round 0.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
from _harness import (
    Row,
    Skipped,
    Values,
    arguments,
    bars,
    interleaved,
    isolated,
    machine,
    medians,
    peer_python,
    table,
    versions,
    write,
)

FULL = {"epochs": 20, "initial": 200, "batch": 100, "rounds": 10, "pool": 10_000}
QUICK = {**FULL, "epochs": 5, "rounds": 3, "pool": 3_000}
BFLOAT16 = {"model_params": {"dtype": "mixed_bfloat16"}}
OURS, HALF, PEER = "al_tf", "al_tf, bfloat16", "modAL + SciKeras"
COLUMNS = {
    "case": "", "seconds": "seconds", "cpu_seconds": "CPU s", "peak_mb": "peak MB",
    "fit": "fit s", "query": "query s", "evaluate": "evaluate s", "accuracy": "accuracy",
    "ratio": "× peer",
}  # fmt: skip


def saved_data(folder: Path) -> Path:
    from al_tf import load_dataset
    from al_tf.errors import DataNotFoundError

    try:
        data = load_dataset("fashion_mnist")
    except DataNotFoundError as error:
        raise Skipped(f"Fashion-MNIST is not here: {error}") from None
    path = folder / "data.npz"
    arrays = {k: getattr(data, k) for k in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(path, **arrays)
    return path


def side(name: str, python: str | Path, data: Path, settings: dict, runs: list) -> Values:
    """Carry out `runs` one after the other; seconds are without imports and reading the data."""
    done = isolated(
        "sides/loop.py", name, data, json.dumps({**settings, "runs": runs}), python=python
    )
    rounds = [r for run in done.answer["runs"] for r in run["rounds"]]
    finals = [run["rounds"][-1]["accuracy"] for run in done.answer["runs"]]
    return {
        "seconds": done.answer["seconds"],
        "process_seconds": done.seconds,
        "cpu_seconds": done.cpu_seconds,
        "peak_mb": done.peak_bytes / 1e6,
        **{phase: sum(r[phase] for r in rounds) for phase in ("fit", "query", "evaluate")},
        "accuracy": mean(finals),
    }


def single(data: Path, peer: Path, settings: dict, repetitions: int) -> list[Row]:
    """One run of margin; each repetition has its own seed, the same for all sides."""
    sides: dict[str, tuple[str, str | Path, dict]] = {
        OURS: ("al_tf", sys.executable, settings),
        HALF: ("al_tf", sys.executable, settings | BFLOAT16),
        PEER: ("modal_scikeras", peer, settings),
    }

    def case(name: str, python: str | Path, chosen: dict, seeds: Iterator[int]) -> Values:
        return side(name, python, data, chosen, [["margin", next(seeds)]])

    cases = {k: partial(case, *v, iter(range(repetitions))) for k, v in sides.items()}
    return compared(medians(interleaved(cases, repetitions)), "seconds")


def compared(rows: list[Row], key: str) -> list[Row]:
    """Add the ratio of each row to the last one, the peer's."""
    for row in rows:
        row["ratio"] = row[key] / rows[-1][key]
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=3, quick=1)
    settings = QUICK if args.quick else FULL
    facts, peer = machine(), peer_python("scikeras")
    with tempfile.TemporaryDirectory() as folder:
        rows = single(saved_data(Path(folder)), peer, settings, args.repetitions)
    print(f"\n{table(rows, COLUMNS)}")
    what = f"Fashion-MNIST, margin, {settings}; all sides on {facts['cores']} cores"
    path = write("loop", what, rows, facts, peer_versions=versions(peer), settings=settings)
    picture = bars("loop", "A whole active-learning run", {"": rows}, "seconds", "seconds")
    print(f"\nWritten: {path}, {picture}")


if __name__ == "__main__":
    main()
