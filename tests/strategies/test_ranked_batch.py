"""Ranked batch-mode sampling: modAL's picks, without its cost."""

from __future__ import annotations

import numpy as np
import pytest
from modAL.batch import uncertainty_batch_sampling
from modAL.models import ActiveLearner as ModalLearner
from sklearn.linear_model import LogisticRegression

from al_tf.strategies.ranked_batch import rank_batch, ranked_batch


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "m", "k"), [(40, 5, 10), (15, 40, 15), (30, 30, 1)])
def test_the_picks_are_modals(seed, n, m, k):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    learner = ModalLearner(
        LogisticRegression(), X_training=rng.normal(size=(m, 3)), y_training=np.arange(m) % 3
    )
    expected, _ = uncertainty_batch_sampling(learner, X, n_instances=k)
    indices, _ = ranked_batch(learner, X, k, random_state=seed)
    assert indices.tolist() == expected.tolist()


def test_the_score_is_the_formula_at_the_moment_of_choice():
    features = np.array([[3.0, 4.0], [3.0, 4.1], [0.0, 1.0]], dtype=np.float32)
    uncertainties = np.array([0.1, 0.5, 0.2])
    indices, scores = rank_batch(uncertainties, features, np.zeros((1, 2), np.float32), 3)
    first = 3 / 4 * (1 - 1 / (1 + np.hypot(3, 4.1))) + 1 / 4 * 0.5
    second = 2 / 4 * (1 - 1 / (1 + 1)) + 2 / 4 * 0.2  # the twin of the first is now 0.1 away
    third = 1 / 4 * (1 - 1 / (1 + 0.1)) + 3 / 4 * 0.1
    assert indices.tolist() == [1, 2, 0]
    np.testing.assert_allclose(scores, [first, second, third], rtol=1e-5)


def test_the_score_without_a_labeled_set():
    features = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    indices, scores = rank_batch(np.array([0.1, 0.5, 0.2]), features, None, 3)
    second = 2 / 3 * (1 - 1 / (1 + 5)) + 1 / 3 * 0.1
    third = 1 / 3 * (1 - 1 / (1 + 1)) + 2 / 3 * 0.2
    assert indices.tolist() == [1, 0, 2]
    np.testing.assert_allclose(scores, [0.5, second, third], rtol=1e-6)


def test_without_a_labeled_set_the_most_uncertain_image_is_first(learner, pool):
    indices, _ = ranked_batch(learner.estimator, pool, 5)
    proba = learner.predict_proba(pool)
    assert indices[0] == proba.max(axis=1).argmin()
    assert len(set(indices)) == 5


def test_the_labeled_set_counts(learner, pool):
    with_labels, _ = ranked_batch(learner, pool, 5)
    without, _ = ranked_batch(learner.estimator, pool, 5)
    assert set(with_labels) != set(without)
