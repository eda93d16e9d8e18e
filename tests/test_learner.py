"""What the mended `ActiveLearner` and `Committee` promise; no network is trained here."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from modAL.models import ActiveLearner as ModalLearner
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from al_tf import ActiveLearner, Committee, get_strategy


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what it was fitted with; predicts class frequencies."""

    def fit(self, X, y, **kwargs):
        if (np.asarray(y) == "unknown").any():
            raise ValueError("unknown label")
        self.fits_ = [*getattr(self, "fits_", []), (len(X), kwargs)]
        self.X_, self.y_ = X, np.asarray(y)
        self.classes_, counts = np.unique(self.y_, return_counts=True)
        self.share_ = counts / counts.sum()
        return self

    def predict_proba(self, X):
        return np.tile(self.share_, (len(X), 1))

    def predict(self, X):
        return np.full(len(X), self.classes_[self.share_.argmax()])


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return rng.normal(size=(60, 4)) + 3 * np.eye(4)[y], y


def first(classifier, X, n_instances=1, **kwargs):
    return np.arange(n_instances), np.zeros(n_instances)


class TestDropIn:
    def test_is_a_modal_learner(self, blobs):
        assert isinstance(ActiveLearner(Recorder()), ModalLearner)

    @pytest.mark.parametrize("strategy", [uncertainty_sampling, margin_sampling, entropy_sampling])
    def test_modals_strategies_choose_what_they_score_highest(self, blobs, strategy):
        X, y = blobs
        learner = ActiveLearner(
            LogisticRegression(), strategy, X_training=X[:12], y_training=y[:12]
        )
        indices, rows = learner.query(X, n_instances=2)
        assert indices.shape == (2,)
        assert np.array_equal(rows, X[indices])
        proba = np.sort(learner.predict_proba(X), axis=1)
        score = {
            uncertainty_sampling: 1 - proba[:, -1],
            margin_sampling: proba[:, -2] - proba[:, -1],
            entropy_sampling: -(proba * np.log(proba)).sum(axis=1),
        }[strategy]
        assert set(indices) == set(np.argsort(-score)[:2])

    def test_a_whole_loop_on_current_scikit_learn(self, blobs):
        X, y = blobs
        learner = ActiveLearner(
            LogisticRegression(), get_strategy("margin"), X_training=X[:6], y_training=y[:6]
        )
        pool = np.arange(6, 60)
        for _ in range(3):
            chosen, rows = learner.query(X[pool], n_instances=4, random_state=0)
            learner.teach(rows, y[pool[chosen]])
            pool = np.delete(pool, chosen)
        assert learner.X_training.shape == (18, 4)
        assert learner.score(X, y) > 0.9

    def test_is_printed_without_its_images(self, blobs):
        learner = ActiveLearner(LogisticRegression(C=2.0), get_strategy("margin"), *blobs)
        assert repr(learner) == "ActiveLearner(LogisticRegression(C=2.0), 60 labeled, margin)"
        assert learner._repr_mimebundle_() == {"text/plain": repr(learner)}
        committee = Committee([learner], get_strategy("vote_entropy"))
        assert repr(committee) == f"Committee([{learner!r}], vote_entropy)"

    def test_images_of_four_dimensions(self):
        images = np.zeros((5, 8, 8, 3), np.uint8)
        learner = ActiveLearner(Recorder(), first, images, np.arange(5) % 2)
        learner.teach(images[:2], [0, 1])
        assert learner.X_training.shape == (7, 8, 8, 3)
        assert learner.X_training.dtype == np.uint8


class TestQuery:
    def test_runs_the_strategy_once_and_passes_its_exception_on(self, blobs):
        calls = []

        def broken(classifier, X, **kwargs):
            calls.append(1)
            raise RuntimeError("broken strategy")

        learner = ActiveLearner(Recorder(), broken, *blobs)
        with pytest.raises(RuntimeError, match="broken strategy"):
            learner.query(blobs[0])
        assert len(calls) == 1

    def test_two_bare_indices_are_not_split(self, blobs):
        learner = ActiveLearner(Recorder(), lambda classifier, X: (3, 7), *blobs)
        indices, rows, scores = learner.query(blobs[0], return_metrics=True)
        assert indices.tolist() == [3, 7]
        assert np.array_equal(rows, blobs[0][[3, 7]])
        assert scores is None

    def test_an_array_of_two_indices_is_not_split(self, blobs):
        learner = ActiveLearner(Recorder(), lambda classifier, X: np.array([3, 7]), *blobs)
        assert learner.query(blobs[0])[0].tolist() == [3, 7]

    def test_scores_come_with_return_metrics(self, blobs):
        learner = ActiveLearner(Recorder(), first, *blobs)
        indices, _, scores = learner.query(blobs[0], n_instances=3, return_metrics=True)
        assert indices.shape == scores.shape == (3,)

    def test_arguments_reach_the_strategy(self, blobs):
        seen = {}
        learner = ActiveLearner(
            Recorder(), lambda classifier, X, **k: seen.update(k) or np.array([0]), *blobs
        )
        learner.query(blobs[0], n_instances=5, random_state=3, beta=2.0)
        assert seen == {"n_instances": 5, "random_state": 3, "beta": 2.0}

    def test_an_empty_pool_is_an_error(self, blobs):
        learner = ActiveLearner(Recorder(), first, *blobs)
        with pytest.raises(ValueError, match="pool is empty"):
            learner.query(blobs[0][:0])

    @pytest.mark.parametrize("kind", [list, sp.csr_matrix, pd.DataFrame])
    def test_pools_of_other_kinds(self, blobs, kind):
        X = blobs[0].tolist() if kind is list else kind(blobs[0])
        learner = ActiveLearner(Recorder(), first, *blobs)
        _, rows = learner.query(X, n_instances=3)
        dense = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
        assert np.allclose(dense, blobs[0][:3])


class TestTeach:
    def test_constructor_fit_arguments_hold_for_every_fit(self, blobs):
        X, y = blobs
        learner = ActiveLearner(Recorder(), first, X[:5], y[:5], epochs=7)
        learner.teach(X[5:6], y[5:6])
        learner.teach(X[6:7], y[6:7], epochs=9)
        learner.teach(X[7:8], y[7:8], only_new=True)
        expected = [(5, 7), (6, 7), (7, 9), (1, 7)]
        assert [(n, kwargs["epochs"]) for n, kwargs in learner.estimator.fits_] == expected
        assert len(learner.X_training) == 7

    def test_a_refused_label_does_not_stay_in_the_training_set(self):
        X = np.zeros((4, 2))
        learner = ActiveLearner(Recorder(), first, X, np.array(["a", "b", "a", "b"]))
        with pytest.raises(ValueError, match="unknown label"):
            learner.teach(X[:1], np.array(["unknown"]))
        assert learner.y_training.tolist() == ["a", "b", "a", "b"]
        assert len(learner.X_training) == 4

    def test_labels_are_kept_when_training_is_interrupted(self, blobs, monkeypatch):
        X, y = blobs
        learner = ActiveLearner(Recorder(), first, X[:5], y[:5])

        def interrupted(self, *args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(Recorder, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learner.teach(X[5:7], y[5:7])
        assert learner.y_training.tolist() == y[:7].tolist()

    def test_shapes_that_do_not_fit_together(self, blobs):
        X, y = blobs
        learner = ActiveLearner(Recorder(), first, X[:5], y[:5])
        with pytest.raises(ValueError, match=r"images \(1, 3\).*images \(5, 4\)"):
            learner.teach(X[:1, :3], y[:1])

    @pytest.mark.parametrize("only_new", [False, True])
    def test_images_of_another_scale_are_refused_and_nothing_is_fitted(self, only_new):
        images = np.random.default_rng(0).integers(0, 256, (6, 4, 4), dtype=np.uint8)
        learner = ActiveLearner(Recorder(), first, images, np.arange(6) % 2)
        with pytest.raises(ValueError, match=r"float64 from 0.* to .*uint8 from .* two scales"):
            learner.teach(images[:2] / 255, [0, 1], only_new=only_new)
        assert len(learner.estimator.fits_) == 1
        learner.teach(images[:2].astype(int), [0, 1])
        assert learner.X_training.dtype == np.uint8
        assert learner.X_training.shape == (8, 4, 4)

    def test_lists_of_images_stay_lists_of_images(self):
        images = list(np.random.default_rng(0).integers(0, 256, (6, 4, 4), dtype=np.uint8))
        learner = ActiveLearner(Recorder(), first, images[:4], [0, 1, 0, 1])
        learner.teach(images[4:], [1, 0])
        assert learner.y_training == [0, 1, 0, 1, 1, 0]
        np.testing.assert_array_equal(learner.X_training, images)
        assert learner.X_training[5].dtype == np.uint8

    def test_lengths_that_differ(self, blobs):
        X, y = blobs
        learner = ActiveLearner(Recorder(), first, X[:5], y[:5])
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            learner.teach(X[:3], y[:2])

    def test_nan_is_refused_unless_allowed(self, blobs):
        X, y = blobs
        bad = np.full((1, 4), np.nan)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            ActiveLearner(Recorder(), first, X, y).teach(bad, [0])
        lenient = ActiveLearner(Recorder(), first, X, y, force_all_finite=False)
        lenient.teach(bad, [0])
        assert len(lenient.X_training) == 61

    def test_starts_without_a_labeled_set(self, blobs):
        X, y = blobs
        learner = ActiveLearner(Recorder(), first)
        learner.teach(X[:4], y[:4])
        assert len(learner.X_training) == 4

    def test_data_frames_can_be_taught(self, blobs):
        X, y = blobs
        learner = ActiveLearner(Recorder(), first, pd.DataFrame(X[:4]), pd.Series(y[:4]))
        learner.teach(pd.DataFrame(X[4:6]), pd.Series(y[4:6]))
        assert learner.X_training.shape == (6, 4)
        assert list(learner.X_training.index) == list(range(6))

    def test_bootstrap_is_seeded_and_leaves_the_global_generator_alone(self, blobs):
        X, y = blobs
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        drawn = [
            ActiveLearner(
                Recorder(), first, X, y, bootstrap_init=True, random_state=seed
            ).estimator.X_
            for seed in (0, 0, 1)
        ]
        assert np.array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])
        assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002

    def test_images_without_labels_are_refused(self, blobs):
        with pytest.raises(ValueError, match="together, or neither"):
            ActiveLearner(Recorder(), first, X_training=blobs[0])


class TestCommittee:
    @pytest.fixture
    def committee(self, blobs):
        X, y = blobs
        names = np.array(["a", "b", "c"])[y]
        learners = [
            ActiveLearner(LogisticRegression(C=c), X_training=X[:9], y_training=names[:9])
            for c in (0.01, 1.0, 100.0)
        ]
        return Committee(learners, get_strategy("vote_entropy"))

    def test_votes_with_string_labels(self, committee, blobs):
        votes = committee.vote(blobs[0])
        assert votes.shape == (60, 3)
        assert set(votes.ravel()) <= {"a", "b", "c"}
        assert committee.vote_proba(blobs[0]).shape == (60, 3, 3)
        assert set(committee.predict(blobs[0])) <= {"a", "b", "c"}

    def test_a_member_that_lacks_a_class_gives_it_nothing(self, blobs):
        X, y = blobs
        two = y < 2
        committee = Committee(
            [
                ActiveLearner(LogisticRegression(), X_training=X[two], y_training=y[two]),
                ActiveLearner(LogisticRegression(), X_training=X, y_training=y),
            ]
        )
        votes = committee.vote_proba(X)
        assert (votes[:, 0, 2] == 0).all()
        np.testing.assert_allclose(votes.sum(axis=2), 1)

    def test_images_of_another_scale_reach_no_member(self):
        images = np.full((4, 3, 3), 200, np.uint8)
        members = [ActiveLearner(Recorder(), first, images, [0, 1, 0, 1]) for _ in range(2)]
        committee = Committee(members)
        with pytest.raises(ValueError, match="two scales"):
            committee.teach(images / 255, [0, 1, 0, 1])
        assert [len(member.X_training) for member in members] == [4, 4]

    def test_query_and_teach(self, committee, blobs):
        X, _ = blobs
        indices, rows = committee.query(X, n_instances=5, random_state=0)
        assert committee.teach(rows, np.array(["a"] * 5)) is None
        assert all(len(learner.X_training) == 14 for learner in committee)
        assert len(committee.X_training) == 14
        assert indices.shape == (5,)

    def test_fit_returns_itself(self, committee, blobs):
        X, y = blobs
        assert committee.fit(X, y) is committee
        assert committee.classes_.tolist() == [0, 1, 2]

    def test_exceptions_are_passed_on(self, committee, blobs):
        def broken(committee, X):
            raise RuntimeError("broken strategy")

        committee.query_strategy = broken
        with pytest.raises(RuntimeError, match="broken strategy"):
            committee.query(blobs[0])

    def test_an_empty_committee_is_refused(self):
        with pytest.raises(TypeError, match="non-empty list"):
            Committee([])
