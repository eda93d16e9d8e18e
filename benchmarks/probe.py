"""Accuracy of the linear probe by penalty, standardization and input size, against fine-tuning.

    python benchmarks/probe.py [--quick] [--repetitions N] [--finetuned]

A repetition is a seed: it draws the labeled set at random, and for the magnetic tiles the split by
tile too. Every setting is measured on the same labeled sets. Test sets are 800 images, or the
fifth of the tiles; pools are 1,200. Images are embedded once, so a run that was stopped goes on
where it was. With ``--finetuned``, `build_finetuned` is trained on labeled sets of the tiles beside
the probe; every result is kept at once in ``results/finetuned.json``, and a run goes on there too.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import mean, stdev
from typing import Any

import numpy as np
from _harness import RESULTS, Row, machine, parser, table, timed, write
from sklearn.metrics import f1_score

from al_tf import ImageDataset, load_backbone, load_dataset
from al_tf.errors import DataNotFoundError
from al_tf.network.linear_head import FLOOR, fit_head
from al_tf.seeding import stream

BACKBONE = "efficientnet_lite0"
DATASETS: dict[str, dict[str, Any]] = {
    "magnetic_tile": {"labels": "binary", "size": 128},
    "fashion_mnist": {},
    "cifar10": {},
}
LABELS = (10, 50, 200, 1000)
SIZES = (224, 128, 96, 160)
PENALTIES = (0.03, 0.1, 0.3, 1.0)
FLOORS = (0.0, 5.0, 10.0, 20.0)
DEFAULT_C = 0.3
POOL, TEST = 1200, 800


def subset(name: str, seed: int) -> ImageDataset:
    """Return a dataset of which all seeds see few enough images to embed, split by tile if it is."""
    dataset = load_dataset(name, seed=seed, **DATASETS[name])
    if len(dataset.x_train) > POOL:
        rng = stream(0, "benchmark subset")
        train = np.sort(rng.permutation(len(dataset.x_train))[:POOL])
        test = np.sort(rng.permutation(len(dataset.x_test))[:TEST])
        dataset = dataclasses.replace(
            dataset,
            x_train=dataset.x_train[train],
            y_train=dataset.y_train[train],
            x_test=dataset.x_test[test],
            y_test=dataset.y_test[test],
        )
    return dataset


def labeled_rows(dataset: ImageDataset, n: int, seed: int) -> np.ndarray:
    """Return the rows of a random labeled set of `n` images."""
    return stream(seed, "labeled").permutation(len(dataset.x_train))[:n]


def scores(proba: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return accuracy and macro F1 over all classes."""
    predicted = proba.argmax(axis=1)
    f1 = f1_score(y, predicted, average="macro", labels=range(proba.shape[1]), zero_division=0)
    return {"accuracy": float(np.mean(predicted == y)), "macro_f1": float(f1)}


def settings(size: int) -> Iterator[tuple[float, float]]:
    """Yield the penalties and floors measured at an input size: all of them at the largest."""
    if size == max(SIZES):
        yield from itertools.product(PENALTIES, FLOORS)
    else:
        yield DEFAULT_C, FLOOR


def measured(name: str, size: int, labels: Sequence[int], seeds: range) -> list[Row]:
    """Fit heads on features of one dataset at one input size."""
    backbone = load_backbone(BACKBONE, size=size)
    values: dict[tuple[int, float, float], list[dict[str, float]]] = {}
    for seed in seeds:
        dataset = subset(name, seed)
        train = backbone.features(dataset.x_train, progress=True)
        test = backbone.features(dataset.x_test, progress=True)
        n_classes = len(dataset.class_names)
        for n in labels:
            rows = labeled_rows(dataset, n, seed)
            for C, floor in settings(size):
                head = fit_head(
                    train[rows],
                    dataset.y_train[rows],
                    np.ones(len(rows)),
                    n_classes,
                    C,
                    floor=floor,
                )
                measures = scores(head.proba(test), dataset.y_test)
                values.setdefault((n, C, floor), []).append(measures)
    return [
        {"dataset": name, "size": size, "labels": n, "C": C, "floor": floor, **summary(each)}
        for (n, C, floor), each in values.items()
    ]


def summary(values: Sequence[dict[str, float]]) -> Row:
    """Return mean and standard deviation over seeds of each measure, and the values."""
    row: Row = {"values": {key: [v[key] for v in values] for key in values[0]}}
    for key, each in row["values"].items():
        row[key] = mean(each)
        row[f"{key}_sd"] = stdev(each) if len(each) > 1 else None
    return row


# Fine-tuning --------------------------------------------------------------------------------

FINETUNED: dict[str, dict[str, Any]] = {
    "head": {"trainable": "head"},
    "top": {"trainable": "top"},
    "all": {"trainable": "all"},
    "top, augment": {"trainable": "top", "augment": True},
    "all, augment": {"trainable": "all", "augment": True},
}
FINETUNED_SIZE = 128
FINETUNED_LABELS = (200, 1000)
EPOCHS, LEAST_STEPS = 10, 100


def finetuned(seeds: range, labels: Sequence[int], cases: Sequence[str]) -> list[Row]:
    """Train `build_finetuned` on the tiles; results that are there already are not made again."""
    path = RESULTS / "finetuned.json"
    known: list[Row] = json.loads(path.read_text())["rows"] if path.exists() else []
    facts = machine()
    settings = {"size": FINETUNED_SIZE, "epochs": EPOCHS, "min_steps": LEAST_STEPS}
    for seed, n, case in itertools.product(seeds, labels, ("probe", *cases)):
        if any((row["labels"], row["seed"], row["case"]) == (n, seed, case) for row in known):
            continue
        dataset = subset("magnetic_tile", seed)
        rows = labeled_rows(dataset, n, seed)
        classifier = probe_or_finetuned(case, seed)
        seconds = timed(partial(classifier.fit, dataset.x_train[rows], dataset.y_train[rows]))
        measures = scores(classifier.predict_proba(dataset.x_test), dataset.y_test)
        known.append({"case": case, "labels": n, "seed": seed, **measures, **seconds})
        print(known[-1], flush=True)
        what = "Fine-tuning against the probe: magnetic tiles, good or defective, split by tile"
        write("finetuned", what, known, facts, settings=settings)
    return known


def probe_or_finetuned(case: str, seed: int) -> Any:
    """Return a classifier that has not been fitted."""
    from al_tf import KerasImageClassifier, LinearProbeClassifier, build_finetuned

    if case == "probe":
        return LinearProbeClassifier(BACKBONE, size=FINETUNED_SIZE, classes=(0, 1))
    params = {"backbone": BACKBONE, "size": FINETUNED_SIZE, **FINETUNED[case]}
    return KerasImageClassifier(
        build_finetuned, model_params=params, classes=(0, 1), epochs=EPOCHS,
        min_steps=LEAST_STEPS, random_state=seed,
    )  # fmt: skip


def finetuned_table(rows: Sequence[Row]) -> str:
    """Return means over seeds."""
    groups: dict[tuple[str, int], list[dict[str, float]]] = {}
    for row in rows:
        values = {key: row[key] for key in ("accuracy", "macro_f1", "cpu_seconds")}
        groups.setdefault((row["case"], row["labels"]), []).append(values)
    shown = [
        {"case": case, "labels": n, "seeds": len(each), **summary(each)}
        for (case, n), each in groups.items()
    ]
    columns = ("case", "labels", "seeds", "accuracy", "macro_f1", "macro_f1_sd", "cpu_seconds")
    return table(shown, dict(zip(columns, columns, strict=True)))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every setting on every dataset that is available."""
    options = parser(__doc__)
    options.add_argument("--repetitions", type=int, help="seeds")
    options.add_argument("--finetuned", action="store_true", help="train networks: 10 min a seed")
    options.add_argument("--cases", default=";".join(FINETUNED), help="of --finetuned, with ;")
    args = options.parse_args(argv)
    labels = LABELS[:2] if args.quick else LABELS
    seeds = range(args.repetitions or (2 if args.quick else 10))
    if args.finetuned:
        some = FINETUNED_LABELS[:1] if args.quick else FINETUNED_LABELS
        print(finetuned_table(finetuned(seeds, some, args.cases.split(";"))))
        return
    facts, rows = machine(), []
    columns = ("dataset", "size", "labels", "C", "floor", "accuracy", "macro_f1", "macro_f1_sd")
    for size, name in itertools.product(SIZES[-2:-1] if args.quick else SIZES, DATASETS):
        try:
            new = measured(name, size, labels, seeds)
        except DataNotFoundError as error:
            print(f"SKIPPED {name}: {error}")
            continue
        print(table(new, dict(zip(columns, columns, strict=True))), flush=True)
        rows += new
        path = write("probe", (__doc__ or "").split("\n")[0], rows, facts, seeds=len(seeds))
        print(f"Written: {path}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
