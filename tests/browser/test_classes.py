"""Classes that are added, renamed, merged, described and colored in the page."""

import pytest

from al_tf.labeling import LabelLedger

from .conftest import new_context, serving
from .screen import Screen
from .test_page import digits_session

NAMES = [
    "good",
    "scratch",
    "dent",
    "stain",
    "crack",
    "hole",
    "burr",
    "chip",
    "bubble",
    "rust",
    "fold",
]


def open_page(page, server, door=0):
    return Screen(page).open(server.link(server.doors[door]))


def open_classes(screen):
    screen.page.keyboard.press("c")
    screen.frame.wait_for_selector(".altf-classlist .altf-entry")
    screen.ready()


def edit(screen, name):
    screen.frame.get_by_role("button", name=f"Edit {name}", exact=True).click()
    return screen.frame.locator(".altf-form")


def said(screen):
    screen.ready()
    error = screen.frame.query_selector(".altf-classlist .altf-error:not([hidden])")
    return error.text_content() if error else screen.text(".altf-classlist .altf-live")


def listed(screen):
    """Return key, name and number of answers of each class of the list."""
    lines = screen.frame.locator(".altf-line").all()
    parts = [
        [line.locator(s).text_content() for s in ("kbd", "bdi", ".altf-count")] for line in lines
    ]
    return [tuple(part) for part in parts]


def test_classes_are_changed_by_keyboard_and_what_is_done_is_in_the_ledger(page, tmp_path):
    session = digits_session(tmp_path / "labels.db", classes=("good", "bad"), annotator="maria")
    with serving(session) as server:
        screen = open_page(page, server)
        keys = page.keyboard
        screen.press("1")
        screen.press("2")
        open_classes(screen)
        assert listed(screen) == [("1", "good", "1 answer"), ("2", "bad", "1 answer")]
        page.get_by_label("New class").focus()
        keys.type("scratch")  # letters are no commands there
        keys.press("Enter")
        assert "Added the class" in said(screen)
        keys.type("Good")
        keys.press("Enter")
        assert said(screen) == "There is a class 'good' already. Choose another name."
        assert page.get_by_label("New class").input_value() == "Good"

        form = edit(screen, "bad")
        assert page.evaluate("document.activeElement.value") == "bad"
        keys.press("Control+A")
        keys.type("broken")
        keys.press("Tab")
        keys.type("In pieces.")
        keys.press("Tab")
        keys.type("u")
        form.get_by_label("red", exact=True).check()
        keys.press("Enter")
        assert said(screen) == "The key 'u' is a command of the desk. Choose another one."
        form.get_by_label("Own key").fill("B")
        keys.press("Enter")
        assert "command of the desk" in said(screen)  # so is b
        form.get_by_label("Own key").fill("x")
        keys.press("Enter")
        screen.frame.wait_for_selector(".altf-form", state="detached")
        assert "is now" in said(screen)
        assert page.evaluate("document.activeElement.ariaLabel") == "Edit broken"
        assert ("x", "broken", "1 answer") in listed(screen)
        keys.press("Escape")
        screen.ready()

        button = screen.button("broken")
        assert button.get_attribute("title") == "broken: In pieces."
        assert button.get_attribute("aria-keyshortcuts") == "x"
        assert button.locator(".altf-swatch").get_attribute("data-color") == "red"
        screen.press("x")
        screen.press("3")
        labels = [e.label for e in session.ledger.answers().values()]
        assert labels == ["good", "broken", "broken", "scratch"]

        open_classes(screen)
        form = edit(screen, "scratch")
        assert form.get_by_role("button", name="Remove").is_hidden()  # it has an answer
        form.get_by_role("combobox").select_option("broken")
        form.get_by_role("button", name="Merge", exact=True).click()
        assert "Merged" in said(screen)
        assert listed(screen) == [("1", "good", "1 answer"), ("x", "broken", "3 answers")]
        assert "With the answers of scratch" in screen.text(".altf-entries")
        keys.press("u")
        assert "Took back the merging" in said(screen)
        assert listed(screen)[-1] == ("3", "scratch", "1 answer")
        form = edit(screen, "scratch")
        form.get_by_role("combobox").select_option("broken")
        form.get_by_role("button", name="Merge", exact=True).click()
        screen.ready()
        edit(screen, "broken").get_by_role("button", name="Separate scratch").click()
        assert "is back" in said(screen)
        assert not screen.trouble
    kinds = [e.kind for e in session.ledger.events() if e.kind != "label"]
    assert kinds == [
        "class_added", "class_renamed", "class_described", "class_merged", "undo", "class_merged",
        "class_separated",
    ]  # fmt: skip
    session.close(wait=False)


def test_the_main_view_s_undo_takes_a_class_back_if_it_was_last(page, tmp_path):
    session = digits_session(tmp_path / "labels.db", classes=("good", "bad"))
    with serving(session) as server:
        screen = open_page(page, server)
        screen.press("1")
        session.add_class("scratch")
        page.keyboard.press("u")
        screen.ready()
        assert "Took back the class" in screen.text(".altf-live")
        assert session.classes == ("good", "bad")
        assert len(session.ledger.answers()) == 1
        screen.press("u")
        assert len(session.ledger.answers()) == 0
    session.close(wait=False)


def test_many_classes_have_digits_then_letters_and_a_box(page, tmp_path):
    session = digits_session(tmp_path / "labels.db", classes=NAMES)
    with serving(session) as server:
        screen = open_page(page, server)
        screen.press("0")
        screen.press("d")  # the eleventh: a, b and c are commands
        page.keyboard.press("/")
        page.keyboard.type("hol")
        assert screen.frame.locator(".altf-class:visible").count() == 1
        screen.press("Enter")
        page.keyboard.press("c")
        screen.frame.wait_for_selector(".altf-entry")
        page.get_by_label("New class").fill("last")
        page.keyboard.press("Enter")
        screen.ready()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        screen.ready()
        screen.press("e")
        labels = [e.label for e in session.ledger.answers().values()]
        assert labels == ["rust", "fold", "hole", "last"]
    session.close(wait=False)


def test_two_pages_see_each_other_s_changes(chromium, page, tmp_path):
    maria = digits_session(tmp_path / "labels.db", classes=("good", "bad"), annotator="maria")
    ben = maria.colleague("ben")
    context = new_context(chromium, 420, 860)
    with serving(maria, ben) as server:
        screen, other = open_page(page, server), open_page(context.new_page(), server, 1)
        open_classes(screen)
        edit(screen, "bad").get_by_label("Name").fill("broken")
        page.keyboard.press("Enter")
        screen.ready()
        page.get_by_label("New class").fill("scratch")
        page.keyboard.press("Enter")
        screen.ready()
        assert other.button("bad").is_visible()  # it has not heard of it yet
        other.press("2")
        assert other.error is None
        assert [e.label for e in maria.ledger.answers().values()] == ["broken"]
        assert other.button("scratch").is_visible()
        open_classes(other)
        edit(other, "scratch").get_by_role("button", name="Remove").click()
        assert "Removed" in said(other)
        page.get_by_label("New class").fill("scratch")  # as if it were still there
        page.keyboard.press("Enter")
        assert "Added" in said(screen)
        assert not screen.trouble
        assert not other.trouble
    context.close()
    maria.close(wait=False)


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 800), (420, 860), (640, 400)], ids=["desk", "phone", "zoomed"]
)
def test_everything_fits_in_the_window(page, tmp_path, width, height):
    page.set_viewport_size({"width": width, "height": height})
    session = digits_session(tmp_path / "labels.db", classes=NAMES)
    session.describe_class("good", description="Without any fault that can be seen. " * 5)
    session.rename_class("dent", "a dent whose name is so long that it takes several lines " * 2)
    with serving(session) as server:
        screen = open_page(page, server)
        open_classes(screen)
        edit(screen, "scratch")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for element in screen.frame.locator(".altf-form :is(input, select, button):visible").all():
            element.scroll_into_view_if_needed()
            box = element.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["y"] + box["height"] <= height
        unnamed = page.evaluate(
            "[...document.querySelectorAll('.altf-classlist :is(input, select, button)')]"
            ".filter((e) => !e.ariaLabel && !e.textContent && !e.labels?.length).length"
        )
        assert unnamed == 0
        assert not screen.trouble
    session.close(wait=False)


def test_a_ledger_with_changed_classes_opens_again(page, tmp_path):
    session = digits_session(tmp_path / "labels.db", classes=("good", "bad"))
    session.rename_class("bad", "broken")
    session.add_class("scratch", key="x")
    session.close(wait=False)
    again = digits_session(tmp_path / "labels.db", classes=("good", "bad"))
    with serving(again) as server:
        screen = open_page(page, server)
        screen.press("x")
    again.close(wait=False)
    with LabelLedger(tmp_path / "labels.db") as ledger:
        assert [e.label for e in ledger.answers().values()] == ["scratch"]
