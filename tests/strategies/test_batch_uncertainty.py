"""BADGE and Cluster-Margin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from al_tf.strategies import get_strategy


def pool_of(n, n_classes=3, d=4, seed=0):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(n_classes), n)
    return proba, rng.standard_normal((n, d)).astype(np.float32), np.zeros((n, 1))


def gradients(proba, features):
    """The last layer's gradients, built in full."""
    left = proba - np.eye(proba.shape[1])[proba.argmax(axis=1)]
    return np.einsum("nk,nd->nkd", left, features.astype(float)).reshape(len(proba), -1)


def test_badge_starts_at_the_longest_gradient_and_scores_squared_distances(answers):
    proba, features, X = pool_of(200)
    full = gradients(proba, features)
    indices, scores = get_strategy("badge")(answers(proba, features), X, 15, random_state=0)
    assert indices[0] == (full**2).sum(axis=1).argmax()
    assert scores[0] == pytest.approx((full[indices[0]] ** 2).sum(), rel=1e-5)
    for place in range(1, 15):
        apart = ((full[indices[:place]] - full[indices[place]]) ** 2).sum(axis=1)
        assert scores[place] == pytest.approx(apart.min(), rel=1e-4)


def test_badge_hardly_ever_takes_an_image_the_model_is_sure_of(answers):
    proba, features, X = pool_of(300)
    proba[:150] = [1.0, 0.0, 0.0]
    indices, _ = get_strategy("badge")(answers(proba, features), X, 100, random_state=0)
    assert (indices < 150).sum() <= 1  # they share one gradient, 0


def test_badge_draws_by_its_random_state(answers):
    proba, features, X = pool_of(300)
    batches = [
        get_strategy("badge")(answers(proba, features), X, 10, random_state=seed)[0].tolist()
        for seed in (0, 0, 1)
    ]
    assert batches[0] == batches[1] != batches[2]


def test_badge_of_a_model_sure_of_everything_is_a_random_batch(answers):
    proba = np.tile([0.0, 1.0], (40, 1))
    features = np.random.default_rng(0).standard_normal((40, 3))
    batches = {
        tuple(get_strategy("badge")(answers(proba, features), features, 5, random_state=s)[0])
        for s in range(5)
    }
    assert len(batches) == 5


def test_cluster_margin_spreads_over_clusters_of_doubtful_images(answers):
    rng = np.random.default_rng(0)
    place = np.repeat([0.0, 10.0, 20.0, 30.0], [60, 6, 4, 30])
    features = (place[:, None] + 0.1 * rng.standard_normal((100, 2))).astype(np.float32)
    top = 0.5 + 0.1 * rng.random(100)
    top[70:] = 0.99  # the model is sure of the last place
    top[:3] = 0.5  # and doubts three near-copies most
    proba = np.column_stack([top, 1 - top])
    indices, scores = get_strategy("cluster_margin")(
        answers(proba, features), np.zeros((100, 1)), 3, random_state=0, candidates=20
    )
    assert sorted(place[indices]) == [0.0, 10.0, 20.0]
    assert place[indices[0]] == 20.0  # the smallest cluster first
    for row, score in zip(indices, scores, strict=True):
        assert score == pytest.approx(1 - (2 * top[row] - 1))
        assert top[row] == top[place == place[row]].min()


@pytest.mark.parametrize("seed", range(5))
def test_cluster_margin_is_its_description(answers, seed):
    """Average linkage; turns over the clusters, the smallest first; the most doubtful of each."""
    proba, features, X = pool_of(120, d=2, seed=seed)
    k, n_clusters = 30, 6
    model = answers(proba, features)
    chosen, scores = get_strategy("cluster_margin")(
        model, X, k, random_state=0, candidates=2, n_clusters=n_clusters
    )
    doubt = 1 + np.diff(np.sort(proba, axis=1)[:, -2:])[:, 0] * -1
    candidates = np.argsort(-doubt)[: 2 * k]
    tree = linkage(features[candidates].astype(float), method="average")
    cluster = fcluster(tree, n_clusters, "maxclust")
    queues = {c: list(candidates[cluster == c]) for c in set(cluster)}  # the most doubtful first
    size = {c: len(queue) for c, queue in queues.items()}
    expected = []
    while len(expected) < k:
        turn = [(size[c], -doubt[queue[0]], c) for c, queue in queues.items() if queue]
        expected += [queues[c].pop(0) for *_, c in sorted(turn)]
    assert chosen.tolist() == expected[:k]
    np.testing.assert_allclose(scores, doubt[chosen])


def test_cluster_margin_of_one_cluster_is_margin(answers):
    proba, features, X = pool_of(200)
    model = answers(proba, features)
    indices, _ = get_strategy("cluster_margin")(model, X, 20, random_state=0, n_clusters=1)
    assert indices.tolist() == get_strategy("margin")(model, X, 20, random_state=0)[0].tolist()


def test_cluster_margin_above_the_largest_dendrogram(answers, monkeypatch):
    from al_tf.strategies import cluster_margin as module

    monkeypatch.setattr(module, "MAX_LEAVES", 25)
    proba, features, X = pool_of(300)
    model = answers(proba, features)
    indices, again, other = (
        get_strategy("cluster_margin")(model, X, 20, random_state=seed)[0] for seed in (0, 0, 1)
    )
    assert indices.tolist() == again.tolist() != other.tolist()  # k-means has a start
    doubtful = get_strategy("margin")(answers(proba), X, 200, random_state=0)[0]
    assert len(set(indices)) == 20
    assert set(indices) <= set(doubtful)


@pytest.mark.parametrize("name", ["candidates", "n_clusters"])
def test_cluster_margin_parameters_out_of_range(answers, name):
    proba, features, X = pool_of(20)
    with pytest.raises(ValueError, match=f"^{name} must be 1 or more; got 0"):
        get_strategy("cluster_margin")(answers(proba, features), X, 2, **{name: 0})
