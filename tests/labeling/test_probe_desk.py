"""The desk with a linear probe: features once for each image, a model in no time, the same again."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from al_tf import ActiveLearner
from al_tf.labeling import FolderPool, LabelingSession, choosing, foresight, trainer
from al_tf.labeling.deferred_probe import DeferredProbe
from al_tf.labeling.pool_features import PoolFeatures
from al_tf.labeling.scored_model import fit_and_score
from al_tf.labeling.training_set import training_labels
from al_tf.network.probe import LinearProbeClassifier
from al_tf.strategies import get_strategy

from .makers import make_folder, write_image
from .work import CLASSES, PATIENCE, FakeBackbone, make_images, noted_threads, wait_for


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))


class TestFeatures:
    def test_an_image_is_embedded_once_in_all_sessions(self, open_desk, desk, backbone):
        session = open_desk()
        desk.answer(session, 30)
        session.close()
        assert backbone.embedded == len(desk.pool)
        again = open_desk()
        desk.answer(again, 10)
        again.close()
        assert backbone.embedded == len(desk.pool)

    def test_new_files_alone_are_embedded(self, tmp_path, backbone):
        folder = make_folder(tmp_path / "images", 5)
        backbone = FakeBackbone(12)
        pool = FolderPool(folder, size=12)
        list(PoolFeatures(pool, backbone).chunks(pool.ids))
        assert backbone.embedded == 5
        write_image(folder / "new.png", seed=77)
        (folder / "0.png").rename(folder / "renamed.png")
        pool = FolderPool(folder, size=12)
        features = PoolFeatures(pool, backbone)
        assert (features.count(), features.complete) == (5, False)
        ((ids, rows),) = features.chunks(pool.ids)
        assert backbone.embedded == 6
        assert (list(ids), rows.shape) == (list(pool.ids), (6, 144))
        assert features.complete

    def test_another_size_is_another_feature(self, tmp_path):
        pool = FolderPool(make_folder(tmp_path / "images", 3), size=12)
        list(PoolFeatures(pool, FakeBackbone(12)).chunks(pool.ids))
        larger = FolderPool(tmp_path / "images", size=24)
        assert PoolFeatures(larger, FakeBackbone(12)).count() == 0

    def test_what_cannot_be_read_is_left_out(self, tmp_path):
        folder = make_folder(tmp_path / "images", 4)
        pool = FolderPool(folder, size=12)
        gone = pool.ids[1]
        pool.path(gone).unlink()
        ((ids, _),) = PoolFeatures(pool, FakeBackbone(12), cache_dir=False).chunks(pool.ids)
        assert gone not in ids
        assert len(ids) == 3


class TestForesight:
    @pytest.fixture(autouse=True)
    def no_pause(self, monkeypatch):
        monkeypatch.setattr(foresight, "PAUSE", 0.0)

    def at_the_last_image(self, session, desk):
        """Answer until one image of the second batch is left, and its models are trained."""
        session.wait()
        desk.answer(session, 19)
        item = session.next()
        assert (item.position, item.batch) == (10, 10)
        assert session._trainer._foresight._task.wait(PATIENCE)
        return item

    @pytest.mark.parametrize("audit_share", [0.0, 0.5])
    def test_the_model_of_the_next_batch_is_there_before_the_last_answer(
        self, open_desk, desk, fits, audit_share
    ):
        session = open_desk(batch_size=10, audit_share=audit_share)
        item = self.at_the_last_image(session, desk)
        trained = fits.count("al_tf training")
        session.label(desk.truth(item.image_id), slot=item.slot)
        following = session.next()
        assert fits.count("al_tf training") == trained
        model = session._trainer.model
        answers = session.ledger.answers()
        labels = training_labels(answers)
        assert (following.round, session.training.round, model.labels) == (2, 2, len(labels))
        afresh = fit_and_score(
            session._trainer._teacher.original, session._trainer.inputs, labels,
            session.classes, None,
        )  # fmt: skip
        np.testing.assert_array_equal(model.proba, afresh.proba)

    @pytest.fixture
    def chosen(self, monkeypatch):
        """Return the threads in which batches are chosen by a model, one name for each."""
        return noted_threads(monkeypatch, choosing, "choose_with_model")

    @pytest.mark.parametrize("audit_share", [0.0, 0.5])
    def test_so_are_the_next_batch_and_the_picture_of_its_first_image(
        self, open_desk, desk, chosen, audit_share
    ):
        session = open_desk(batch_size=10, audit_share=audit_share, repeat_share=0.1)
        ready = []
        session.subscribe_ahead(ready.append)
        item = self.at_the_last_image(session, desk)
        here = threading.current_thread().name
        before = chosen.count(here)
        session.label(desk.truth(item.image_id), slot=item.slot)
        following = session.next()
        assert chosen.count(here) == before
        assert following.round == session.training.round == 2
        assert following.image_id in {item.image_id for item in ready}
        (same,) = {
            (item.predictions, item.why) for item in ready if item.image_id == following.image_id
        }
        assert same == (following.predictions, following.why)

    def test_another_answer_than_those_expected_is_trained_on_as_ever(
        self, open_desk, desk, fits, chosen
    ):
        session = open_desk(batch_size=10)
        item = self.at_the_last_image(session, desk)
        trained, here = fits.count("al_tf training"), threading.current_thread().name
        before = chosen.count(here)
        session.skip(slot=item.slot)
        assert session.next().round == 2
        assert fits.count("al_tf training") == trained + 1
        assert chosen.count(here) == before + 1
        assert session._trainer.model.labels == 19

    def test_a_batch_is_chosen_anew_where_something_was_set_aside_meanwhile(
        self, open_desk, desk, chosen
    ):
        session = open_desk(batch_size=10)
        item = self.at_the_last_image(session, desk)
        other = session.colleague("ben")
        theirs = {other.next().image_id, *(each.image_id for each in other.ahead(9))}
        here = threading.current_thread().name
        before = chosen.count(here)
        session.label(desk.truth(item.image_id), slot=item.slot)
        mine = {session.next().image_id, *(each.image_id for each in session.ahead(9))}
        assert len(mine) == len(theirs) == 10
        assert not mine & theirs
        assert chosen.count(here) == before + 1

    @pytest.mark.parametrize("strategy", ["margin", "badge", "kcenter"])
    @pytest.mark.parametrize("n", [200, 40])
    def test_the_batches_are_those_without_it(
        self, open_desk, desk, chosen, monkeypatch, tmp_path, strategy, n
    ):
        monkeypatch.setattr(choosing, "MAX_CANDIDATES", n)

        def items(ledger):
            session = open_desk(
                batch_size=5, ledger=tmp_path / ledger, random_state=3, strategy=strategy,
                audit_share=0.1, repeat_share=0.2,
            )  # fmt: skip
            session.wait()
            items = []
            for i in range(40):
                item = session.next()
                session._trainer._foresight._task.wait(PATIENCE)
                items.append((item.name, item.score, item.strategy, item.round))
                label = desk.truth(item.image_id)
                session.label(label if i % 7 else "dark", slot=item.slot)
            session.close()
            return items

        foreseen, here = items("with.db"), threading.current_thread().name
        assert chosen.count(here) == 0
        monkeypatch.setattr(trainer.Trainer, "foresee", lambda *_: None)
        assert items("without.db") == foreseen
        assert chosen.count(here) == 7

    @pytest.mark.parametrize("label", CLASSES)
    def test_the_first_model_is_there_before_the_answer_that_makes_it_possible(
        self, open_desk, desk, fits, batches_chosen, label
    ):
        session = open_desk(batch_size=10)
        session.wait()
        for _ in range(9):
            session.label(CLASSES[0], slot=session.next().slot)
        item = session.next()
        assert session._trainer._foresight._task.wait(PATIENCE)
        here = threading.current_thread().name
        before = batches_chosen.count(here)
        session.label(label, slot=item.slot)
        following = session.next()
        assert following.round == session.training.round == CLASSES.index(label)
        assert (fits.count("al_tf training"), batches_chosen.count(here)) == (0, before)

    @pytest.mark.parametrize("audit_share", [0.0, 0.5])
    def test_features_that_are_missing_are_computed_before(
        self, open_desk, desk, fits, chosen, monkeypatch, audit_share
    ):
        monkeypatch.setattr(PoolFeatures, "embed_pool", lambda self: None)
        session = open_desk(batch_size=10, audit_share=audit_share)
        computed = session._trainer.inputs.available
        desk.answer(session, 9)
        item = session.next()
        assert session._trainer._foresight._task.wait(PATIENCE)
        answered = [*session.ledger.answers(), item.image_id]
        assert computed(answered)[0] == answered
        here = threading.current_thread().name
        session.label(desk.truth(item.image_id), slot=item.slot)
        assert session.next().round == session.training.round == 1
        assert (fits.count("al_tf training"), chosen.count(here)) == (0, 0)

    @pytest.mark.parametrize("audit_share", [0.0, 0.5])
    def test_without_features_the_next_batch_is_chosen_ahead_by_the_model_in_use(
        self, open_desk, desk, batches_chosen, backbone, audit_share
    ):
        backbone.held = threading.Event()
        session = open_desk(batch_size=10, cold_start="typiclust", audit_share=audit_share)
        desk.answer(session, 9)
        item = session.next()
        here = threading.current_thread().name
        before = batches_chosen.count(here)
        wait_for(lambda: session._batches._prepared)
        session.label(desk.truth(item.image_id), slot=item.slot)
        assert session.next().strategy == "random"
        assert batches_chosen.count(here) == before
        backbone.held.set()
        session.close()

    def test_nothing_is_trained_ahead_after_closing(self, open_desk, desk, fits):
        session = open_desk(batch_size=10)
        session.wait()
        desk.answer(session, 19)
        session.close()
        trained = len(fits)
        assert session.next().position == 10
        assert session._trainer._foresight._task.wait(PATIENCE)
        assert len(fits) == trained


class TestSession:
    def test_the_next_batch_is_chosen_with_all_labels_so_far(self, open_desk, desk):
        open_desk().close()  # leaves the features
        session = open_desk(batch_size=10)
        for batch in range(1, 5):
            desk.answer(session, 10)
            item = session.next()
            assert item.round == batch
            assert session.training.labels == 10 * batch
            assert len(item.predictions) == 2

    def test_after_a_restart_the_next_batch_is_chosen_by_the_model(self, open_desk, desk):
        session = open_desk(batch_size=10)
        desk.answer(session, 20)
        session.close()
        again = open_desk(batch_size=10)
        item = again.next()
        assert (item.strategy, item.round > 2) == ("margin", True)
        assert again.training.labels == 20

    def test_images_are_shown_while_features_are_computed(self, open_desk, desk, backbone):
        backbone.held = threading.Event()
        session = open_desk(batch_size=10, cold_start="typiclust")
        assert session.training.state == "embedding"
        assert session.training.embedded == 0
        shown = desk.answer(session, 20)
        assert {item.strategy for item in shown} == {"random"}
        backbone.held.set()
        assert session.wait(PATIENCE)
        assert session.training.embedded == len(desk.pool)
        assert session.training.state == "ready"

    def test_features_wait_for_the_first_image(self, open_desk, desk, monkeypatch):
        monkeypatch.setattr(trainer, "FIRST_IMAGE_SECONDS", 60)
        session = open_desk()
        assert not session.wait(0.3)
        assert session.training.embedded == 0
        session.next()
        assert session.wait(PATIENCE)
        assert session.training.embedded == len(desk.pool)

    def test_the_time_of_a_training_is_without_that_of_features(self, open_desk, desk, monkeypatch):
        now = [0.0]
        clock = SimpleNamespace(perf_counter=lambda: now[0], monotonic=time.monotonic)
        monkeypatch.setattr(trainer, "time", clock)
        complete = trainer.Trainer._complete

        def slow(*arguments):
            now[0] += 100
            complete(*arguments)

        monkeypatch.setattr(trainer.Trainer, "_complete", slow)
        session = open_desk(batch_size=10)
        desk.answer(session, 10)
        assert session.wait(60)
        assert now[0] >= 100
        assert (session.training.state, session.training.seconds) == ("ready", 0)

    def test_the_first_images_are_typical_by_their_features(self, open_desk, desk):
        open_desk().close()  # leaves the features
        session = open_desk(batch_size=10, cold_start="typiclust")
        shown = desk.answer(session, 10)
        assert {item.strategy for item in shown} == {"typiclust"}
        assert {desk.truth(item.image_id) for item in shown} == set(session.classes)

    def test_closing_without_waiting_stops_the_computation(self, open_desk, backbone, caplog):
        backbone.held = threading.Event()
        session = open_desk()
        session.close(wait=False)
        backbone.held.set()
        with pytest.raises(Exception, match="The training failed"):
            session.wait(PATIENCE)
        assert backbone.embedded <= 64  # the part that was under way
        assert caplog.text == ""

    def test_probabilities_and_samples_are_those_of_the_images(self, open_desk, desk):
        open_desk().close()  # leaves the features
        session = open_desk(strategy="bald", batch_size=10)
        desk.answer(session, 20)
        assert session.next().strategy == "bald"
        session.wait()
        classifier = session._trainer.classifier(session.ledger.answers())
        view = desk.pool.view(desk.pool.ids[:7])
        proba = session.estimator.predict_proba(np.asarray(view))
        np.testing.assert_allclose(classifier.predict_proba(view), proba, atol=0.005)  # float16
        samples = classifier.sample_proba(view, n_samples=3, random_state=0)
        assert samples.shape == (3, 7, 2)

    def test_a_learner_keeps_images_as_its_labeled_set(self, desk, backbone):
        X, y = make_images(30, seed=1)
        learner = ActiveLearner(
            LinearProbeClassifier(backbone), get_strategy("margin"), X, y
        )  # fmt: skip
        session = desk.session(learner, audit_share=0.0)
        desk.answer(session, 10)
        session.retrain(wait=True)
        assert learner.X_training.shape == (40, 6, 6)
        assert session.training.labels == 40


FIRST_IMAGE = """
import sys
from al_tf.labeling import FolderPool, LabelingSession
from al_tf.labeling.deferred_probe import DeferredProbe
from al_tf.labeling.desk.protocol import Desk
from tests.labeling.work import FakeBackbone

folder, ledger, chosen_by = sys.argv[1:]
DeferredProbe.made = lambda self: None  # what comes after the first image
probe = DeferredProbe(FakeBackbone(12), class_weight="balanced")
session = LabelingSession(
    probe, FolderPool(folder, size=12), ledger, classes=["a", "b"], cold_start="typiclust",
    audit_share=0.0,
)
reply = Desk(session).handle({"do": "look"})
assert reply["error"] is None and reply["item"]["image"], reply
assert reply["item"]["strategy"] == chosen_by, reply
print([name for name in ("sklearn", "pandas", "scipy", "keras") if name in sys.modules])
"""


@pytest.mark.parametrize("chosen_by", ["random", "typiclust"])
def test_the_first_image_needs_none_of_the_slow_imports(tmp_path, chosen_by):
    folder = make_folder(tmp_path / "images", 24)
    if chosen_by == "typiclust":  # the features are known
        pool = FolderPool(folder, size=12)
        list(PoolFeatures(pool, FakeBackbone(12)).chunks(pool.ids))
    ledger = tmp_path / "labels.db"
    command = [sys.executable, "-c", FIRST_IMAGE, str(folder), str(ledger), chosen_by]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_a_probe_that_is_made_later_is_the_same(open_desk, desk, backbone, tmp_path):
    open_desk().close()  # leaves the features

    def predicted(probe, ledger):
        session = desk.session(
            probe, ledger=tmp_path / ledger, batch_size=5, auto_retrain=True, strategy="bald"
        )
        desk.answer(session, 15)
        session.add_class("third")
        session.retrain(wait=True)
        assert type(session.estimator) is LinearProbeClassifier
        assert session.estimator.class_weight == "balanced"
        assert session.training.labels == session.progress().training.labels > 0
        return session._trainer.model.proba

    later = predicted(DeferredProbe(backbone, class_weight="balanced"), "later.db")
    at_once = predicted(LinearProbeClassifier(backbone, class_weight="balanced"), "at_once.db")
    np.testing.assert_array_equal(later, at_once)


def test_the_needs_of_a_strategy_are_checked_before_the_first_image(desk, tmp_path):
    from al_tf import KerasImageClassifier

    with pytest.raises(ValueError, match=r"'bald' needs a model that samples.*'dropout': 0\.25"):
        desk.session(KerasImageClassifier(), strategy="bald")
    dropout = KerasImageClassifier(model_params={"dropout": 0.25})
    desk.session(dropout, strategy="bald")
    with pytest.raises(ValueError, match=r"'epig' needs samples.*LinearProbeClassifier"):
        desk.session(dropout, strategy="epig")
    with pytest.raises(ValueError, match=r"'expected_error' fits a model for each image"):
        desk.session(dropout, strategy="expected_error")


def test_a_failed_start_stores_nothing(desk, tmp_path):
    for options in ({"strategy": "nonsense"}, {"estimator": object()}, {"strategy": "bald"}):
        with pytest.raises((ValueError, TypeError)):
            desk.session(**options, classes=["wrong", "names"], audit_share=0.3)
    assert desk.session(audit_share=0.1).classes == ("dark", "bright")


def test_the_classes_of_the_ledger_are_the_default(desk):
    desk.session()
    session = desk.session(classes=None)
    assert session.classes == ("dark", "bright")


def test_a_new_ledger_needs_classes(desk):
    with pytest.raises(ValueError, match="two or more different names"):
        LabelingSession(_Estimator(), desk.pool, desk.path.with_name("new.db"))


class _Estimator:
    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)
