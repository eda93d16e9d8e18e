"""Looking closely in a real browser: zoom, light, small windows; keys that are quicker than the program."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from al_tf.labeling import FolderPool, LabelingSession

from .conftest import serving
from .screen import Pixels, Screen

WIDTH, HEIGHT = 3_000, 2_000
TOP = 4_095


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A folder of TIFF files of 12 bits, too large for the screen."""
    folder = tmp_path_factory.mktemp("parts")
    for i in range(8):
        pixels = np.full((HEIGHT, WIDTH), 1_000 + 100 * i, np.uint16)
        pixels[::2, ::2] = TOP
        Image.fromarray(pixels).save(folder / f"{i}.tif")
    return folder


def opened(folder, path, n_classes=2, **options):
    names = ["good", "defective", *(f"class {i}" for i in range(3, n_classes + 1))]
    options = {"batch_size": 5, "audit_share": 0.0, "repeat_share": 0.0} | options
    return LabelingSession(
        Pixels(), FolderPool(folder, size=8), path, classes=names, random_state=0, **options
    )


@pytest.fixture
def session(parts, tmp_path):
    with opened(parts, tmp_path / "l.db") as session:
        yield session


@pytest.fixture
def screen(page, session):
    with serving(session) as server:
        yield Screen(page).open(server.link(server.doors[0]))


def labels(session):
    return [(event.name, event.label) for event in session.ledger.events()]


def scale(screen):
    return screen.frame.locator(".altf-image").bounding_box()["width"] / WIDTH


def detail(screen):
    """Return the part in full resolution that is shown, once the image rests."""
    for _ in range(50):
        screen.page.wait_for_timeout(200)
        url = screen.frame.get_attribute(".altf-detail", "src") or ""
        if url.startswith("data:"):
            part = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
            if len(np.unique(part)) <= 2:
                return part
    raise AssertionError("No part in full resolution is shown.")


def pixels(screen):
    return np.asarray(Image.open(io.BytesIO(screen.image_bytes())))


def until(screen, holds):
    """Wait for what follows an event of the mouse or a slider, which come without an answer."""
    for _ in range(100):
        if holds():
            return
        screen.page.wait_for_timeout(100)
    raise AssertionError("It did not happen.")


def middle(screen):
    box = screen.frame.locator(".altf-stage").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


class TestZoom:
    def by_key(self, screen):
        screen.page.keyboard.press("z")

    def by_double_click(self, screen):
        screen.page.mouse.dblclick(*middle(screen))

    def by_plus(self, screen):
        for _ in range(6):
            screen.page.keyboard.press("+")

    def by_wheel(self, screen):
        screen.page.mouse.move(*middle(screen))
        for _ in range(12):
            screen.page.mouse.wheel(0, -100)

    @pytest.mark.parametrize("how", ["by_key", "by_double_click", "by_plus", "by_wheel"])
    def test_shows_every_pixel_of_the_file(self, screen, session, how):
        fitted = scale(screen)
        getattr(self, how)(screen)
        until(screen, lambda: scale(screen) > 2 * fitted)
        part = detail(screen)  # every second pixel of every second row is white
        assert part.max() == 255
        assert np.mean(part == 255) == pytest.approx(0.25, abs=0.02)
        assert labels(session) == []
        assert screen.trouble == []

    def test_back_again_and_fitted_for_the_next_image(self, screen):
        fitted = scale(screen)
        screen.page.keyboard.press("z")
        assert scale(screen) == pytest.approx(1)
        screen.page.keyboard.press("z")
        assert scale(screen) == pytest.approx(fitted)
        screen.page.keyboard.press("+")
        screen.page.keyboard.press("-")
        assert scale(screen) == pytest.approx(fitted)
        screen.page.keyboard.press("z")
        screen.press("1")
        assert scale(screen) == pytest.approx(fitted)

    def test_the_wheel_keeps_what_is_under_the_pointer(self, screen):
        box = screen.frame.locator(".altf-image").bounding_box()
        x, y = box["x"] + 0.25 * box["width"], box["y"] + 0.6 * box["height"]
        screen.page.mouse.move(x, y)
        screen.page.mouse.wheel(0, -500)
        until(screen, lambda: scale(screen) > 1.5 * box["width"] / WIDTH)
        after = screen.frame.locator(".altf-image").bounding_box()
        assert (x - after["x"]) / after["width"] == pytest.approx(0.25, abs=0.01)
        assert (y - after["y"]) / after["height"] == pytest.approx(0.6, abs=0.01)

    def test_moves_by_drag_and_by_shift_and_arrows(self, screen, session):
        screen.page.keyboard.press("z")
        x, y = middle(screen)
        before = screen.frame.locator(".altf-image").bounding_box()
        screen.page.mouse.move(x, y)
        screen.page.mouse.down()
        screen.page.mouse.move(x - 80, y - 50, steps=4)
        screen.page.mouse.up()
        after = screen.frame.locator(".altf-image").bounding_box()
        assert (before["x"] - after["x"], before["y"] - after["y"]) == (80, 50)
        screen.page.mouse.move(x, y)  # no longer held
        assert screen.frame.locator(".altf-image").bounding_box() == after
        screen.page.keyboard.press("Shift+ArrowRight")
        assert screen.frame.locator(".altf-image").bounding_box()["x"] < after["x"]
        assert labels(session) == []


class TestLight:
    def test_is_a_window_of_the_values_of_the_file(self, screen):
        shown = pixels(screen)
        assert shown.max() < 255  # grey: single white pixels are averaged with dark ones
        screen.page.keyboard.press("b")
        assert screen.text(".altf-window") == f"0 to {TOP:,} of {TOP:,}"
        screen.frame.get_by_label("Brightness", exact=True).fill("60")
        assert screen.text(".altf-window") == f"-1,228 to {2_866 + 1:,} of {TOP:,}"
        until(screen, lambda: pixels(screen).mean() > shown.mean() + 50)
        screen.press("1")  # stays for the images that follow
        assert pixels(screen).mean() > shown.mean() + 50
        screen.frame.get_by_role("button", name="Reset").click()
        screen.page.wait_for_timeout(800)
        assert screen.text(".altf-window") == f"0 to {TOP:,} of {TOP:,}"
        assert screen.trouble == []

    def test_sliders_take_arrows_and_answers_stay_answers(self, screen, session):
        screen.page.keyboard.press("b")
        slider = screen.frame.get_by_label("Contrast", exact=True)
        slider.focus()
        screen.page.keyboard.press("ArrowRight")
        assert slider.input_value() == "1"
        screen.press("2")
        assert [label for _, label in labels(session)] == ["defective"]


@pytest.mark.parametrize("n_classes", [2, 13])
@pytest.mark.parametrize("size", [(900, 420), (640, 400), (1280, 800), (390, 844)], ids=str)
def test_the_image_keeps_most_of_a_small_window(page, parts, tmp_path, size, n_classes):
    """640 × 400 is a screen of 1,280 × 800 at 200 % zoom."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    with opened(parts, tmp_path / "l.db", n_classes) as session, serving(session) as server:
        Screen(page).open(server.link(server.doors[0]))
        stage = page.locator(".altf-stage").bounding_box()
        least = 0.5 if size[1] < 600 else 0.35
        assert stage["width"] * stage["height"] >= least * size[0] * size[1]
        for part in (".altf-image", "button.altf-class >> nth=1", "button:has-text('Skip')"):
            box = page.locator(part).bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= size[1]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        last = page.locator("button.altf-class").last
        last.scroll_into_view_if_needed()
        assert last.bounding_box()["width"] >= 100


class TestNeighbours:
    def test_are_large_and_larger_by_a_click(self, screen, session):
        for i in range(5):
            screen.press(str(i % 2 + 1))
        screen.wait_for_training()
        card = screen.frame.locator(".altf-card img").first
        assert min(card.bounding_box()[side] for side in ("width", "height")) >= 120
        assert card.evaluate("image => image.naturalWidth") == 384
        before = labels(session)
        screen.frame.locator(".altf-card").first.click()
        assert card.bounding_box()["height"] >= 300
        screen.page.keyboard.press("Space")  # the card no longer has the keyboard
        assert card.bounding_box()["height"] >= 300
        assert labels(session) == before


class Gate:
    """Holds back what the page asks, until it is opened or broken."""

    def __init__(self, page):
        self.held, self.pass_on = [], None
        page.route("**/ask", self.handle)

    def handle(self, route):
        self.held.append(route) if self.pass_on is None else self.pass_on(route)

    def open(self):
        self.release(lambda route: route.continue_())

    def break_down(self):
        self.release(lambda route: route.abort())

    def release(self, pass_on):
        self.pass_on = pass_on
        for route in self.held:
            pass_on(route)


class TestQuickKeys:
    def test_the_next_image_is_there_before_the_program_answers(self, screen, session):
        screen.frame.wait_for_selector(".altf[data-ahead='3']")
        gate = Gate(screen.page)
        first, name = screen.slot, screen.name
        screen.page.keyboard.press("2")
        screen.frame.wait_for_function(
            "before => document.querySelector('.altf').dataset.slot !== before", arg=first
        )
        assert screen.name != name
        assert labels(session) == []
        gate.open()
        screen.ready()
        assert labels(session) == [(name, "defective")]

    def test_each_key_is_an_answer_to_the_image_that_was_on_the_screen(self, screen, session):
        seen = []
        for key in ("1", "2", "2", "1", "s", "2"):
            seen.append((screen.name, {"1": "good", "2": "defective", "s": None}[key]))
            with screen.next_image():
                screen.page.keyboard.press(key)
        assert labels(session) == seen

    def test_keys_before_the_next_image_wait_with_a_sign_and_none_is_lost(self, screen, session):
        gate = Gate(screen.page)  # neither answers nor images come through
        for key in "121212":
            screen.page.keyboard.press(key)
            screen.page.wait_for_timeout(60)
        said = screen.text(".altf-queued")
        waiting = int(screen.frame.get_attribute(".altf", "data-waiting"))
        assert said == f"{waiting} answers for the next images (Esc: none)"
        assert 2 <= waiting <= 5  # those fetched ahead were answered
        gate.open()
        screen.frame.wait_for_selector(".altf[data-waiting='0'][aria-busy=false]")
        screen.ready()
        assert [label for _, label in labels(session)] == ["good", "defective"] * 3
        assert len({name for name, _ in labels(session)}) == 6
        assert not screen.frame.locator(".altf-queued").is_visible()

    def test_escape_drops_what_waits(self, screen, session):
        gate = Gate(screen.page)
        for key in "121212":
            screen.page.keyboard.press(key)
            screen.page.wait_for_timeout(60)
        waiting = int(screen.frame.get_attribute(".altf", "data-waiting"))
        screen.page.keyboard.press("Escape")
        assert screen.frame.get_attribute(".altf", "data-waiting") == "0"
        gate.open()
        screen.ready()
        assert len(labels(session)) == 6 - waiting

    def test_when_the_program_is_gone_it_says_how_many_were_not_sent(self, screen, session):
        gate = Gate(screen.page)
        name = screen.name
        for key in "121":
            screen.page.keyboard.press(key)
            screen.page.wait_for_timeout(60)
        gate.break_down()
        screen.frame.wait_for_selector(".altf-error:not([hidden])")
        assert "2 further answers were not sent" in screen.error
        assert screen.name == name  # the first that may be lost
        assert labels(session) == []


class TestFocus:
    def focused(self, screen):
        return screen.page.evaluate("document.activeElement.className.split(' ')[0]")

    def test_after_a_click_space_and_enter_answer_nothing(self, screen, session):
        screen.click("good")
        assert self.focused(screen) == "altf"
        for key in ("Space", "Enter"):
            screen.page.keyboard.press(key)
        screen.button("Why").click()
        screen.page.keyboard.press("Space")
        screen.ready()
        assert [label for _, label in labels(session)] == ["good"]

    def test_enter_held_on_a_button_answers_once(self, screen, session):
        screen.button("good").focus()
        with screen.next_image():
            for _ in range(4):
                screen.page.keyboard.down("Enter")
            screen.page.keyboard.up("Enter")
        assert [label for _, label in labels(session)] == ["good"]

    def test_after_a_class_was_typed_digits_answer(self, page, parts, tmp_path):
        with opened(parts, tmp_path / "l.db", 13) as session, serving(session) as server:
            screen = Screen(page).open(server.link(server.doors[0]))
            page.keyboard.press("/")
            page.keyboard.type("class 12")
            screen.press("Enter")
            assert self.focused(screen) == "altf"
            screen.press("1")
            assert [label for _, label in labels(session)] == ["class 12", "good"]
            assert page.locator(".altf-filter").input_value() == ""


def test_a_screen_reader_hears_of_each_new_image(screen):
    live = screen.frame.locator(".altf-unseen")
    assert live.get_attribute("aria-live") == "polite"
    for place in (1, 2, 3):
        assert live.text_content() == f"{screen.name}, {place} of 5 in this batch."
        screen.press("1")
    for _ in range(2):
        screen.press("2")
    screen.wait_for_training()
    screen.page.wait_for_timeout(500)  # what the model thinks of the images that follow
    screen.press("1")
    assert "The model predicts" in live.text_content()
