"""The backend beside a real Label Studio: connected, asked, told of annotations, restarted."""

import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import numpy as np
import pytest

from al_tf.errors import LabelStudioError
from al_tf.labeling import FolderPool, LabelLedger
from al_tf.labeling.desk_settings import DeskSettings
from al_tf.labeling.exchange.label_studio import labeling_interface
from al_tf.labeling.exchange.label_studio.client import StudioClient
from al_tf.labeling.exchange.label_studio.live import LiveLabeling
from al_tf.labeling.exchange.label_studio.server import BackendServer
from tests.labeling.makers import write_image
from tests.labeling.work import NearestMean

from .studio import TOKEN, choice

CLASSES = ["dark", "bright"]


class Settings(DeskSettings):
    """A model that takes a millisecond."""

    def build_estimator(self, classes):
        return NearestMean()


def settings(strategy="margin", batch=5):
    return Settings("cnn", None, 12, True, strategy, batch)


@contextmanager
def backend(ledger, folder, port=0, password=None, client=None, **options):
    """Serve in a thread; yields the labeling, and its address as ``url``."""
    live = LiveLabeling(
        LabelLedger(ledger), FolderPool(folder, size=12), settings(**options), client=client
    )
    server = BackendServer(live, port=port, password=password)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
    thread.start()
    assert ready.wait(90)
    live.url, live.port = f"http://127.0.0.1:{server.port}", server.port
    try:
        yield live
    finally:
        server.stop()
        thread.join()
        live.close()


def until(holds, seconds=90):
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
    return CLASSES[int(name_of(task)[5:7]) >= 13]


def connect(studio, folder, live, classes=CLASSES, **more):
    project = studio.project(labeling_interface(classes))
    studio.local_storage(project, folder, sync=True)
    studio.ask(
        "POST", "/api/ml", json={"project": project, "url": live.url, "title": "al_tf"} | more
    )
    return project


def name_of(task):
    return unquote(task["data"]["image"]).rpartition("/")[2]


def scores(studio, project):
    """Return score and class of each task as the data manager shows them."""
    return {
        task: (prediction["score"], prediction["model_version"])
        for task, prediction in shown_predictions(studio, project).items()
    }


def shown_predictions(studio, project):
    """Return the prediction of each task that is of the version which the project shows."""
    version = studio.ask("GET", f"/api/projects/{project}")["model_version"]
    shown = [
        (task["id"], prediction)
        for task in studio.tasks(project)
        for prediction in task["predictions"]
        if prediction["model_version"] == version
    ]
    assert len(dict(shown)) == len(shown)
    return dict(shown)


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
        until(lambda: len(scores(studio, project)) == 5)
        first = by_score(studio, project)
        assert [t["predictions_score"] for t in first[:5]] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
        assert {t["predictions_score"] for t in first[5:]} == {None}
        studio.annotate(first[0]["id"], choice(truth(first[0])), lead_time=3.5)
        live.wait()
        assert {version for _, version in scores(studio, project).values()} == {live.version}
        seen = {first[0]["id"]}
        for _ in range(12):
            task = by_score(studio, project)[0]
            assert task["id"] not in seen
            seen.add(task["id"])
            studio.annotate(task["id"], choice(truth(task)), lead_time=3.5)
            live.wait()
        ranking = live.ranking()
        assert {version for _, version in scores(studio, project).values()} == {ranking.version}
        sorted_there = by_score(studio, project)
        assert {name_of(t): t["predictions_score"] for t in sorted_there} == {
            live.pool.name(image): pytest.approx(score) for image, score in ranking.scores.items()
        }
        shown = shown_predictions(studio, project)
        right = [
            shown[t["id"]]["result"][0]["value"]["choices"] == [truth(t)]
            for t in studio.tasks(project)
        ]
        assert np.mean(right) > 0.9
        rows = live.ledger.current()
        assert len(rows) == 13
        assert set(rows["annotator"]) == {"ann@example.org"}
        assert set(rows["seconds"]) == {3.5}


def test_edits_deletions_skips_and_what_happened_while_it_was_away(studio, folder, tmp_path):
    with backend(tmp_path / "labels.db", folder) as live:
        port = live.port
        project = connect(studio, folder, live)
        until(lambda: len(scores(studio, project)) == 5)
    with backend(tmp_path / "labels.db", folder, port=port) as live:
        studio.ask("GET", f"/api/ml?project={project}")
        live.wait()
        until(lambda: len(scores(studio, project)) == 5)  # and one each
        tasks = studio.tasks(project)
        first, second, third = (t["id"] for t in tasks[:3])
        kept = studio.annotate(first, choice("dark"))
        gone = studio.annotate(second, choice("dark"))
        studio.annotate(third, was_cancelled=True)
        studio.ask("PATCH", f"/api/annotations/{kept}/", json={"result": [choice("bright")]})
        studio.ask("DELETE", f"/api/annotations/{gone}/")
        until(lambda: len(live.ledger.answers()) == 2)
        answers = {live.pool.name(i): e.label for i, e in live.ledger.answers().items()}
        assert answers == {name_of(tasks[0]): "bright", name_of(tasks[2]): None}
    studio.annotate(second, choice("dark"), lead_time=9.0)  # nobody listens
    studio.ask("DELETE", f"/api/annotations/{kept}/")
    with backend(tmp_path / "labels.db", folder, port=port) as live:
        studio.ask("GET", f"/api/ml?project={project}")  # as its page "Model" does
        until(lambda: name_of(tasks[1]) in live.ledger.current()["name"].tolist())
        live.wait()
        answers = {live.pool.name(i): e.label for i, e in live.ledger.answers().items()}
        assert answers == {name_of(tasks[1]): "dark", name_of(tasks[2]): None}


class Images(SimpleHTTPRequestHandler):
    """Another server's images; keeps the tokens that were sent to it."""

    def do_GET(self):
        self.server.tokens.append(self.headers.get("Authorization"))
        super().do_GET()

    def log_message(self, *_):
        pass


@contextmanager
def another_host(folder):
    """Serve a folder at an address that is not Label Studio's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Images, directory=folder))
    server.tokens, server.url = [], f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def test_images_are_fetched_with_the_token_from_label_studio_alone(
    studio, folder, tmp_path, caplog
):
    new = [write_image(tmp_path / "new" / f"new {i}.png", value=3 + 60 * i) for i in range(4)]
    with another_host(tmp_path / "new") as other, backend(tmp_path / "labels.db", folder) as live:
        project = connect(studio, folder, live)
        for path in new[:3]:
            studio.upload(project, path)
        addresses = [
            f"{other.url}/new%203.png",
            f"{other.url}/none.png",
            "https://localhost:1/a.png",
        ]
        studio.import_tasks(project, [{"data": {"image": address}} for address in addresses])
        until(lambda: len(live.pool) == 34)
        until(lambda: "none.png cannot be fetched: 404" in caplog.text)
        live.wait()
        assert set(other.tokens) == {None}
        tasks = studio.tasks(project)
        uploaded = [t for t in tasks if "/data/upload/" in t["data"]["image"]]
        (linked,) = [t for t in tasks if t["data"]["image"] == addresses[0]]
        studio.annotate(uploaded[0]["id"], choice("dark"))
        studio.annotate(linked["id"], choice("bright"))
        until(lambda: len(live.ledger.answers()) == 2)
        events = live.ledger.standing()
        assert [event.name[:24] for event in events] == [
            "from_label_studio/new_0_", "from_label_studio/new_20",
        ]  # fmt: skip
        contents = [live.pool.path(event.image).read_bytes() for event in events]
        assert contents == [new[0].read_bytes(), new[3].read_bytes()]


@pytest.fixture
def personal_token(studio):
    """A personal access token where legacy tokens are not admitted, as after an installation."""

    def allow(**kinds):
        studio.ask("POST", "/api/jwt/settings", json=kinds)

    legacy = studio.session.headers["Authorization"]
    allow(api_tokens_enabled=True, legacy_api_tokens_enabled=True)
    token = studio.ask("POST", "/api/token/")["token"]
    access = studio.ask("POST", "/api/token/refresh/", json={"refresh": token})["access"]
    studio.session.headers["Authorization"] = f"Bearer {access}"
    allow(api_tokens_enabled=True, legacy_api_tokens_enabled=False)
    yield token
    allow(api_tokens_enabled=True, legacy_api_tokens_enabled=True)
    studio.session.headers["Authorization"] = legacy


def test_a_personal_access_token_in_place_of_a_legacy_one(studio, folder, tmp_path, personal_token):
    with pytest.raises(LabelStudioError, match="refuses the token"):
        StudioClient(studio.url, TOKEN).emails()
    with pytest.raises(LabelStudioError, match="refuses the personal access token"):
        StudioClient(studio.url, personal_token[:-3] + "abc").emails()
    client = StudioClient(studio.url, personal_token)
    path = write_image(tmp_path / "new" / "new.png", value=3)
    with backend(tmp_path / "labels.db", folder, client=client) as live:
        project = connect(studio, folder, live)
        until(lambda: len(scores(studio, project)) == 5)
        studio.upload(project, path)
        until(lambda: len(live.pool) == 31)
        studio.annotate(studio.tasks(project)[0]["id"], choice("dark"))
        until(lambda: len(live.ledger.answers()) == 1)
        live.wait()
        assert {version for _, version in scores(studio, project).values()} == {live.version}
        assert [event.annotator for event in live.ledger.standing()] == ["ann@example.org"]


def test_two_projects_on_one_ledger_and_one_that_does_not_fit(studio, folder, tmp_path):
    with backend(tmp_path / "labels.db", folder) as live:
        one = connect(studio, folder, live)
        two = studio.project(labeling_interface(CLASSES[::-1]))
        studio.import_tasks(two, [{"data": task["data"]} for task in studio.tasks(one)])
        studio.ask("POST", "/api/ml", json={"project": two, "url": live.url, "title": "al_tf"})
        studio.annotate(studio.tasks(one)[0]["id"], choice("dark"))
        studio.annotate(studio.tasks(two)[29]["id"], choice("bright"))
        until(lambda: live.training.round >= 1)
        live.wait()
        assert len(live.ledger.answers()) == 2
        assert all(len(scores(studio, project)) == 30 for project in (one, two))
        with pytest.raises(AssertionError, match="no control that fits"):
            connect(studio, folder, live, classes=["cat", "dog"])


def test_a_password_is_asked_for(studio, folder, tmp_path):
    login = {"auth_method": "BASIC_AUTH", "basic_auth_user": "me", "basic_auth_pass": "secret"}
    with backend(tmp_path / "labels.db", folder, password="me:secret") as live:
        with pytest.raises(AssertionError, match="authentication parameters"):
            connect(studio, folder, live)
        connect(studio, folder, live, **login)
