"""What the filters, the padding and the dense width of `build_cnn` buy, and what they cost.

    python benchmarks/cnn.py [--quick] [--seeds 2] [--only fashion_mnist]

Trains each variant from scratch on the same random labelled sets (20 epochs, at least 300 steps)
and prints test accuracy, milliseconds a gradient step and test images a second. Writes
``benchmarks/results/cnn.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

import numpy as np
from tqdm import tqdm

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
LABELLED = {"fashion_mnist": (1200,), "cifar10": (2500,)}


def measure(dataset, n_labelled: int, params: dict, seed: int) -> dict[str, float]:
    rows = stream(seed, "labelled").choice(len(dataset.x_train), n_labelled, replace=False)
    x, y = dataset.x_train[rows], dataset.y_train[rows]
    classifier = KerasImageClassifier(
        model_params=params,
        classes=range(len(dataset.class_names)),
        min_steps=300,
        random_state=seed,
    )
    classifier.set_params(epochs=1, min_steps=1).fit(x[:64], y[:64]).predict(dataset.x_test[:512])
    classifier.set_params(epochs=20, min_steps=300)
    start = time.perf_counter()
    classifier.fit(x, y)
    fitted = time.perf_counter()
    accuracy = classifier.score(dataset.x_test, dataset.y_test)
    scored = time.perf_counter()
    return {
        "accuracy": accuracy,
        "ms_per_step": 1e3 * (fitted - start) / classifier.history_["steps"],
        "images_per_s": len(dataset.x_test) / (scored - fitted),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", choices=sorted(LABELLED))
    parser.add_argument("--quick", action="store_true", help="one seed, Fashion-MNIST alone")
    args = parser.parse_args(argv)
    if args.quick:
        args.seeds, args.only = 1, "fashion_mnist"
    rows = []
    for name in [args.only] if args.only else LABELLED:
        try:
            dataset = load_dataset(name)
        except DataNotFoundError as error:
            print(f"SKIPPED {name}: {error}\n")
            continue
        grid = [(n, s, v) for n in LABELLED[name] for s in range(args.seeds) for v in VARIANTS]
        cells: dict[tuple[int, str], list[dict[str, float]]] = {}
        for n, seed, variant in tqdm(grid, desc=name):
            measured = measure(dataset, n, VARIANTS[variant], seed)
            cells.setdefault((n, variant), []).append(measured)
        print(f"\n{name} ({dataset.source}), {args.seeds} seeds")
        print(f"{'labels':>7}  {'network':<34} {'accuracy':>14} {'ms/step':>8} {'images/s':>9}")
        for (n, variant), runs in sorted(cells.items(), key=lambda item: item[0][0]):
            accuracy = [r["accuracy"] for r in runs]
            row = {
                "dataset": name,
                "labels": n,
                "network": variant,
                "accuracy": mean(accuracy),
                "accuracy_sd": float(np.std(accuracy, ddof=1)) if len(accuracy) > 1 else None,
                "ms_per_step": median(r["ms_per_step"] for r in runs),
                "images_per_s": median(r["images_per_s"] for r in runs),
                "seeds": args.seeds,
            }
            rows.append(row)
            spread = f"± {row['accuracy_sd']:.3f}" if row["accuracy_sd"] is not None else ""
            print(
                f"{n:>7}  {variant:<34} {row['accuracy']:>6.3f} {spread:>7} "
                f"{row['ms_per_step']:>8.2f} {row['images_per_s']:>9,.0f}"
            )
    out = Path(__file__).parent / "results" / "cnn.json"
    out.parent.mkdir(exist_ok=True)
    machine = {
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    print(f"\nWritten: {out}")


if __name__ == "__main__":
    main()
