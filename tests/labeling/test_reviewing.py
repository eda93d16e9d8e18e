"""`Reviewer`: every image and answer to look through, correct and label alike, without a screen."""

import time

import numpy as np
import pytest

from al_tf.errors import ImageGoneError, StaleItemError, UnknownLabelError
from al_tf.labeling import ArrayPool, LabelingSession, LabelLedger
from al_tf.labeling.audit import audit_rank
from al_tf.labeling.reviewing import MAX_ALIKE, ReviewFilter

from .work import CLASSES, FakeBackbone, NearestMean


@pytest.fixture
def session(desk):
    with desk.session(audit_share=0.2, repeat_share=0.0, annotator="ann") as session:
        yield session


def audit_ids(session):
    seed = session.ledger.setting("seed")
    return {image for image in session.pool.ids if audit_rank(image, seed) < 0.2}


def listed(session, show="answers", **conditions):
    return list(session.reviewer.rows(ReviewFilter(show, **conditions)))


def seen(rows):
    return {row.image: row.event for row in rows}


class TestLists:
    def test_answers_are_listed_newest_first_and_by_kind(self, desk, session):
        shown = [item.image_id for item in desk.answer(session, 12)]
        skipped = session.next().image_id
        session.skip()
        assert [row.image for row in listed(session)] == shown[::-1]
        assert [row.image for row in listed(session, "skipped")] == [skipped]
        assert {row.image for row in listed(session, "audit")} == audit_ids(session) & set(shown)
        rest = [row.image for row in listed(session, "unlabeled")]
        assert set(rest) == set(session.pool.ids) - {*shown, skipped}
        assert len(listed(session, "all")) == len(session.pool)

    def test_conditions_hold_together(self, desk, session):
        desk.answer(session, 12)
        with desk.session(
            audit_share=0.2, repeat_share=0.0, annotator="bob", strategy="random"
        ) as other:
            desk.answer(other, 5)
        assert {row.annotator for row in listed(session)} == {"ann", "bob"}
        assert len(listed(session, annotator="bob")) == 5
        bright = listed(session, annotator="ann", label="bright")
        assert bright
        assert {row.label for row in bright} == {"bright"}
        name = bright[0].name
        assert [row.name for row in listed(session, name=name.upper())].count(name) == 1
        assert listed(session, name="no such name") == []
        assert listed(session, label="nothing of the kind") == []
        assert len(listed(session, round=0)) == 17
        assert listed(session, round=1) == []

    def test_agreement_with_the_model_leaves_out_what_measures_it(self, desk, session):
        desk.answer(session, 60)
        session.retrain(wait=True)
        wrong = next(row for row in listed(session) if row.purpose == "query")
        other = CLASSES[1 - CLASSES.index(wrong.label)]
        session.reviewer.answer(other, seen([wrong]))
        same, different = (listed(session, agreement=how) for how in ("same", "other"))
        assert wrong.image in [row.image for row in different]
        assert all(row.predicted == row.label for row in same)
        assert all(row.predicted not in (None, row.label) for row in different)
        audit = listed(session, "audit")
        assert audit
        assert {row.predicted for row in audit} == {None}
        listed_ids = {row.image for row in (*same, *different)}
        assert listed_ids == {row.image for row in listed(session)} - audit_ids(session)

    def test_suspects_are_the_labels_that_a_model_without_them_disputes(self, tmp_path):
        session = probe_session(tmp_path)
        rows = [row for row in listed(session, "unlabeled") if row.purpose != "audit"]
        truth = session.truth
        by_class = {c: [row for row in rows if truth[row.image] == c] for c in CLASSES}
        for name, members in by_class.items():
            session.reviewer.answer(name, seen(members[:30]))
        mistaken = by_class["dark"][3]
        (before,) = [row for row in listed(session) if row.image == mistaken.image]
        session.reviewer.answer("bright", seen([before]))
        first, *_ = listed(session, "suspects")
        assert (first.image, first.label, first.predicted) == (mistaken.image, "bright", "dark")
        assert mistaken.image in [row.image for row in listed(session, "suspects", label="bright")]
        assert listed(session, "suspects", label="nothing") == []
        session.reviewer.answer("dark", seen([first]))
        assert mistaken.image not in [row.image for row in listed(session, "suspects")]

    def test_suspects_need_a_model_that_is_trained_at_once(self, desk, session):
        desk.answer(session, 20)
        with pytest.raises(ValueError, match="--model probe"):
            listed(session, "suspects")

    @pytest.mark.parametrize("wrong", [{"show": "everything"}, {"agreement": "maybe"}])
    def test_unknown_words_are_refused(self, wrong):
        with pytest.raises(ValueError, match="Expected one of"):
            ReviewFilter(**wrong)


class TestChanges:
    def test_a_mistake_six_images_ago_is_one_change_and_one_undo(self, desk, session):
        shown = desk.answer(session, 8)
        waiting = session.next().slot
        (row,) = [row for row in listed(session) if row.image == shown[1].image_id]
        other = CLASSES[1 - CLASSES.index(row.label)]
        changes = session.reviewer.answer(other, seen([row]))
        assert [(e.kind, e.label, e.purpose) for e in changes.events] == [
            ("relabel", other, row.purpose)
        ]
        assert session.next().slot == waiting
        assert session.reviewer.undo(changes.events[-1].id) == changes.events
        assert session.ledger.answer(row.image).label == row.label
        with pytest.raises(StaleItemError, match="Nothing was taken back"):
            session.reviewer.undo(changes.events[-1].id)

    def test_skipped_images_come_back(self, desk, session):
        skipped = session.next().image_id
        session.skip()
        session.reviewer.answer(None, seen(listed(session, "skipped")))
        assert listed(session, "skipped") == []
        shown = [item.image_id for item in desk.answer(session, len(session.pool))]
        assert skipped in shown

    def test_labels_of_images_that_were_chosen_never_reach_the_audit(self, session):
        rows = listed(session, "unlabeled")
        changes = session.reviewer.answer("dark", seen(rows))
        audit = audit_ids(session)
        assert {event.image for event in changes.events} == set(session.pool.ids) - audit
        assert {event.purpose for event in changes.events} == {"bulk"}
        assert (changes.audit, changes.other) == (len(audit), 0)
        assert {row.image for row in listed(session, "unlabeled")} == audit

    def test_a_label_of_the_audit_may_be_corrected_and_stays_the_audit_s(self, desk, session):
        desk.answer(session, 20)
        row = listed(session, "audit")[0]
        other = CLASSES[1 - CLASSES.index(row.label)]
        (event,) = session.reviewer.answer(other, seen([row])).events
        assert (event.kind, event.purpose) == ("relabel", "audit")

    def test_bulk_labels_are_trained_on_and_start_a_training(self, desk):
        with desk.session(auto_retrain=True, audit_share=0.2) as session:
            rows = [row for row in listed(session, "unlabeled") if row.purpose != "audit"]
            for name in CLASSES:
                own = [row for row in rows if desk.truth(row.image) == name]
                session.reviewer.answer(name, seen(own[:20]))
            session.wait()
            assert session.training.labels == 40

    def test_what_is_not_in_the_pool_or_no_class_changes_nothing(self, session):
        image = session.pool.ids[0]
        with pytest.raises(ImageGoneError, match="not in this pool"):
            session.reviewer.answer("dark", {image: None, "f" * 64: None})
        with pytest.raises(UnknownLabelError, match="neither"):
            session.reviewer.answer("neither", {image: None})
        assert session.ledger.events() == []

    def test_time_is_counted_once(self, desk, session, monkeypatch):
        clock = [1_000.0]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        item = session.next()
        clock[0] += 5
        rows = [row for row in listed(session, "unlabeled") if row.purpose != "audit"][:4]
        clock[0] += 20
        changes = session.reviewer.answer("dark", seen(rows[:2]))
        assert [event.seconds for event in changes.events] == [10, 10]
        clock[0] += 8
        (event,) = session.reviewer.answer("dark", seen(rows[2:3])).events
        assert event.seconds == 8
        item = session.next()
        clock[0] += 3
        assert session.label("dark", slot=item.slot).seconds == 3
        clock[0] += 1_000
        assert session.reviewer.answer("dark", seen(rows[3:])).events[0].seconds == 0


class TestPast:
    def test_back_and_forth_through_one_s_own_answers(self, desk, session):
        shown = [item.image_id for item in desk.answer(session, 3)]
        with desk.session(
            audit_share=0.2, repeat_share=0.0, annotator="bob", strategy="random"
        ) as bob:
            desk.answer(bob, 2)
        past = session.reviewer.past
        assert past(None, -1) == (shown[2], 3, 3)
        assert past(shown[2], -1) == (shown[1], 2, 3)
        assert past(shown[0], -1) == (shown[0], 1, 3)
        assert past(shown[1], 1) == (shown[2], 3, 3)
        assert past(shown[2], 1) == (None, 4, 3)

    def test_a_correction_keeps_its_place(self, desk, session):
        shown = [item.image_id for item in desk.answer(session, 3)]
        session.relabel(shown[0], CLASSES[1])
        assert session.reviewer.past(None, -1)[0] == shown[2]
        assert session.reviewer.past(shown[1], -1)[0] == shown[0]

    def test_nothing_was_answered(self, session):
        assert session.reviewer.past(None, -1) == (None, 1, 0)


class TestAlike:
    def test_the_nearest_without_an_answer_by_the_pixels_before_there_is_a_model(self, tmp_path):
        rng = np.random.default_rng(0)
        centers = np.repeat([30, 120, 210], 20)
        images = (centers[:, None, None] + rng.integers(0, 20, (60, 6, 6))).astype(np.uint8)
        with LabelingSession(
            NearestMean(), ArrayPool(images), tmp_path / "l.db", classes=CLASSES, audit_share=0.0
        ) as session:
            ids = session.pool.ids
            alike = session.reviewer.alike(ids[25], 12)
            assert {session.pool.row(row.image) // 20 for row in alike} == {1}
            assert len(alike) == 12
            assert ids[25] not in [row.image for row in alike]
            session.reviewer.answer("dark", seen(alike[:5]))
            again = session.reviewer.alike(ids[25], 7)
            assert [row.image for row in again] == [row.image for row in alike[5:]]

    def test_neither_the_audit_nor_what_others_have(self, desk, session):
        with desk.session(
            audit_share=0.2, repeat_share=0.0, annotator="bob", strategy="random"
        ) as bob:
            bob.next()
            theirs = {slot.image for slot in bob.ledger.queue.waiting("bob")}
        mine = session.next().image_id
        alike = {row.image for row in session.reviewer.alike(mine, MAX_ALIKE)}
        assert alike == set(session.pool.ids) - audit_ids(session) - theirs - {mine}

    def test_by_the_features_that_are_kept(self, tmp_path):
        session = probe_session(tmp_path)
        image = session.pool.ids[7]
        rows = session.reviewer.alike(image, 5)
        _, own = session.features.available([image])
        free = [i for i in session.pool.ids if i not in audit_ids(session) and i != image]
        _, others = session.features.available(free)
        distances = np.linalg.norm(others - own, axis=1)
        nearest = [free[i] for i in np.argsort(distances, kind="stable")[:5]]
        assert [row.image for row in rows] == nearest

    def test_by_what_a_trained_model_has_learned(self, desk, session):
        desk.answer(session, 40)
        session.retrain(wait=True)
        image = session.next().image_id
        rows = session.reviewer.alike(image, 5)
        own, *others = session.estimator.transform(
            session.pool.view([image, *(row.image for row in rows)])
        )
        distances = [float(np.linalg.norm(other - own)) for other in others]
        assert distances == sorted(distances)

    @pytest.mark.parametrize("n", [0, -1, MAX_ALIKE + 1])
    def test_how_many_is_bounded(self, session, n):
        with pytest.raises(ValueError, match="n must be from 1"):
            session.reviewer.alike(session.pool.ids[0], n)

    def test_an_image_that_is_not_there(self, session):
        with pytest.raises(ImageGoneError, match="not in this pool"):
            session.reviewer.alike("0" * 64, 3)

    def test_nothing_left(self, session):
        session.reviewer.answer("dark", seen(listed(session, "unlabeled")))
        assert session.reviewer.alike(session.pool.ids[0], 3) == []


def probe_session(tmp_path):
    """Return a session on features, with ``truth`` and ``features`` beside it."""
    from al_tf import LinearProbeClassifier

    from .work import make_images

    images, labels = make_images(160)
    estimator = LinearProbeClassifier(FakeBackbone(), cache_dir=tmp_path / "features")
    session = LabelingSession(
        estimator, ArrayPool(images), LabelLedger(tmp_path / "probe.db"), classes=CLASSES,
        audit_share=0.2, random_state=0, auto_retrain=False,
    )  # fmt: skip
    session.wait()
    session.truth = {i: str(labels[session.pool.row(i)]) for i in session.pool.ids}
    session.features = session._trainer.inputs
    return session
