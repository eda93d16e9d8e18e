"""The two published variants on softmax outputs do what their code does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.neighbors import KernelDensity

from al_tf.strategies._order import canonical_order
from al_tf.strategies.softmax import (
    outlier_score,
    softmax_kde,
    softmax_log_density,
    softmax_outlier,
)


@pytest.fixture
def softmax():
    """Softmax outputs as of a network: most of them nearly one-hot."""
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.full(10, 0.1), size=400)


def test_outliers_are_far_from_every_centroid(answers):
    proba = np.array([[1.0, 0, 0]] * 10 + [[0, 1.0, 0]] * 10 + [[0, 0.4, 0.6]])
    indices, scores = softmax_outlier(
        answers(proba=proba), np.zeros((21, 4)), 1, n_clusters=1, random_state=0
    )
    assert indices.tolist() == [20]
    np.testing.assert_allclose(scores, np.linalg.norm(proba[20] - proba.mean(axis=0)), rtol=1e-5)


def test_there_is_one_centroid_for_ten_images_as_published(softmax):
    for n, n_clusters in ((400, 40), (391, 40), (5, 1)):
        rows = softmax[:n].astype(np.float32)
        seed = int(np.random.default_rng(0).integers(2**31))
        kmeans = KMeans(n_clusters, n_init=1, random_state=seed).fit(rows[canonical_order(rows)])
        np.testing.assert_allclose(
            outlier_score(rows, random_state=0), kmeans.transform(rows).min(axis=1), atol=1e-5
        )


def test_equal_outputs_are_one_cluster():
    assert outlier_score(np.full((30, 4), 0.25)).tolist() == [0] * 30


def test_no_cluster_at_all_is_refused(softmax):
    with pytest.raises(ValueError, match="n_clusters must be 1 or more; got 0"):
        outlier_score(softmax, 0)


def test_the_density_is_scikit_learns(softmax):
    expected = KernelDensity(bandwidth=0.5).fit(softmax).score_samples(softmax)
    np.testing.assert_allclose(softmax_log_density(softmax), expected, atol=1e-3)


def test_the_draw_is_proportional_to_the_density(answers):
    proba = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    density = np.exp(softmax_log_density(proba, 0.2))
    classifier, X = answers(proba=proba), np.zeros((4, 4))
    draws = [
        softmax_kde(classifier, X, 1, bandwidth=0.2, random_state=s)[0][0] for s in range(1500)
    ]
    frequency = np.bincount(draws, minlength=4) / 1500
    np.testing.assert_allclose(frequency, density / density.sum(), atol=5 * np.sqrt(0.25 / 1500))


def test_densities_beyond_the_range_of_floats_are_drawn_from(answers):
    proba = np.repeat(np.eye(150), 2, axis=0)
    assert softmax_log_density(proba, 1e-3).max() > 800
    indices, _ = softmax_kde(answers(proba=proba), np.zeros((300, 4)), 300, bandwidth=1e-3)
    assert len(set(indices)) == 300


def test_a_narrow_bandwidth_draws_from_the_crowd(answers):
    """Nine tenths stand on one place; at the published bandwidth the rest are drawn nearly as often."""
    proba = np.repeat([[0.5, 0.5], [0.2, 0.8]], [90, 10], axis=0)
    proba[90:, 0] += np.linspace(0, 0.2, 10)
    proba[90:, 1] = 1 - proba[90:, 0]
    drawn = [
        softmax_kde(answers(proba), proba, 1, random_state=seed, bandwidth=0.001)[0][0]
        for seed in range(200)
    ]
    assert np.mean(np.array(drawn) >= 90) < 0.02  # 10 of 8,110 parts; in proportion a tenth


def test_the_scores_are_log_densities_of_the_drawn(answers, softmax):
    indices, scores = softmax_kde(answers(proba=softmax), np.zeros((400, 4)), 50, random_state=1)
    np.testing.assert_array_equal(scores, softmax_log_density(softmax)[indices])


def test_at_the_published_bandwidth_the_weights_are_nearly_flat(softmax):
    weights = np.exp(softmax_log_density(softmax))
    effective = weights.sum() ** 2 / (weights**2).sum()
    assert effective / len(weights) > 0.93
