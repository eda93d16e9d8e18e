"""BADGE: large and different gradients of the last layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import kmeans_plus_plus
from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, proba_and_features


def badge(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Query images by k-means++ on the gradients of their most probable labels.

    The gradient of the cross-entropy at the predicted label with respect to the last layer is
    ``g(x) = (p(x) - onehot(argmax p(x))) ⊗ f(x)``: long where the model is uncertain, and in
    other directions for other classes and features. The first image is one with the longest
    gradient; each next one is drawn with probability proportional to its squared distance to the
    nearest gradient chosen. As in the paper the labeled set is not used: images that the model
    has fitted have gradients close to 0.

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba`` and ``transform``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Draws the batch.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of choice.
    scores : ndarray, shape (n_instances,)
        Squared distance to the nearest gradient chosen before; for the first, its squared length.
        Images are drawn, so scores need not descend.

    References
    ----------
    Ash et al., "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds",
    ICLR 2020.
    """
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    proba, pool_features = proba_and_features(classifier, X)
    order = canonical_order(pool_features, rng)
    proba = proba[order]
    proba[np.arange(len(proba)), proba.argmax(axis=1)] -= 1.0
    pool_features = pool_features[order]
    chosen, squared = kmeans_plus_plus(proba, pool_features, n_instances, random_state=rng)
    return order[chosen], squared
