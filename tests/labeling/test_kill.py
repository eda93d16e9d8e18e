"""`kill -9` at random moments: every acknowledged label is there, none twice, the right image next."""

import os
import signal
import time

import numpy as np
import pytest

from al_tf.labeling import LabelLedger

from .work import (
    CLASSES,
    Desk,
    change_classes_until_killed,
    change_until_killed,
    processes,
    work_together_until_killed,
    work_until_killed,
)

pytestmark = pytest.mark.slow


def run_and_kill(work, *args, rng, seconds):
    """Let a session work for some messages and at most some time after them; return what it said until it died."""
    ours, theirs = processes.Pipe(duplex=False)
    worker = processes.Process(target=work, args=(*args, theirs))
    worker.start()
    theirs.close()
    messages = [ours.recv() for _ in range(rng.integers(1, 9))]
    time.sleep(rng.uniform(0, seconds))
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    try:
        while True:
            messages.append(ours.recv())
    except EOFError:
        return messages


@pytest.mark.parametrize(("auto_retrain", "kills"), [(False, 40), (True, 10)])
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path, auto_retrain, kills):
    path, n = tmp_path / "labels.db", 5_000
    rng = np.random.default_rng(0)
    recorded, pending = [], None
    for _ in range(kills):
        messages = run_and_kill(work_until_killed, path, n, auto_retrain, rng=rng, seconds=0.06)
        if pending is not None:  # the image on the screen when the last one died
            with LabelLedger(path) as ledger:
                answered = pending in [event.image for event in ledger.standing()]
            assert answered or messages[0] == ("shown", pending)
        recorded += [value for kind, value in messages if kind == "recorded"]
        pending = messages[-1][1] if messages[-1][0] == "shown" else None
    with LabelLedger(path) as ledger:
        events = ledger.events()
    first_labels = [e.image for e in events if e.purpose != "repeat"]
    assert set(recorded) <= {event.id for event in events}
    assert len(recorded) >= kills
    assert len(set(first_labels)) == len(first_labels)
    assert len({event.slot for event in events}) == len(events)
    assert len(events) - len(recorded) <= kills  # at most one a kill was written, not acknowledged
    if not auto_retrain:  # every image came when it would have come without a kill
        undisturbed = Desk(tmp_path / "reference.db", n)
        session = undisturbed.session(batch_size=7, repeat_share=0.1)
        undisturbed.answer(session, len(events))
        with LabelLedger(path) as ledger:
            seed = ledger.settle("seed", None)
        assert session.ledger.settle("seed", None) == seed
        assert [event.image for event in session.ledger.events()] == [e.image for e in events]


def test_a_change_of_many_images_is_recorded_whole_or_not_at_all(tmp_path):
    path, n, kills = tmp_path / "labels.db", 3_000, 50
    rng = np.random.default_rng(0)
    acknowledged, cut_off = [], []
    for _ in range(kills):
        messages = run_and_kill(change_until_killed, path, n, rng=rng, seconds=0.15)
        acknowledged += [ids for kind, ids in messages if kind == "recorded" and ids]
        cut_off += [messages[-1][1]] if messages[-1][0] == "asked" else []
    with LabelLedger(path) as ledger:
        events = ledger.events()
        answers = ledger.answers()
    actions = {}
    for event in events:
        if event.action is not None:
            actions.setdefault(event.action, []).append(event)
    recorded = [[event.id for event in together] for together in actions.values()]
    assert all(ids in recorded for ids in acknowledged)
    assert acknowledged
    assert {event.kind for event in events} == {"label", "relabel", "clear"}
    assert {event.purpose for event in events} == {"query", "audit", "repeat", "bulk"}
    unacknowledged = [ids for ids in recorded if ids not in acknowledged]
    assert len(unacknowledged) <= len(cut_off)
    for ids in unacknowledged:
        assert len(ids) in cut_off
    for together in actions.values():  # in one step: nothing else came between
        assert [event.id for event in together] == list(
            range(together[0].id, together[0].id + len(together))
        )
    state = {}
    for event in events:
        if event.purpose != "repeat":
            state[event.image] = None if event.kind == "clear" else event.id
    assert {i: e.id for i, e in answers.items()} == {i: e for i, e in state.items() if e}


def test_changes_of_classes_are_recorded_whole_or_not_at_all(tmp_path):
    path, n, kills = tmp_path / "labels.db", 3_000, 50
    rng = np.random.default_rng(0)
    acknowledged = 0
    for _ in range(kills):
        messages = run_and_kill(change_classes_until_killed, path, n, rng=rng, seconds=0.2)
        recorded = max([count for kind, count in messages if kind == "recorded"], default=0)
        acknowledged = max(acknowledged, recorded)
        with LabelLedger(path) as ledger:
            assert len(ledger.events()) >= acknowledged  # nothing that was confirmed is lost
            ledger.class_list.check()
            answers = ledger.answers()
            assert {event.label for event in answers.values()} <= set(ledger.classes)
    with LabelLedger(path) as ledger:
        events = ledger.events()
        stored = [event.label for event in ledger.standing()]
    kinds = {event.kind for event in events}
    assert kinds == {
        "label", "undo", "class_added", "class_renamed", "class_described", "class_merged",
    }  # fmt: skip
    actions = {}
    for event in events:
        if event.action is not None and event.kind != "undo":
            actions.setdefault(event.action, []).append(event.kind)
    assert set(map(tuple, actions.values())) == {
        ("class_added", "class_described"), ("class_renamed", "class_described"),
    }  # fmt: skip
    assert set(stored) <= {*CLASSES}
    answered = [e.image for e in events if e.kind == "label" and e.purpose != "repeat"]
    assert len(set(answered)) == len(answered)


def test_four_annotators_of_one_desk_lose_and_repeat_nothing(tmp_path):
    path, n, kills = tmp_path / "labels.db", 3_000, 30
    rng = np.random.default_rng(0)
    acknowledged = []
    for _ in range(kills):
        messages = run_and_kill(work_together_until_killed, path, n, rng=rng, seconds=0.2)
        acknowledged += messages
    with LabelLedger(path) as ledger:
        events, answers = ledger.events(), ledger.answers()
    written = {event.id: event.annotator for event in events}
    assert all(written[event] == annotator for annotator, event in acknowledged)
    assert len(set(acknowledged)) == len(acknowledged) >= kills
    assert len(events) - len(acknowledged) <= 4 * kills  # one each was written, not acknowledged
    assert set(written.values()) == {"ann", "ben", "cid", "dee"}

    asked = [event for event in events if event.kind == "label" and event.purpose != "repeat"]
    assert len({(event.image, event.annotator) for event in asked}) == len(asked)
    assert len({event.slot for event in asked}) == len(asked)
    first = {event.image: event for event in asked if event.purpose != "second"}
    second = {event.image: event for event in asked if event.purpose == "second"}
    assert len(first) + len(second) == len(asked)
    assert len(second) > 10
    settled = {event.image for event in events if event.kind == "settle"}
    for image, event in second.items():
        differs = event.label != first[image].label
        assert answers[image].in_dispute == (differs and image not in settled)
        assert differs or image not in settled
