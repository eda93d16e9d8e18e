"""The published protocol: entropy seeds, clusters of their features, the rest by distance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from al_tf.strategies.entropy_cluster import entropy_cluster, seed_centroids
from al_tf.strategies.uncertainty import entropy


def distances_to_nearest_centroid(learner, pool, seeds, n_clusters):
    rows = learner.estimator.transform(pool)
    centroids = KMeans(n_clusters, n_init=50, random_state=0).fit(rows[seeds]).cluster_centers_
    return np.linalg.norm(rows[:, None] - centroids, axis=2).min(axis=1)


@pytest.mark.parametrize(("alpha", "n_seeds"), [(0.2, 4), (0.5, 10), (1.0, 20), (0.01, 1)])
def test_the_share_alpha_is_chosen_by_entropy(learner, pool, alpha, n_seeds):
    indices, scores = entropy_cluster(learner, pool, 20, alpha=alpha, random_state=0)
    expected, entropies = entropy(learner, pool, n_seeds)
    assert indices[:n_seeds].tolist() == expected.tolist()
    np.testing.assert_array_equal(scores[:n_seeds], entropies)
    assert len(set(indices)) == 20


@pytest.mark.parametrize("n_clusters", [1, 3])
@pytest.mark.parametrize(("select", "sign"), [("nearest", -1), ("farthest", 1)])
def test_the_rest_is_chosen_by_distance_to_the_seeds_clusters(
    learner, pool, n_clusters, select, sign
):
    indices, scores = entropy_cluster(
        learner, pool, 20, alpha=0.5, n_clusters=n_clusters, select=select, random_state=0
    )
    seeds, rest = indices[:10], indices[10:]
    distance = distances_to_nearest_centroid(learner, pool, seeds, n_clusters)
    others = np.setdiff1d(np.arange(60), seeds)
    expected = others[np.argsort(-sign * distance[others])][:10]
    assert rest.tolist() == expected.tolist()
    np.testing.assert_allclose(scores[10:], sign * distance[rest], rtol=1e-4)


def test_there_are_no_more_clusters_than_distinct_seeds():
    seeds = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]], dtype=np.float32)
    assert len(seed_centroids(seeds, 3)) == 2
    assert len(seed_centroids(seeds[:1], 3)) == 1


def test_clusters_without_a_clear_answer_follow_the_random_state(learner):
    images = np.random.default_rng(2).random((400, 5, 5)).astype(np.float32)
    rows = learner.estimator.transform(images)
    first, again, other = (seed_centroids(rows, 9, seed).tolist() for seed in (0, 0, 1))
    assert first == again != other
    first, again, other = (
        entropy_cluster(learner, images, 390, n_clusters=9, random_state=seed)[1].tolist()
        for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": 0}, r"alpha is the share chosen by entropy, in \(0, 1\]; got 0"),
        ({"alpha": 1.5}, "got 1.5"),
        ({"alpha": float("nan")}, "got nan"),
        ({"n_clusters": 0}, "n_clusters must be 1 or more; got 0"),
        ({"select": "closest"}, "Unknown select 'closest'.*'nearest', 'farthest'"),
    ],
)
def test_wrong_parameters_are_refused(learner, pool, params, message):
    with pytest.raises(ValueError, match=message):
        entropy_cluster(learner, pool, 5, **params)
