"""k-means sampling: the images nearest to the centroids of the pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import RowsInOrder
from ..seeding import RandomState, check_random_state
from ._clusters import nearest_to_centroids
from ._order import canonical_order
from ._select import check_pool, features


def kmeans(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query, from each of k clusters of the pool's features, the image nearest to the centroid.

    k is the batch size. The labeled set is not used. Where the pool has fewer distinct
    images than k, the second nearest of each cluster follow, and so on.

    Parameters
    ----------
    classifier : learner or estimator
        With ``transform``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size, and number of clusters.
    random_state : RandomState
        Starts k-means, draws its sample where n > 256 k, and breaks ties.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        Minus the Euclidean distance to the centroid.

    References
    ----------
    Xu et al., "Representative Sampling for Text Classification Using Support Vector Machines",
    ECIR 2003 (there within the margin); on the whole pool in Zhdanov, "Diverse Mini-batch Active
    Learning", 2019.
    """
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    pool_features = features(classifier, X)
    order = canonical_order(pool_features, rng)
    chosen, scores = nearest_to_centroids(RowsInOrder(pool_features, order), n_instances, rng)
    return order[chosen], scores
