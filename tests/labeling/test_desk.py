"""Requests of a screen to the desk, and the replies."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from al_tf.errors import ImageGoneError
from al_tf.labeling import ArrayPool, LabelingSession
from al_tf.labeling.desk import data_urls
from al_tf.labeling.desk.data_urls import SIDE, data_url
from al_tf.labeling.desk.protocol import Desk

from .work import CLASSES, NearestMean


@pytest.fixture
def session(desk):
    with desk.session(batch_size=5, audit_share=0.0, repeat_share=0.0) as session:
        yield session


@pytest.fixture
def screen(session):
    return Desk(session)


def history(session):
    return [(event.kind, event.label) for event in session.ledger.events()]


def pixels(url):
    kind, _, data = url.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def answer(screen, label="dark"):
    slot = screen.handle({"do": "look"})["item"]["slot"]
    return screen.handle({"do": "label", "slot": slot, "label": label})


def test_a_reply_is_json_and_shows_the_image_pixel_for_pixel(screen, desk):
    reply = screen.handle({"do": "look"})
    assert json.loads(json.dumps(reply, allow_nan=False)) == reply
    row = int(reply["item"]["name"].removeprefix("image "))
    np.testing.assert_array_equal(pixels(reply["item"]["image"]), desk.images[row])
    assert reply["error"] is None
    assert reply["status"]["classes"] == list(CLASSES)
    assert reply["status"]["images"] == reply["status"]["remaining"] == len(desk.pool)


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_images_of_any_number_of_channels_are_shown(channels):
    image = np.arange(6 * 5 * max(channels, default=1), dtype=np.uint8).reshape(6, 5, *channels)
    np.testing.assert_array_equal(pixels(data_url(image)).reshape(image.shape), image)


def test_thumbnails_are_small():
    assert pixels(data_url(np.zeros((900, 300), np.uint8), 128)).shape == (128, 43)


def test_an_image_is_encoded_once(screen, desk, monkeypatch):
    encoded = []

    def counted(image, *args):
        encoded.append(image.tobytes())
        return data_url(image, *args)

    monkeypatch.setattr(data_urls, "data_url", counted)
    first = screen.handle({"do": "look"})["item"]
    ahead = screen.handle({"do": "ahead"})["ahead"]
    reply = screen.handle({"do": "label", "slot": first["slot"], "label": "dark"})
    assert reply["item"]["image"] == ahead[0]["image"]
    assert len(encoded) == len(set(encoded)) == 1 + len(ahead)


def test_a_label_is_recorded_and_the_next_image_comes_with_the_reply(screen, session):
    first = screen.handle({"do": "look"})["item"]
    reply = screen.handle({"do": "label", "slot": first["slot"], "label": "bright"})
    assert history(session) == [("label", "bright")]
    assert reply["item"]["slot"] != first["slot"]
    assert reply["status"]["labels"] == 1
    assert reply["status"]["perClass"] == [0, 1]
    assert first["name"] in reply["did"]


def test_an_answer_sent_twice_is_recorded_once(screen, session):
    request = {
        "do": "label",
        "slot": screen.handle({"do": "look"})["item"]["slot"],
        "label": "dark",
    }
    screen.handle(request)
    again = screen.handle(request)
    assert history(session) == [("label", "dark")]
    assert "Nothing was recorded" in again["error"]
    assert again["item"] is not None  # the screen goes on with what is to be labeled now


def test_an_undo_sent_twice_takes_back_one_answer(screen, session):
    answer(screen)
    slot = answer(screen)["item"]["slot"]
    screen.handle({"do": "undo", "slot": slot})
    again = screen.handle({"do": "undo", "slot": slot})
    assert [kind for kind, _ in history(session)] == ["label", "label", "undo"]
    assert "Nothing was taken back" in again["error"]


def test_undo_shows_the_image_again_also_when_nothing_is_left(desk, tmp_path):
    pool = ArrayPool(desk.images[:2])
    session = LabelingSession(
        NearestMean(), pool, tmp_path / "two.db", classes=CLASSES, audit_share=0.0
    )
    screen = Desk(session)
    answer(screen)
    last = screen.handle({"do": "look"})["item"]
    assert answer(screen)["item"] is None
    reply = screen.handle({"do": "undo", "slot": None})
    assert reply["item"]["slot"] == last["slot"]
    assert "Took back the label" in reply["did"]


def test_undo_at_the_start_says_so(screen):
    slot = screen.handle({"do": "look"})["item"]["slot"]
    assert screen.handle({"do": "undo", "slot": slot})["did"] == "There is nothing to take back."


def test_skip_sets_aside_and_is_taken_back(screen, session):
    slot = screen.handle({"do": "look"})["item"]["slot"]
    reply = screen.handle({"do": "skip", "slot": slot})
    assert reply["status"]["skipped"] == 1
    reply = screen.handle({"do": "undo", "slot": reply["item"]["slot"]})
    assert "Took back the skip" in reply["did"]
    assert reply["item"]["slot"] == slot
    assert [kind for kind, _ in history(session)] == ["skip", "undo"]


@pytest.mark.parametrize(
    "request_",
    [
        None, [], "look", 7, {}, {"do": None}, {"do": "drop"}, {"do": ["label"]}, {"do": {}},
        {"do": "label"}, {"do": "label", "label": "dark"}, {"do": "skip"}, {"do": "undo"},
        {"do": "label", "label": "dark", "slot": True}, {"do": "label", "label": "dark", "slot": 1.0},
        {"do": "label", "label": "dark", "slot": -1}, {"do": "label", "label": "dark", "slot": 2**70},
        {"do": "label", "label": "dark", "slot": "1; DROP TABLE events"},
        {"do": "label", "label": "dark", "slot": 999}, {"do": "skip", "slot": 999},
        {"do": "label", "label": None, "slot": 1}, {"do": "label", "label": 0, "slot": 1},
        {"do": "label", "label": "neither", "slot": 1}, {"do": "label", "label": ["dark"], "slot": 1},
    ],
    ids=str,
)  # fmt: skip
def test_nonsense_is_answered_in_one_line_and_changes_nothing(screen, session, request_):
    assert screen.handle({"do": "look"})["item"]["slot"] == 1
    reply = screen.handle(request_)
    assert reply["error"]
    assert history(session) == []
    assert reply["status"]["labels"] == 0


def test_an_error_that_is_not_ours_is_told_with_its_kind(screen, session, monkeypatch, caplog):
    def broken():
        raise RuntimeError("row 7\n  of 9")

    monkeypatch.setattr(session, "next", broken)
    reply = screen.handle({"do": "look"})
    assert reply["error"] == "RuntimeError: row 7 of 9"
    assert "item" not in reply
    assert "Traceback" in caplog.text


def test_a_label_is_acknowledged_although_the_next_image_fails(screen, session, monkeypatch):
    slot = screen.handle({"do": "look"})["item"]["slot"]

    def gone():
        raise ImageGoneError("the disk was pulled out")

    monkeypatch.setattr(session, "next", gone)
    reply = screen.handle({"do": "label", "slot": slot, "label": "dark"})
    assert reply["error"] == "the disk was pulled out"
    assert "Labeled" in reply["did"]
    assert history(session) == [("label", "dark")]


def test_of_two_errors_the_first_is_told(screen, session, monkeypatch):
    slot = screen.handle({"do": "look"})["item"]["slot"]
    monkeypatch.setattr(session, "progress", lambda: 1 / 0)
    reply = screen.handle({"do": "label", "slot": slot, "label": "neither"})
    assert "not one of the classes" in reply["error"]


def test_after_training_the_model_is_asked_why(screen, desk):
    for _ in range(10):
        slot, name = (screen.handle({"do": "look"})["item"][key] for key in ("slot", "name"))
        label = desk.labels[int(name.removeprefix("image "))]
        screen.handle({"do": "label", "slot": slot, "label": str(label)})
    assert screen.handle({"do": "retrain"})["error"] is None
    screen.session.wait()
    item = screen.handle({"do": "look"})["item"]
    assert sum(p["probability"] for p in item["predictions"]) == pytest.approx(1)
    assert item["predictions"][0]["probability"] >= item["predictions"][1]["probability"]
    assert {other["label"] for other in item["neighbours"]} <= set(CLASSES)
    assert all(pixels(other["image"]).shape == (6, 6) for other in item["neighbours"])


def test_retrain_without_labels_says_what_is_needed(screen):
    assert "two classes" in screen.handle({"do": "retrain"})["did"]


def test_status_alone_brings_no_image(screen):
    reply = screen.handle({"do": "status"})
    assert "item" not in reply
    assert reply["status"]["training"]["state"] == "none"


def test_a_failed_training_is_in_the_status(desk):
    class Failing(NearestMean):
        def fit(self, X, y):
            raise MemoryError("no room")

    session = desk.session(Failing(), audit_share=0.0)
    desk.answer(session, 10)
    session.retrain()
    while session.training.state == "running":
        pass
    training = Desk(session).handle({"do": "status"})["status"]["training"]
    assert (training["state"], training["error"]) == ("failed", "MemoryError: no room")


def test_files_that_cannot_be_shown_are_told_by_name(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        Image.new("L", (9, 7), 80 * i).save(folder / f"{i}.png")
    for i in range(30):
        (folder / f"<i>{i:02}.jpg").write_text("no image")
    session = LabelingSession(NearestMean(), folder, tmp_path / "l.db", classes=CLASSES)
    status = Desk(session).handle({"do": "status"})["status"]
    assert (status["images"], status["unreadable"]) == (3, 30)
    assert len(status["problems"]) == 20
    assert status["problems"][0].startswith("<i>00.jpg: ")


def test_an_image_that_vanishes_before_it_is_shown_is_passed_over(tmp_path):
    for i in range(3):
        Image.new("L", (9, 7), 80 * i).save(tmp_path / f"{i}.png")
    session = LabelingSession(
        NearestMean(), tmp_path, tmp_path / "l.db", classes=CLASSES, audit_share=0.0
    )
    screen = Desk(session)
    first = screen.handle({"do": "look"})["item"]["name"]
    rest = {"0.png", "1.png", "2.png"} - {first}
    gone = rest.pop()
    (tmp_path / gone).unlink()
    reply = answer(screen)
    assert reply["error"] is None
    assert reply["item"]["name"] == rest.pop()


class TestReview:
    """The grid, images alike, past answers."""

    def rows(self, screen, **conditions):
        return screen.handle({"do": "review", **conditions})["review"]["rows"]

    def seen(self, rows):
        return {row["image"]: row["event"] for row in rows}

    def test_a_list_comes_in_parts_that_fit_together(self, screen, session):
        for _ in range(7):
            answer(screen)
        first = screen.handle({"do": "review", "limit": 3})["review"]
        answer(screen, "bright")
        rest = screen.handle(
            {"do": "review", "listing": first["listing"], "offset": 3, "limit": 100}
        )["review"]
        assert (first["total"], len(first["rows"]), len(rest["rows"])) == (7, 3, 4)
        events = [row["event"] for row in first["rows"] + rest["rows"]]
        assert events == sorted(events, reverse=True)
        assert events[0] == 7  # not the answer that came between
        assert (first["annotators"], first["rounds"]) == ([session.annotator], [0])

    def test_lists_of_long_ago_are_not_kept(self, screen):
        old = screen.handle({"do": "review"})["review"]["listing"]
        for _ in range(4):
            screen.handle({"do": "review"})
        assert "look again" in screen.handle({"do": "review", "listing": old})["error"]

    def test_replies_are_json(self, screen):
        answer(screen)
        image = self.rows(screen)[0]["image"]
        for request in (
            {"do": "review"}, {"do": "thumbnails", "images": [image]},
            {"do": "alike", "image": image}, {"do": "past", "image": None, "step": -1},
            {"do": "image", "image": image}, {"do": "change", "label": "bright", "images": {image: 1}}, {"do": "takeback", "last": 2},
        ):  # fmt: skip
            reply = screen.handle(request)
            assert reply["error"] is None
            assert json.loads(json.dumps(reply, allow_nan=False)) == reply

    def test_thumbnails_are_small_and_small_images_are_as_they_are(self, tmp_path):
        rng = np.random.default_rng(0)
        for name, side in (("small", 9), ("large", 900)):
            noise = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / f"{name}.png")
        session = LabelingSession(NearestMean(), tmp_path, tmp_path / "l.db", classes=CLASSES)
        large, small = session.pool.ids
        request = {"do": "thumbnails", "images": [large, small, "0" * 64]}
        for _ in range(2):  # made, and kept
            urls = Desk(session).handle(request)["thumbnails"]
            np.testing.assert_array_equal(pixels(urls[small]), session.pool.shown(small))
            assert urls[large].startswith("data:image/jpeg")
            assert max(jpeg_size(urls[large])) == SIDE
            assert urls["0" * 64] is None

    def test_a_change_names_what_was_seen_and_a_late_one_changes_nothing(self, screen, session):
        for _ in range(3):
            answer(screen)
        rows = self.rows(screen)
        request = {"do": "change", "label": "bright", "images": self.seen(rows)}
        reply = screen.handle(request)
        assert (reply["did"], reply["changed"]) == ("Relabeled 3 images as \u2068bright\u2069.", 3)
        assert reply["status"]["perClass"] == [0, 3]
        again = screen.handle(request)
        assert "Nothing was changed. Left out 3 images" in again["did"]
        assert len(session.ledger.events()) == 6

    def test_clear_and_take_back(self, screen, session):
        answer(screen)
        (row,) = self.rows(screen)
        reply = screen.handle({"do": "change", "label": None, "images": self.seen([row])})
        assert reply["did"] == "Cleared 1 image."
        listing = screen.handle({"do": "review"})["review"]
        assert (listing["rows"], listing["last"]) == ([], 2)
        reply = screen.handle({"do": "takeback", "last": 2})
        assert "Took back the clearing" in reply["did"]
        assert self.rows(screen) == [row]
        assert "Nothing was taken back" in screen.handle({"do": "takeback", "last": 2})["error"]

    def test_alike_are_labeled_at_once_and_undone_by_one_key_of_the_main_view(
        self, screen, session
    ):
        item = screen.handle({"do": "look"})["item"]
        image = next(i for i in session.pool.ids if session.pool.title(i) == item["name"])
        alike = screen.handle({"do": "alike", "image": image, "limit": 10})["alike"]
        assert alike["image"]["image"] == image
        seen = self.seen(alike["rows"][:8]) | {image: None}
        request = {"do": "change", "label": "dark", "images": seen, "alike": True}
        assert screen.handle(request)["did"] == "Labeled 9 images as \u2068dark\u2069."
        assert {(e.purpose, e.strategy) for e in session.ledger.events()} == {("bulk", "alike")}
        other = screen.handle({"do": "look"})["item"]
        assert other["slot"] != item["slot"]
        reply = screen.handle({"do": "undo", "slot": other["slot"]})
        assert reply["did"] == "Took back what was done to 9 images."
        assert reply["item"]["slot"] == item["slot"]
        assert reply["status"]["labels"] == 0

    def test_images_alike_give_no_hint_of_the_answer_that_a_blind_repeat_had(self, desk):
        with desk.session(batch_size=4, audit_share=0.0, repeat_share=0.5) as session:
            while not any(s.purpose == "repeat" for s in session.ledger.queue.waiting("annotator")):
                desk.answer(session, 1)
                session.next()
            slots = session.ledger.queue.waiting("annotator")
            image = next(slot.image for slot in slots if slot.purpose == "repeat")
            assert session.ledger.answer(image) is not None
            alike = Desk(session).handle({"do": "alike", "image": image})["alike"]
            reference = alike["image"]
            assert (reference["label"], reference["event"], reference["purpose"]) == (
                None, None, "repeat",
            )  # fmt: skip
            assert image not in [row["image"] for row in alike["rows"]]

    def test_the_past_is_shown_with_its_answer(self, screen, desk):
        assert screen.handle({"do": "past", "image": None, "step": -1})["past"] is None
        names = []
        for label in ("dark", "bright"):
            names.append(screen.handle({"do": "look"})["item"]["name"])
            answer(screen, label)
        last = screen.handle({"do": "past", "image": None, "step": -1})["past"]
        assert (last["name"], last["label"], last["place"], last["of"]) == (
            names[1],
            "bright",
            2,
            2,
        )
        row = int(last["name"].removeprefix("image "))
        np.testing.assert_array_equal(pixels(last["picture"]), desk.images[row])
        before = screen.handle({"do": "past", "image": last["image"], "step": -1})["past"]
        assert before["name"] == names[0]
        assert screen.handle({"do": "past", "image": last["image"], "step": 1})["past"] is None

    def test_a_list_does_not_wait_for_the_main_view(self, screen):
        with screen._lock:  # as while the next batch is being chosen
            assert screen.handle({"do": "review"})["error"] is None

    @pytest.mark.parametrize(
        "request_",
        [
            {"do": "review", "show": "<b>"}, {"do": "review", "show": 7}, {"do": "review", "label": []},
            {"do": "review", "name": "x" * 1001}, {"do": "review", "agreement": "maybe"},
            {"do": "review", "round": "1"}, {"do": "review", "round": -1}, {"do": "review", "round": True},
            {"do": "review", "round": 2**70}, {"do": "review", "offset": -1}, {"do": "review", "limit": 0},
            {"do": "review", "limit": 10**6}, {"do": "review", "limit": 1.5}, {"do": "review", "listing": 99},
            {"do": "review", "listing": {}}, {"do": "review", "show": "suspects"},
            {"do": "thumbnails"}, {"do": "thumbnails", "images": []}, {"do": "thumbnails", "images": "a" * 64},
            {"do": "thumbnails", "images": ["../../etc/passwd"]}, {"do": "thumbnails", "images": [None]},
            {"do": "thumbnails", "images": [{}]}, {"do": "thumbnails", "images": ["A" * 64]},
            {"do": "thumbnails", "images": ["a" * 64] * 65},
            {"do": "alike"}, {"do": "alike", "image": "a" * 64}, {"do": "alike", "image": 3},
            {"do": "alike", "image": "a" * 63}, {"do": "alike", "image": "IMAGE", "limit": 65},
            {"do": "alike", "image": "IMAGE", "limit": "9"}, {"do": "alike", "image": "IMAGE", "limit": -1},
            {"do": "change"}, {"do": "change", "label": "dark"}, {"do": "change", "label": "dark", "images": {}},
            {"do": "change", "label": "dark", "images": ["IMAGE"]},
            {"do": "change", "label": "neither", "images": {"IMAGE": None}},
            {"do": "change", "label": 0, "images": {"IMAGE": None}},
            {"do": "change", "label": ["dark"], "images": {"IMAGE": None}},
            {"do": "change", "label": "dark", "images": {"IMAGE": "1; DROP TABLE events"}},
            {"do": "change", "label": "dark", "images": {"IMAGE": True}},
            {"do": "change", "label": "dark", "images": {"IMAGE": 1.0}},
            {"do": "change", "label": "dark", "images": {"a" * 64: None}},
            {"do": "change", "label": "dark", "images": {"IMAGE": None, "": None}},
            {"do": "change", "label": "dark", "images": {f"{i:064x}": None for i in range(2001)}},
            {"do": "takeback"}, {"do": "takeback", "last": 0}, {"do": "takeback", "last": 2**70},
            {"do": "takeback", "last": "1"}, {"do": "takeback", "last": 1},
            {"do": "past"}, {"do": "past", "step": 0}, {"do": "past", "step": True}, {"do": "past", "step": "1"},
            {"do": "image"}, {"do": "image", "image": "a" * 64}, {"do": "image", "image": ["IMAGE"]},
            {"do": "image", "image": "../../etc/passwd"},
            {"do": "past", "step": 1, "image": 7}, {"do": "past", "step": -1, "image": "../x"},
        ],
        ids=lambda request: str(request)[:60],
    )  # fmt: skip
    def test_nonsense_is_answered_in_one_line_and_changes_nothing(self, screen, session, request_):
        image = session.pool.ids[0]
        text = json.dumps(request_).replace("IMAGE", image)
        reply = screen.handle(json.loads(text))
        assert reply["error"]
        assert "\n" not in reply["error"]
        assert len(reply["error"]) < 300
        assert "Error:" not in reply["error"]  # foreseen, not an accident
        assert history(session) == []

    def test_a_change_of_what_has_another_answer_is_no_error_but_no_change(self, screen, session):
        request = {"do": "change", "label": "dark", "images": {session.pool.ids[0]: 2**70}}
        assert "Nothing was changed" in screen.handle(request)["did"]
        assert history(session) == []


def jpeg_size(url):
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size


def test_names_cannot_turn_a_sentence_round(desk, tmp_path):
    names = ["\u202egnp.exe\u2069\u202e"] + ["b"] * (len(desk.images) - 1)
    pool = ArrayPool(desk.images[:1], names[:1])
    session = LabelingSession(
        NearestMean(), pool, tmp_path / "one.db", classes=CLASSES, audit_share=0.0
    )
    assert answer(Desk(session))["did"] == "Labeled \u2068gnp.exe\u2069 as \u2068dark\u2069."
