"""TypiClust: typical images of the clusters that have no label yet."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import centre_and_scale, mean_neighbour_distance
from ..seeding import RandomState, check_random_state
from ._clusters import cluster
from ._order import canonical_order
from ._select import check_pool, features, labelled_features

MIN_CLUSTER_SIZE = 5  # as in the authors' code: smaller clusters come last
LARGEST_CLUSTER = 20_000  # of a larger one a random sample this large is looked at
TYPICAL_AT_MOST = 1e5  # typicality of an image among copies of itself, over 1 / scale


def typiclust(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    n_neighbours: int = 20,
    max_clusters: int = 500,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the most typical image of each of the largest clusters without a label.

    1. k-means of pool and labelled set into (labelled + k) clusters, at most `max_clusters`.
    2. Clusters with the fewest labelled images first, the larger ones first among these.
    3. From each in turn the image of the highest typicality, the inverse mean distance to its
       nearest neighbours in the cluster: ``(1/r sum_{y in NN_r(x)} |f(x) - f(y)|)^-1``; in a
       cluster of more than 20,000 images, of a random sample of these.

    Parameters
    ----------
    classifier : learner or estimator
        With ``transform``; the labelled set is its ``X_training``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Starts k-means, and breaks ties.
    n_neighbours : int
        r, at most the other images of the cluster.
    max_clusters : int
        As in the authors' code.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of choice.
    scores : ndarray, shape (n_instances,)
        Typicality; it does not compare between clusters, so it need not descend.

    References
    ----------
    Hacohen, Dekel and Weinshall, "Active Learning on a Budget: Opposite Strategies Suit High and
    Low Budgets", ICML 2022.
    """
    check_pool(X, n_instances)
    for name, value in (("n_neighbours", n_neighbours), ("max_clusters", max_clusters)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more; got {value}.")
    rng = check_random_state(random_state)
    found = features(classifier, X)
    order = canonical_order(found, rng)
    found = found[order]
    labelled = labelled_features(classifier)
    n_labelled = 0 if labelled is None else len(labelled)
    if labelled is not None:
        found = np.concatenate([found, labelled])
    rows, scale = centre_and_scale(found)
    del found
    labels, centroids = cluster(rows, min(n_labelled + n_instances, max_clusters), rng)
    turns = _turns(labels[: len(order)], labels[len(order) :], len(centroids), n_instances, rng)
    chosen = np.empty(n_instances, dtype=np.intp)
    scores = np.empty(n_instances)
    for label in np.unique(turns):
        members = np.flatnonzero(labels == label)
        places = np.flatnonzero(turns == label)
        if len(members) > LARGEST_CLUSTER:
            members = members[members < len(order)]
            size = min(len(members), max(LARGEST_CLUSTER, len(places)))
            members = np.sort(rng.choice(members, size, replace=False))
        apart = mean_neighbour_distance(rows[members], n_neighbours)
        in_pool = members < len(order)
        members, apart = members[in_pool], apart[in_pool]
        best = np.lexsort((rng.random(len(members)), apart))[: len(places)]
        chosen[places] = members[best]
        scores[places] = 1.0 / ((apart[best] + 1.0 / TYPICAL_AT_MOST) * scale)
    return order[chosen], scores


def _turns(
    pool: np.ndarray, labelled: np.ndarray, n_clusters: int, k: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the cluster each of the `k` picks comes from, first pick first."""
    size = np.bincount(pool, minlength=n_clusters)
    covered = np.bincount(labelled, minlength=n_clusters)
    total = size + covered
    ranking = np.lexsort((rng.random(n_clusters), -total, covered, total < MIN_CLUSTER_SIZE))
    left = size[ranking]
    turns: list[int] = []
    while len(turns) < k:
        turns += ranking[left > 0].tolist()
        left = left - 1
    return np.array(turns[:k])
