"""What is made ready while the last image of a batch is looked at is needed, and given up in time."""

import threading
import time

import pytest

from al_tf.labeling import foresight, trainer
from al_tf.labeling.pool_features import PoolFeatures

from .work import PATIENCE, wait_for


@pytest.fixture(autouse=True)
def at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(foresight, "PAUSE", 0.0)
    monkeypatch.setattr(trainer, "QUICK_SECONDS", 60.0)  # an import may be among them


def look(session):
    """Return the image to label, when all is ready that is made ready while it is looked at."""
    item = session.next()
    assert session._trainer._foresight._task.wait(PATIENCE)
    return item


def answer(session, desk, item):
    session.label(desk.truth(item.image_id), slot=item.slot)


def test_no_batch_is_chosen_that_a_quick_training_makes_another_one(desk, batches_chosen):
    session = desk.session(auto_retrain=True, batch_size=5, audit_share=0.0, repeat_share=0.0)
    desk.answer(session, 5)
    session.wait()
    desk.answer(session, 9)
    session.wait()
    before = len(batches_chosen)
    item = look(session)
    assert item.position == 5
    assert len(batches_chosen) == before
    answer(session, desk, item)
    assert session.next().round == session.training.round == 3


@pytest.mark.parametrize("is_probe", [False, True])
def test_without_a_model_the_next_batch_is_chosen_once(
    desk, open_desk, batches_chosen, monkeypatch, is_probe
):
    monkeypatch.setattr(PoolFeatures, "embed_pool", lambda self: None)
    options = {"auto_retrain": True, "batch_size": 5, "audit_share": 0.0, "repeat_share": 0.0}
    session = open_desk(**options) if is_probe else desk.session(**options)
    for _ in range(4):
        session.label("dark", slot=session.next().slot)
    assert len(batches_chosen) == 1
    look(session)  # features are computed then: it is chosen once more, by the first model
    assert len(batches_chosen) == 2 + is_probe


@pytest.mark.parametrize("change", ["add", "rename", "merge"])
def test_the_first_model_is_foreseen_after_a_change_of_classes(open_desk, desk, fits, change):
    session = open_desk(batch_size=10, classes=("dark", "bright", "other"))
    session.wait()
    if change == "add":
        session.add_class("new")
    elif change == "rename":
        session.rename_class("bright", "light")
    else:
        session.merge_classes("dark", "other")
    used, first = session.classes[-1], session.classes[0]
    for _ in range(9):
        session.label(used, slot=session.next().slot)
    session.label(first, slot=look(session).slot)
    assert session.next().round == session.training.round == 1
    assert "al_tf training" not in fits


@pytest.mark.parametrize("share", ["audit_share", "repeat_share"])
def test_where_no_training_comes_the_model_in_use_chooses_ahead(
    open_desk, desk, fits, batches_chosen, share
):
    session = open_desk(batch_size=1, **{share: 0.4})
    session.wait()
    desk.answer(session, 10)
    here, seen = threading.current_thread().name, set()
    for _ in range(6):
        trained = len(fits)
        item = look(session)
        purpose = session._items._current.purpose
        seen.add(purpose)
        assert (len(fits) > trained) == (purpose == "query")
        before = batches_chosen.count(here)
        answer(session, desk, item)
        session.next()
        assert batches_chosen.count(here) == before
    assert len(seen) == 2


def test_features_are_no_longer_computed_when_the_answer_is_there(
    open_desk, desk, backbone, monkeypatch
):
    session = open_desk(batch_size=5, auto_retrain=False, random_state=0)
    desk.answer(session, 189)
    session.close()
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(desk.path.parent / "another cache"))
    monkeypatch.setattr(PoolFeatures, "embed_pool", lambda self: None)
    monkeypatch.setattr(trainer.Trainer, "start", lambda *_: False)
    backbone.embedded, backbone.held = 0, threading.Event()
    session = open_desk(batch_size=5)
    session.next()
    wait_for(session._trainer.inputs._working.locked)
    session._trainer._foresight.take("other labels")
    backbone.held.set()
    assert session._trainer._foresight._task.wait(PATIENCE)
    assert backbone.embedded == 64


def test_nothing_is_made_ready_any_more_once_a_session_is_closed(open_desk, desk):
    session = open_desk(batch_size=10)
    session.wait()
    desk.answer(session, 9)
    begun = threading.Event()
    session.subscribe_ahead(lambda item: (begun.set(), time.sleep(0.5)))
    session.next()
    assert begun.wait(PATIENCE)
    session.close()
    assert not session._trainer._foresight._task.running
    assert session.ledger._file._connection is None


def test_another_answer_after_undoing_the_last_one_is_trained_on(open_desk, desk):
    session = open_desk(batch_size=10)
    session.wait()
    desk.answer(session, 9)
    for round, label in enumerate(["dark", "bright", "dark"], 1):
        session.label(label, slot=look(session).slot)
        assert session.wait(PATIENCE)
        assert session.training.round == round
        session.undo()


def test_a_correction_is_trained_on(open_desk, desk):
    session = open_desk(batch_size=10)
    shown = desk.answer(session, 10)
    session.wait()
    row = session.reviewer.row(shown[0].image_id)
    session.reviewer.answer("bright" if row.label == "dark" else "dark", {row.image: row.event})
    session.wait()
    assert session.training.round == 2
