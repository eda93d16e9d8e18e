"""Two published variants on softmax outputs, kept as published, for comparison.

The text of the publication describes diversity against the images already selected, and
density-weighted uncertainty; its code does what the docstrings below describe. For the ideas of
the text see `kcenter` and `entropy_density`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import kde_log_density, kmeans, nearest_of_set
from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, check_proba, predict_proba, top_k

PUBLISHED_BANDWIDTH = 0.5


def outlier_score(
    proba: np.ndarray, n_clusters: int | None = None, random_state: RandomState = None
) -> np.ndarray:
    """Return the distance of each softmax output to its nearest k-means centroid.

    Parameters
    ----------
    proba : ndarray, shape (n, K)
        Class probabilities.
    n_clusters : int, optional
        Centroids; as published ``ceil(n / 10)``. Never more than there are distinct rows.
    random_state : RandomState
        Starts k-means (the published code fixes 0), which is scikit-learn's up to rounding.

    Returns
    -------
    ndarray, shape (n,)
        Euclidean; higher = farther from every centroid.
    """
    proba = check_proba(proba).astype(np.float32)  # half the time of float64
    n_clusters = -(-len(proba) // 10) if n_clusters is None else n_clusters
    if n_clusters < 1:
        raise ValueError(f"n_clusters must be 1 or more; got {n_clusters}.")
    n_clusters = min(n_clusters, len(np.unique(proba, axis=0)))
    rng = check_random_state(random_state)
    order = canonical_order(proba, rng)
    centroids = kmeans(proba[order], n_clusters, seed=int(rng.integers(2**31)))
    return nearest_of_set(proba, centroids)[0]


def softmax_outlier(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    n_clusters: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the outliers of k-means on softmax outputs; published as "diversity sampling".

    The labeled set is not used, and two images far from every centroid may well be alike.

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Starts k-means, and breaks ties.
    n_clusters : int, optional
        By default, as published, one centroid per ten images of the pool; the cost is then
        quadratic in the pool.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, farthest first.
    scores : ndarray, shape (n_instances,)
        Distances to the nearest centroid.
    """
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    scores = outlier_score(predict_proba(classifier, X), n_clusters, rng)
    return top_k(scores, n_instances, rng)


def softmax_log_density(proba: np.ndarray, bandwidth: float = PUBLISHED_BANDWIDTH) -> np.ndarray:
    """Return the Gaussian KDE log density ``(n,)`` of softmax outputs ``(n, K)`` among themselves."""
    return kde_log_density(check_proba(proba), bandwidth=bandwidth)


def softmax_kde(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    bandwidth: float = PUBLISHED_BANDWIDTH,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw with probability proportional to the density of softmax outputs.

    Published as "density-weighted sampling", although uncertainty is not used. At the published bandwidth
    the density of ten-class softmax outputs is nearly flat, so this is close to `random`.

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Draws the batch, without replacement.
    bandwidth : float
        Of the Gaussian kernel; as published 0.5.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of the draw.
    scores : ndarray, shape (n_instances,)
        Log densities of the images drawn; higher = more likely to be drawn.
    """
    n = check_pool(X, n_instances)
    rng = check_random_state(random_state)
    proba = predict_proba(classifier, X)
    log_density = softmax_log_density(proba, bandwidth)
    order = canonical_order(proba, rng)
    weights = np.exp(log_density - log_density.max())[order]
    indices = order[rng.choice(n, n_instances, replace=False, p=weights / weights.sum())]
    return indices, log_density[indices]
