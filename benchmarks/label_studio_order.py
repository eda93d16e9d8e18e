"""Labels until 80 % of the defects are found in Label Studio, by the order in which tasks are taken.

    make .venv-label-studio/.ready
    PYTHONPATH=. python benchmarks/label_studio_order.py [--quick] [--tiles 100] [--program FILE]

Magnetic tiles, drawn and shuffled by the seed, are the tasks of a project in a real Label Studio, whose
backend is ours. By score, somebody takes the first ten tasks of the list, sorted by the score, labels
them through Label Studio's API, and looks at the list again once it shows the scores of the next
model (strategy margin, no labels at the start). Label Studio's own orders need no model, so they are
counted without it: the tasks as they were imported ("sequential"), or any ("random").
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from _harness import ROOT, Skipped, machine, parser, table, write
from label_studio import CLASSES, serving
from PIL import Image

from al_tf.datasets import load_dataset
from al_tf.labeling import FolderPool, LabelLedger
from al_tf.labeling.desk_settings import resolve_settings
from al_tf.labeling.exchange.label_studio import labeling_interface
from al_tf.labeling.exchange.label_studio.live import LiveLabeling
from al_tf.seeding import stream
from tests.label_studio.studio import Studio, choice, running

PROGRAM = ROOT / ".venv-label-studio" / "bin" / "label-studio"
SHARE = 0.8
BETWEEN = 10
"""Labels between two looks at the list."""
DEFECTIVE = CLASSES.index("defective")
PATIENCE = 300.0


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--repetitions", type=int, help="seeds, by default 5, or 1 with --quick")
    options.add_argument("--tiles", type=int, help="of 1,344; by default 100, or 40 with --quick")
    options.add_argument("--program", type=Path, default=PROGRAM, help="label-studio")
    args = options.parse_args(argv)
    if not args.program.exists():
        raise Skipped(f"no Label Studio at {args.program}: make .venv-label-studio/.ready")
    seeds = args.repetitions or (1 if args.quick else 5)
    tiles = args.tiles or (40 if args.quick else 100)
    facts = machine()
    data = load_dataset("magnetic_tile", size=96, labels="binary")
    images = np.concatenate([data.x_train, data.x_test])
    labels = np.concatenate([data.y_train, data.y_test]).astype(int)
    needed: dict[str, list[int]] = {"score": [], "sequential": [], "random": []}
    with label_studio(args.program) as (studio, documents):
        for seed in range(seeds):
            order = stream(seed, "tasks").permutation(len(labels))[:tiles]
            truth = labels[order]
            folder = documents / f"tiles {seed}"
            with closing(by_score(studio, folder, images[order], truth, seed)) as tasks:
                needed["score"].append(labels_needed(tasks, truth))
            needed["sequential"].append(labels_needed(range(len(truth)), truth))
            shuffled = stream(seed, "random order").permutation(len(truth))
            needed["random"].append(labels_needed(shuffled, truth))
            texts = (f"{n[-1]} by {name}" for name, n in needed.items())
            print(f"seed {seed}: {', '.join(texts)}", flush=True)
    rows = [
        {"order": name, "mean": float(np.mean(n)), "least": min(n), "most": max(n),
         "values": {"labels": n}}
        for name, n in needed.items()
    ]  # fmt: skip
    print(f"\n{table(rows, {'order': '', 'mean': 'labels', 'least': 'least', 'most': 'most'})}")
    what = (
        f"Labels until {SHARE:.0%} of the defects among {tiles} magnetic tiles are labeled; by score "
        "through the API of a real Label Studio"
    )
    print(f"\nWritten: {write('label_studio_order', what, rows, facts)}")


@contextmanager
def label_studio(program: Path) -> Generator[tuple[Studio, Path], None, None]:
    """Run a Label Studio of its own; yields it, and the folder that it may show."""
    with tempfile.TemporaryDirectory() as place:
        initialized, documents = Path(place) / "initialized", (Path(place) / "documents").resolve()
        initialized.mkdir()
        documents.mkdir()
        Studio(program, initialized, documents).initialize()
        with running(program, initialized, Path(place) / "data", documents) as studio:
            yield studio, documents


def labels_needed(tasks: Iterable[int], truth: np.ndarray) -> int:
    """Return how many tasks were taken when the share of the defects was reached."""
    wanted = np.ceil(SHARE * np.sum(truth == DEFECTIVE))
    found = 0
    for number, task in enumerate(tasks, start=1):
        found += truth[task] == DEFECTIVE
        if found >= wanted:
            return number
    raise AssertionError("the tasks ended before the defects were found")


def by_score(
    studio: Studio, folder: Path, images: np.ndarray, truth: np.ndarray, seed: int
) -> Generator[int, None, None]:
    """Yield tasks in the order of the score in Label Studio; each is labeled when it was yielded."""
    folder.mkdir()
    addresses = []
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:04}.png")
        addresses.append(f"/data/local-files/?d={folder.name}/{number:04}.png")
    settings, _ = resolve_settings(None, model="probe")
    ledger = LabelLedger(folder.with_suffix(".db"))
    ledger.fix_classes(CLASSES)
    ledger.settle("seed", seed)
    live = LiveLabeling(ledger, FolderPool(folder, size=settings.size), settings)
    live.wait()
    project = studio.project(labeling_interface(CLASSES))
    studio.import_tasks(project, [{"data": {"image": address}} for address in addresses])
    numbers = {task["id"]: addresses.index(task["data"]["image"]) for task in studio.tasks(project)}
    try:
        with serving(live) as url:
            studio.ask("POST", "/api/ml", json={"project": project, "url": url, "title": "al_tf"})
            yield from taken(studio, project, live, numbers, truth)
    finally:
        live.close()


def taken(
    studio: Studio, project: int, live: LiveLabeling, numbers: dict[int, int], truth: np.ndarray
) -> Generator[int, None, None]:
    """Yield the first tasks of the list, ten at a time, and annotate them."""
    unlabeled = {
        "conjunction": "and",
        "items": [{"filter": "filter:tasks:total_annotations", "operator": "equal",
                   "type": "Number", "value": 0}],
    }  # fmt: skip
    view = studio.ask(
        "POST", "/api/dm/views/",
        json={"project": project,
              "data": {"ordering": ["-tasks:predictions_score"], "filters": unlabeled}},
    )["id"]  # fmt: skip
    done = 0
    while done < len(truth):
        until(lambda: shown(studio, project) == live.version)
        query = f"view={view}&page=1&page_size={BETWEEN}&include=id"
        for task in [row["id"] for row in studio.ask("GET", f"/api/tasks?{query}")["tasks"]]:
            yield numbers[task]
            studio.annotate(task, choice(CLASSES[truth[numbers[task]]]))
            done += 1
        until(lambda: len(live.ledger.answers()) == done)  # noqa: B023 - called at once
        live.wait()


def shown(studio: Studio, project: int) -> str:
    """Return the version of the predictions that a project shows."""
    return str(studio.ask("GET", f"/api/projects/{project}")["model_version"])


def until(holds: Callable[[], bool]) -> None:
    """Wait for what happens in the background."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE:.0f} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
