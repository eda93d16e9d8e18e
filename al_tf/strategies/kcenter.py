"""CoreSet: cover the pool by the labeled set and the batch, as closely as possible."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import RowsInOrder, k_center_greedy
from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, features, labeled_features


def kcenter(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images farthest from everything labeled or chosen, one after another.

    ``x_i = argmax_x min_{c in labeled ∪ {x_1 … x_(i-1)}} |f(x) - f(c)|``: the greedy solution
    of the k-center problem, whose covering radius is at most twice the best. Without a labeled set
    the mean of the pool's features takes its place.

    Parameters
    ----------
    classifier : learner or estimator
        With ``transform``; the labeled set is its ``X_training``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Breaks ties.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of choice.
    scores : ndarray, shape (n_instances,)
        Euclidean distance to the nearest labeled or chosen image at the moment of choice, never
        rising.

    References
    ----------
    Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach",
    ICLR 2018, algorithm 1.
    """
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    pool_features = features(classifier, X)
    order = canonical_order(pool_features, rng)
    rows = RowsInOrder(pool_features, order)
    chosen, distances = k_center_greedy(
        rows, n_instances, labeled_features(classifier), random_state=rng
    )
    return order[chosen], distances
