"""`al-tf label` in a real browser: what a person does is what the ledger holds."""

import contextlib
import csv
import io
import json
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from al_tf.labeling import ArrayPool, FolderPool, LabelingSession, LabelLedger
from al_tf.labeling.exchange.export import export_csv
from tests import interruptible
from tests.labeling.work import FakeBackbone

from .conftest import CLASSES, serving
from .screen import Pixels, Screen


@pytest.fixture
def session(images, tmp_path):
    options = {"classes": CLASSES, "batch_size": 10, "annotator": "maria", "random_state": 0}
    pool = FolderPool(images[0], size=32)
    with LabelingSession(Pixels(), pool, tmp_path / "labels.db", **options) as session:
        yield session


@pytest.fixture
def server(session):
    with serving(session) as server:
        yield server


@pytest.fixture
def screen(page, server):
    return Screen(page).open(server.link(server.doors[0]))


def events(session):
    return [(e.kind, e.name, e.label) for e in session.ledger.events()]


def digits_session(path, names=None, classes=("odd", "even"), estimator=None, n=60, **options):
    images = np.random.default_rng(0).integers(0, 256, (n, 8, 8), dtype=np.uint8)
    pool = ArrayPool(images, names)
    options = {"batch_size": 5, "audit_share": 0.0, "repeat_share": 0.0} | options
    return LabelingSession(
        estimator or Pixels(), pool, path, classes=classes, random_state=0, **options
    )


class Person:
    """Someone who knows the answers, works by keys and mouse in turn, and notes what they did."""

    def __init__(self, screen, truth, folder):
        self.screen, self.truth, self.folder = screen, truth, folder
        self.done = []

    def label(self, how):
        name = self.screen.name
        label = self.truth[name]
        shown = np.asarray(Image.open(io.BytesIO(self.screen.image_bytes())))
        np.testing.assert_array_equal(shown, np.asarray(Image.open(self.folder / name)))
        if how == "key":
            self.screen.press(str(CLASSES.index(label) + 1))
        elif how == "mouse":
            self.screen.click(label)
        else:
            self.screen.button(label).focus()
            self.screen.press("Enter")
        self.done.append(("label", name, label))

    def undo(self, how):
        *_, (_, name, _) = self.standing()
        self.screen.press("u") if how == "key" else self.screen.click("Undo")
        self.done.append(("undo", name, None))
        assert self.screen.name == name

    def skip(self):
        self.done.append(("skip", self.screen.name, None))
        self.screen.press("s")

    def standing(self):
        """Return what was done and not taken back."""
        answers = []
        for entry in self.done:
            answers.pop() if entry[0] == "undo" else answers.append(entry)
        return answers


def test_a_session_by_keyboard_and_mouse(screen, session, images, tmp_path):
    folder, truth = images
    person = Person(screen, truth, folder)
    ways = ["key", "mouse", "key", "enter"]
    for i in range(12):
        person.label(ways[i % 4])
    person.undo("key")
    person.undo("mouse")
    person.skip()
    before = screen.name
    screen.page.reload()
    screen.ready()
    assert screen.name == before
    for i in range(10):
        person.label(ways[i % 4])
    screen.page.keyboard.press("r")
    screen.wait_for_training()
    assert "Training on all labels" in screen.text(".altf-live")
    for i in range(10):
        person.label(ways[i % 4])
    assert events(session) == person.done
    assert len(person.done) == 12 + 2 + 1 + 20
    export_csv(session.ledger, tmp_path / "labels.csv")
    with open(tmp_path / "labels.csv", newline="") as file:
        exported = {row["name"]: row["label"] for row in csv.DictReader(file)}
    assert exported == {name: label or "" for _, name, label in person.standing()}
    assert screen.trouble == []


def test_the_token_is_gone_from_the_address_and_no_script_reads_the_cookie(screen, server):
    assert screen.page.url == f"http://127.0.0.1:{server.server_port}/"
    assert screen.page.evaluate("document.cookie") == ""


def test_without_the_token_there_is_no_desk(page, server):
    response = page.goto(f"http://127.0.0.1:{server.server_port}/")
    assert response.status == 403
    assert "address that the program printed" in page.text_content("body")


def test_another_page_cannot_send_an_answer(screen, server, session):
    other = screen.page.context.new_page()
    other.route("http://localhost:9/", lambda route: route.fulfill(body="<p>elsewhere"))
    other.goto("http://localhost:9/")
    address = f"http://127.0.0.1:{server.server_port}/ask"
    body = json.dumps({"do": "label", "slot": int(screen.slot), "label": "good"})
    for kind in ("text/plain", "application/json"):
        script = "([url, body, kind]) => fetch(url, {method: 'POST', body, credentials: 'include',"
        script += " headers: {'Content-Type': kind}}).then(() => 'got through', () => 'refused')"
        assert other.evaluate(script, [address, body, kind]) == "refused"
    assert events(session) == []


@pytest.mark.parametrize("how", ["keys", "clicks", "a key held down"])
def test_what_comes_twice_labels_one_image(screen, session, how):
    with screen.next_image():
        if how == "keys":  # of a keyboard that bounces
            screen.page.evaluate(
                "[1, 2, 3].map(() => new KeyboardEvent('keydown', {key: '1', code: 'Digit1'}))"
                ".forEach((event) => document.dispatchEvent(event))"
            )
        elif how == "clicks":
            screen.button("good").dblclick()
        else:
            for _ in range(5):
                screen.page.keyboard.down("1")
                screen.page.wait_for_timeout(100)
            screen.page.keyboard.up("1")
    assert len(events(session)) == 1


def test_an_answer_from_a_tab_that_fell_behind_is_refused_and_the_tab_catches_up(screen, session):
    behind = Screen(screen.page.context.new_page()).open(screen.page.url)
    assert behind.name == screen.name
    screen.press("1")
    behind.press("2")
    assert [label for _, _, label in events(session)] == ["good"]
    assert "Nothing was recorded" in behind.error
    assert behind.name == screen.name
    behind.press("2")
    assert [label for _, _, label in events(session)] == ["good", "defective"]
    assert behind.error is None


def test_an_answer_given_while_a_new_model_is_looked_at_counts(screen, session, images):
    held = []

    def hold_looks(route):
        held.append(route) if route.request.post_data_json["do"] == "look" else route.continue_()

    person = Person(screen, images[1], images[0])
    for _ in range(10):
        person.label("key")
    session.wait()
    screen.page.route("**/ask", hold_looks)
    screen.page.keyboard.press("r")
    screen.page.wait_for_timeout(200)
    session.wait()
    while not held:
        screen.page.wait_for_timeout(50)
    person.label("mouse")  # the page has seen the training end, and its look is on the way
    shown = screen.slot
    for route in held:
        route.continue_()
    screen.page.unroute("**/ask")
    screen.page.wait_for_timeout(300)
    assert screen.slot == shown
    assert [label for _, _, label in events(session)] == [label for _, _, label in person.done]


def test_names_are_text(page, tmp_path):
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    classes = [evil, '"><b>bold</b>', "a,b/c\\d'", "${alert(3)}", "\u202etxt.exe", "x" * 300]
    names = [f"{evil}{i}" for i in range(60)]
    with digits_session(tmp_path / "l.db", names, classes) as session, serving(session) as server:
        screen = Screen(page).open(server.link(server.doors[0]))
        for i in range(12):
            screen.press(str(i % 6 + 1))
        screen.page.keyboard.press("r")
        screen.wait_for_training()
        shown = screen.frame.locator(".altf-class bdi").all_text_contents()
        assert shown == classes
        assert screen.name in names
        assert page.locator(".altf b, .altf script, .altf img[src=x]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert {label for _, _, label in events(session)} == set(classes)
    assert screen.trouble == []


def test_more_classes_than_digits_are_found_by_typing(page, tmp_path):
    classes = [f"species {i}" for i in range(40)]
    with (
        digits_session(tmp_path / "l.db", classes=classes) as session,
        serving(session) as server,
    ):
        screen = Screen(page).open(server.link(server.doors[0]))
        screen.press("0")
        page.keyboard.press("/")
        page.keyboard.type("su 3")
        assert page.locator(".altf-class:visible").count() == 0
        page.keyboard.press("Control+a")
        page.keyboard.type("ES 3")
        assert page.locator(".altf-class:visible").count() == 11
        page.keyboard.type("7")
        screen.press("Enter")
        page.keyboard.press("Escape")
        screen.press("s")
        assert [label for _, _, label in events(session)] == ["species 9", "species 37", None]


def test_everything_can_be_reached_and_used_by_keyboard_alone(screen, session):
    reached = []
    for _ in range(12):
        screen.page.keyboard.press("Tab")
        reached.append(screen.page.evaluate("document.activeElement.innerText"))
        width = "parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
        if reached[-1].strip():
            assert screen.page.evaluate(width) >= 2
    flat = " ".join(" ".join(reached).split())
    for wanted in ("good", "defective", "Undo", "Skip", "Retrain", "Why"):
        assert wanted in flat
    assert screen.frame.locator(".altf-why").is_visible()
    screen.page.keyboard.press("w")
    assert not screen.frame.locator(".altf-why").is_visible()
    screen.button("defective").focus()
    screen.press("Space")
    assert events(session)[0][2] == "defective"
    assert screen.page.evaluate("document.activeElement.innerText").split()[1] == "defective"


def test_a_screen_reader_is_told(screen):
    name = screen.name
    assert screen.frame.get_attribute(".altf-image", "alt") == f"Image to label: {name}"
    screen.press("1")
    live = screen.frame.locator("[role=status]")
    assert live.text_content() == f"Labeled \u2068{name}\u2069 as \u2068good\u2069."
    tree = screen.page.locator(".altf").aria_snapshot()
    assert 'button "good"' in tree
    assert 'group "Classes"' in tree
    assert 'progressbar "Images with an answer"' in tree


def test_a_layout_that_types_other_signs_with_the_digit_keys(screen, session):
    with screen.next_image():
        screen.page.evaluate(
            "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'é', code: 'Digit2'}))"
        )
    assert events(session)[0][2] == "defective"


def test_shortcuts_of_the_browser_are_left_alone(screen, session):
    for key in ("Control+1", "Alt+2", "Meta+1"):
        screen.page.keyboard.press(key)
    screen.ready()
    assert events(session) == []


def test_when_the_program_does_not_answer_nothing_is_lost_or_sent_twice(screen, session):
    screen.press("1")
    screen.page.route("**/ask", lambda route: route.abort())
    screen.page.keyboard.press("1")
    screen.frame.wait_for_selector(".altf-error:not([hidden])")
    assert "does not answer" in screen.error
    screen.page.unroute("**/ask")
    screen.page.get_by_role("button", name="Look again").click()
    screen.ready()
    assert screen.error is None
    screen.press("1")
    assert [kind for kind, _, _ in events(session)] == ["label", "label"]


def test_when_only_the_reply_is_lost_the_answer_stays_and_is_not_doubled(screen, session):
    def lose_reply(route):
        route.fetch()
        route.abort()

    screen.page.route("**/ask", lose_reply)
    screen.page.keyboard.press("1")
    screen.frame.wait_for_selector(".altf-error:not([hidden])")
    screen.page.unroute("**/ask")
    screen.press("1")  # at the image that was answered: refused, and the next one is shown
    assert "Nothing was recorded" in screen.error
    assert [kind for kind, _, _ in events(session)] == ["label"]


def test_a_page_of_an_earlier_run_says_where_to_go(screen):
    screen.page.context.clear_cookies()
    screen.page.keyboard.press("1")
    screen.frame.wait_for_selector(".altf-error:not([hidden])")
    assert "earlier run: open the address that the program printed last" in screen.error


def test_a_failed_training_is_one_line_and_labeling_goes_on(page, tmp_path):
    class Failing(Pixels):
        def fit(self, X, y):
            raise MemoryError("no <b>room</b>\nfor the network")

    path = tmp_path / "l.db"
    session = digits_session(path, estimator=Failing(), auto_retrain=False)
    with serving(session) as server:
        screen = Screen(page).open(server.link(server.doors[0]))
        screen.press("1")
        screen.press("2")
        page.keyboard.press("r")
        page.wait_for_selector(".altf-pill[data-state=failed]")
        page.wait_for_selector(".altf-error")
        assert "MemoryError: no <b>room</b>" in screen.error
        assert "labels are safe" in screen.error
        screen.press("1")
    assert len(events(session)) == 3


def test_labeling_goes_on_while_features_are_computed(page, tmp_path, monkeypatch):
    pytest.importorskip("al_tf.network.probe")
    from al_tf.network.probe import LinearProbeClassifier

    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))
    backbone = FakeBackbone(8)
    backbone.held = threading.Event()
    probe = LinearProbeClassifier(backbone)
    with (
        digits_session(tmp_path / "l.db", estimator=probe) as session,
        serving(session) as server,
    ):
        screen = Screen(page).open(server.link(server.doors[0]))
        busy = ("Looking at the images: 0 of 60", "Training the first model …")
        for i in range(7):
            assert screen.text(".altf-pill") in busy[: 1 if i < 4 else 2]
            screen.press(str(i % 2 + 1))
        backbone.held.set()
        screen.wait_for_training()
        assert re.fullmatch(r"Model 1, from \d labels", screen.text(".altf-pill"))
        for i in range(3):
            screen.press(str(i % 2 + 1))
        assert "Chosen by margin" in screen.text(".altf-reason")
        assert screen.text(".altf-pill") == "Model 2, from 10 labels"
    assert screen.trouble == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (800, 600), (420, 720)], ids=str)
def test_light_and_dark_large_and_small(screen, scheme, size):
    screen.page.emulate_media(color_scheme=scheme)
    screen.frame.wait_for_selector(f".altf[data-theme={scheme}]")
    screen.resize(*size)
    assert screen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for part in (".altf-image", "button.altf-class >> nth=1", "button:has-text('Skip')"):
        box = screen.page.locator(part).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= size[1]  # without scrolling
        assert box["width"] * box["height"] >= 40 * 40


@pytest.mark.parametrize(
    ("host", "theme"),
    [
        ("document.body.dataset.jpThemeLight = 'false'", "dark"),
        ("document.body.dataset.jpThemeLight = 'true'", "light"),
        ("document.body.className = 'vscode-dark'", "dark"),
        ("document.body.className = 'vscode-light'", "light"),
        ("document.documentElement.setAttribute('theme', 'dark')", "dark"),
        ("document.documentElement.setAttribute('theme', 'light')", "light"),
    ],
)
def test_the_theme_of_the_host_goes_before_that_of_the_system(screen, host, theme):
    screen.page.emulate_media(color_scheme="light" if theme == "dark" else "dark")
    screen.page.evaluate(host)
    screen.frame.wait_for_selector(f".altf[data-theme={theme}]")


def test_tiny_images_keep_their_pixels(page, tmp_path):
    with digits_session(tmp_path / "l.db") as session, serving(session) as server:
        Screen(page).open(server.link(server.doors[0]))
        style = "getComputedStyle(document.querySelector('.altf-image')).imageRendering"
        assert page.evaluate(style) == "pixelated"
        assert page.locator(".altf-image").bounding_box()["height"] > 400


def test_at_the_end_it_says_so_and_can_go_back(page, tmp_path):
    with digits_session(tmp_path / "l.db", n=4) as session, serving(session) as server:
        screen = Screen(page).open(server.link(server.doors[0]))
        for _ in range(4):
            screen.press("1")
        assert screen.text(".altf-done") == "Every image has an answer."
        assert "You may stop." in screen.text(".altf-advice")
        page.keyboard.press("1")
        screen.press("u")
        assert screen.frame.locator(".altf-image").is_visible()
        assert [kind for kind, _, _ in events(session)] == ["label"] * 4 + ["undo"]


def test_the_curve_grows_and_is_told_in_words(page, images, tmp_path):
    folder, truth = images
    options = {"classes": CLASSES, "batch_size": 6, "audit_share": 0.5, "random_state": 0}
    with (
        LabelingSession(
            Pixels(), FolderPool(folder, size=16), tmp_path / "l.db", **options
        ) as session,
        serving(session) as server,
    ):
        screen = Screen(page).open(server.link(server.doors[0]))
        for answered in range(1, 21):
            screen.press(str(CLASSES.index(truth[screen.name]) + 1))
            if answered % 5 == 0:
                session.wait()  # else one training may serve several batches
        screen.wait_for_training()
        points = len(session.curve())
        assert page.locator(".altf-point").count() == points >= 2
        words = page.get_attribute(".altf-chart", "aria-label")
        assert re.match(rf"Estimated accuracy after {points} trainings: from \d+ % at", words)
        page.get_by_role("button", name="minutes").click()
        assert "minutes" in page.get_attribute(".altf-chart", "aria-label")
        estimate = session.progress().accuracy
        assert page.text_content(".altf-headline strong") == f"{round(100 * estimate.value)} %"


class TestOpening:
    """The page is there before the folder is open."""

    @pytest.fixture
    def server(self):
        with serving() as server:
            server.expect(["maria"])
            yield server

    def says(self, page, text):
        page.wait_for_selector(".altf-opening")
        page.wait_for_function(
            "text => document.querySelector('.altf-opening').textContent.includes(text)", arg=text
        )

    @pytest.mark.parametrize("width", [360, 1280])
    def test_it_says_how_far_it_is_and_then_shows_the_first_image(
        self, chromium, server, session, width
    ):
        page = chromium.new_page(viewport={"width": width, "height": 700})
        screen = Screen(page)
        page.goto(server.link(server.doors[0]))
        self.says(page, "Opening the folder")
        server.opening.tell("Looking for images in the folder: 12,000 files so far …")
        self.says(page, "12,000 files so far")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("1")  # nothing is shown that it could answer
        server.attach(session)
        page.wait_for_selector(".altf[data-slot]")
        screen.ready()
        assert page.query_selector(".altf-opening") is None
        assert events(session) == []
        name = screen.name
        screen.press("1")
        assert events(session) == [("label", name, CLASSES[0])]
        assert screen.trouble == []
        page.close()

    def test_it_says_why_the_folder_cannot_be_opened(self, page, server):
        page.goto(server.link(server.doors[0]))
        self.says(page, "Starting")
        server.opening.fail("pictures: expected image files, found none that can be read.")
        page.wait_for_selector("[role=alert]")
        assert "found none that can be read" in page.text_content("[role=alert]")
        self.says(page, "start the program again")


@pytest.mark.keras
def test_the_command_with_its_network(page, images, tmp_path):
    folder, truth = images
    ledger = tmp_path / "labels.db"
    command = [
        sys.executable,
        "-c",
        "from al_tf.cli.main import main; main()",
        "label",
        str(folder),
    ]
    command += ["--no-browser"]
    command += ["--classes", ",".join(CLASSES), "--ledger", str(ledger), "--size", "32"]
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, preexec_fn=interruptible
        ) as process,
        contextlib.ExitStack() as at_end,
    ):
        at_end.callback(process.kill)  # does nothing to a process that has ended
        screen = Screen(page).open(process.stdout.readline().split()[-1])
        person = Person(screen, truth, folder)
        while len({label for _, _, label in person.done}) < 2 or len(person.done) < 12:
            person.label("key")
        page.keyboard.press("r")
        page.wait_for_selector(".altf-pill[data-state=ready]", timeout=240_000)
        person.label("mouse")
        page.close()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
    with LabelLedger(ledger, read_only=True) as labels:
        assert [(e.kind, e.name, e.label) for e in labels.events()] == person.done
        assert labels.rounds()["labels"].iloc[-1] >= 8
    assert screen.trouble == []
