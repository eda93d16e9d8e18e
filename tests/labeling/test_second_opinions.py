"""Second opinions: who is asked for one, what is in dispute, and how it is settled."""

import pytest

from al_tf.errors import StaleItemError
from al_tf.labeling.ledger import Candidate


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
