"""Second opinions: who is asked for one, what is in dispute, and how it is settled."""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_tf.errors import StaleItemError
from al_tf.labeling import LabelLedger
from al_tf.labeling.choosing import overlap_rank
from al_tf.labeling.ledger import Candidate
from al_tf.labeling.reviewing import ReviewFilter
from al_tf.labeling.second_opinions import (
    annotator_table,
    disputed_opinions,
    measure_agreement,
    opinion_pairs,
)
from al_tf.labeling.training_set import training_labels

from .work import CLASSES


class TestDisputes:
    """Of the ledger alone: image "x", labeled by ann, with a second opinion of ben's."""

    @pytest.fixture
    def disputed(self, ledger):
        self.first = ledger.label("x", "dark", annotator="ann", purpose="audit")
        self.second = ledger.label("x", "bright", annotator="ben", purpose="second")
        return ledger

    def test_neither_opinion_counts_until_it_is_settled(self, disputed):
        answer = disputed.answer("x")
        assert (answer.id, answer.label, answer.in_dispute) == (self.first.id, None, True)
        assert disputed.answers()["x"] == answer
        assert disputed.current()["label"].isna().tolist() == [True]
        settled = disputed.relabel("x", "bright", annotator="cid")
        assert (settled.kind, settled.purpose) == ("settle", "audit")
        assert (disputed.answer("x").label, disputed.answer("x").in_dispute) == ("bright", False)

    @pytest.mark.parametrize("label", ["dark", "bright"])
    def test_it_may_be_settled_for_either_and_that_is_undone(self, disputed, label):
        (settled,) = disputed.answer_together(label, {"x": self.first.id}, annotator="cid")
        assert (settled.kind, disputed.answer("x").label) == ("settle", label)
        assert disputed.undo("cid") == settled
        assert disputed.answer("x").in_dispute

    def test_the_same_answer_is_no_dispute_and_a_skip_is_none(self, ledger):
        for image, opinion in (("x", "dark"), ("y", None)):
            ledger.label(image, "dark", annotator="ann")
            if opinion:
                ledger.label(image, opinion, annotator="ben", purpose="second")
            else:
                ledger.skip(image, annotator="ben", purpose="second")
            assert ledger.answer(image).label == "dark"
        assert ledger.relabel("x", "bright", annotator="ann").kind == "relabel"
        assert ledger.answer("x").label == "bright"  # the last word, with both in sight

    def test_who_takes_an_opinion_back_ends_the_dispute(self, disputed):
        assert disputed.undo("ben") == self.second
        assert disputed.answer("x").label == "dark"

    def test_a_first_label_given_again_is_compared_with_the_second_opinion(self, disputed):
        assert disputed.undo("ann") == self.first
        assert disputed.answer("x") is None
        assert "x" in disputed.queue.unavailable("ben")  # who has seen it
        disputed.label("x", "dark", annotator="ann")
        assert disputed.answer("x").in_dispute

    def test_a_cleared_image_is_asked_again_of_others(self, disputed):
        disputed.answer_together(None, {"x": self.first.id}, annotator="cid")
        claim = {"n": 1, "round": 0, "lease_seconds": 60.0}
        assert disputed.queue.claim([Candidate("x", "query", "")], annotator="ben", **claim) == []
        (slot,) = disputed.queue.claim([Candidate("x", "query", "")], annotator="dee", **claim)
        disputed.label("x", "bright", annotator="dee", slot=slot.id)
        assert disputed.answer("x").label == "bright"


class TestQueue:
    def ask(self, ledger, annotator, lease_seconds=60.0):
        return ledger.queue.claim(
            [Candidate("x", "second", "overlap")], 1,
            annotator=annotator, round=0, lease_seconds=lease_seconds,
        )  # fmt: skip

    def test_one_other_person_is_asked_and_never_twice(self, ledger):
        assert self.ask(ledger, "ben") == []  # nobody labeled it yet
        ledger.label("x", "dark", annotator="ann")
        assert ledger.queue.second_opinions_due("ben") == ["x"]
        assert ledger.queue.second_opinions_due("ann") == self.ask(ledger, "ann") == []
        (slot,) = self.ask(ledger, "ben")
        assert ledger.queue.second_opinions_due("cid") == self.ask(ledger, "cid") == []
        event = ledger.label("x", "dark", annotator="ben", slot=slot.id)
        assert event.purpose == "second"
        for name in ("ann", "ben", "cid"):
            assert ledger.queue.second_opinions_due(name) == self.ask(ledger, name) == []
        with pytest.raises(StaleItemError, match="answered already"):
            ledger.label("x", "dark", annotator="ben", slot=slot.id)

    def test_who_leaves_makes_room_for_another_after_the_lease(self, ledger):
        ledger.label("x", "dark", annotator="ann")
        (left,) = self.ask(ledger, "ben", lease_seconds=-1.0)
        (slot,) = self.ask(ledger, "cid")
        assert ledger.queue.waiting("ben") == []
        with pytest.raises(StaleItemError, match="given to somebody else"):
            ledger.label("x", "bright", annotator="ben", slot=left.id)
        ledger.label("x", "dark", annotator="cid", slot=slot.id)

    def test_what_is_taken_back_waits_again(self, ledger):
        ledger.label("x", "dark", annotator="ann")
        (slot,) = self.ask(ledger, "ben")
        ledger.undo("ann")  # there is nothing to compare with now
        assert ledger.queue.waiting("ben") == []
        ledger.label("x", "bright", annotator="ann")
        assert ledger.queue.waiting("ben") == [slot]
        ledger.label("x", "bright", annotator="ben", slot=slot.id)
        ledger.undo("ben")
        assert ledger.queue.waiting("ben") == [slot]

    @pytest.mark.parametrize("how", ["skip", "bulk", "import", "dispute"])
    def test_none_is_due_of_what_was_not_labeled_one_by_one(self, ledger, how):
        if how == "skip":
            ledger.skip("x", annotator="ann")
        elif how == "bulk":
            ledger.answer_together("dark", {"x": None}, annotator="ann")
        else:
            ledger.label("x", "dark", annotator="ann", purpose="import")
        if how == "dispute":
            ledger.label("x", "bright", annotator="cid", purpose="second")
        assert ledger.queue.second_opinions_due("ben") == []


class TestSessions:
    """Of colleagues on one pool, with one model."""

    @pytest.fixture
    def ann(self, desk):
        options = {"audit_share": 0.2, "repeat_share": 0.0, "overlap": 0.3, "batch_size": 10}
        with desk.session(annotator="ann", **options) as session:
            yield session

    def test_the_share_is_drawn_whatever_the_model_thinks_and_asked_of_the_other(self, desk, ann):
        ben = ann.colleague("ben")
        while desk.answer(ann, 10) or desk.answer(ben, 10):
            ann.retrain(wait=True)
            desk.answer(ben, 10)
        events = ann.ledger.events()
        second = [event for event in events if event.purpose == "second"]
        first = {event.image: event for event in events if event.purpose != "second"}
        assert len(first) == len(ann.pool) == len(events) - len(second)
        seed = ann.ledger.setting("seed")
        assert {e.image for e in second} == {i for i in first if overlap_rank(i, seed) < 0.3}
        assert {first[e.image].purpose for e in second} == {"query", "audit"}
        assert all(first[e.image].annotator != e.annotator for e in second)
        assert {e.annotator for e in second} == {"ann", "ben"}
        assert {e.annotator for e in first.values()} == {"ann", "ben"}
        assert ann.progress().agreement.same.value == 1.0

    def test_second_opinions_are_half_of_a_batch_at_most_while_there_is_anything_else(
        self, desk, ann
    ):
        desk.answer(ann, 100)
        ben = ann.colleague("ben")
        desk.answer(ben, 10)
        assert [event.purpose for event in ben.ledger.events()[-10:]].count("second") == 5

    def test_whoever_gives_one_sees_neither_label_nor_prediction(self, desk, ann):
        desk.answer(ann, 60)
        ann.retrain(wait=True)
        ben = ann.colleague("ben")
        while (item := ben.next()).strategy != "overlap":
            desk.answer(ben, 1)
        assert item.predictions == item.neighbours == ()
        assert item.score is None
        assert "Drawn at random" in item.why
        assert "overlap" not in item.why
        listed = {row.image for row in ben.reviewer.rows(ReviewFilter("all"))}
        assert item.image_id not in listed
        assert item.image_id in {row.image for row in ann.reviewer.rows(ReviewFilter("all"))}
        row = ben.reviewer.row(item.image_id)
        assert (row.state, row.label, row.event, row.annotator) == ("unlabeled", None, None, None)
        other = CLASSES[desk.truth(item.image_id) == CLASSES[0]]
        changes = ben.reviewer.answer(other, {item.image_id: row.event})
        assert changes.events == []

    def test_disputes_neither_train_nor_measure_until_settled(self, desk, ann):
        ben = ann.colleague("ben")
        desk.answer(ann, 60)
        wrong = []
        while (item := ben.next()) is not None and len(wrong) < 6:
            truth = desk.truth(item.image_id)
            if item.strategy == "overlap":
                wrong.append(item.image_id)
            other = CLASSES[truth == CLASSES[0]]
            ben.label(other if item.strategy == "overlap" else truth, slot=item.slot)
        answers = ann.ledger.answers()
        assert not set(wrong) & set(training_labels(answers))
        progress = ann.progress()
        assert (progress.disputed, progress.skipped) == (6, 0)
        assert progress.agreement.same.n == 6
        assert progress.agreement.same.value == 0.0
        ann.retrain(wait=True)
        assert ann.training.labels == ben.training.labels == len(training_labels(answers))
        assert ann.estimator is ben.estimator

        rows = ann.reviewer.rows(ReviewFilter("disagreements"))
        assert {row.image for row in rows} == set(wrong)
        for row in rows:
            truth = desk.truth(row.image)
            assert (row.state, row.label) == ("disputed", None)
            assert row.opinions == (("ann", truth), ("ben", CLASSES[truth == CLASSES[0]]))
        chosen = [row for row in rows if desk.truth(row.image) == CLASSES[0]]
        changes = ann.reviewer.answer(CLASSES[0], {row.image: row.event for row in chosen})
        assert {event.kind for event in changes.events} == {"settle"}
        left = {row.image for row in ann.reviewer.rows(ReviewFilter("disagreements"))}
        assert left == set(wrong) - {row.image for row in chosen}
        kept = {row.image: row.label for row in ann.reviewer.rows(ReviewFilter("answers"))}
        assert {kept[row.image] for row in chosen} == {CLASSES[0]}
        ann.reviewer.undo()
        assert len(ann.reviewer.rows(ReviewFilter("disagreements"))) == 6

    def test_two_who_choose_at_once_get_different_images(self, desk, ann):
        names = ["ann", "ben", "cid", "dee"]
        sessions = [ann, *(ann.colleague(name) for name in names[1:])]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda session: desk.answer(session, 30), sessions))
        events = ann.ledger.events()
        first = [event.image for event in events if event.purpose != "second"]
        assert len(events) == 120
        assert len(set(first)) == len(first)
        assert len({(event.image, event.annotator) for event in events}) == 120

    def test_shares_outside_their_range(self, desk):
        for share in (-0.1, 1.1):
            with pytest.raises(ValueError, match=r"overlap must be in \[0, 1\]"):
                desk.session(overlap=share)


class TestAgreement:
    def give(self, ledger, *opinions):
        for image, first, second in opinions:
            ledger.label(image, first, annotator="ann", seconds=2.0)
            ledger.label(image, second, annotator="ben", purpose="second", seconds=4.0)

    def test_it_counts_labels_as_they_were_given(self, ledger):
        assert measure_agreement(ledger.standing()) is None
        self.give(ledger, *((f"{i}", "dark", "dark") for i in range(6)))
        one_class = measure_agreement(ledger.standing())
        assert (one_class.same.value, one_class.kappa, one_class.confused) == (1.0, None, ())
        self.give(
            ledger, ("x", "dark", "bright"), ("y", "bright", "bright"), ("z", "bright", "dark")
        )
        agreement = measure_agreement(ledger.standing())
        assert (agreement.same.value, agreement.same.n) == (7 / 9, 9)
        assert agreement.confused == (("bright", "dark", 2),)
        by_chance = (14 / 18) ** 2 + (4 / 18) ** 2
        assert agreement.kappa == pytest.approx((7 / 9 - by_chance) / (1 - by_chance))
        assert agreement.kappa_low < agreement.kappa < agreement.kappa_high
        ledger.relabel("x", "bright", annotator="cid")
        assert measure_agreement(ledger.standing()) == agreement

    def test_opinions_taken_back_skipped_or_cleared_are_none(self, ledger):
        self.give(ledger, ("x", "dark", "bright"), ("y", "dark", "bright"))
        ledger.label("z", "dark", annotator="ann")
        ledger.skip("z", annotator="ben", purpose="second")
        assert set(opinion_pairs(ledger.standing())) == {"x", "y"}
        ledger.undo("ben")
        ledger.undo("ben")
        assert set(opinion_pairs(ledger.standing())) == {"x"}
        ledger.answer_together(None, {"x": ledger.answer("x").id}, annotator="cid")
        assert opinion_pairs(ledger.standing()) == {}
        ledger.label("x", "bright", annotator="dee")
        ((_, pair),) = opinion_pairs(ledger.standing()).items()
        assert (pair.first.annotator, pair.second.annotator, pair.same) == ("dee", "ben", True)

    def test_the_part_of_each_annotator(self, ledger):
        self.give(ledger, ("x", "dark", "bright"), ("y", "dark", "dark"), ("z", "dark", "bright"))
        ledger.relabel("x", "bright", annotator="cid", seconds=1.0)
        ledger.skip("w", annotator="ann", seconds=500.0)
        table = annotator_table(ledger).set_index("annotator")
        assert list(table.index) == ["ann", "ben"]
        assert table.loc["ann"].tolist() == [4, (6 + 120) / 4, 3, 1, 2, 1]
        assert table.loc["ben"].tolist() == [3, 4.0, 3, 1, 2, 2]

    def test_the_command_prints_it_and_writes_both_labels(
        self, ledger, tmp_path, capsys, monkeypatch
    ):
        from al_tf.cli.main import main

        def run(*arguments):
            monkeypatch.setattr(sys, "argv", ["al-tf", "agreement", str(ledger.path), *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            assert ended.value.code == 0
            return capsys.readouterr().out

        assert "No image has a second opinion yet" in run()
        self.give(ledger, ("x", "dark", "bright"), ("y", "dark", "dark"), ("z", "dark", "bright"))
        ledger.relabel("x", "bright", annotator="cid", seconds=1.0)
        lines = run("--out", str(tmp_path / "both.csv")).splitlines()
        assert lines[0] == "Same label by both: 33% (1% to 91%, n = 3)."
        assert lines[1].startswith("Fleiss' kappa: -0.50 (")
        assert lines[2] == "To be settled, in the grid of the desk: 1."
        assert "bright     dark         2" in lines
        assert [line.split() for line in lines[-3:-1]] == [
            ["ann", "3", "2.0", "1", "of", "3", "1", "of", "2"], ["ben", "3", "4.0", "1", "of", "3", "2", "of", "2"],
        ]  # fmt: skip
        assert (tmp_path / "both.csv").read_text().splitlines()[1:] == [
            "x,,ann,dark,ben,bright,bright", "y,,ann,dark,ben,dark,dark", "z,,ann,dark,ben,bright,",
        ]  # fmt: skip


class Naive:
    """What counts for one image, by the words of the documentation and a plain list of events."""

    def __init__(self):
        self.events = []  # [kind, label, annotator, is a second opinion], None where taken back

    def answer(self):
        """Return (label or None, in dispute), or None without an answer."""
        standing = [(i, e) for i, e in enumerate(self.events) if e is not None]
        plain = [(i, e) for i, e in standing if not e[3]]
        if not plain or plain[-1][1][0] == "clear":
            return None
        place, (kind, label, annotator, _) = plain[-1]
        for i, (_, opinion, other, is_second) in standing:
            sees_it = kind != "label" and i < place
            is_one = is_second and other != annotator and not sees_it
            if is_one and None not in (label, opinion) and opinion != label:
                return None, True
        return label, False

    def undo(self, annotator):
        for i in reversed(range(len(self.events))):
            if self.events[i] is not None and self.events[i][2] == annotator:
                self.events[i] = None
                return


PEOPLE, LABELS = st.sampled_from(["ann", "ben", "cid"]), st.sampled_from([*CLASSES, None])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["answer", "second", "change", "change", "undo"]), PEOPLE, LABELS
        ),
        max_size=12,
    )
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_whatever_is_done_the_ledger_and_the_plain_list_agree(steps):
    with tempfile.TemporaryDirectory() as folder:
        ledger = LabelLedger(f"{folder}/labels.db", synchronous="NORMAL")
        naive, seconded = Naive(), set()
        for step, who, label in steps:
            before = naive.answer()
            if step == "second" and who not in seconded:
                give = ledger.skip if label is None else partial(ledger.label, label=label)
                give("x", annotator=who, purpose="second")
                naive.events.append(("skip" if label is None else "label", label, who, True))
                seconded.add(who)
            elif step == "answer" and before is None:
                give = ledger.skip if label is None else partial(ledger.label, label=label)
                give("x", annotator=who)
                naive.events.append(("skip" if label is None else "label", label, who, False))
            elif step == "change" and before is not None:
                seen = {"x": ledger.answer("x").id}
                events = ledger.answer_together(label, seen, annotator=who)
                if label is None or label != before[0]:
                    kind = "clear" if label is None else "settle" if before[1] else "relabel"
                    assert [event.kind for event in events] == [kind]
                    naive.events.append((kind, label, who, False))
                else:
                    assert events == []
            elif step == "undo":
                ledger.undo(who)
                naive.undo(who)
            answer = ledger.answer("x")
            shown = None if answer is None else (answer.label, answer.in_dispute)
            assert shown == naive.answer()
            assert ledger.answers().get("x") == answer
            opinions = disputed_opinions(ledger.answers(), ledger.standing()).get("x", ())
            assert (len(opinions) > 1) == (answer is not None and answer.in_dispute)
            assert len({event.annotator for event in opinions}) == len(opinions)
        ledger.close()
