"""Two annotators at once in a real browser: each in their own name, second opinions, disagreements."""

import pytest

from al_tf.labeling import FolderPool, LabelingSession

from .conftest import CLASSES, new_context, serving
from .screen import Pixels, Screen
from .test_grid import FRONT, cell, count, go, said, settled


@pytest.fixture
def ann(images, tmp_path):
    options = {"classes": CLASSES, "batch_size": 6, "annotator": "ann", "random_state": 0}
    options |= {"repeat_share": 0.0, "overlap": 0.5}
    with LabelingSession(
        Pixels(), FolderPool(images[0], size=32), tmp_path / "l.db", **options
    ) as session:
        yield session


@pytest.fixture(params=["one browser", "two browsers"])
def screens(request, chromium, ann):
    """The pages of ann and ben: tabs of one browser, or on two machines, one of them a phone."""
    first = new_context(chromium)
    second = first
    if request.param == "two browsers":
        second = new_context(chromium, 390, 844, has_touch=True, is_mobile=True)
    with serving(ann, ann.colleague("ben")) as server:
        pages = [first.new_page(), second.new_page()]
        links = map(server.link, server.doors)
        screens = [Screen(page).open(link) for page, link in zip(pages, links, strict=True)]
        yield screens
        assert [screen.trouble for screen in screens] == [[], []]
    first.close()
    second.close()


def test_two_label_give_second_opinions_and_settle(screens, ann, images):
    truth = images[1]
    key = {label: str(1 + i) for i, label in enumerate(CLASSES)}
    names = ["ann", "ben"]
    for turn in range(24):  # in turns; ben errs where he is the second
        screen = screens[turn % 2]
        label = truth[screen.name]
        waiting = ann.ledger.queue.waiting(names[turn % 2])
        if names[turn % 2] == "ben" and waiting[0].purpose == "second":
            label = CLASSES[1 - CLASSES.index(label)]
        screen.press(key[label])
    for screen, name in zip(screens, names, strict=True):
        screen.page.reload()
        screen.page.wait_for_selector(".altf[data-slot]")
        screen.ready()
        assert name in screen.text("section[aria-label='Second opinions']")
    ann.wait()
    events = ann.ledger.events()
    assert [event.annotator for event in events] == names * 12
    assert len({(event.image, event.annotator) for event in events}) == 24
    second = [event for event in events if event.purpose == "second"]
    assert {event.annotator for event in second} == set(names)
    disputes = ann.progress().disputed
    assert disputes == sum(event.annotator == "ben" for event in second) > 1

    lead = screens[0]
    lead.page.locator("button", has_text=f"Settle {disputes} disagreements").click()
    lead.page.wait_for_selector(".altf[data-view=review]")
    settled(lead)
    assert count(lead) == f"{disputes} images"
    opinions = cell(lead, 0).locator(".altf-opinion")
    assert opinions.count() == 2
    assert {text[-3:] for text in opinions.all_text_contents()} == set(names)
    name = cell(lead, 0).get_attribute("title")
    cell(lead, 0).click()
    lead.page.keyboard.press(key[truth[name]])
    said(lead, "Settled 1 image")
    event = ann.ledger.events()[-1]
    assert (event.kind, event.annotator, event.name) == ("settle", "ann", name)
    assert ann.ledger.answer(event.image).label == truth[name]
    lead.page.keyboard.press("u")
    said(lead, "Took back the settlement")
    assert ann.progress().disputed == disputes
    lead.page.keyboard.press("Home")
    lead.page.keyboard.press("Enter")
    lead.page.wait_for_selector(".altf[data-view=single]")
    settled(lead)
    text = lead.page.locator(f"{FRONT} .altf-answer").text_content()
    assert text.startswith("Choose the class that counts.")
    assert all(f"{who}: " in text for who in names)
    lead.page.keyboard.press("2")
    said(lead, "Settled 1 image")
    assert ann.progress().disputed == disputes - 1

    ben = screens[1]
    ben.page.reload()
    ben.page.wait_for_selector(".altf[data-slot]")
    ben.ready()
    assert "shown to the referee" in ben.text("section[aria-label='Second opinions']")
    assert ben.page.locator("button", has_text="Settle").is_hidden()
    go(ben, "g", "review")
    assert ben.page.locator(".altf-kinds button", has_text="Disagreements").is_hidden()
    assert ben.page.locator(f"{FRONT} .altf-opinion").count() == 0
