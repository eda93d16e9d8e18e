"""The review grid, images alike and past answers in a real browser: what is done is in the ledger."""

import numpy as np
import pytest

from al_tf.labeling import ArrayPool, FolderPool, LabelingSession, LabelLedger
from al_tf.labeling.audit import audit_rank
from tests.labeling.work import FakeBackbone

from .conftest import CLASSES, serving
from .screen import Pixels, Screen

FRONT = ".altf-frame:not([hidden])"


@pytest.fixture
def session(images, tmp_path):
    options = {"classes": CLASSES, "batch_size": 10, "annotator": "maria", "random_state": 0}
    options["repeat_share"] = 0.0
    pool = FolderPool(images[0], size=32)
    with LabelingSession(Pixels(), pool, tmp_path / "labels.db", **options) as session:
        yield session


@pytest.fixture
def screen(page, session, images):
    """A desk with eighteen answers, the third a mistake, and two skipped images."""
    for k in range(20):
        item = session.next()
        truth = images[1][session.pool.name(item.image_id)]
        wrong = CLASSES[1 - CLASSES.index(truth)]
        if k in (5, 11):
            session.skip(slot=item.slot)
        else:
            session.label(wrong if k == 2 else truth, slot=item.slot)
    session.wait()
    with serving(session) as server:
        screen = Screen(page).open(server.link(server.doors[0]))
        yield screen
        assert screen.trouble == []


def go(screen, key, view):
    screen.page.keyboard.press(key)
    screen.page.wait_for_selector(f".altf[data-view={view}]")
    settled(screen)


def settled(screen):
    screen.page.wait_for_selector(".altf[aria-busy=false]")
    screen.page.wait_for_timeout(50)


def cell(screen, place):
    return screen.page.locator(f"{FRONT} .altf-cell[data-place='{place}']")


def count(screen):
    return screen.page.locator(f"{FRONT} .altf-place").text_content()


def said(screen, text):
    screen.page.locator(f"{FRONT} .altf-live", has_text=text).wait_for()
    settled(screen)


def show(screen, kind):
    screen.page.locator(".altf-kinds button", has_text=kind).click()
    settled(screen)


def newest(session, n):
    """Return the last events as (kind, name, label, purpose)."""
    return [(e.kind, e.name, e.label, e.purpose) for e in session.ledger.events()[-n:]]


def test_a_mistake_is_found_and_corrected_by_the_mouse(screen, session, images):
    answers = [event for event in session.ledger.events() if event.kind == "label"]
    mistake = answers[2]
    go(screen, "g", "review")
    assert count(screen) == "18 images"
    screen.page.locator(f"{FRONT} input[aria-label=Name]").fill(mistake.name.upper())
    screen.page.locator(f"{FRONT} .altf-place", has_text="1 image").wait_for()
    settled(screen)
    assert cell(screen, 0).get_attribute("title") == mistake.name
    cell(screen, 0).click()
    truth = images[1][mistake.name]
    screen.page.locator(f"{FRONT} .altf-class", has_text=truth).click()
    said(screen, "Relabeled 1 image")
    assert newest(session, 1) == [("relabel", mistake.name, truth, mistake.purpose)]
    screen.page.locator(f"{FRONT} button", has_text="Undo").click()
    said(screen, "Took back the label")
    assert session.ledger.answer(mistake.image).label == mistake.label


def test_many_are_selected_by_mouse_and_keys_as_in_a_file_manager(screen, session):
    go(screen, "g", "review")
    names = [cell(screen, place).get_attribute("title") for place in range(18)]
    cell(screen, 1).click()
    cell(screen, 4).click(modifiers=["Shift"])
    cell(screen, 2).click(modifiers=["Control"])
    cell(screen, 9).click(modifiers=["Control"])
    assert count(screen) == "4 of 18 images selected"
    chosen = screen.page.locator(f"{FRONT} .altf-cell[aria-selected=true]")
    assert chosen.evaluate_all("c => c.map(x => x.title)") == [names[i] for i in (1, 3, 4, 9)]
    screen.page.keyboard.press("Delete")
    said(screen, "Cleared 4 images")
    assert {(kind, name) for kind, name, *_ in newest(session, 4)} == {
        ("clear", names[i]) for i in (1, 3, 4, 9)
    }
    assert count(screen) == "14 images"
    for key in ("Home", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight"):
        screen.page.keyboard.press(key)
    assert count(screen) == "3 of 14 images selected"
    for key in ("Control+ArrowRight", "Control+ArrowRight", " "):
        screen.page.keyboard.press(key)
    assert count(screen) == "4 of 14 images selected"
    screen.page.keyboard.press("Escape")
    assert count(screen) == "14 images"
    screen.page.keyboard.press("u")
    said(screen, "Took back what was done to 4 images")
    assert count(screen) == "18 images"
    screen.page.keyboard.press("Control+a")
    screen.page.keyboard.press("2")
    said(screen, "Relabeled")
    assert {e.label for e in session.ledger.answers().values() if e.label} == {CLASSES[1]}


def test_skipped_images_come_back(screen, session):
    go(screen, "g", "review")
    show(screen, "Skipped")
    assert count(screen) == "2 images"
    screen.page.keyboard.press("Tab")
    screen.page.locator(f"{FRONT} .altf-cells").focus()
    screen.page.keyboard.press("Control+a")
    screen.page.keyboard.press("Backspace")
    said(screen, "Cleared 2 images")
    assert screen.page.locator(f"{FRONT} .altf-done").text_content() == "No image fits."
    assert session.progress().skipped == 0
    screen.page.keyboard.press("g")
    screen.page.wait_for_selector(".altf:not([data-view])")
    assert session.progress().remaining == len(session.pool) - 18


def test_filters_of_class_and_model(screen, session):
    go(screen, "g", "review")
    screen.page.locator("select[aria-label=Class]").select_option(CLASSES[1])
    settled(screen)
    labels = screen.page.locator(f"{FRONT} .altf-cell .altf-word").all_text_contents()
    assert set(labels) == {CLASSES[1]}
    assert len(labels) == session.progress().per_class[CLASSES[1]]
    show(screen, "Audit")
    screen.page.locator("select[aria-label=Class]").select_option("")
    settled(screen)
    cells = screen.page.locator(f"{FRONT} .altf-cell")
    assert cells.count() == sum(e.purpose == "audit" for e in session.ledger.answers().values()) > 0
    assert screen.page.locator(f"{FRONT} .altf-guess").count() == 0  # judged by people alone


def test_labels_and_predictions_show_the_colors_of_their_classes(screen, session):
    session.describe_class("defective", color="red")
    go(screen, "g", "review")
    colors = screen.page.locator(f"{FRONT} .altf-cell").evaluate_all(
        """cells => cells.map(cell => [".altf-word", ".altf-guess"].map(part => [
          cell.querySelector(`${part} bdi`)?.textContent,
          cell.querySelector(`${part} .altf-swatch`)?.dataset.color]))"""
    )
    shown = {name: color for cell in colors for name, color in cell if name}
    assert shown == {"good": None, "defective": "red"}
    session.describe_class("good", color="green")
    screen.page.keyboard.press("Escape")
    go(screen, "g", "review")
    swatches = screen.page.locator(f"{FRONT} .altf-word .altf-swatch")
    assert set(swatches.evaluate_all("s => s.map(x => x.dataset.color)")) == {"green", "red"}


def test_alike_are_labeled_by_one_key_but_for_the_exceptions(screen, session):
    here = session.next().image_id
    go(screen, "a", "alike")
    seed = session.ledger.setting("seed")
    n = 24 + (audit_rank(here, seed) >= 0.1)  # itself, unless it is the audit's
    assert count(screen) == f"{n} of {n} images ticked"
    exceptions = [cell(screen, place).get_attribute("title") for place in (3, 7)]
    cell(screen, 3).click()
    for key in ("Control+x", *["ArrowRight"] * 4, " "):  # the first is not the desk's
        screen.page.keyboard.press(key)
    assert count(screen) == f"{n - 2} of {n} images ticked"
    screen.page.keyboard.press("1")
    said(screen, f"Labeled {n - 2} images")
    bulk = [event for event in session.ledger.events() if event.purpose == "bulk"]
    assert len(bulk) == n - 2
    assert (here in {event.image for event in bulk}) == (n == 25)
    assert {event.label for event in bulk} == {CLASSES[0]}
    assert not {event.name for event in bulk} & set(exceptions)
    assert all(audit_rank(event.image, seed) >= 0.1 for event in bulk)
    screen.ready()
    screen.page.keyboard.press("u")
    said(screen, f"Took back what was done to {n - 2} images")
    assert session.progress().labels == 18
    assert session.next().image_id == here


def test_arrow_keys_go_through_the_past_and_a_correction_leaves_the_place(screen, session):
    waiting = screen.name
    order = [event.name for event in session.ledger.events() if event.purpose != "repeat"]
    go(screen, "ArrowLeft", "past")
    seen = []
    for _ in range(6):
        seen.append(screen.page.locator(f"{FRONT} .altf-name").text_content())
        screen.page.keyboard.press("ArrowLeft")
        settled(screen)
    assert seen == order[::-1][:6]
    screen.page.keyboard.press("ArrowRight")
    settled(screen)
    before = session.ledger.answers()
    (event,) = [event for event in before.values() if event.name == seen[5]]
    other = CLASSES[event.label == CLASSES[0]]
    screen.page.keyboard.press(str(1 + CLASSES.index(other)))
    said(screen, "Relabeled 1 image")
    assert newest(session, 1) == [("relabel", seen[5], other, event.purpose)]
    assert screen.page.locator(f"{FRONT} .altf-name").text_content() == seen[5]
    marked = screen.page.locator(f"{FRONT} .altf-class[aria-pressed=true] bdi")
    assert marked.text_content() == other
    for _ in range(6):
        screen.page.keyboard.press("ArrowRight")
        settled(screen)
    screen.page.wait_for_selector(".altf:not([data-view])")
    assert screen.name == waiting


def test_suspects_come_first_and_one_is_looked_at_in_full(page, tmp_path):
    from al_tf import LinearProbeClassifier
    from tests.labeling.work import make_images

    images, labels = make_images(200)
    pool = ArrayPool(images, [f"<b>{i}</b>" for i in range(200)])
    estimator = LinearProbeClassifier(FakeBackbone(), cache_dir=tmp_path / "features")
    with LabelingSession(
        estimator, pool, tmp_path / "labels.db", classes=("dark", "bright"), audit_share=0.0,
        repeat_share=0.0, random_state=0,
    ) as session:  # fmt: skip
        session.wait()
        name = ""
        for k in range(80):
            item = session.next()
            truth = str(labels[pool.row(item.image_id)])
            session.label({"dark": "bright", "bright": "dark"}[truth] if k == 3 else truth)
            name = item.name if k == 3 else name
        session.wait()
        with serving(session) as server:
            screen = Screen(page).open(server.link(server.doors[0]))
            go(screen, "g", "review")
            show(screen, "Suspects")
            page.locator(f"{FRONT} .altf-cell .altf-other").first.wait_for()
            listed = page.locator(f"{FRONT} .altf-cell").evaluate_all("c => c.map(x => x.title)")
            assert name in listed  # it is no markup
            cell(screen, listed.index(name)).dblclick()
            page.wait_for_selector(".altf[data-view=single]")
            settled(screen)
            assert page.locator(f"{FRONT} .altf-name").text_content() == name
            page.keyboard.press("Escape")
            page.wait_for_selector(f"{FRONT} .altf-cells")
            assert screen.trouble == []


def test_five_thousand_images_are_a_few_cells_and_scroll_to_the_end(page, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5_000, 8, 8), dtype=np.uint8)
    with (
        LabelingSession(Pixels(), images, tmp_path / "labels.db", classes=CLASSES) as session,
        serving(session) as server,
    ):
        screen = Screen(page).open(server.link(server.doors[0]))
        go(screen, "g", "review")
        show(screen, "All")
        assert count(screen) == "5000 images"
        page.locator(f"{FRONT} .altf-cells").focus()
        page.keyboard.press("End")
        last = cell(screen, 4_999).locator("img:not([hidden])")
        last.wait_for()
        assert page.locator(f"{FRONT} .altf-cell").count() < 150
        names = page.locator(f"{FRONT} .altf-cell").evaluate_all("c => c.map(x => x.title)")
        assert len(set(names) - {""}) == len(names)
        with_pictures = page.locator(f"{FRONT} .altf-cell img[src]").count()
        assert 0 < with_pictures < 150
        page.keyboard.press("Shift+Home")  # a range whose parts were not all fetched
        assert count(screen) == "5000 of 5000 images selected"
        page.keyboard.press("1")
        page.locator(f"{FRONT} .altf-error", has_text="At most 2000").wait_for()
        assert session.ledger.events() == []
        assert screen.trouble == []


@pytest.mark.parametrize("width", [390, 640])
def test_nothing_is_wider_than_a_small_screen(page, session, width):
    page.set_viewport_size({"width": width, "height": 700})
    session.label(CLASSES[0], slot=session.next().slot)
    with serving(session) as server:
        screen = Screen(page).open(server.link(server.doors[0]))
        for key, view in (("g", "review"), ("a", "alike")):
            go(screen, key, view)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator(f"{FRONT} .altf-cells").bounding_box()["height"] >= 140
        page.keyboard.press("Escape")
        page.wait_for_selector(".altf[data-view=review]")


def test_two_annotators_see_one_another_s_answers(page, session, tmp_path):
    with LabelLedger(tmp_path / "labels.db") as ledger:
        ledger.label(session.pool.ids[0], CLASSES[1], annotator="ben", name="part x")
    session.label(CLASSES[0], slot=session.next().slot)
    with serving(session) as server:
        screen = Screen(page).open(server.link(server.doors[0]))
        go(screen, "g", "review")
        page.locator("select[aria-label=Annotator]").select_option("ben")
        settled(screen)
        assert count(screen) == "1 image"
