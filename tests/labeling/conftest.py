import signal

import pytest

from al_tf.labeling import LabelLedger, teacher
from al_tf.labeling.choosing import Chooser

from .work import CLASSES, Desk, FakeBackbone, noted_threads


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "labels.db")


@pytest.fixture
def ledger(tmp_path):
    with LabelLedger(tmp_path / "labels.db") as ledger:
        ledger.fix_classes(CLASSES)
        yield ledger


@pytest.fixture
def ctrl_c():
    """Have Ctrl-C raise KeyboardInterrupt, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def batches_chosen(monkeypatch):
    """Return the threads in which batches are chosen, one name for each."""
    return noted_threads(monkeypatch, Chooser, "batch")


@pytest.fixture
def fits(monkeypatch):
    """Return the threads in which models are fitted, one name for each fit."""
    return noted_threads(monkeypatch, teacher, "fit_and_score")


@pytest.fixture
def backbone():
    return FakeBackbone()


@pytest.fixture
def open_desk(desk, backbone):
    """Return a function that opens a session with a linear probe, which trains by itself."""
    from al_tf.network.probe import LinearProbeClassifier

    def open_desk(**options):
        options = {"audit_share": 0.0, "repeat_share": 0.0, "auto_retrain": True} | options
        probe = LinearProbeClassifier(backbone, class_weight="balanced")
        return desk.session(probe, **options)

    return open_desk
