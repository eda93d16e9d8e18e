"""What strategies share: requests checked, answers of classifiers checked, the best chosen."""

from __future__ import annotations

import numpy as np
import pytest

from al_tf.strategies._select import (
    check_pool,
    check_proba,
    estimator_of,
    features,
    labeled_features,
    predict_proba,
    proba_and_features,
    query_by_proba,
    top_k,
)
from al_tf.strategies.testing import FakeClassifier


@pytest.mark.parametrize(
    ("n", "k", "error", "message"),
    [
        (0, 1, ValueError, "The pool is empty"),
        (5, 0, ValueError, "n_instances must be 1 or more; got 0"),
        (5, -1, ValueError, "n_instances must be 1 or more; got -1"),
        (5, 6, ValueError, "n_instances=6 is more than the 5 images in the pool"),
        (5, 2.0, TypeError, r"must be an integer; got 2\.0"),
        (5, True, TypeError, "must be an integer; got True"),
    ],
)
def test_an_impossible_request_is_refused(n, k, error, message):
    with pytest.raises(error, match=message):
        check_pool(np.zeros((n, 4, 4)), k)


def test_a_possible_request_gives_the_size_of_the_pool():
    assert check_pool(np.zeros((5, 4, 4)), np.int64(5)) == 5
    assert check_pool([[0.0], [1.0]], 1) == 2


def test_the_estimator_is_found_inside_a_learner_only(learner):
    assert estimator_of(learner) is learner.estimator
    assert estimator_of(learner.estimator) is learner.estimator

    class GridSearch:
        estimator = "the unfitted template"

    search = GridSearch()
    assert estimator_of(search) is search


NAN = float("nan")


@pytest.mark.parametrize(
    ("proba", "message"),
    [
        ([[0.5, 0.5], [NAN, 0.5], [0.5, np.inf]], "2 of 3 rows of probabilities are not finite"),
        ([[0.5, 0.5], [0.5, 0.5]], r"shape \(n, K\) with n=3; got \(2, 2\)"),
        ([0.5, 0.5, 0.5], r"shape \(n, K\) with n=3; got \(3,\)"),
        (np.zeros((3, 0)), r"got \(3, 0\)"),
        ([[3.0, -2.0], [0.5, 0.5], [0.2, 0.2]], "2 of 3 rows do not. Does the model end in a soft"),
    ],
)
def test_an_answer_that_is_no_distribution_is_refused(answers, proba, message):
    with pytest.raises(ValueError, match=message):
        predict_proba(answers(proba=proba), np.zeros((3, 4)))


def test_a_table_of_another_form_is_refused_where_no_pool_is_known():
    with pytest.raises(ValueError, match=r"must have the shape \(n, K\); got \(4,\)"):
        check_proba(np.zeros(4))


def test_without_balance_only_scores_count(learner, pool):
    def ask(**params):
        return query_by_proba(lambda proba: proba[:, 0], learner, pool, 9, 0, **params)[1].tolist()

    assert ask() == ask(balance=False) != ask(balance=True)


def test_half_precision_probabilities_are_accepted(answers):
    proba = np.random.default_rng(0).dirichlet(np.ones(1000), size=3).astype(np.float16)
    assert predict_proba(answers(proba=proba), np.zeros((3, 4))).dtype == np.float64


def test_a_classifier_without_probabilities_is_refused(answers):
    with pytest.raises(TypeError, match="Answers has no predict_proba"):
        predict_proba(answers(), np.zeros((3, 4)))


def test_features_come_from_transform(learner, pool):
    rows = features(learner, pool)
    np.testing.assert_array_equal(rows, learner.estimator.transform(pool))
    assert rows.dtype == np.float32


def test_a_flat_pool_is_its_own_features(answers):
    X = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(features(answers(), X), X)


def test_images_without_transform_are_refused(answers):
    with pytest.raises(TypeError, match=r"Answers has no transform.*shape \(3, 4, 4\)"):
        features(answers(), np.zeros((3, 4, 4)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, NAN], [0.0, 0.0], [NAN, NAN]], "2 of 3 rows of features are not finite"),
        (np.zeros((2, 5)), r"shape \(n, d\) with n=3; got \(2, 5\)"),
        (np.zeros((3, 5, 2)), r"shape \(n, d\) with n=3; got \(3, 5, 2\)"),
    ],
)
def test_features_of_another_form_are_refused(answers, rows, message):
    with pytest.raises(ValueError, match=message):
        features(answers(features=rows), np.zeros((3, 4, 4)))


def test_probabilities_and_features_come_from_one_pass(learner, pool):
    passes = []

    class Counted(FakeClassifier):
        def _features(self, X):
            passes.append(len(X))
            return super()._features(X)

    estimator = Counted().fit(learner.X_training, learner.y_training)
    passes.clear()
    proba, rows = proba_and_features(estimator, pool)
    assert passes == [len(pool)]
    np.testing.assert_array_equal(proba, estimator.predict_proba(pool))
    np.testing.assert_array_equal(rows, estimator.transform(pool))


def test_probabilities_and_features_without_a_common_pass(answers):
    X = np.eye(2)
    proba, rows = proba_and_features(answers(proba=[[0.5, 0.5], [1, 0]]), X)
    assert proba.tolist() == [[0.5, 0.5], [1, 0]]
    np.testing.assert_array_equal(rows, X)


@pytest.mark.parametrize(
    ("proba", "rows", "message"),
    [
        (np.full((2, 2), 0.5), np.zeros((3, 5)), r"Probabilities .* n=3; got \(2, 2\)"),
        (np.full((3, 2), 0.5), np.zeros((2, 5)), r"Features .* n=3; got \(2, 5\)"),
    ],
)
def test_a_common_pass_over_another_pool_is_refused(answers, proba, rows, message):
    classifier = answers()
    classifier.predict_with_features = lambda X: (proba, rows)
    with pytest.raises(ValueError, match=message):
        proba_and_features(classifier, np.zeros((3, 4)))


def test_features_are_kept_in_float32(answers):
    classifier = answers()
    classifier.transform = lambda X: np.full((3, 2), 0.1, dtype=np.float64)
    assert features(classifier, np.zeros((3, 4, 4))).dtype == np.float32


def test_labeled_features_are_those_of_the_learner(learner):
    rows = labeled_features(learner)
    np.testing.assert_array_equal(rows, learner.estimator.transform(learner.X_training))
    assert labeled_features(learner.estimator) is None
    learner.X_training = learner.X_training[:0]
    assert labeled_features(learner) is None


def test_the_highest_scores_come_first():
    indices, scores = top_k(np.array([0.1, 0.9, 0.5, 0.7]), 3)
    assert indices.tolist() == [1, 3, 2]
    assert scores.tolist() == [0.9, 0.7, 0.5]
    assert (indices.dtype, scores.dtype) == (np.intp, np.float64)
    assert top_k(np.array([1, 3], dtype=np.int8), 1)[1].dtype == np.float64


def test_ties_are_drawn_evenly_and_never_at_the_cost_of_a_higher_score():
    scores = np.array([1.0, 1.0, 1.0, 2.0, 0.0])
    seconds = [top_k(scores, 2, seed)[0].tolist() for seed in range(600)]
    assert all(first == 3 for first, _ in seconds)
    counts = np.bincount([second for _, second in seconds], minlength=5)
    assert counts[[3, 4]].tolist() == [0, 0]
    assert counts[:3].min() > 150  # 200 expected, standard deviation 11.5


@pytest.mark.parametrize("bad", [NAN, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="1 of 3 rows of scores are not finite"):
        top_k(np.array([0.0, bad, 1.0]), 1)


def test_scores_of_another_form_are_refused():
    with pytest.raises(ValueError, match=r"shape \(n,\); got \(3, 1\)"):
        top_k(np.zeros((3, 1)), 1)


class TestSpreadOverGroups:
    scores = np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0])
    groups = np.array([2, 2, 2, 2, 0, 0, 1])

    @pytest.mark.parametrize(
        ("k", "expected"),
        [
            (1, [0]),
            (2, [0, 4]),  # an incomplete turn goes to the highest scores
            (3, [0, 4, 6]),  # one of each group
            (4, [0, 1, 4, 6]),
            (5, [0, 1, 4, 5, 6]),  # the second of each group that has one
            (6, [0, 1, 2, 4, 5, 6]),  # groups that ran out have dropped out
            (7, [0, 1, 2, 3, 4, 5, 6]),
        ],
    )
    def test_turn_by_turn_best_first(self, k, expected):
        order = np.random.default_rng(k).permutation(7)
        indices, scores = top_k(self.scores[order], k, groups=self.groups[order])
        assert order[indices].tolist() == expected
        assert scores.tolist() == self.scores[expected].tolist()

    def test_a_long_turn_left_incomplete_goes_to_the_highest_scores(self):
        rng = np.random.default_rng(0)
        scores, groups = rng.permutation(900).astype(float), np.repeat(np.arange(300), 3)
        best = np.sort(scores.reshape(300, 3), axis=1)[:, ::-1]  # of each group, best first
        expected = np.r_[best[:, 0], np.sort(best[:, 1])[::-1][:100]]
        rows = top_k(scores, 400, groups=groups)[1]
        assert rows.tolist() == sorted(expected, reverse=True)

    def test_one_group_is_plain_selection(self):
        indices, _ = top_k(self.scores, 3, groups=np.zeros(7, dtype=int))
        assert indices.tolist() == [0, 1, 2]
