"""Entropy seeds and their neighbourhood: uncertain images, then images close to (or far from) them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_one_of
from ..geometry import RowsInOrder, nearest_of_set
from ..seeding import RandomState, check_random_state
from ._select import check_pool, proba_and_features, top_k
from .uncertainty import entropy_score


def seed_centroids(
    seed_features: np.ndarray, n_clusters: int, random_state: RandomState = None
) -> np.ndarray:
    """Return the k-means centroids ``(K, d)`` of the seeds' features ``(s, d)``.

    K is `n_clusters`, or the number of distinct seeds where there are fewer.
    """
    from sklearn.cluster import KMeans

    n_distinct = len(np.unique(seed_features, axis=0))
    rng = check_random_state(random_state)
    kmeans = KMeans(min(n_clusters, n_distinct), n_init=10, random_state=int(rng.integers(2**31)))
    return kmeans.fit(seed_features).cluster_centers_


def entropy_cluster(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    alpha: float = 0.5,
    n_clusters: int = 3,
    select: str = "nearest",
) -> tuple[np.ndarray, np.ndarray]:
    """Query alpha·k images by entropy, the others by distance to clusters of those.

    1. The round(alpha·k) images of highest predictive entropy are the seeds (at least one).
    2. k-means with `n_clusters` centroids on the seeds' features.
    3. Every other image has a distance to its nearest centroid; the (1 - alpha)·k images with the
       smallest distance fill the batch (``"nearest"``, as in the paper's text) or the largest
       (``"farthest"``, as in its code).

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba`` and ``transform``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size k.
    random_state : RandomState
        Starts k-means, and breaks ties.
    alpha : float
        Share of the batch chosen by entropy, in (0, 1]; published: 0.2 and 0.5.
    n_clusters : int
        Centroids K, at most one for each distinct seed; published: 3 and 10.
    select : {"nearest", "farthest"}
        Which distances fill the batch; see step 3.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`: the seeds by entropy, then the others by distance, best first in each part.
    scores : ndarray, shape (n_instances,)
        Entropy in nats for the seeds; for the others the distance d to the nearest centroid, as
        ``-d`` for ``"nearest"`` and ``d`` for ``"farthest"``. The two parts are not comparable.

    References
    ----------
    Ilizirov, Barsht and Steiner, "Active Learning for Image Classification", 2024.
    """
    check_pool(X, n_instances)
    check_one_of("select", select, ("nearest", "farthest"))
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha is the share chosen by entropy, in (0, 1]; got {alpha}.")
    if n_clusters < 1:
        raise ValueError(f"n_clusters must be 1 or more; got {n_clusters}.")
    rng = check_random_state(random_state)
    proba, features = proba_and_features(classifier, X)

    n_seeds = max(1, round(alpha * n_instances))
    seeds, entropies = top_k(entropy_score(proba), n_seeds, rng)
    if n_seeds == n_instances:
        return seeds, entropies
    others = np.setdiff1d(np.arange(len(proba)), seeds)
    centroids = seed_centroids(features[seeds], n_clusters, rng)
    distance, _ = nearest_of_set(RowsInOrder(features, others), centroids)
    filling, scores = top_k(
        -distance if select == "nearest" else distance, n_instances - n_seeds, rng
    )
    return np.concatenate([seeds, others[filling]]), np.concatenate([entropies, scores])
