"""The backend beside a real Label Studio: connected, asked, told of annotations, restarted."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from al_tf.labeling import FolderPool, LabelLedger
from al_tf.labeling.desk_settings import DeskSettings
from al_tf.labeling.exchange.label_studio import labeling_interface
from al_tf.labeling.exchange.label_studio.live import LiveLabeling
from al_tf.labeling.exchange.label_studio.server import BackendServer
from tests.labeling.makers import write_image
from tests.labeling.work import NearestMean

from .studio import choice

CLASSES = ["dark", "bright"]


class Settings(DeskSettings):
    """A model that takes a millisecond."""

    def build_estimator(self, classes):
        return NearestMean()


def settings(strategy="margin", batch=5):
    return Settings("cnn", None, 12, True, strategy, batch)


@contextmanager
def backend(ledger, folder, port=0, password=None, **options):
    """Serve in a thread; yields the labeling, and its address as ``url``."""
    live = LiveLabeling(LabelLedger(ledger), FolderPool(folder, size=12), settings(**options))
    server = BackendServer(live, port=port, password=password)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
    thread.start()
    assert ready.wait(30)
    live.url, live.port = f"http://127.0.0.1:{server.port}", server.port
    try:
        yield live
    finally:
        server.stop()
        thread.join()
        live.close()


def until(holds, seconds=30):
    """Wait for something that happens in the background."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@pytest.fixture
def folder(documents, request):
    folder = documents / f"live {request.node.name}"[:50]
    for i in range(30):
        write_image(folder / f"tile {i:02}.png", value=i * 8)
    return folder


def truth(task):
    return CLASSES[int(task["data"]["image"].rpartition("%20")[2][:2]) >= 13]


def connect(studio, folder, live, classes=CLASSES, **more):
    project = studio.project(labeling_interface(classes))
    studio.local_storage(project, folder, sync=True)
    studio.ask(
        "POST", "/api/ml", json={"project": project, "url": live.url, "title": "al_tf"} | more
    )
    return project


def scores(studio, project):
    """Return score and class of each task as the data manager shows them."""
    shown = studio.tasks(project)
    assert all(len(task["predictions"]) <= 1 for task in shown)
    return {
        t["id"]: (t["predictions"][0]["score"], t["predictions"][0]["model_version"])
        for t in shown
        if t["predictions"]
    }


def by_score(studio, project):
    view = {
        "project": project,
        "data": {
            "ordering": ["-tasks:predictions_score"],
            "filters": {"conjunction": "and", "items": []},
        },
    }
    number = studio.ask("POST", "/api/dm/views/", json=view)["id"]
    tasks = studio.ask("GET", f"/api/tasks?view={number}&page_size=1000&fields=all")["tasks"]
    return [task for task in tasks if not task["total_annotations"]]


def test_labels_come_by_webhook_and_scores_go_back(studio, folder, tmp_path):
    with backend(tmp_path / "labels.db", folder) as live:
        project = connect(studio, folder, live)
        until(lambda: len(scores(studio, project)) == 30)
        first = by_score(studio, project)
        assert [t["predictions_score"] for t in first[:5]] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
        assert {t["predictions_score"] for t in first[5:]} == {None}
        seen = set()
        for _ in range(12):
            task = by_score(studio, project)[0]
            assert task["id"] not in seen
            seen.add(task["id"])
            studio.annotate(task["id"], choice(truth(task)), lead_time=3.5)
            live.wait()
        ranking = live.ranking()
        order = sorted(ranking.scores, key=ranking.scores.get, reverse=True)
        assert [live.pool.name(i) for i in order[:5]] == [
            t["data"]["image"].rpartition("/")[2].replace("%20", " ")
            for t in by_score(studio, project)[:5]
        ]
        shown = [t for t in studio.tasks(project) if t["predictions"]]
        right = [t["predictions"][0]["result"][0]["value"]["choices"] == [truth(t)] for t in shown]
        assert np.mean(right) > 0.9
        rows = live.ledger.current()
        assert len(rows) == 12
        assert set(rows["annotator"]) == {"ann@example.org"}
        assert set(rows["seconds"]) == {3.5}
