"""The model of a session that was closed or killed: there again, without a training."""

import logging

import numpy as np
import pytest

from al_tf.labeling.kept_model import SUFFIX
from al_tf.network.classifier import KerasImageClassifier
from al_tf.network.weights_file import read_arrays, write_arrays

from .work import CLASSES, NearestMean


class Kept(NearestMean):
    """`NearestMean` whose weights can be written; its fits are counted."""

    fits = 0

    def __init__(self, sharpness=4):
        self.sharpness = sharpness

    def get_params(self, deep=True):
        return {"sharpness": self.sharpness}

    def fit(self, X, y):
        type(self).fits += 1
        return super().fit(X, y)

    def save_weights(self, path):
        write_arrays(path, {"classes": self.classes_, "means": self.means_})

    def load_weights(self, path):
        arrays = read_arrays(path)
        self.classes_, self.means_ = arrays["classes"], arrays["means"]
        return self


@pytest.fixture(autouse=True)
def no_fits():
    Kept.fits = 0


@pytest.fixture
def opened(desk):
    def opened(estimator=None, **options):
        options = {"audit_share": 0.0, "repeat_share": 0.0, "auto_retrain": True} | options
        return desk.session(estimator or Kept(), **options)

    return opened


def labeled(desk, opened, n=20):
    """Label some images and close; return the model."""
    with opened() as session:
        desk.answer(session, n)
        session.retrain(wait=True)
        return session._trainer.model, session.training.round


def test_the_model_is_there_again_without_a_training(desk, opened):
    model, number = labeled(desk, opened)
    fits = Kept.fits
    with opened() as again:
        again.wait()
        kept = again._trainer.model
        assert (again.training.state, again.training.round) == ("ready", number)
        assert (kept.ids, kept.labels) == (model.ids, model.labels)
        np.testing.assert_array_equal(kept.proba, model.proba)
        np.testing.assert_array_equal(kept.features, model.features)
        np.testing.assert_array_equal(
            again.estimator.predict_proba(desk.images), model.estimator.predict_proba(desk.images)
        )
        assert len(again.ledger.rounds()) == number
    assert Kept.fits == fits


def test_the_next_batch_is_chosen_by_it(desk, opened):
    _, number = labeled(desk, opened)
    with opened(auto_retrain=False) as again:
        item = again.next()
    assert (item.strategy, item.round) == ("margin", number)


def test_with_newer_labels_it_serves_until_the_next_training_ends(desk, opened):
    model, number = labeled(desk, opened)
    with opened(auto_retrain=False) as unwatched:
        unwatched.wait()
        desk.answer(unwatched, 5)
    states = []
    again = opened(auto_retrain=False)
    again.subscribe(lambda: states.append((again.training.state, again.training.round)))
    again.retrain(wait=True)
    again.close()
    assert ("running", number) in states
    assert (again.training.round, again.training.labels) == (number + 1, model.labels + 5)


def test_a_damaged_file_is_said_and_a_model_trained(desk, opened, caplog):
    labeled(desk, opened)
    fits = Kept.fits
    path = desk.path.with_name(desk.path.name + SUFFIX)
    path.write_bytes(path.read_bytes()[:-200])
    with caplog.at_level(logging.WARNING, "al_tf.labeling"), opened() as again:
        again.wait()
        assert again.training.state == "ready"
    assert Kept.fits == fits + 1
    assert "lost, and trained anew" in caplog.text
    assert path.name in caplog.text


@pytest.mark.parametrize("change", ["settings", "classes"])
def test_a_model_made_otherwise_is_not_taken_over(desk, opened, change):
    labeled(desk, opened)
    fits = Kept.fits
    changed = {
        "settings": {"estimator": Kept(sharpness=5)},
        "classes": {"classes": (*CLASSES, "odd")},
    }[change]
    with opened(**changed) as again:
        again.wait()
    assert Kept.fits == fits + 1


def test_a_disk_that_refuses_the_file_stops_no_training(desk, opened, caplog, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Kept, "save_weights", full)
    with caplog.at_level(logging.WARNING, "al_tf.labeling"):
        labeled(desk, opened)
    assert "cannot be kept for the next session" in caplog.text


def test_a_network_is_kept_with_its_weights(desk, opened):
    def network():
        return KerasImageClassifier(epochs=1, random_state=0)

    with opened(network()) as session:
        desk.answer(session, 6)
        session.retrain(wait=True)
        model = session._trainer.model
    with opened(network()) as again:
        again.wait()
        assert again.training.round == 1
        np.testing.assert_array_equal(again._trainer.model.proba, model.proba)
        np.testing.assert_array_equal(
            again.estimator.predict_proba(desk.images), model.estimator.predict_proba(desk.images)
        )
