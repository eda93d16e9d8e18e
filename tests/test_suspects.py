"""Labels that a model disputes: by hand, and against scikit-learn's cross-validation."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from al_tf import LinearProbeClassifier
from al_tf.errors import UnknownLabelError, UnknownNameError
from al_tf.suspects import out_of_fold_proba, suspect_labels


def clusters(n=90, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return np.eye(n_classes)[y] * 4 + rng.standard_normal((n, n_classes)), y


def numbered(X):
    """Return X with a last column that tells the rows apart."""
    return np.column_stack([X, np.arange(len(X)) / 1000])


def rows_of(X):
    return np.rint(1000 * X[:, -1]).astype(int)


class FoldRecorder(LogisticRegression):
    """Remembers which rows of `numbered` it was fitted on."""

    seen: list

    def fit(self, X, y):
        self.trained_on_ = set(rows_of(X).tolist())
        return super().fit(X, y)

    def predict_proba(self, X):
        rows = rows_of(X)
        assert not self.trained_on_ & set(rows.tolist()), "judged by a model that has seen it"
        FoldRecorder.seen.append(rows)
        return super().predict_proba(X)


class TestOutOfFold:
    def test_no_image_is_judged_by_a_model_that_has_seen_it(self):
        X, y = clusters()
        FoldRecorder.seen = []
        out_of_fold_proba(FoldRecorder(), numbered(X), y, n_folds=4, random_state=0)
        assert sorted(np.concatenate(FoldRecorder.seen).tolist()) == list(range(len(X)))
        for rows in FoldRecorder.seen:
            counts = np.bincount(y[rows], minlength=3)
            assert counts.max() - counts.min() <= 1

    def test_is_scikit_learns_cross_validation_on_the_same_folds(self):
        X, y = clusters()
        FoldRecorder.seen = []
        proba = out_of_fold_proba(FoldRecorder(), numbered(X), y, random_state=1)
        fold = np.empty(len(y), int)
        for number, rows in enumerate(FoldRecorder.seen):
            fold[rows] = number
        assert len(FoldRecorder.seen) == 10
        expected = cross_val_predict(
            LogisticRegression(), numbered(X), y, cv=PredefinedSplit(fold), method="predict_proba"
        )  # fmt: skip
        np.testing.assert_allclose(proba, expected, rtol=1e-9)

    def test_columns_follow_the_classes_also_those_without_a_label(self):
        X, y = clusters(n_classes=2)
        names = np.array(["b", "a"])[y]
        proba = out_of_fold_proba(
            LogisticRegression(), X, names, classes=["c", "b", "a"], random_state=0
        )
        assert proba.shape == (len(y), 3)
        assert (proba[:, 0] == 0).all()
        assert (proba.argmax(axis=1) == 1 + y).mean() > 0.9

    def test_the_seed_decides_and_the_estimator_stays_as_it_was(self):
        X, y = clusters()
        probe = LinearProbeClassifier(backbone=None)
        first, second, other = (
            out_of_fold_proba(probe, X, y, random_state=seed) for seed in (0, 0, 1)
        )
        assert (first == second).all()
        assert (first != other).any()
        assert probe.classes is None
        assert not hasattr(probe, "classes_")

    def test_fewer_images_than_folds(self):
        X, y = clusters(n=6)
        proba = out_of_fold_proba(LinearProbeClassifier(None), X, y, n_folds=50, random_state=0)
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)

    def test_a_group_is_in_one_fold_as_a_whole(self):
        X, y = clusters(n=180)
        groups = np.array([f"part {k}" for k in np.arange(180) // 3 % 20])  # of all classes
        FoldRecorder.seen = []
        out_of_fold_proba(FoldRecorder(), numbered(X), y, groups=groups, n_folds=5, random_state=0)
        parts = [set(groups[rows]) for rows in FoldRecorder.seen]
        assert [len(part) for part in parts] == [4] * 5
        assert len(set().union(*parts)) == 20

    def test_a_part_that_is_labeled_wrongly_does_not_vouch_for_itself(self):
        rng = np.random.default_rng(0)
        part = np.arange(60) // 4
        truth = part % 2
        X = np.column_stack([2 * truth - 1, 3 * np.eye(15)[part]]) + rng.normal(0, 0.1, (60, 16))
        given = np.where(part == 7, 1 - truth, truth)
        judged = {
            name: suspect_labels(
                given,
                out_of_fold_proba(LogisticRegression(), X, given, groups=groups, random_state=0),
                groups=groups,
            ).disputed
            for name, groups in (("by part", part), ("by image", None))
        }
        assert np.flatnonzero(judged["by part"]).tolist() == np.flatnonzero(part == 7).tolist()
        assert not judged["by image"].any()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"groups": np.zeros(90)}, "all images are of one group"),
            ({"groups": np.zeros(89)}, r"one per image, 90; got shape \(89,\)"),
            ({"y": np.zeros(89)}, "got 90 and 89 rows"),
            ({"y": np.zeros(90)}, "a model of two classes or more; got 1"),
            ({"n_folds": 1}, "n_folds must be 2 or more; got 1"),
            ({"y": np.zeros((90, 2))}, r"one per image; got shape \(90, 2\)"),
        ],
    )
    def test_input_without_sense(self, change, message):
        X, y = clusters()
        arguments = {"X": X, "y": y} | change
        with pytest.raises(ValueError, match=message):
            out_of_fold_proba(LogisticRegression(), **arguments)


class TestRanking:
    proba = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6]])
    labels = ("a", "a", "c", "c")

    def test_by_hand(self):
        confidence = suspect_labels(self.labels, self.proba, classes="abc")
        np.testing.assert_allclose(confidence.score, [0.5, 0.1, 0.4, 0.6])
        assert confidence.order.tolist() == [1, 2, 0, 3]
        assert confidence.predicted.tolist() == ["a", "b", "c", "c"]
        assert confidence.disputed.tolist() == [False, True, False, False]
        margin = suspect_labels(self.labels, self.proba, classes="abc", score="normalized_margin")
        np.testing.assert_allclose(margin.score, [0.6, 0.25, 0.55, 0.7])

    def test_the_only_label_of_a_class_cannot_be_judged(self):
        suspects = suspect_labels(["a", "a", "b", "c"], self.proba)
        assert np.isnan(suspects.score[2:]).all()
        assert suspects.order.tolist() == [1, 0, 2, 3]
        assert suspects.disputed.tolist() == [False, True, False, False]

    def test_the_only_part_of_a_class_cannot_be_judged(self):
        suspects = suspect_labels(
            [0, 0, 1, 2], self.proba, classes=[0, 1, 2], groups=["a", "a", "b", "c"]
        )
        assert np.isnan(suspects.score).all()
        suspects = suspect_labels(
            [0, 0, 1, 2], self.proba, classes=[0, 1, 2], groups=["a", "b", "b", "c"]
        )
        assert np.isnan(suspects.score).tolist() == [False, False, True, True]

    def test_injected_errors_come_first(self):
        X, y = clusters(300)
        rng = np.random.default_rng(1)
        wrong = rng.choice(300, 30, replace=False)
        given = y.copy()
        given[wrong] = (y[wrong] + 1) % 3
        proba = out_of_fold_proba(LinearProbeClassifier(None), X, given, random_state=0)
        suspects = suspect_labels(given, proba)
        assert np.isin(suspects.order[:30], wrong).mean() > 0.8

    def test_input_without_sense(self):
        with pytest.raises(ValueError, match=r"each of the 2 classes; got shape \(4, 3\)"):
            suspect_labels(self.labels, self.proba)
        with pytest.raises(UnknownLabelError, match="'c' is not among the classes"):
            suspect_labels(self.labels, self.proba, classes="abd")
        with pytest.raises(UnknownNameError, match="Unknown score 'entropy'"):
            suspect_labels(self.labels, self.proba, classes="abc", score="entropy")
