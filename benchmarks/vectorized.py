"""Many runs of the CNN trained as one on JAX, beside the same runs one after the other.

KERAS_BACKEND=jax python benchmarks/vectorized.py [--quick] [--repetitions N]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
from _harness import (
    Row,
    Skipped,
    Values,
    accelerator,
    arguments,
    machine,
    medians,
    table,
    timed,
    write,
)
from _harness import interleaved as take_turns

SIDES = {"full": (1, 4, 16, 64), "quick": (1, 4)}
LABELS, POOL = 200, 10_000
COLUMNS = {
    "runs": "runs", "case": "", "seconds_per_run": "s/run", "cpu_seconds_per_run": "CPU s/run",
    "ratio": "times as fast",
}  # fmt: skip


def cases(n_runs: int, steps: int) -> dict[str, Callable[[], Values]]:
    """Return both sides for `n_runs` runs, compiled already."""
    from al_tf import KerasImageClassifier
    from al_tf.network.together import fit_together

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (POOL, 28, 28), np.uint8)
    labels = rng.integers(0, 10, POOL)
    rows = [rng.choice(POOL, LABELS, replace=False) for _ in range(n_runs)]
    answers = [labels[run] for run in rows]

    def classifiers() -> list[KerasImageClassifier]:
        return [
            KerasImageClassifier(classes=range(10), epochs=1, min_steps=steps, random_state=seed)
            for seed in range(n_runs)
        ]

    def one_by_one() -> None:
        for classifier, run, given in zip(classifiers(), rows, answers, strict=True):
            classifier.fit(images[run], given)

    def as_one() -> None:
        failures = [
            failure for failure in fit_together(classifiers(), images, rows, answers) if failure
        ]
        if failures:
            raise failures[0]

    def per_run(work: Callable[[], None]) -> Callable[[], Values]:
        def case() -> Values:
            used = timed(work)
            return {
                "seconds_per_run": used["seconds"] / n_runs,
                "cpu_seconds_per_run": used["cpu_seconds"] / n_runs,
            }

        work()  # compiles
        return case

    return {"one after the other": per_run(one_by_one), "al_tf: as one": per_run(as_one)}


def main(argv: Sequence[str] | None = None) -> None:
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise Skipped("many runs as one need Keras on JAX: set KERAS_BACKEND=jax")
    args = arguments(__doc__, argv, full=5, quick=1)
    facts = machine()
    import keras  # noqa: F401 - for accelerator()

    steps = 32 if args.quick else 300
    rows: list[Row] = []
    what = (
        f"Fits of build_cnn to {LABELS} random images of 28 × 28, {steps} steps of batch 32, on "
        f"{accelerator() or 'this CPU'}"
    )
    for n_runs in SIDES["quick" if args.quick else "full"]:
        print(f"{n_runs} runs of {steps} steps")
        single, together = medians(take_turns(cases(n_runs, steps), args.repetitions))
        together["ratio"] = single["seconds_per_run"] / together["seconds_per_run"]
        rows += [{**row, "runs": n_runs} for row in (single, together)]
        print(table(rows, COLUMNS))
        print(write("vectorized", what, rows, facts))


if __name__ == "__main__":
    main()
