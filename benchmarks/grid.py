"""A grid of four runs with two jobs: this package beside modAL with SciKeras, one after the other.

    python benchmarks/grid.py [--quick] [--repetitions N]

Random and margin with two seeds, each the run of `loop.py`. Timed are whole processes: imports,
reading of the data, compilation and all.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from _harness import (
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
from loop import FULL, OURS, PEER, QUICK, compared, saved_data, side

SEEDS = (0, 1)
RUNS = [[strategy, seed] for seed in SEEDS for strategy in ("random", "margin")]
COLUMNS = {
    "case": "", "process_seconds": "seconds", "cpu_seconds": "CPU s", "peak_mb": "peak MB",
    "accuracy": "accuracy", "ratio": "× peer",
}  # fmt: skip


def ours(settings: dict) -> Values:
    """Carry out the grid by `run_experiment` with two jobs."""
    with tempfile.TemporaryDirectory() as out:
        done = isolated("sides/grid.py", json.dumps({**settings, "seeds": SEEDS}), out)
    return {
        "process_seconds": done.seconds,
        "cpu_seconds": done.cpu_seconds,
        "peak_mb": done.peak_bytes / 1e6,
        "accuracy": mean(done.answer["accuracy"]),
    }


def theirs(data: Path, peer: Path, settings: dict) -> Values:
    """Carry out the four runs in one process, one after the other."""
    measured = side("modal_scikeras", peer, data, settings, RUNS)
    return {k: measured[k] for k in ("process_seconds", "cpu_seconds", "peak_mb", "accuracy")}


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=3, quick=1)
    settings = QUICK if args.quick else FULL
    facts, peer = machine(), peer_python("scikeras")
    with tempfile.TemporaryDirectory() as folder:
        data = saved_data(Path(folder))
        cases = {
            f"{OURS}, two jobs": partial(ours, settings),
            f"{PEER}, one after the other": partial(theirs, data, peer, settings),
        }
        rows = compared(medians(interleaved(cases, args.repetitions)), "process_seconds")
    print(f"\n{table(rows, COLUMNS)}")
    what = f"Fashion-MNIST, random and margin, seeds {SEEDS}, {settings}"
    path = write("grid", what, rows, facts, peer_versions=versions(peer), settings=settings)
    picture = bars("grid", "Four runs, whole processes", {"": rows}, "process_seconds", "seconds")
    print(f"\nWritten: {path}, {picture}")


if __name__ == "__main__":
    main()
