"""What `LabelingSession` promises, without a screen."""

import threading
import time

import numpy as np
import pytest

from al_tf import ActiveLearner, Committee
from al_tf.errors import LedgerError, StaleItemError, TrainingFailedError, UnknownNameError
from al_tf.labeling import LabelLedger, foresight, trainer
from al_tf.strategies import get_strategy

from .work import CLASSES, PATIENCE, Desk, NearestMean, make_images, processes, work_until_empty


class Waits(NearestMean):
    """Trains once it may."""

    def __init__(self, go):
        self.go = go

    def __deepcopy__(self, memo):
        return Waits(self.go)

    def fit(self, X, y):
        assert self.go.wait(PATIENCE)
        return super().fit(X, y)


class Fails(NearestMean):
    def fit(self, X, y):
        raise ValueError("the loss became nan")


class TestLabeling:
    def test_the_same_image_until_it_is_answered(self, desk):
        session = desk.session()
        first = session.next()
        assert session.next().slot == first.slot
        session.label("dark", slot=first.slot)
        assert session.next().slot != first.slot

    def test_an_item_says_what_it_is(self, desk):
        item = desk.session(batch_size=5).next()
        row = desk.pool.row(item.image_id)
        assert np.array_equal(item.image, desk.images[row])
        assert (item.name, item.path) == (f"image {row}", None)
        assert (item.round, item.position, item.batch) == (0, 1, 5)
        assert item.predictions == item.neighbours == ()
        assert item.why == "Drawn at random: there was no model yet."

    def test_every_image_is_shown_once(self, desk):
        session = desk.session(repeat_share=0.0, batch_size=7)
        shown = desk.answer(session, 1_000)
        assert sorted(item.image_id for item in shown) == sorted(desk.pool.ids)
        assert session.next() is None
        assert session.progress().advice.stop
        assert session.progress().advice.reason == "Every image has an answer."

    def test_a_click_that_comes_twice_is_recorded_once(self, desk):
        session = desk.session()
        item = session.next()
        session.label("dark", slot=item.slot)
        after = session.next()
        with pytest.raises(StaleItemError, match="answered already"):
            session.label("dark", slot=item.slot)
        assert session.next().slot == after.slot
        assert session.progress().labels == 1

    def test_an_answer_needs_an_image_on_the_screen(self, desk):
        session = desk.session()
        with pytest.raises(StaleItemError, match="call next first"):
            session.label("dark")
        session.next()
        session.label("dark")
        with pytest.raises(StaleItemError, match="call next first"):
            session.skip()

    def test_undo_shows_the_image_again(self, desk):
        session = desk.session()
        first, second = desk.answer(session, 2)
        third = session.next()
        session.undo()
        assert session.next().image_id == second.image_id
        session.undo()
        assert session.next().image_id == first.image_id
        desk.answer(session, 2)
        assert session.next().image_id == third.image_id
        assert session.progress().labels == 2

    def test_undo_of_nothing(self, desk):
        assert desk.session().undo() is None

    def test_a_skipped_image_is_set_aside_for_all(self, desk):
        session = desk.session()
        skipped = session.next()
        session.skip(slot=skipped.slot)
        shown = [item.image_id for item in desk.answer(desk.session(annotator="bob"), 50)]
        assert skipped.image_id not in shown
        assert session.progress().skipped == 1
        session.relabel(skipped.image_id, "dark")
        assert session.progress().skipped == 0

    def test_seconds_are_measured_unless_given(self, desk):
        session = desk.session()
        session.next()
        session.label("dark")
        session.next()
        session.label("dark", seconds=60.0)
        measured, given = session.ledger.history()["seconds"]
        assert 0 < measured < 10
        assert given == 60.0
        assert session.progress().my_minutes == pytest.approx(1.0, abs=0.2)


class TestResume:
    def test_in_the_middle_of_a_batch(self, desk):
        session = desk.session(batch_size=10)
        desk.answer(session, 4)
        item = session.next()
        again = desk.session(batch_size=10).next()  # what a restarted process does
        assert (again.slot, again.image_id, again.position) == (item.slot, item.image_id, 5)

    def test_after_undo(self, desk):
        session = desk.session()
        (item,) = desk.answer(session)
        session.undo()
        assert desk.session().next().image_id == item.image_id

    def test_a_ledger_with_labels_is_trained_on_at_once(self, desk):
        desk.answer(desk.session(), 20)
        with desk.session(auto_retrain=True) as session:
            assert session.wait(PATIENCE)
            assert session.training.state == "ready"

    def test_settings_of_the_ledger_hold(self, desk):
        desk.session(audit_share=0.2)
        with pytest.raises(ValueError, match=r"audit_share=0\.2; got 0\.1"):
            desk.session(audit_share=0.1)
        with pytest.raises(ValueError, match=r"has the classes .*; got .* Leave them out, or"):
            desk.session(audit_share=0.2, classes=["x", "y"])


class TestSeveralAnnotators:
    def test_never_the_same_image(self, desk):
        sessions = [desk.session(annotator=name, repeat_share=0.0) for name in "abc"]
        shown = []
        while items := [item for s in sessions for item in desk.answer(s)]:
            shown += [item.image_id for item in items]
        assert sorted(shown) == sorted(desk.pool.ids)

    def test_nor_in_processes_of_their_own(self, tmp_path):
        path, n = tmp_path / "labels.db", 150
        start = processes.Barrier(3)
        workers = [
            processes.Process(target=work_until_empty, args=(path, name, n, start))
            for name in "abc"
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        history = LabelLedger(path).history()
        assert len(history) == history["image"].nunique() == len(Desk(path, n).pool)
        assert history["annotator"].nunique() > 1

    def test_an_abandoned_batch_comes_back(self, desk):
        gone = desk.session(annotator="gone", lease_minutes=1e-9, batch_size=50)
        item = gone.next()
        other = desk.session(annotator="here", repeat_share=0.0)
        assert item.image_id in [shown.image_id for shown in desk.answer(other, 200)]
        with pytest.raises(StaleItemError, match="given to somebody else"):
            gone.label("dark", slot=item.slot)
        assert gone.next() is None

    def test_a_batch_stays_ones_own_while_one_works_on_it(self, desk, monkeypatch):
        session = desk.session(annotator="slow", lease_minutes=1.0, batch_size=5)
        other = desk.session(annotator="other", lease_minutes=1.0, batch_size=50)
        shown = session.next()
        mine = {slot.image for slot in session.ledger.queue.waiting("slow")}
        start = time.time()
        for seconds in (40, 80, 120):  # an answer after more than half of the lease, each time
            monkeypatch.setattr(time, "time", lambda seconds=seconds: start + seconds)
            assert session.next() == shown
            shown_to_other = {item.image_id for item in desk.answer(other, 5)}
            assert not shown_to_other & mine
        session.label("dark", slot=shown.slot)


class TestTraining:
    def test_labeling_goes_on_meanwhile(self, desk):
        go = threading.Event()
        session = desk.session(Waits(go), auto_retrain=True, batch_size=10, audit_share=0.0)
        desk.answer(session, 10)
        assert session.training.state == "running"
        desk.answer(session, 15)
        assert session.estimator is None
        go.set()
        assert session.wait(PATIENCE)
        status = session.training
        assert status.state == "ready"
        assert status.labels >= 19  # the training asked for meanwhile followed the first
        assert session.progress().labels >= 23

    def test_it_begins_when_the_next_image_is_on_the_screen_or_somebody_waits(
        self, desk, monkeypatch
    ):
        monkeypatch.setattr(trainer, "SCREEN_PAUSE", 60.0)
        session = desk.session(auto_retrain=True, batch_size=10, audit_share=0.0)
        fits, fit = [], session._trainer._fit
        monkeypatch.setattr(session._trainer, "_fit", lambda *given: fits.append(0) or fit(*given))
        desk.answer(session, 10)
        session.next()
        assert session.training.state == "running"
        assert not fits
        assert session.wait(PATIENCE)
        assert len(fits) == 1
        assert session.training.state == "ready"

    def test_the_strategy_chooses_with_the_model(self, desk):
        session = desk.session(strategy="margin", audit_share=0.0, repeat_share=0.0, batch_size=20)
        desk.answer(session, 20)
        assert session.retrain(wait=True)
        item = session.next()
        assert (item.strategy, item.round) == ("margin", 1)
        assert [p.label for p in item.predictions] in (["dark", "bright"], ["bright", "dark"])
        assert sum(p.probability for p in item.predictions) == pytest.approx(1.0)
        assert item.predictions[0].probability >= item.predictions[1].probability
        assert len(item.neighbours) == 3
        distances = [n.distance for n in item.neighbours]
        assert distances == sorted(distances)
        assert all(n.label == desk.truth(n.image_id) for n in item.neighbours)
        assert "Chosen by margin" in item.why
        model = session._trainer.model
        margins = np.abs(model.proba[:, 0] - model.proba[:, 1])
        left = [i for i in desk.pool.ids if i not in set(session.ledger.current()["image"])]
        chosen = {slot.image for slot in session.ledger.queue.waiting("annotator")}
        most_uncertain = sorted(left, key=lambda i: margins[model.row_of[i]])[:20]
        assert chosen == set(most_uncertain)

    def test_a_failure_is_told_raised_and_costs_no_label(self, desk):
        session = desk.session(Fails())
        desk.answer(session, 20)
        with pytest.raises(TrainingFailedError, match="the loss became nan") as caught:
            session.retrain(wait=True)
        assert isinstance(caught.value.__cause__, ValueError)
        assert session.progress().training.state == "failed"
        assert "the loss became nan" in session.progress().training.error
        assert session.wait()  # raised once
        assert session.progress().labels == 20
        assert desk.answer(session, 5)

    def test_a_failure_leaves_the_model_before_it(self, desk):
        estimator = NearestMean()
        session = desk.session(estimator)
        desk.answer(session, 20)
        session.retrain(wait=True)
        before = session.estimator
        session._trainer._teacher._newest = (Fails(), session.classes)
        with pytest.raises(TrainingFailedError):
            session.retrain(wait=True)
        assert session.estimator is before

    def test_needs_two_classes(self, desk):
        session = desk.session(audit_share=0.0)
        for _ in range(5):
            session.next()
            session.label("dark")
        assert not session.retrain(wait=True)
        assert session.training.state == "none"
        assert "no model yet" in session.progress().advice.reason

    def test_those_who_asked_are_told_when_it_has_ended(self, desk):
        session = desk.session()
        states = []
        session.subscribe(lambda: states.append(session.training.state))
        desk.answer(session, 20)
        session.retrain(wait=True)
        assert states[0] == "running"
        assert states[-1] == "ready"

    def test_a_listener_that_fails_harms_neither_training_nor_the_others(self, desk, caplog):
        session, states = desk.session(), []

        def broken():
            raise RuntimeError("the page has gone")

        session.subscribe(broken)
        session.subscribe(lambda: states.append(session.training.state))
        desk.answer(session, 20)
        session.retrain(wait=True)
        assert states[-1] == session.training.state == "ready"
        assert "the page has gone" in caplog.text

    def test_a_closed_session_records_answers_and_trains_no_more(self, desk):
        go = threading.Event()
        options = {"batch_size": 10, "audit_share": 0.0, "repeat_share": 0.0}
        session = desk.session(Waits(go), auto_retrain=True, **options)
        desk.answer(session, 10)
        go.set()
        session.close()
        assert session.training.state == "ready"
        rounds = len(session.ledger.rounds())
        desk.answer(session, 20)
        assert not session.retrain(wait=True)
        assert session.progress().labels == 30
        assert len(session.ledger.rounds()) == rounds

    def test_a_learner_takes_part_with_its_labels_and_its_strategy(self, desk):
        X, y = make_images(30, seed=1)
        learner = ActiveLearner(NearestMean(), get_strategy("entropy"), X, y)
        session = desk.session(learner, audit_share=0.0, batch_size=10)
        assert session.retrain(wait=True)
        assert session.next().strategy == "entropy"
        desk.answer(session, 10)
        session.retrain(wait=True)
        assert session.training.labels == len(learner.X_training) == 40
        assert learner.estimator is session.estimator

    def test_a_committee_serves_the_strategies_that_need_one(self, desk):
        X, y = make_images(30, seed=1)
        members = [ActiveLearner(NearestMean(), X_training=X, y_training=y) for _ in range(2)]
        committee = Committee(members)
        session = desk.session(committee, strategy="vote_entropy", audit_share=0.0)
        desk.answer(session, 10)
        assert session.retrain(wait=True)
        assert session.next().strategy == "vote_entropy"
        with pytest.raises(ValueError, match="needs a committee of models, and there is one"):
            desk.session(strategy="vote_entropy", audit_share=0.0)

    def test_an_estimator_without_probabilities_is_refused(self, desk):
        with pytest.raises(TypeError, match="has no fit"):
            desk.session(object())


class TestForesight:
    """What follows the last image of a batch, where no training is done before it is due."""

    @pytest.fixture(autouse=True)
    def slow_trainings(self, monkeypatch):
        monkeypatch.setattr(trainer, "QUICK_SECONDS", 0.0)
        monkeypatch.setattr(foresight, "PAUSE", 0.0)

    @pytest.fixture
    def go(self):
        """Let trainings go on; cleared, they wait."""
        go = threading.Event()
        go.set()
        return go

    def open_session(self, desk, go, **options):
        return desk.session(Waits(go), batch_size=5, auto_retrain=True, **options)

    def at_the_end_of_a_batch(self, session, desk):
        """Answer to the last image of a batch, and look at it until what follows is ready."""
        while (item := session.next()).position < item.batch:
            desk.answer(session)
        assert session._trainer._foresight._task.wait(PATIENCE)
        return item

    def test_the_next_batch_and_its_first_picture_are_there_before_the_last_answer(
        self, desk, go, batches_chosen
    ):
        session = self.open_session(desk, go, repeat_share=0.1)
        ready = []
        session.subscribe_ahead(ready.append)
        here = threading.current_thread().name
        for round in range(4):  # the first two are chosen without a model
            item = self.at_the_end_of_a_batch(session, desk)
            go.clear()
            before = batches_chosen.count(here)
            session.label(desk.truth(item.image_id), slot=item.slot)
            following = session.next()
            assert batches_chosen.count(here) == before
            assert (following.position, following.round) == (1, max(0, round))
            assert (following.image_id, following.why) in {(i.image_id, i.why) for i in ready}
            go.set()
            session.wait()

    def test_a_batch_is_chosen_anew_where_it_would_be_another_one(self, desk, go, batches_chosen):
        here = threading.current_thread().name

        def set_aside(session, item):
            session.skip(slot=item.slot)

        def train(session, item):
            session.retrain(wait=True)
            session.label(desk.truth(item.image_id), slot=item.slot)

        def lose_an_image(session, item):
            session.colleague("ben").next()
            session.label(desk.truth(item.image_id), slot=item.slot)

        def n_chosen(change):  # a new model chooses at once, in the background or here
            return len(batches_chosen) if change is train else batches_chosen.count(here)

        session = self.open_session(desk, go, strategy="kcenter", audit_share=0.0)
        desk.answer(session, 5)
        session.wait()
        for change in (set_aside, train, lose_an_image):
            item = self.at_the_end_of_a_batch(session, desk)
            before = n_chosen(change)
            go.clear() if change is not train else None
            change(session, item)
            session.next()
            assert n_chosen(change) > before + (change is lose_an_image)
            go.set()
            session.wait()

    def test_a_model_that_comes_while_the_last_image_is_looked_at_chooses_what_follows(
        self, desk, go, batches_chosen
    ):
        session = self.open_session(desk, go, audit_share=0.0, repeat_share=0.0)
        desk.answer(session, 5)
        go.clear()
        item = self.at_the_end_of_a_batch(session, desk)
        assert session.training.state == "running"
        go.set()
        assert session.wait(PATIENCE)
        assert session._trainer._foresight._task.wait(PATIENCE)
        before = len(batches_chosen)
        session.label(desk.truth(item.image_id), slot=item.slot)
        following = session.next()
        assert len(batches_chosen) == before
        assert (following.position, following.round) == (1, 1)

    @pytest.mark.parametrize("strategy", ["margin", "badge", "kcenter"])
    def test_the_batches_are_those_without_it(
        self, desk, go, batches_chosen, monkeypatch, tmp_path, strategy
    ):
        def items(ledger):
            session = self.open_session(
                desk,
                go,
                ledger=tmp_path / ledger,
                random_state=3,
                strategy=strategy,
                repeat_share=0.2,
            )
            items = []
            for i in range(40):
                item = session.next()
                session._trainer._foresight._task.wait(PATIENCE)
                items.append((item.name, item.score, item.strategy, item.round))
                go.clear()  # what comes next is chosen first
                session.label(desk.truth(item.image_id) if i % 7 else "dark", slot=item.slot)
                session.next()
                go.set()
                session.wait()
            session.close()
            return items

        foreseen, here = items("with.db"), threading.current_thread().name
        assert (
            batches_chosen.count(here) < 4
        )  # at first, and where an answer was not among the likeliest
        monkeypatch.setattr(trainer.Trainer, "foresee", lambda *_: None)
        assert items("without.db") == foreseen
        assert batches_chosen.count(here) > 8

    def test_nothing_is_chosen_ahead_after_closing(self, desk, go, batches_chosen):
        session = self.open_session(desk, go)
        desk.answer(session, 4)
        session.close()
        before = len(batches_chosen)
        assert session.next().position == 5
        assert session._trainer._foresight._task.wait(PATIENCE)
        assert len(batches_chosen) == before


class TestColdStart:
    def test_typical_images_of_different_groups(self, desk):
        pytest.importorskip("al_tf.strategies.typiclust")
        session = desk.session(cold_start="typiclust", batch_size=10, audit_share=0.0)
        shown = desk.answer(session, 10)
        assert {item.strategy for item in shown} == {"typiclust"}
        assert {desk.truth(item.image_id) for item in shown} == set(CLASSES)

    def test_unknown_ways_are_refused_at_once(self, desk):
        with pytest.raises(UnknownNameError, match="'random', 'typiclust'"):
            desk.session(cold_start="guess")
        with pytest.raises(UnknownNameError, match="nonsense"):
            desk.session(strategy="nonsense")

    @pytest.mark.parametrize(
        ("option", "value"),
        [("batch_size", 0), ("audit_share", 0.9), ("repeat_share", -1), ("target_accuracy", 1.0), ("target_recall", 0),
         ("lease_minutes", 0)],
    )  # fmt: skip
    def test_settings_without_sense_are_refused(self, desk, option, value):
        with pytest.raises(ValueError, match=option):
            desk.session(**{option: value})


class TestAudit:
    def test_takes_its_share_and_never_trains(self, desk):
        session = desk.session(audit_share=0.2, repeat_share=0.0, batch_size=10)
        shown = desk.answer(session, 100)
        history = session.ledger.history()
        audited = set(history.loc[history["purpose"] == "audit", "image"])
        assert 15 <= len(audited) <= 20
        session.retrain(wait=True)
        assert session.training.labels == 100 - len(audited)
        item = next(i for i in shown if i.image_id in audited)
        assert item.predictions == item.neighbours == ()

    def test_audit_items_show_no_predictions_though_there_is_a_model(self, desk):
        session = desk.session(audit_share=0.5, repeat_share=0.0, batch_size=10)
        desk.answer(session, 10)
        session.retrain(wait=True)
        items = desk.answer(session, 10)
        audit = [i for i in items if "to measure" in i.why]
        assert len(audit) == 5
        assert all(i.predictions == i.neighbours == () for i in audit)
        assert all(i.predictions for i in items if i not in audit)

    def test_the_estimate_is_unbiased_and_the_interval_covers(self, tmp_path):
        """Over many ledgers: the mean of the estimates is the accuracy on the pool."""
        errors, covered = [], 0
        for seed in range(40):
            desk = Desk(tmp_path / f"{seed}.db", n=300, seed=5)
            session = desk.session(audit_share=0.3, batch_size=25, random_state=seed)
            desk.answer(session, 40)
            session.retrain(wait=True)
            desk.answer(session, 40)
            session.retrain(wait=True)
            predicted = session._trainer.model.predicted()
            true = np.mean([predicted[i] == desk.truth(i) for i in desk.pool.ids])
            estimate = session.progress().accuracy
            errors.append(estimate.value - true)
            covered += estimate.low <= true <= estimate.high
        standard_error = np.std(errors) / np.sqrt(len(errors))
        assert abs(np.mean(errors)) < 3 * standard_error
        assert covered >= 35  # 95 % of 40, less what chance may take

    def test_there_is_none_without_audit_labels(self, desk):
        session = desk.session(audit_share=0.0)
        desk.answer(session, 20)
        session.retrain(wait=True)
        assert session.progress().accuracy is None
        assert session.curve().empty


class TestRepeats:
    def test_are_blind_and_change_no_label(self, desk):
        session = desk.session(repeat_share=0.3, audit_share=0.0, batch_size=10)
        desk.answer(session, 20)
        repeats = 0
        for _ in range(40):
            item = session.next()
            repeat = item.image_id in set(session.ledger.current()["image"])
            repeats += repeat
            assert "repeat" not in item.why
            truth = desk.truth(item.image_id)
            wrong = CLASSES[truth == CLASSES[0]]
            session.label(wrong if repeat else truth, slot=item.slot)
        assert 12 <= repeats <= 18
        current = session.ledger.current()
        assert all(row.label == desk.truth(row.image) for row in current.itertuples())
        agreement = session.progress().self_agreement
        assert (agreement.value, agreement.n) == (0.0, repeats)
        assert session.progress().labels == 60 - repeats

    def test_only_of_ones_own_answers(self, desk):
        desk.answer(desk.session(annotator="ann", audit_share=0.0), 40)
        bob = desk.session(annotator="bob", repeat_share=0.5, audit_share=0.0, batch_size=10)
        theirs = set(bob.ledger.current()["image"])
        assert not theirs & {item.image_id for item in desk.answer(bob, 10)}


class TestProgress:
    def test_counts(self, desk):
        ann, bob = desk.session(annotator="ann"), desk.session(annotator="bob")
        shown = desk.answer(ann, 6) + desk.answer(bob, 4)
        truths = [desk.truth(item.image_id) for item in shown]
        progress = ann.progress()
        assert progress.labels == 10
        assert progress.my_labels == 6
        assert progress.per_class == {c: truths.count(c) for c in CLASSES}
        assert progress.images == len(desk.pool)
        assert progress.remaining == len(desk.pool) - 10
        assert progress.minutes == pytest.approx(20 / 60)
        assert progress.my_minutes == pytest.approx(12 / 60)

    def test_curve_over_labels_and_minutes(self, desk):
        session = desk.session(batch_size=20, audit_share=0.3)
        for _ in range(3):
            desk.answer(session, 20)
            session.retrain(wait=True)
        curve = session.curve()
        assert curve["round"].tolist() == [1, 2, 3]
        assert curve["minutes"].tolist() == pytest.approx([40 / 60, 80 / 60, 120 / 60])
        assert curve["labels"].is_monotonic_increasing
        assert ((curve["low"] <= curve["accuracy"]) & (curve["accuracy"] <= curve["high"])).all()

    def test_a_target_that_is_reached_ends_the_work(self, desk):
        session = desk.session(target_accuracy=0.5, audit_share=0.5, batch_size=20)
        assert not session.progress().advice.stop
        desk.answer(session, 100)
        session.retrain(wait=True)
        advice = session.progress().advice
        assert advice.stop
        assert advice.reason.startswith("The target of 50% is reached")

    def test_predictions_that_have_settled_end_the_work_once_they_are_known_to_be_good(self, desk):
        session = desk.session(batch_size=20, audit_share=0.2)
        desk.answer(session, 20)
        for _ in range(4):
            session.retrain(wait=True)  # on the same labels: the same model
        advice = session.progress().advice
        assert not advice.stop
        assert "settled" in advice.reason
        assert "too few random images" in advice.reason
        desk.answer(session, 140)
        for _ in range(4):
            session.retrain(wait=True)
        assert session.progress().advice.stop
        assert "settled" in session.progress().advice.reason


def test_a_ledger_that_cannot_be_opened(desk, tmp_path):
    with pytest.raises(LedgerError, match="there is no folder"):
        desk.session(ledger=tmp_path / "no" / "folder.db")
