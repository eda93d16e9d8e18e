"""Label Studio's backend on 1,344 magnetic tiles: from an annotation to new scores, and predictions a second.

    python benchmarks/label_studio.py [--quick]

Requests come over HTTP, in the form of Label Studio, which itself takes no part. The features of
the tiles are computed before, as they are when the backend has run once.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from _harness import arguments, machine, table, write
from PIL import Image

from al_tf.datasets import load_dataset
from al_tf.labeling import FolderPool, LabelLedger
from al_tf.labeling.desk_settings import resolve_settings
from al_tf.labeling.exchange.label_studio import labeling_interface
from al_tf.labeling.exchange.label_studio.live import LiveLabeling
from al_tf.labeling.exchange.label_studio.server import BackendServer

CLASSES = ("good", "defective")
FIRST_LABELS = 100


def annotation(task: int, label: int) -> dict:
    moment = "2030-01-01T00:00:00.000000Z"
    part = {"from_name": "choice", "to_name": "image", "type": "choices",
            "value": {"choices": [CLASSES[label]]}}  # fmt: skip
    return {
        "action": "ANNOTATION_CREATED",
        "project": {"id": 1, "label_config": labeling_interface(CLASSES)},
        "task": {"id": task, "data": {"image": f"/data/local-files/?d=tiles/{task:04}.png"}},
        "annotation": {"id": task, "task": task, "result": [part], "created_at": moment,
                       "updated_at": moment, "completed_by": 1, "import_id": None},
    }  # fmt: skip


def predictions(tasks: Sequence[int]) -> dict:
    rows = [{"id": t, "data": {"image": f"/data/local-files/?d=tiles/{t:04}.png"}} for t in tasks]
    return {"tasks": rows, "project": "1.0", "label_config": labeling_interface(CLASSES)}


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(__doc__, argv, full=20, quick=3)
    facts = machine()
    data = load_dataset("magnetic_tile", size=96, labels="binary")
    images = np.concatenate([data.x_train, data.x_test])
    labels = np.concatenate([data.y_train, data.y_test]).astype(int)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "tiles"
        folder.mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{number:04}.png")
        settings, _ = resolve_settings(None, model="probe")
        pool = FolderPool(folder, size=settings.size)
        ledger = LabelLedger(Path(place) / "labels.db")
        ledger.fix_classes(CLASSES)
        live = LiveLabeling(ledger, pool, settings)
        live.wait()
        with serving(live) as url:
            rows = measure(live, url, labels, args.repetitions)
        live.close()
    print(f"\n{table(rows, {'case': '', 'seconds': 'seconds', 'per_second': 'a second'})}")
    what = f"{len(labels):,} tiles, {FIRST_LABELS} labels and more; over HTTP on one machine"
    print(f"\nWritten: {write('label_studio', what, rows, facts)}")


@contextmanager
def serving(live: LiveLabeling) -> Iterator[str]:
    """Serve in a thread; yields the address."""
    ready = threading.Event()
    server = BackendServer(live, port=0)
    thread = threading.Thread(target=server.run, args=(lambda address: ready.set(),))
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()
        thread.join()


def measure(live: LiveLabeling, url: str, labels: np.ndarray, repetitions: int) -> list[dict]:
    session = requests.Session()
    order = np.random.default_rng(0).permutation(len(labels))
    for task in order[:FIRST_LABELS]:
        session.post(f"{url}/webhook", json=annotation(int(task), int(labels[task])))
    live.wait()
    everything = predictions(range(len(labels)))
    waited, took, single = [], [], []
    for task in order[FIRST_LABELS : FIRST_LABELS + repetitions]:
        version, start = live.version, time.perf_counter()
        session.post(f"{url}/webhook", json=annotation(int(task), int(labels[task])))
        while live.version == version:
            time.sleep(0.002)
        answer = session.post(f"{url}/predict", json=everything).json()["results"]
        waited.append(time.perf_counter() - start)
        assert len(answer) == len(labels)
        start = time.perf_counter()
        session.post(f"{url}/predict", json=everything).raise_for_status()
        took.append(time.perf_counter() - start)
        start = time.perf_counter()
        session.post(f"{url}/predict", json=predictions([int(task)])).raise_for_status()
        single.append(time.perf_counter() - start)
    cases = {
        "an annotation, then new scores for every tile": waited,
        "predictions for every tile": took,
        "predictions for one tile": single,
    }
    return [
        {"case": case, "seconds": float(np.median(seconds)),
         "per_second": float(1 / np.median(seconds)), "values": {"seconds": seconds}}
        for case, seconds in cases.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
