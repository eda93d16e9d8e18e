"""Accuracy and cost of the filters, the padding and the dense width of `build_cnn`.

    python benchmarks/cnn.py [--quick] [--repetitions N]

Trains each variant from scratch on the same random labeled sets (20 epochs, at least 300 steps);
a repetition is a seed, and the variants take turns within it. Prints mean test accuracy,
milliseconds a gradient step and test images a second.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Sequence
from statistics import mean, stdev

from _harness import arguments, interleaved, machine, medians, table, write

from al_tf import KerasImageClassifier, load_dataset
from al_tf.errors import DataNotFoundError
from al_tf.seeding import stream

VARIANTS: dict[str, dict] = {
    "16/32/64, dense 128": {"filters": (16, 32, 64)},
    "32/64/64, dense 64": {"dense": 64},
    "32/64/64, dense 128": {},
    "32/64/64, dense 256": {"dense": 256},
    "32/64/64, dense 128, valid": {"padding": "valid"},
    "32/64/128, dense 128": {"filters": (32, 64, 128)},
    "32/64/64, dense 128, dropout 0.25": {"dropout": 0.25},
}
LABELED = {"fashion_mnist": 1200, "cifar10": 2500}


def measure(dataset, n_labeled: int, params: dict, seeds: list[int]) -> dict[str, float]:
    """Fit one variant with its next seed, after a step that traces it."""
    seed = seeds.pop(0)
    rows = stream(seed, "labeled").choice(len(dataset.x_train), n_labeled, replace=False)
    x, y = dataset.x_train[rows], dataset.y_train[rows]
    classifier = KerasImageClassifier(
        model_params=params, classes=range(len(dataset.class_names)), random_state=seed
    )
    classifier.set_params(epochs=1).fit(x[:64], y[:64]).predict(dataset.x_test[:512])
    classifier.set_params(epochs=20, min_steps=300)
    start = time.perf_counter()
    classifier.fit(x, y)
    fitted = time.perf_counter()
    accuracy = classifier.score(dataset.x_test, dataset.y_test)
    return {
        "accuracy": accuracy,
        "ms_per_step": 1e3 * (fitted - start) / classifier.history_["steps"],
        "images_per_s": len(dataset.x_test) / (time.perf_counter() - fitted),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every variant on every dataset that is available."""
    args = arguments(__doc__, argv, full=3, quick=1)
    facts, rows = machine(), []
    for name, n_labeled in LABELED.items():
        try:
            dataset = load_dataset(name)
        except DataNotFoundError as error:
            print(f"SKIPPED {name}: {error}")
            continue
        if args.quick:
            n_labeled //= 4
        cases = {
            variant: functools.partial(
                measure, dataset, n_labeled, params, list(range(args.repetitions))
            )
            for variant, params in VARIANTS.items()
        }
        measured = medians(interleaved(cases, args.repetitions))
        for row in measured:
            accuracy = row["values"]["accuracy"]
            row |= {"dataset": name, "source": dataset.source, "labels": n_labeled}
            row |= {"accuracy": mean(accuracy)}
            row |= {"accuracy_sd": stdev(accuracy) if len(accuracy) > 1 else None}
        columns = ("case", "labels", "accuracy", "accuracy_sd", "ms_per_step", "images_per_s")
        print(f"\n{name} ({dataset.source}), {args.repetitions} seeds")
        print(table(measured, dict(zip(columns, columns, strict=True))))
        rows += measured
    path = write("cnn", (__doc__ or "").split("\n")[0], rows, facts)
    print(f"\nWritten: {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
