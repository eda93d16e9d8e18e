"""Label Studio's backend without Label Studio: what it answers to every request it may get.

It is held beside a real one in ``tests/label_studio``.
"""

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("tornado")
from tornado.testing import AsyncHTTPTestCase

from al_tf.errors import LabelStudioError
from al_tf.labeling import FolderPool, LabelingSession, LabelLedger
from al_tf.labeling.desk_settings import DeskSettings
from al_tf.labeling.exchange.label_studio import client, labeling_interface, writing
from al_tf.labeling.exchange.label_studio.client import StudioClient
from al_tf.labeling.exchange.label_studio.live import LiveLabeling
from al_tf.labeling.exchange.label_studio.server import BackendServer
from al_tf.labeling.exchange.label_studio.writing import AT_ONCE, PredictionWriter

from .makers import write_image
from .work import PATIENCE, NearestMean

CLASSES = ("dark", "bright")
INTERFACE = labeling_interface(CLASSES)


class Settings(DeskSettings):
    """A model that takes a millisecond."""

    def build_estimator(self, classes):
        return NearestMean()


@pytest.fixture
def folder(tmp_path):
    for i in range(30):
        write_image(tmp_path / "images" / f"{i:02}.png", seed=i)
    return tmp_path / "images"


@pytest.fixture
def begin(tmp_path, folder):
    """Open the labeling; each time as a program that is started anew."""
    opened = []

    def begin(strategy="margin", batch=5):
        ledger = LabelLedger(tmp_path / "labels.db", synchronous="NORMAL")
        settings = Settings("cnn", None, 12, True, strategy, batch)
        live = LiveLabeling(ledger, FolderPool(folder, size=12), settings)
        opened.append(live)
        return live

    yield begin
    for live in opened:
        live.close()


def ask(number, *, project=1, interface=INTERFACE):
    tasks = [{"id": n, "data": {"image": f"s3://b/{n % 30:02}.png"}} for n in range(number)]
    return {"tasks": tasks, "project": f"{project}.17", "label_config": interface}


def event(action, task, *choices, number=None, at=1, project=1, **more):
    """Return what Label Studio's webhook sends."""
    result = [{"from_name": "choice", "to_name": "image", "type": "choices",
               "value": {"choices": list(choices)}}]  # fmt: skip
    time = f"2030-01-01T00:{at:02}:00.000000Z"
    return {
        "action": action,
        "annotation": {"id": task + 100 if number is None else number, "task": task,
                       "result": result, "created_at": time, "updated_at": time, "lead_time": 2.0,
                       "completed_by": 1, "import_id": None, "was_cancelled": False} | more,
        "task": {"id": task, "data": {"image": f"s3://b/{task:02}.png"}},
        "project": {"id": project, "label_config": INTERFACE},
    }  # fmt: skip


def label(live, *tasks):
    for task in tasks:
        live.webhook(event("ANNOTATION_CREATED", task, CLASSES[task % 2]))
    live.wait()


def labels(live):
    return {live.pool.name(i)[:2]: e.label for i, e in live.ledger.answers().items()}


class TestPredictions:
    def test_without_a_label_there_is_an_order(self, begin):
        live = begin()
        answers = live.predict(ask(30))
        assert {len(answer["result"]) for answer in answers} == {0}
        given = sorted((a["score"] for a in answers if a["score"] is not None), reverse=True)
        assert given == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
        assert {answer["model_version"] for answer in answers} == {"al_tf 1"}

    def test_class_probability_and_score_of_the_strategy(self, begin):
        live = begin()
        label(live, 0, 1, 2, 3)
        answers = live.predict(ask(30))
        for number, answer in enumerate(answers):
            (part,) = answer["result"]
            assert part["value"]["choices"][0] in CLASSES
            assert 0.5 <= part["score"] <= 1
            margin = 2 - 2 * part["score"]  # 1 - (p - (1 - p))
            assert answer["score"] == (None if number < 4 else pytest.approx(margin, abs=1e-6))

    @pytest.mark.parametrize("strategy", ["margin", "entropy", "badge", "typiclust", "kcenter"])
    def test_the_first_are_those_that_the_desk_would_ask_for(self, begin, strategy):
        live = begin(strategy)
        label(live, 0, 1, 2, 3, 4, 5)
        scores = {i: a["score"] for i, a in enumerate(live.predict(ask(30))) if a["score"]}
        first = sorted(scores, key=scores.get, reverse=True)[:5]
        if strategy in ("badge", "typiclust"):  # they draw; the desk has other draws
            assert len(set(first)) == 5
            assert len(scores) == 5
            return
        session = LabelingSession(
            NearestMean(), live.pool, live.ledger, batch_size=5, strategy=strategy,
            audit_share=0, repeat_share=0, annotator="ann", auto_retrain=False,
        )  # fmt: skip
        session.retrain(wait=True)
        asked = set()
        while len(asked) < 5:
            item = session.next()
            asked.add(int(item.name[:2]))
            session.skip(slot=item.slot)
        assert asked == set(first)

    def test_an_audit_reserve_is_neither_asked_for_nor_predicted(self, begin):
        live = begin()
        live.ledger.settle("audit_share", 0.3)
        label(live, 0, 1)
        again = begin()
        again.wait()
        blind = [a for a in again.predict(ask(30)) if not a["result"]]
        assert 3 < len(blind) < 20
        assert {a["score"] for a in blind} == {None}

    def test_a_thousand_tasks_and_images_that_are_not_there(self, begin):
        live = begin()
        label(live, 0, 1)
        request = ask(1000)
        request["tasks"][7]["data"] = {"image": "s3://b/none.png"}
        request["tasks"][8]["data"] = {"picture": 5}
        request["tasks"][9] = {"id": 9}
        answers = live.predict(request)
        assert len(answers) == 1000
        assert [i for i, answer in enumerate(answers) if not answer["result"]] == [7, 8, 9]

    def test_a_file_that_went_and_one_that_came(self, begin, folder):
        live = begin()
        label(live, 0, 1)
        (folder / "05.png").unlink()
        write_image(folder / "new.png", seed=99)
        label(live, 2)
        request = ask(30)
        request["tasks"][29]["data"] = {"image": "s3://b/new.png"}
        answers = live.predict(request)
        assert answers[5]["result"] == []
        assert len(answers[29]["result"]) == 1


class TestAnswers:
    def test_twice_and_out_of_order(self, begin):
        live = begin()
        late = event("ANNOTATION_CREATED", 3, "dark", at=1)
        live.webhook(event("ANNOTATION_UPDATED", 3, "bright", at=2))
        for request in (late, late, event("ANNOTATION_UPDATED", 3, "bright", at=2)):
            assert live.webhook(request).recorded == 0
        assert labels(live) == {"03": "bright"}
        gone = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 103}, {"id": 104}],
                "project": {"id": 1}}  # fmt: skip
        assert live.webhook(gone).taken_back == 1
        assert live.webhook(gone).taken_back == 0
        for task in (3, 4):
            assert live.webhook(event("ANNOTATION_CREATED", task, "dark", at=1)).recorded == 0
        assert labels(live) == {}

    def test_a_skip_and_several_at_once(self, begin):
        live = begin()
        live.webhook(event("ANNOTATION_CREATED", 3, was_cancelled=True))
        many = [event("", n, "dark") for n in (4, 5)]
        live.webhook({"action": "ANNOTATIONS_CREATED", "project": many[0]["project"],
                      "annotation": [m["annotation"] for m in many],
                      "task": [m["task"] for m in many]})  # fmt: skip
        assert labels(live) == {"03": None, "04": "dark", "05": "dark"}
        assert live.ledger.standing()[-1].seconds == 2.0

    def test_a_restart_loses_nothing(self, begin):
        live = begin()
        label(live, 0, 1, 2, 3)
        before = live.predict(ask(30))
        live.close()
        again = begin()
        again.wait()
        after = again.predict(ask(30))
        for old, new in zip(before, after, strict=True):
            assert new["result"] == old["result"]
            assert new["score"] == old["score"]

    def test_no_version_comes_twice(self, begin):
        versions = []
        for _ in range(2):
            live = begin()
            live.wait()
            versions.append(live.version)  # restarted with the same labels
            live.webhook(event("ANNOTATION_CREATED", 3, "dark", number=len(versions)))
            versions.append(live.version)
            gone = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": len(versions) - 1}]}
            live.webhook(gone | {"project": {"id": 1}})
            versions.append(live.version)  # as many labels as at the start
            live.close()
        for _ in range(3):
            live = begin()
            versions.append(live.version)
            label(live, 0, 1, 2)
            versions.append(live.ranking().version)
            live.close()
        numbers = [int(version.removeprefix("al_tf ")) for version in versions]
        assert numbers == sorted(set(numbers))

    def test_an_unknown_image_is_no_answer(self, begin, caplog):
        live = begin()
        request = event("ANNOTATION_CREATED", 3, "dark")
        request["task"]["data"]["image"] = "s3://b/none.png"
        assert live.webhook(request).unmatched == ("s3://b/none.png: no image of the folder",)
        assert "not recorded yet: s3://b/none.png" in caplog.text

    @pytest.mark.parametrize(
        "strange", [{"project": 5}, {"annotation": None}, {"task": []}, {"action": None}]
    )
    def test_strange_requests_record_nothing(self, begin, strange):
        live = begin()
        request = event("ANNOTATION_CREATED", 3, "dark") | strange
        with suppress(LabelStudioError):
            assert live.webhook(request) is None
        assert labels(live) == {}


class TestProjects:
    def test_the_first_one_gives_the_classes_and_others_must_have_them(self, begin):
        live = begin()
        live.setup({"project": "1.5", "schema": labeling_interface(["b", "a"])})
        assert live.ledger.classes == ("b", "a")
        live.setup({"project": "2.5", "schema": labeling_interface(["a", "b"])})
        with pytest.raises(
            LabelStudioError, match=r"no control that fits.*the choices \['c', 'd'\]"
        ):
            live.setup({"project": "3.5", "schema": labeling_interface(["c", "d"])})

    def test_each_gets_predictions_for_its_own_control(self, begin):
        live = begin()
        label(live, 0, 1)
        other = INTERFACE.replace('name="choice"', 'name="what"')
        (one, *_), (two, *_) = (
            live.predict(ask(5)),
            live.predict(ask(5, project=2, interface=other)),
        )
        assert one["result"][0]["from_name"] == "choice"
        assert two["result"][0]["from_name"] == "what"


class TestHttp(AsyncHTTPTestCase):
    """Requests as they come; Label Studio's own are in ``tests/label_studio``."""

    @pytest.fixture(autouse=True)
    def _begin(self, begin):
        self.live = begin()

    def get_app(self):
        return BackendServer(self.live, password=self.password).application()

    password = None

    def post(self, path, body, **headers):
        kind = {"Content-Type": "application/json"} | headers
        text = body if isinstance(body, str) else json.dumps(body)
        return self.fetch(path, method="POST", body=text, headers=kind)

    def test_it_is_up(self):
        for path in ("/", "/health"):
            assert json.loads(self.fetch(path).body)["status"] == "UP"

    def test_setup_predict_and_webhook(self):
        done = self.post("/setup", {"project": "1.5", "schema": INTERFACE})
        assert json.loads(done.body) == {"model_version": "al_tf 1"}
        assert len(json.loads(self.post("/predict", ask(3)).body)["results"]) == 3
        done = self.post("/webhook", event("ANNOTATION_CREATED", 3, "dark"))
        assert done.code == 201
        assert json.loads(done.body)["result"]["recorded"] == 1
        assert self.post("/webhook", {"action": "PROJECT_CREATED"}).code == 201

    def test_what_does_not_fit_is_refused_in_words(self):
        done = self.post("/setup", {"project": "1.5", "schema": "<View/>"})
        assert done.code == 400
        assert "no control that fits" in done.reason
        assert "it has no Choices" in json.loads(done.body)["error"]

    def test_other_requests_are_refused(self):
        assert self.post("/predict", "{").code == 400
        assert self.post("/predict", "[]").code == 400
        assert self.post("/predict", {"tasks": 5}).code == 400
        assert self.post("/predict", {}, **{"Content-Type": "text/plain"}).code == 415
        assert self.fetch("/health", headers={"Host": "example.org"}).code == 403
        assert self.fetch("/secret").code == 404


class TestPassword(TestHttp):
    password = "me:secret"

    def fetch(self, path, **options):
        return super().fetch(path, auth_username="me", auth_password="secret", **options)

    def test_others_are_refused(self):
        assert super().fetch("/health", auth_username="me", auth_password="guess").code == 401


def test_new_scores_do_not_wait_for_the_next_request(begin):
    live = begin()
    label(live, 0, 1)
    version = live.ranking().version
    live.webhook(event("ANNOTATION_CREATED", 2, "dark"))
    end = time.monotonic() + 30
    while live.ranking().version == version:
        assert time.monotonic() < end
        time.sleep(0.01)


class Studio:
    """In place of a `StudioClient`: predictions as rows of task, version and number."""

    def __init__(self, counts=()):
        self.rows, self.shown, self.largest = [], "", 0
        for version, count in counts:
            self.add_predictions(1, version, rows_of(version, count))

    def add_predictions(self, project, version, predictions):
        start = self.rows[-1][2] + 1 if self.rows else 1
        self.rows += [(p["task"], version, start + n) for n, p in enumerate(predictions)]

    def show_version(self, project, version):
        self.shown = version

    def versions(self, project):
        return dict(Counter(version for _, version, _ in self.rows))

    def prediction_numbers(self, project, version):
        return [number for _, v, number in self.rows if v == version]

    def delete_prediction(self, number):
        self.rows = [row for row in self.rows if row[2] != number]

    def delete_version(self, project, version):
        self.largest = max(self.largest, self.versions(project)[version])
        self.rows = [row for row in self.rows if row[1] != version]


def rows_of(version, n):
    return [{"task": task, "model_version": version} for task in range(n)]


class Gated(NearestMean):
    """A model whose training waits."""

    gate = threading.Event()

    def fit(self, X, y, **options):
        assert self.gate.wait(60)
        return super().fit(X, y, **options)


class GatedSettings(Settings):
    def build_estimator(self, classes):
        return Gated()


def test_after_a_restart_no_order_without_a_model_is_shown(begin, folder, tmp_path):
    live = begin()
    label(live, 0, 1, 2, 3)
    live.close()

    class WithTasks(Studio):
        fetched = threading.Event()

        def emails(self):
            return {}

        def tasks(self, project):
            self.fetched.set()
            return [{"id": n, "data": {"image": f"s3://b/{n:02}.png"}} for n in range(30)]

    studio = WithTasks()
    again = LiveLabeling(
        LabelLedger(tmp_path / "labels.db"), FolderPool(folder, size=12),
        GatedSettings("cnn", None, 12, True), client=studio,
    )  # fmt: skip
    again.webhook({"action": "TASKS_CREATED", "project": {"id": 1, "label_config": INTERFACE}})
    assert studio.fetched.wait(PATIENCE)
    again._outside.wait()
    assert studio.rows == []
    Gated.gate.set()
    again.wait()
    assert studio.shown == again.version
    assert [version for _, version, _ in studio.rows] == [again.version] * 30
    again.close()


class TestWriting:
    def test_the_highest_scores_first_and_the_others_later(self):
        studio = Studio()
        writer = PredictionWriter(studio, 1)
        writer.write("al_tf 1", rows_of("al_tf 1", 120))
        assert studio.shown == "al_tf 1"
        assert [task for task, _, _ in studio.rows] == list(range(AT_ONCE))
        writer.complete()
        writer.complete()
        assert [task for task, _, _ in studio.rows] == list(range(120))
        writer.write("al_tf 1", rows_of("al_tf 1", 121))
        assert [task for task, _, _ in studio.rows] == list(range(121))
        writer.write("al_tf 2", rows_of("al_tf 2", 120))
        assert studio.versions(1) == {"al_tf 1": 121, "al_tf 2": AT_ONCE}

    def test_what_was_written_before_a_failure_is_not_written_again(self):
        failures = [LabelStudioError("locked")]

        class Failing(Studio):
            def show_version(self, project, version):
                if failures:
                    raise failures.pop()
                super().show_version(project, version)

        studio = Failing()
        writer = PredictionWriter(studio, 1)
        with pytest.raises(LabelStudioError, match="locked"):
            writer.write("al_tf 1", rows_of("al_tf 1", 3))
        writer.write("al_tf 1", rows_of("al_tf 1", 3))
        assert studio.versions(1) == {"al_tf 1": 3}
        assert studio.shown == "al_tf 1"

    def test_only_old_versions_of_ours_are_deleted_and_few_rows_at_once(self, monkeypatch):
        monkeypatch.setattr(writing, "KEPT_VERSIONS", 2)
        studio = Studio(
            [("al_tf 9", 30), ("another", 5), ("al_tf 10", 130), ("al_tf 11", 60), ("al_tf 2", 70),
             ("al_tf 12", 3)]
        )  # fmt: skip
        writer = PredictionWriter(studio, 1)
        writer.write("al_tf 13", rows_of("al_tf 13", 10))
        writer.delete_stale(lambda: True)
        assert studio.versions(1) == {"another": 5, "al_tf 11": 60, "al_tf 12": 3, "al_tf 13": 10}
        assert studio.largest == AT_ONCE

    def test_deleting_stops_for_a_new_model(self, monkeypatch):
        monkeypatch.setattr(writing, "KEPT_VERSIONS", 0)
        studio = Studio([("al_tf 1", 80), ("al_tf 2", 5)])
        answers = iter([True] * 10 + [False] * 10)
        PredictionWriter(studio, 1).delete_stale(lambda: next(answers))
        assert studio.versions(1) == {"al_tf 1": 70, "al_tf 2": 5}


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's list of replies says, and keeps what was asked."""

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        self.server.asked.append(
            (self.command, self.path, self.headers.get("Authorization"), self.rfile.read(length))
        )
        status, content, *headers = self.server.replies.pop(0)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(content)

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def http_server(monkeypatch):
    """Start servers that give some replies."""
    monkeypatch.setattr(client, "RETRY_SECONDS", (0.01, 0.01))
    servers = []

    def start(*replies):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.asked, server.replies = [], list(replies)
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class TestClient:
    def test_the_token_goes_to_label_studio_alone(self, http_server):
        other = http_server((200, b"image"), (200, b"image"))
        moved = (302, b"", ("Location", f"{other.url}/moved.png"))
        studio = http_server((200, b"own"), moved)
        asked = StudioClient(studio.url, "secret")
        assert asked.download("/data/upload/1/a.png") == b"own"
        assert asked.download(f"{other.url}/a.png") == b"image"
        assert asked.download("/data/moved.png") == b"image"
        assert [token for _, _, token, _ in studio.asked] == ["Token secret"] * 2
        assert [(path, token) for _, path, token, _ in other.asked] == [
            ("/a.png", None), ("/moved.png", None),
        ]  # fmt: skip

    def test_what_is_too_large_or_missing_or_no_http_is_refused(self, http_server, monkeypatch):
        monkeypatch.setattr(client, "MAX_IMAGE_BYTES", 1000)
        other = http_server((200, bytes(1000)), (200, bytes(1001)), (404, b"?"))
        asked = StudioClient("http://localhost:1", "secret")
        assert len(asked.download(f"{other.url}/fits.png")) == 1000
        with pytest.raises(LabelStudioError, match=r"large\.png: more than 1,000 bytes"):
            asked.download(f"{other.url}/large.png")
        with pytest.raises(LabelStudioError, match=r"gone\.png cannot be fetched: 404"):
            asked.download(f"{other.url}/gone.png")
        with pytest.raises(LabelStudioError, match=r"s3://b/a\.png: only http addresses"):
            asked.download("s3://b/a.png")
        with pytest.raises(LabelStudioError, match="cannot be fetched"):
            asked.download("/data/upload/1/a.png")

    def test_a_locked_database_is_asked_again(self, http_server):
        studio = http_server((500, b"locked"), (502, b"locked"), (200, b"[]"), *[(500, b"x")] * 3)
        asked = StudioClient(studio.url, "secret")
        assert asked.emails() == {}
        with pytest.raises(LabelStudioError, match="answers 500 to DELETE api/predictions/3/: x"):
            asked.delete_prediction(3)
        assert studio.replies == []

    @pytest.mark.parametrize("added", [False, True])
    def test_predictions_are_added_once(self, http_server, added):
        after = b'{"al_tf 1": 2}' if added else b"{}"
        studio = http_server((200, b"{}"), (500, b"locked"), (200, after), (201, b"{}"))
        StudioClient(studio.url, "secret").add_predictions(5, "al_tf 1", [{"task": 1}])
        posts = [path for method, path, *_ in studio.asked if method == "POST"]
        assert posts == ["/api/projects/5/import/predictions"] * (1 if added else 2)

    def test_a_personal_access_token_is_exchanged_and_again_when_refused(self, http_server):
        studio = http_server(
            (200, b'{"access": "one"}'), (200, b"[]"), (401, b""), (200, b'{"access": "two"}'),
            (200, b"[]"), (200, b"image"),
        )  # fmt: skip
        asked = StudioClient(studio.url, "eyPersonal")
        asked.emails()
        asked.emails()
        assert asked.download("/data/upload/1/a.png") == b"image"
        assert [token for _, _, token, _ in studio.asked] == [
            None, "Bearer one", "Bearer one", None, "Bearer two", "Bearer two",
        ]  # fmt: skip
        assert studio.asked[0][1:2] + studio.asked[0][3:] == (
            "/api/token/refresh/", b'{"refresh": "eyPersonal"}',
        )  # fmt: skip

    def test_a_token_that_is_refused_is_an_error(self, http_server):
        for token, match in (("ab", "refuses the token"), ("eyAb", "refuses the personal access")):
            with pytest.raises(LabelStudioError, match=match):
                StudioClient(http_server((401, b"")).url, token).emails()
