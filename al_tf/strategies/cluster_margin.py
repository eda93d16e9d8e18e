"""Cluster-Margin: small margins, spread over clusters of features."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import center_and_scale
from ..seeding import RandomState, check_random_state
from ._clusters import cluster
from ._order import canonical_order
from ._select import check_pool, occurrence, proba_and_features, top_k
from .uncertainty import margin_score

MAX_LEAVES = 4096  # of the dendrogram: its distances take 4 MAX_LEAVES² bytes


def cluster_margin(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    candidates: int = 10,
    n_clusters: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query low-margin images in turn from clusters of them, the smallest clusters first.

    1. The (candidates · k) images of the smallest margin.
    2. Average-linkage clusters of their features. The paper clusters the whole pool; here only
       the candidates are, and above 4,096 of them k-means centroids stand in for them.
    3. Round-robin over the clusters, ascending in size; from each the smallest margin (the paper
       draws one at random).

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba`` and ``transform``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size k.
    random_state : RandomState
        Breaks ties, and starts k-means.
    candidates : int
        Candidates per image of the batch.
    n_clusters : int, optional
        By default the batch size.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of choice.
    scores : ndarray, shape (n_instances,)
        ``1 - (p_1st - p_2nd)``; chosen in turn, so they need not descend.

    References
    ----------
    Citovsky et al., "Batch Active Learning at Scale", NeurIPS 2021.
    """
    n = check_pool(X, n_instances)
    for name, value in (("candidates", candidates), ("n_clusters", n_clusters)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be 1 or more; got {value}.")
    rng = check_random_state(random_state)
    proba, pool_features = proba_and_features(classifier, X)
    order = canonical_order(pool_features, rng)
    uncertain, scores = top_k(margin_score(proba)[order], min(n, candidates * n_instances), rng)
    rows, _ = center_and_scale(pool_features[order[uncertain]])
    labels = _average_linkage(rows, n_clusters or n_instances, rng)
    size = np.bincount(labels)[labels]
    chosen = np.lexsort((-scores, size, occurrence(labels)))[:n_instances]  # in turn, best first
    return order[uncertain[chosen]], scores[chosen]


def _average_linkage(rows: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return cluster numbers from 0, at most `n_clusters` of them, by average linkage."""
    from scipy.cluster.hierarchy import fcluster, linkage

    leaves, leaf_of = rows, np.arange(len(rows))
    if len(rows) > MAX_LEAVES:
        leaf_of, leaves = cluster(rows, MAX_LEAVES, rng)
    if len(leaves) == 1:
        return np.zeros(len(rows), dtype=np.intp)
    tree = linkage(leaves, method="average")
    return np.unique(fcluster(tree, n_clusters, "maxclust")[leaf_of], return_inverse=True)[1]
