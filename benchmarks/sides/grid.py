"""The grid of the loop benchmark as this package runs it: `run_experiment` with two jobs.

python sides/grid.py SETTINGS OUT
"""

from __future__ import annotations

import json
import os
import sys
import time

from al_tf import ExperimentConfig, run_experiment


def main() -> None:
    settings, out = json.loads(sys.argv[1]), sys.argv[2]
    config = ExperimentConfig(
        dataset="fashion_mnist",
        strategies="random,margin",
        seeds=settings["seeds"],
        min_steps=0,  # the peers have no floor
        **{k: settings[k] for k in ("initial", "batch", "rounds", "pool", "epochs")},
    )
    start = time.perf_counter()
    results = run_experiment(config, out, jobs=2, progress=False)
    last = results[results["round"] == settings["rounds"]]
    times = os.times()
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "cpu_seconds": sum(times[:4]),
                "accuracy": last["accuracy"].tolist(),
            }
        )
    )


if __name__ == "__main__":
    main()
