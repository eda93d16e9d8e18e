"""Committee strategies: modAL's definitions, refused without a committee."""

from __future__ import annotations

import numpy as np
import pytest
from modAL import disagreement as modal
from modAL.models import ActiveLearner as ModalLearner
from modAL.models import Committee as ModalCommittee
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from al_tf.learner import ActiveLearner, Committee
from al_tf.strategies.committee import (
    consensus_entropy,
    consensus_entropy_score,
    max_disagreement,
    max_disagreement_score,
    vote_entropy,
    vote_entropy_score,
)

STRATEGIES = [vote_entropy, consensus_entropy, max_disagreement]


def _members(learner_class):
    """Three learners of other kinds, and a pool of two-dimensional points."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    y = (X + 0.8 * rng.normal(size=X.shape)) @ [[1, -1, 0], [0, 1, -1]]
    y = y.argmax(axis=1)
    estimators = [
        LogisticRegression(C=0.1), LogisticRegression(C=100.0), DecisionTreeClassifier(max_depth=2, random_state=0)
    ]  # fmt: skip
    parts = [slice(0, 15), slice(10, 25), slice(15, 30)]
    learners = [
        learner_class(estimator, X_training=X[part], y_training=y[part])
        for estimator, part in zip(estimators, parts, strict=True)
    ]
    return learners, rng.normal(size=(40, 2))


@pytest.mark.parametrize(
    ("strategy", "definition"),
    [
        (vote_entropy, modal.vote_entropy),
        (consensus_entropy, modal.consensus_entropy),
        (max_disagreement, modal.KL_max_disagreement),
    ],
)
@pytest.mark.parametrize(
    ("learner_class", "committee_class"),
    [(ModalLearner, ModalCommittee), (ActiveLearner, Committee)],
    ids=["modAL", "al_tf"],
)
def test_scores_are_modals(strategy, definition, learner_class, committee_class):
    learners, X = _members(learner_class)
    committee = committee_class(learners, query_strategy=strategy)
    expected = definition(committee, X)
    indices, scores = strategy(committee, X, len(X), random_state=0)
    np.testing.assert_allclose(scores, expected[indices], atol=1e-12)
    assert np.ptp(scores) > 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_committee_asks_with_it(strategy):
    learners, X = _members(ActiveLearner)
    committee = Committee(learners, query_strategy=strategy)
    indices, images = committee.query(X, n_instances=4, random_state=0)
    np.testing.assert_array_equal(images, X[indices])
    assert set(indices) == set(strategy(committee, X, 4, random_state=0)[0])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_lone_classifier_is_refused(strategy, learner, pool):
    with pytest.raises(TypeError, match=r"needs a committee with vote.*FakeLearner is none"):
        strategy(learner, pool)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_balance_spreads_over_the_classes_of_the_committee(strategy, committee, pool):
    predicted = committee.predict_proba(pool).argmax(axis=1)
    assert len(np.unique(predicted)) == 3
    indices, _ = strategy(committee, pool, 6, balance=True, random_state=0)
    counts = np.bincount(predicted[indices], minlength=3)
    if strategy is vote_entropy:  # balanced over the majority's class, often the consensus'
        votes = committee.vote(pool)[indices]
        majority = [max(sorted(set(v)), key=list(v).count) for v in votes]
        assert sorted(majority) == ["bag"] * 2 + ["boot"] * 2 + ["coat"] * 2
    else:
        assert counts.tolist() == [2, 2, 2]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_balance_the_highest_scores_are_taken(strategy, committee, pool):
    highest = strategy(committee, pool, len(pool))[1][:9]
    np.testing.assert_array_equal(strategy(committee, pool, 9)[1], highest)
    assert strategy(committee, pool, 9, balance=True)[1].tolist() != highest.tolist()


def test_unanimous_learners_disagree_by_nothing():
    proba = np.repeat([[[0.2, 0.8, 0.0]]], 4, axis=1)
    assert vote_entropy_score(np.array([["a", "a", "a"]])).tolist() == [0]
    np.testing.assert_allclose(max_disagreement_score(proba), 0, atol=1e-15)
    np.testing.assert_allclose(
        consensus_entropy_score(proba), -0.2 * np.log(0.2) - 0.8 * np.log(0.8)
    )


def test_certain_learners_of_other_classes_disagree_most():
    proba = np.eye(3)[None]  # three learners, each certain of its own class
    np.testing.assert_allclose(max_disagreement_score(proba), np.log(3))
    np.testing.assert_allclose(consensus_entropy_score(proba), np.log(3))
    np.testing.assert_allclose(vote_entropy_score(np.array([[0, 1, 2]])), np.log(3))


def test_nan_of_one_learner_counts_as_one_image():
    proba = np.full((5, 3, 2), 0.5)
    proba[2, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 5 rows of committee probabilities are not finite"):
        max_disagreement_score(proba)


@pytest.mark.parametrize(
    ("score", "answer", "message"),
    [
        (vote_entropy_score, np.zeros(4), r"shape \(n, n_learners\); got \(4,\)"),
        (vote_entropy_score, np.zeros((4, 0)), r"got \(4, 0\)"),
        (consensus_entropy_score, np.zeros((4, 2)), r"\(n, n_learners, K\); got \(4, 2\)"),
        (consensus_entropy_score, np.zeros((4, 0, 2)), r"K\); got \(4, 0, 2\)"),
        (max_disagreement_score, np.zeros((4, 3, 0)), r"got \(4, 3, 0\)"),
    ],
)
def test_answers_of_another_form_are_refused(score, answer, message):
    with pytest.raises(ValueError, match=message):
        score(answer)


def test_a_committee_that_answers_for_another_pool_is_refused(committee, pool):
    committee.vote_proba = lambda X: np.full((59, 3, 2), 0.5)
    with pytest.raises(ValueError, match=r"\(n, n_learners, K\) with n=60; got \(59, 3, 2\)"):
        consensus_entropy(committee, pool)


def test_a_committee_of_one_never_disagrees():
    votes, proba = np.array([["a"], ["b"]]), np.array([[[0.3, 0.7]], [[1.0, 0.0]]])
    assert vote_entropy_score(votes).tolist() == max_disagreement_score(proba).tolist() == [0, 0]


@pytest.mark.parametrize("score", [consensus_entropy_score, max_disagreement_score])
def test_scores_of_float32_are_computed_in_float64(score):
    proba = np.random.default_rng(0).dirichlet(np.ones(5), size=(30, 4)).astype(np.float32)
    np.testing.assert_allclose(score(proba), score(proba.astype(np.float64)), rtol=1e-13)
