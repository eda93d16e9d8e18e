"""How many correct labels a minute by labeling images alike at once, against one by one.

    python benchmarks/alike.py [--quick] [--repetitions SEEDS]

Nobody sits there: the annotator is simulated, with the times in `SECONDS`. One by one: the desk's
image is looked at and a key pressed. Alike: from an image drawn at random, its class is told as
before, the grid of its nearest unlabeled images opens, each thumbnail is glanced at, images of
another class are unticked with a click each, and one key labels the rest. Of the exceptions, some are
overlooked (`OVERLOOKED`) and get a wrong label. Alike comes out better the closer images of one class
lie together, which differs from one dataset to another, so both are measured: the features are those
that the desk keeps, of EfficientNet-Lite0, and the nearest those of its request ``alike``.

Labels alike resemble one another and teach a model less than as many that differ: the last column is
the macro F1 on the test set of a linear probe on what either way has labeled after `MINUTES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

import numpy as np
from _harness import Row, Skipped, arguments, machine, table, write
from probe import BACKBONE, DATASETS, SIZES, subset
from sklearn.metrics import f1_score

from al_tf import LinearProbeClassifier, load_backbone
from al_tf.errors import DataNotFoundError
from al_tf.geometry import nearest_of_set
from al_tf.seeding import stream

SECONDS = {"look": 1.2, "key": 0.3, "open": 1.0, "glance": 0.4, "click": 0.9}
"""Assumed: to tell the class of a large image, press a key, see the grid after its key, tell whether
a thumbnail is an exception, move to it and click."""
GLANCES = (0.25, 0.4, 0.8)
"""Seconds; how much the result hangs on that assumption."""
OVERLOOKED = 0.1
"""Share of the exceptions."""
ALIKE = 24
"""Images in the grid, as at first in the desk."""
MINUTES = 10.0


def one_by_one(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows in the order of labeling, their labels, and the seconds when each was given."""
    rows = stream(seed, "order").permutation(len(y))
    seconds = np.arange(1, len(y) + 1) * (SECONDS["look"] + SECONDS["key"])
    return rows, y[rows], seconds


def alike(
    X: np.ndarray, y: np.ndarray, seed: int, glance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same of one who labels images alike at once."""
    order, eyes = stream(seed, "order").permutation(len(y)), stream(seed, "eyes")
    free = np.ones(len(y), dtype=bool)
    rows: list[int] = []
    labels: list[int] = []
    seconds: list[float] = []
    now = 0.0
    for start in order:
        if not free[start]:
            continue
        others = np.flatnonzero(free)
        others = others[others != start]
        distances, _ = nearest_of_set(X[others], X[[start]]) if len(others) else (np.empty(0), None)
        near = others[np.argsort(distances, kind="stable")[:ALIKE]]
        exceptions = y[near] != y[start]
        seen = exceptions & (eyes.random(len(near)) >= OVERLOOKED)
        now += SECONDS["look"] + SECONDS["open"] + glance * len(near)
        now += SECONDS["click"] * seen.sum() + SECONDS["key"]
        labeled = [int(start), *near[~seen].tolist()]
        free[labeled] = False
        rows += labeled
        labels += [int(y[start])] * len(labeled)
        seconds += [now] * len(labeled)
    return np.array(rows), np.array(labels), np.array(seconds)


def results(
    work: tuple[np.ndarray, np.ndarray, np.ndarray],
    y: np.ndarray,
    X: np.ndarray,
    test: tuple[np.ndarray, np.ndarray],
) -> dict[str, float]:
    """Return what was reached after `MINUTES`."""
    rows, labels, seconds = work
    done = seconds <= 60 * MINUTES
    minutes = min(MINUTES, seconds[-1] / 60)
    rows, labels = rows[done], labels[done]
    correct = labels == y[rows]
    probe = LinearProbeClassifier(backbone=None, random_state=0).fit(X[rows], labels)
    predicted = probe.predict(test[0])
    return {
        "labels": float(len(rows)),
        "correct_per_minute": float(correct.sum() / minutes),
        "wrong": float(1 - correct.mean()),
        "macro_f1": float(f1_score(test[1], predicted, average="macro")),
    }


def measured(name: str, seeds: range) -> list[Row]:
    """Return a row for each way of labeling one dataset."""
    dataset = subset(name, 0)
    backbone = load_backbone(BACKBONE, size=max(SIZES))
    X, y = backbone.features(dataset.x_train, progress=True), dataset.y_train
    test = backbone.features(dataset.x_test, progress=True), dataset.y_test
    ways = {"one by one": lambda seed: one_by_one(y, seed)}
    for glance in GLANCES:
        ways[f"alike, {glance} s a glance"] = lambda seed, glance=glance: alike(X, y, seed, glance)
    rows = []
    for way, work in ways.items():
        found = [results(work(seed), y, X, test) for seed in seeds]
        row: Row = {"dataset": name, "way": way}
        for key in found[0]:
            row[key] = round(mean(values[key] for values in found), 4)
        row["sd_of_correct_per_minute"] = round(
            stdev(values["correct_per_minute"] for values in found), 2
        )
        rows.append(row)
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate both ways on every dataset that is available."""
    args = arguments(__doc__, argv, full=20, quick=3)
    facts, rows = machine(), []
    columns = {
        "dataset": "dataset", "way": "way", "labels": f"labels in {MINUTES:g} min",
        "correct_per_minute": "correct a min", "wrong": "wrong", "macro_f1": "macro F1",
    }  # fmt: skip
    for name in DATASETS:
        try:
            new = measured(name, range(args.repetitions))
        except DataNotFoundError as error:
            print(f"SKIPPED {name}: {error}")
            continue
        print(table(new, columns), flush=True)
        rows += new
    if not rows:
        raise Skipped("none of its datasets is on this machine")
    settings = {"seconds": SECONDS, "overlooked": OVERLOOKED, "in_the_grid": ALIKE}
    what = (__doc__ or "").split("\n")[0]
    print("Written:", write("alike", what, rows, facts, seeds=args.repetitions, **settings))


if __name__ == "__main__":
    main()
