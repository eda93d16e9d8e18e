"""Ranked batch-mode sampling: uncertainty and distance to the labeled or chosen images."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import nearest_of_set
from ..geometry._points import slices
from ..seeding import RandomState, check_random_state
from ._select import check_pool, labeled_features, proba_and_features
from .uncertainty import uncertainty_score

BLOCK = 256  # images whose distances are brought up to date at once
TILE = 2**21  # bytes of differences at once: they stay in a core's cache


def rank_batch(
    uncertainties: np.ndarray,
    features: np.ndarray,
    labeled: np.ndarray | None,
    n_instances: int,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose one after another by ``a · (1 - 1/(1 + d)) + (1 - a) · u``.

    d is the Euclidean distance to the nearest image that is labeled or chosen, u the uncertainty,
    and a the fraction of all images that is unlabeled at that moment. A distance can only shrink
    while images are chosen, so that values from old distances are upper bounds: only the images
    with the largest values have their distances brought up to date. The choice is that of k passes
    over ``(n, d)``.

    Parameters
    ----------
    uncertainties : ndarray, shape (n,)
        Least confidence, in [0, 1].
    features : ndarray, shape (n, d)
        Of the pool.
    labeled : ndarray, shape (m, d), or None
        Features of the labeled set. Without one, the first choice is the most uncertain image.
    n_instances : int
        Batch size k.
    random_state : RandomState
        Breaks ties.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        In the order of choice.
    scores : ndarray, shape (n_instances,)
        The formula's value at the moment of choice, in [0, 1].
    """
    n = len(uncertainties)
    # In a shuffled order, "the first of the highest" is a draw among equals.
    order = check_random_state(random_state).permutation(n)
    uncertainties = uncertainties[order]
    m = 0 if labeled is None else len(labeled)
    distance = (
        np.full(n, np.inf) if labeled is None else nearest_of_set(features, labeled)[0][order]
    )
    seen = np.zeros(n, dtype=np.intp)  # how many of the chosen images a distance takes into account
    chosen, scores = np.empty(n_instances, dtype=np.intp), np.empty(n_instances)
    rows_of_chosen = np.empty((n_instances, features.shape[1]), dtype=np.float32)
    for step in range(n_instances):
        alpha = (n - step) / (n + m) if m + step else 0.0
        value = alpha * (1 - 1 / (1 + distance)) + (1 - alpha) * uncertainties
        value[chosen[:step]] = -np.inf
        while seen[best := int(np.argmax(value))] < step:
            block = np.argpartition(value, max(n - BLOCK, 0))[-BLOCK:]
            block = block[seen[block] < step]
            rows = features[order[block]].astype(np.float32, copy=False)
            nearest = _nearest_of_unseen(rows, seen[block], rows_of_chosen[:step])
            distance[block], seen[block] = np.minimum(distance[block], nearest), step
            value[block] = alpha * (1 - 1 / (1 + distance[block]))
            value[block] += (1 - alpha) * uncertainties[block]
        chosen[step], scores[step], seen[best] = best, value[best], n_instances
        rows_of_chosen[step] = features[order[best]]
    return order[chosen], scores


def _nearest_of_unseen(rows: np.ndarray, seen: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return each row's distance to the nearest of ``chosen[seen:]``, one or more of these."""
    unseen = len(chosen) - seen
    first = np.cumsum(unseen) - unseen
    row = np.repeat(np.arange(len(rows)), unseen)  # of each pair
    place = np.arange(len(row)) + np.repeat(seen - first, unseen)
    apart = np.empty(len(row), dtype=np.float32)
    for part in slices(len(row), max(1, TILE // (4 * rows.shape[1]))):
        difference = rows[row[part]] - chosen[place[part]]
        apart[part] = np.sqrt((difference**2).sum(axis=1))
    nearest: np.ndarray = np.minimum.reduceat(apart, first)
    return nearest


def ranked_batch(
    classifier: Any, X: Any, n_instances: int = 1, *, random_state: RandomState = None
) -> tuple[np.ndarray, np.ndarray]:
    """Query a batch of uncertain images that are far from the labeled set and from each other.

    While few images are labeled, the distance decides almost alone; the formula is in
    `rank_batch`.

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba``, and ``transform`` unless the pool has the shape (n, d); the labeled
        set is its ``X_training``.
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
        The value of each image at the moment of choice.

    Notes
    -----
    With the same features and a labeled set, the choice is that of modAL's
    ``uncertainty_batch_sampling``. Without a labeled set, modAL starts with the most central image,
    which takes all n² distances, and may choose it twice; this strategy starts with the most
    uncertain one.

    References
    ----------
    Cardoso et al., "Ranked batch-mode active learning", Information Sciences 379, 2017.
    """
    check_pool(X, n_instances)
    proba, features = proba_and_features(classifier, X)
    labeled = labeled_features(classifier)
    return rank_batch(uncertainty_score(proba), features, labeled, n_instances, random_state)
