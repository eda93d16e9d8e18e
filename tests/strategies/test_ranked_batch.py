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


@pytest.mark.parametrize("with_labels", [True, False])
@pytest.mark.parametrize("block", [1, 3, 50])
def test_the_choice_is_that_of_a_pass_over_all_images_for_each(block, with_labels, monkeypatch):
    monkeypatch.setattr("al_tf.strategies.ranked_batch.BLOCK", block)
    monkeypatch.setattr("al_tf.strategies.ranked_batch.TILE", 100)  # a few pairs
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(40, 3)), 2, axis=0).astype(np.float32)
    uncertainties, labeled = rng.random(80), features[:5] if with_labels else None
    indices, scores = rank_batch(uncertainties, features, labeled, 30, random_state=0)
    assert len(set(indices)) == 30
    m = 5 if with_labels else 0
    known = list(features[:m])
    for step, (index, score) in enumerate(zip(indices, scores, strict=True)):
        alpha = (80 - step) / (80 + m) if known else 0.0
        apart = [np.linalg.norm(features - row, axis=1) for row in known] or [np.zeros(80)]
        value = alpha * (1 - 1 / (1 + np.min(apart, axis=0))) + (1 - alpha) * uncertainties
        value[indices[:step]] = -1
        assert score == pytest.approx(value[index], abs=1e-6)
        assert value[index] == pytest.approx(value.max(), abs=1e-6)
        known.append(features[index])
