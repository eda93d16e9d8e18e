"""Any sequence of answers, undos, corrections and restarts leaves what a plain list would hold."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from .work import CLASSES, Desk

ANNOTATORS = ("ann", "bob")


class SessionMachine(RuleBasedStateMachine):
    """Two annotators on one pool of twelve images; the model is a list of answers for each."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.desk = Desk(self.folder / "labels.db", n=12)
        self.sessions = {name: self.open(name) for name in ANNOTATORS}
        self.done = []  # (annotator, image, label or None, is a correction), oldest first
        self.expected = dict.fromkeys(ANNOTATORS)  # the image each must see next, where known

    def open(self, annotator):
        return self.desk.session(
            annotator=annotator, batch_size=3, audit_share=0.2, repeat_share=0.0
        )

    def current(self):
        return {image: label for _, image, label, _ in self.done}

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
        self.done.append((annotator, item.image_id, label, False))

    @rule(annotator=st.sampled_from(ANNOTATORS))
    def undo(self, annotator):
        undone = self.sessions[annotator].undo()
        mine = [entry for entry in self.done if entry[0] == annotator]
        if not mine:
            assert undone is None
            return
        _, image, label, correction = mine[-1]
        assert (undone.image, undone.label) == (image, label)
        self.done.reverse()
        self.done.remove(mine[-1])
        self.done.reverse()
        answered = image in self.current()
        if not correction and not answered:
            self.expected[annotator] = image

    @precondition(lambda self: self.done)
    @rule(annotator=st.sampled_from(ANNOTATORS), label=st.sampled_from(CLASSES), data=st.data())
    def relabel(self, annotator, label, data):
        image = data.draw(st.sampled_from(sorted(self.current())))
        self.sessions[annotator].relabel(image, label)
        self.done.append((annotator, image, label, True))

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
