import pytest

from al_tf.labeling import LabelLedger

from .work import CLASSES, Desk


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "labels.db")


@pytest.fixture
def ledger(tmp_path):
    with LabelLedger(tmp_path / "labels.db") as ledger:
        ledger.fix_classes(CLASSES)
        yield ledger
