"""Any sequence of answers, undos, corrections and restarts leaves what a plain list would hold."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from al_tf.labeling.reviewing import ReviewFilter

from .work import CLASSES, Desk

ANNOTATORS = ("ann", "bob")
CLEARED = object()


class SessionMachine(RuleBasedStateMachine):
    """Two annotators on one pool of twelve images; the model is a list of what each did."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.desk = Desk(self.folder / "labels.db", n=12)
        self.sessions = {name: self.open(name) for name in ANNOTATORS}
        # (annotator, {image: label, None (skipped) or CLEARED}, came from the queue), oldest first
        self.done = []
        self.was_cleared = set()
        self.expected = dict.fromkeys(ANNOTATORS)  # the image each must see next, where known

    def open(self, annotator):
        return self.desk.session(
            annotator=annotator, batch_size=3, audit_share=0.2, repeat_share=0.0
        )

    def current(self):
        state = {}
        for _, changes, _ in self.done:
            state |= changes
        return {image: label for image, label in state.items() if label is not CLEARED}

    @rule(annotator=st.sampled_from(ANNOTATORS), label=st.sampled_from([*CLASSES, None]))
    def answer(self, annotator, label):
        session = self.sessions[annotator]
        item = session.next()
        if self.expected[annotator] is not None:
            assert item.image_id == self.expected[annotator]
        self.expected[annotator] = None
        if item is None:
            return
        assert item.image_id not in self.current()
        if label is None:
            session.skip(slot=item.slot)
        else:
            session.label(label, slot=item.slot)
        self.done.append((annotator, {item.image_id: label}, True))

    @rule(annotator=st.sampled_from(ANNOTATORS))
    def undo(self, annotator):
        undone = self.sessions[annotator].undo()
        mine = [entry for entry in self.done if entry[0] == annotator]
        if not mine:
            assert undone is None
            return
        _, changes, from_queue = mine[-1]
        *_, (image, label) = changes.items()
        assert (undone.image, undone.label) == (image, None if label is CLEARED else label)
        self.done.reverse()
        self.done.remove(mine[-1])
        self.done.reverse()
        if not from_queue:
            self.expected = dict.fromkeys(ANNOTATORS)  # slots may have opened or closed
        elif image not in self.current() and image not in self.was_cleared:
            self.expected[annotator] = image

    @precondition(lambda self: self.done)
    @rule(annotator=st.sampled_from(ANNOTATORS), label=st.sampled_from(CLASSES), data=st.data())
    def relabel(self, annotator, label, data):
        image = data.draw(st.sampled_from(sorted(self.current())))
        self.sessions[annotator].relabel(image, label)
        self.done.append((annotator, {image: label}, False))

    @rule(
        annotator=st.sampled_from(ANNOTATORS),
        label=st.sampled_from([*CLASSES, None]),
        picked=st.sets(st.integers(0, 11), min_size=1),
    )
    def change_together(self, annotator, label, picked):
        session = self.sessions[annotator]
        rows = {row.image: row for row in session.reviewer.rows(ReviewFilter("all"))}
        images = [session.pool.ids[i] for i in sorted(picked)]
        before = self.current()
        assert {i: rows[i].label for i in images} == {i: before.get(i) for i in images}
        (other,) = set(ANNOTATORS) - {annotator}
        held = {slot.image for slot in session.ledger.queue.waiting(other)}
        wanted = {}
        for image in images:
            if label is None and image in before:
                wanted[image] = CLEARED
                self.was_cleared.add(image)
            elif image in before and before[image] != label:
                wanted[image] = label
            elif image not in before and label and rows[image].purpose != "audit":
                wanted |= {} if image in held else {image: label}
        changes = session.reviewer.answer(label, {i: rows[i].event for i in images})
        assert [event.image for event in changes.events] == list(wanted)
        assert changes.audit + changes.other == len(images) - len(wanted)
        if wanted:
            self.done.append((annotator, wanted, False))
            self.expected = dict.fromkeys(ANNOTATORS)

    @rule(annotator=st.sampled_from(ANNOTATORS))
    def look(self, annotator):
        item = self.sessions[annotator].next()
        if self.expected[annotator] is None and item is not None:
            self.expected[annotator] = item.image_id

    @rule(annotator=st.sampled_from(ANNOTATORS))
    def restart(self, annotator):
        self.sessions[annotator].ledger.close()
        self.sessions[annotator] = self.open(annotator)

    @invariant()
    def the_ledger_says_what_was_done(self):
        if not hasattr(self, "desk"):
            return
        table = self.sessions["ann"].ledger.current()
        recorded = {
            row.image: row.label if row.kind != "skip" else None for row in table.itertuples()
        }
        assert recorded == self.current()
        progress = self.sessions["bob"].progress()
        assert progress.labels == sum(label is not None for label in recorded.values())
        assert progress.remaining == len(self.desk.pool) - len(recorded)

    @invariant()
    def nothing_is_set_aside_for_both(self):
        if not hasattr(self, "desk"):
            return
        waiting = [
            {slot.image for slot in session.ledger.queue.waiting(name)}
            for name, session in self.sessions.items()
        ]
        assert not waiting[0] & waiting[1]

    def teardown(self):
        if hasattr(self, "folder"):
            for session in self.sessions.values():
                session.ledger.close()
            shutil.rmtree(self.folder)


TestSessions = SessionMachine.TestCase
TestSessions.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, derandomize=True
)
