import signal
import threading

import pytest

from al_tf.labeling import LabelLedger
from al_tf.labeling.choosing import Chooser

from .work import CLASSES, Desk


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
    threads = []
    batch = Chooser.batch

    def counted(*args, **options):
        threads.append(threading.current_thread().name)
        return batch(*args, **options)

    monkeypatch.setattr(Chooser, "batch", counted)
    return threads
