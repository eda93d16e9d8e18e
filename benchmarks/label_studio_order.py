"""Labels until 80 % of the defects are found in Label Studio, by the order in which tasks are taken.

    python benchmarks/label_studio_order.py [--quick]

400 magnetic tiles, drawn and shuffled by the seed, are the tasks. Somebody labels ten of
them, reloads the list, and goes on: the ten highest scores of the backend (strategy margin, no
labels at the start); the tasks as they were imported, which is Label Studio's "sequential"; or any
ten, which is its "random". Labels go to the backend's own ``/webhook`` and scores come from its
``/predict``, over HTTP; Label Studio itself takes no part.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import requests
from _harness import arguments, machine, table, write
from label_studio import CLASSES, annotation, predictions, serving
from PIL import Image

from al_tf.datasets import load_dataset
from al_tf.labeling import FolderPool, LabelLedger
from al_tf.labeling.desk_settings import resolve_settings
from al_tf.labeling.exchange.label_studio.live import LiveLabeling
from al_tf.seeding import stream

TILES = 400
"""Of 1,344, drawn anew for each seed: each list of scores takes a training."""
SHARE = 0.8
BETWEEN = 10
"""Labels between two looks at the list."""
DEFECTIVE = CLASSES.index("defective")
PATIENCE = 120.0


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=5, quick=1)
    facts = machine()
    data = load_dataset("magnetic_tile", size=96, labels="binary")
    images = np.concatenate([data.x_train, data.x_test])
    labels = np.concatenate([data.y_train, data.y_test]).astype(int)
    needed: dict[str, list[int]] = {"score": [], "sequential": [], "random": []}
    for seed in range(args.repetitions):
        order = stream(seed, "tasks").permutation(len(labels))[:TILES]
        truth = labels[order]
        with closing(by_score(images[order], truth, seed)) as tasks:
            needed["score"].append(labels_needed(tasks, truth))
        needed["sequential"].append(labels_needed(range(len(truth)), truth))
        shuffled = stream(seed, "random order").permutation(len(truth))
        needed["random"].append(labels_needed(shuffled, truth))
        print(f"seed {seed}: " + ", ".join(f"{n[-1]} by {name}" for name, n in needed.items()))
    rows = [
        {"order": name, "mean": float(np.mean(n)), "least": min(n), "most": max(n),
         "values": {"labels": n}}
        for name, n in needed.items()
    ]  # fmt: skip
    print(f"\n{table(rows, {'order': '', 'mean': 'labels', 'least': 'least', 'most': 'most'})}")
    what = (
        f"Labels until {SHARE:.0%} of the defects among {TILES} magnetic tiles are labeled; "
        "through the backend's /predict and /webhook, without Label Studio"
    )
    print(f"\nWritten: {write('label_studio_order', what, rows, facts)}")


def labels_needed(tasks: Iterable[int], truth: np.ndarray) -> int:
    """Return how many tasks were taken when the share of the defects was reached."""
    wanted = np.ceil(SHARE * np.sum(truth == DEFECTIVE))
    found = 0
    for number, task in enumerate(tasks, start=1):
        found += truth[task] == DEFECTIVE
        if found >= wanted:
            return number
    raise AssertionError("the tasks ended before the defects were found")


def by_score(images: np.ndarray, truth: np.ndarray, seed: int) -> Generator[int, None, None]:
    """Yield tasks in the order of the backend's score; each is labeled when it was yielded."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "tiles"
        folder.mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{number:04}.png")
        settings, _ = resolve_settings(None, model="probe")
        ledger = LabelLedger(Path(place) / "labels.db")
        ledger.fix_classes(CLASSES)
        ledger.settle("seed", seed)
        live = LiveLabeling(ledger, FolderPool(folder, size=settings.size), settings)
        live.wait()
        try:
            with serving(live) as url:
                yield from taken(url, truth)
        finally:
            live.wait()
            live.close()


def taken(url: str, truth: np.ndarray) -> Generator[int, None, None]:
    """Yield the tasks with the highest scores, ten at a time."""
    session, everything = requests.Session(), predictions(range(len(truth)))
    done: set[int] = set()
    while len(done) < len(truth):
        answer = session.post(f"{url}/predict", json=everything).json()["results"]
        scores = {t: r["score"] for t, r in enumerate(answer) if r["score"] is not None}
        best = sorted(scores.keys() - done, key=lambda task: (-scores[task], task))[:BETWEEN]
        for task in best:
            yield task
            done.add(task)
            session.post(
                f"{url}/webhook", json=annotation(task, int(truth[task]))
            ).raise_for_status()
        wait_for_model(session, url, truth, done)


def wait_for_model(session: requests.Session, url: str, truth: np.ndarray, done: set[int]) -> None:
    """Wait until a model knows the labels; before there are two classes none is trained."""
    end = time.monotonic() + PATIENCE
    while len(set(truth[list(done)])) > 1:
        health = session.get(f"{url}/health").json()
        if health["training"] == "ready" and health["labels"] == len(done):
            return
        if time.monotonic() > end:
            raise TimeoutError(f"no model with {len(done)} labels: {health}")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
