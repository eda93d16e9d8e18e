"""People at work: a real Label Studio in Chromium, with the backend as its own process.

``AL_TF_STUDIO_LABELS=60`` labels as many as that; ``AL_TF_STUDIO_PICTURES=FOLDER`` keeps what was
seen.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from al_tf.labeling import FolderPool, LabelingSession, LabelLedger
from al_tf.labeling.desk_settings import read_settings
from al_tf.labeling.exchange.label_studio import import_annotations, labeling_interface
from tests.browser.conftest import CLASSES, chromium, write_images  # noqa: F401

from .studio import PASSWORD, USER, free_port, running
from .test_backend import name_of, scores, shown_predictions, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(3600)]

LABELS = int(os.environ.get("AL_TF_STUDIO_LABELS", 12))
SKIPPED = 4
"""Which of the tasks is skipped."""
SHOWN = 8
"""Rows of the list that are certainly in sight."""


class Backend:
    """``al-tf label-studio serve``, to be stopped and started again."""

    def __init__(self, ledger, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = ["--ledger", str(ledger), "--images", str(folder), "--port", str(self.port),
                           "--classes", ",".join(CLASSES), "--size", "64"]  # fmt: skip
        self._log = ledger.with_suffix(".log")

    def start(self):
        with open(self._log, "ab") as log:
            command = [sys.executable, "-m", "al_tf", "label-studio", "serve", *self._arguments]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._is_up, 180)

    def _is_up(self):
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            return requests.get(f"{self.url}/health", timeout=5).ok
        except requests.RequestException:
            return False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self):
        self._process.terminate()
        assert self._process.wait(60) == 0, self._log.read_text()[-2000:]

    def is_done(self, labels):
        """Tell whether a model with so many labels is there."""
        health = requests.get(f"{self.url}/health", timeout=30).json()
        return health["training"] == "ready" and health["labels"] == labels

    @property
    def version(self):
        return requests.get(f"{self.url}/versions", timeout=30).json()["versions"][0]


class Annotator:
    """Somebody in front of a project, who knows the answers."""

    def __init__(self, page, studio, project, truth):
        self.page, self.url, self.project = page, studio.url, project
        tasks = studio.tasks(project)
        self.truth = {task["id"]: truth[name_of(task)] for task in tasks}
        self.names = {task["id"]: name_of(task) for task in tasks}
        self.answers = {}

    def open(self, path):
        self.page.goto(f"{self.url}{path}", wait_until="domcontentloaded")

    def log_in(self):
        self.open("/user/login/")
        self.page.fill("input[name=email]", USER)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "login" not in url)

    def connect(self, backend):
        self.open(f"/projects/{self.project}/settings/ml")
        self.page.get_by_text("Connect Model", exact=True).first.click()
        self.page.fill("input[name=title]", "al_tf")
        self.page.fill("input[name=url]", backend.url)
        self.page.get_by_text("Validate and Save").click()
        self.page.get_by_text("Connected", exact=True).wait_for()

    def sort_by_score(self):
        """Show the score, and put the highest first."""
        for menu in ("Columns", "Order by"):
            self.list()  # opened anew: menus are closed
            self.page.get_by_text(menu, exact=True).click()
            item = self.page.locator(".lsf-menu-dm__item")
            item.filter(has=self.page.get_by_text("Prediction score", exact=True)).locator(
                "visible=true"
            ).click()
            self.page.wait_for_timeout(1500)  # it is saved
        for _ in range(2):
            if self._is_descending():
                return
            self.page.locator("button[aria-label^=Sort]").click()
        until(self._is_descending)

    def _is_descending(self):
        self.page.wait_for_timeout(1500)
        scores = [score for _, score in self.list()]
        return None not in scores and scores[0] > scores[-1]

    def list(self):
        """Return task and score of the first rows of the list, which is opened anew."""
        self.open(f"/projects/{self.project}/data")
        rows = self.page.get_by_test_id("table-row")
        rows.nth(SHOWN - 1).wait_for()
        found = []
        for row in rows.all()[:SHOWN]:
            task = row.get_by_role("checkbox").get_attribute("aria-label")
            cells = row.inner_text().split()  # number, three counts, and the score if there is one
            found.append((int(task.split()[-1]), float(cells[4]) if len(cells) == 5 else None))
        return found

    def begin(self):
        """Label what the list shows, from the top."""
        self.list()
        self.page.get_by_label("Toggle open").first.click()
        self.page.get_by_text("Label Tasks As Displayed").click()
        self._number().wait_for()

    @property
    def task(self):
        return int(self._number().inner_text().split()[0])

    def _number(self):
        return self.page.locator(".lsf-current-task__task-id")

    def answer(self):
        """Give the right answer: the odd ones by key, the even ones by click; one is skipped."""
        task = self.task
        assert task not in self.answers
        n = len(self.answers)
        if n == SKIPPED:
            self.answers[task] = None
            self.page.get_by_text("Skip", exact=True).click()
        else:
            label = self.answers[task] = self.truth[task]
            box = self.page.locator(f"input[name={label}]")
            for _ in range(5):
                self.page.wait_for_timeout(500)  # a prediction may be chosen beforehand
                if box.is_checked():
                    break
                if n % 2:
                    self.page.keyboard.press(str(CLASSES.index(label) + 1))
                else:
                    self.page.locator("label").filter(has=box).click()
            assert box.is_checked()
            self.page.get_by_test_id("bottombar-submit-button").click()
        until(lambda: self.task != task, 300)

    @property
    def named(self):
        return {self.names[task]: label for task, label in self.answers.items()}


def picture(page, name):
    if folder := os.environ.get("AL_TF_STUDIO_PICTURES"):
        page.wait_for_timeout(2000)
        page.screenshot(path=Path(folder) / f"{name}.png")


def answers_of(ledger):
    rows = ledger.current()
    labels = rows["label"].astype(object).where(rows["label"].notna(), None)
    return dict(zip(rows["name"], labels, strict=True))


def asked_for(ledger, folder, n):
    """Return the names of the batch that `al-tf label` would show next, with a copy of the ledger."""
    copy = shutil.copy(ledger, ledger.with_suffix(".copy"))
    book = LabelLedger(copy)
    settings = read_settings(book)
    session = LabelingSession(
        settings.build_estimator(book.classes),
        FolderPool(folder, size=settings.size, grey=settings.grey),
        book, classes=book.classes, batch_size=n, strategy=settings.strategy, annotator=USER,
        cold_start=settings.cold_start, audit_share=0.0, repeat_share=0.0,
    )  # fmt: skip
    session.wait()
    items = [session.next(), *session.ahead(n)]
    session.close()
    return {session.pool.name(item.image_id) for item in items}


@pytest.fixture
def page(chromium):  # noqa: F811
    context = chromium.new_context(viewport={"width": 1180, "height": 720})
    context.route(lambda url: "//127.0.0.1:" not in url, lambda route: route.abort())
    page = context.new_page()
    page.set_default_timeout(300_000)
    yield page
    context.close()


def test_a_project_is_labeled_in_a_browser(page, program, initialized, documents, tmp_path):
    folder = documents / "in a browser"
    folder.mkdir()
    truth = write_images(folder, 200)
    ledger = tmp_path / "labels.db"
    place = tmp_path / "studio"
    with (
        Backend(ledger, folder) as backend,
        running(program, initialized, place, documents) as studio,
    ):
        project = studio.project(labeling_interface(CLASSES), "Magnetic tiles")
        studio.local_storage(project, folder, sync=True)
        person = Annotator(page, studio, project, truth)

        def wait_for_scores():
            """Wait until the scores of the newest model are shown: of each task, once it pauses."""
            labels = sum(label is not None for label in person.answers.values())
            if labels:
                until(lambda: backend.is_done(labels), 180)

            def are_shown():
                found = [version for _, version in scores(studio, project).values()]
                return found == [backend.version] * (200 if labels else 10)

            until(are_shown, 300)

        person.log_in()
        person.connect(backend)
        wait_for_scores()
        person.sort_by_score()
        first = person.list()
        assert [score for _, score in first] == pytest.approx([1 - n / 10 for n in range(SHOWN)])

        person.begin()
        assert person.task == first[0][0]
        for _ in range(LABELS):
            person.answer()
        wait_for_scores()
        second = person.list()
        picture(page, "label_studio_list")
        values = [score for _, score in second]
        assert values == sorted(values, reverse=True)
        assert values != [score for _, score in first]
        assert not {task for task, _ in second} & set(person.answers)
        predicted = {
            task: prediction["result"][0]["value"]["choices"][0]
            for task, prediction in shown_predictions(studio, project).items()
        }
        assert set(predicted.values()) == set(CLASSES)
        page.get_by_test_id("table-row").first.click()
        person._number().wait_for()
        until(page.locator(f"input[name={predicted[person.task]}]").is_checked, 60)
        picture(page, "label_studio_task")

        backend.stop()
        studio.stop()
        assert answers_of(LabelLedger(ledger)) == person.named
        assert {person.names[task] for task, _ in second} == asked_for(ledger, folder, SHOWN)
        studio.start()
        backend.start()
        assert person.list() == second
        person.begin()
        assert person.task == second[0][0]
        for _ in range(3):
            person.answer()
        wait_for_scores()
        assert person.list() != second
        path = studio.export(project, "JSON", tmp_path / "export.json")
        backend.stop()
    assert answers_of(LabelLedger(ledger)) == person.named
    other = LabelLedger(tmp_path / "other.db")
    other.fix_classes(CLASSES)
    done = import_annotations(other, path, pool=FolderPool(folder, size=12))
    assert (done.recorded, done.unmatched) == (LABELS + 3, ())
    assert answers_of(other) == person.named
