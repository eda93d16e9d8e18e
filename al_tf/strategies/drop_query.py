"""DropQuery: images whose prediction does not survive dropout, spread over clusters."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import RowsInOrder
from ..seeding import RandomState, check_random_state
from ._clusters import nearest_to_centroids
from ._order import canonical_order
from ._select import check_pool, check_proba, estimator_of, proba_and_features, sampled_proba, top_k

ROWS = 1024  # images whose features are dropped at once


def dropped_predictions(
    features: np.ndarray | RowsInOrder,
    coef: np.ndarray,
    intercept: np.ndarray,
    n_samples: int,
    dropout: float,
    random_state: RandomState = None,
) -> np.ndarray:
    """Return what a linear head predicts for features with dropout, class codes ``(M, n)``.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    coef : ndarray, shape (K, d), or (1, d) for two classes as in scikit-learn
    intercept : ndarray, shape (K,) or (1,)
    n_samples : int
        Passes M.
    dropout : float
        Probability that a feature becomes 0; the others are divided by ``1 - dropout``.
    random_state : RandomState
        Draws the masks.
    """
    rng = check_random_state(random_state)
    codes = np.empty((n_samples, len(features)), dtype=np.intp)
    for start in range(0, len(features), ROWS):
        part = slice(start, start + ROWS)
        block = features[part].astype(np.float32, copy=False)
        for sample in codes:
            kept = rng.random(block.shape, dtype=np.float32) >= dropout
            scores = (block * kept / (1 - dropout)) @ coef.T + intercept
            sample[part] = scores[:, 0] > 0 if len(coef) == 1 else scores.argmax(axis=1)
    return codes


def drop_query(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    n_samples: int = 3,
    dropout: float = 0.75,
) -> tuple[np.ndarray, np.ndarray]:
    """Query images that most of M predictions under dropout label otherwise, one per cluster.

    1. Predict each image M times with dropout on its features. Where the classifier is linear on
       them (``coef_`` and ``intercept_``, as a linear probe has), this is the paper's method;
       other classifiers are asked for ``sample_proba``, with the dropout of their own layers.
    2. Candidates are the images whose predictions differ from the one without dropout in more than
       half of the M passes. Where there are fewer than k, those with the most such passes follow.
    3. k-means of the candidates' features into k clusters; the image nearest to each centroid.

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba`` and ``transform``, and ``coef_`` or ``sample_proba``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size k, and number of clusters.
    random_state : RandomState
        Draws the masks, starts k-means, and breaks ties.
    n_samples : int
        Passes M, 2 or more; 3 as in the paper.
    dropout : float
        In (0, 1), for linear classifiers; 0.75 as in the paper.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        Minus the Euclidean distance to the centroid.

    Notes
    -----
    A later version of the authors' code lowers the threshold in step 2 until there are 25 k
    candidates, if it can; the text does not, and neither does this.

    References
    ----------
    Gupte et al., "Revisiting Active Learning in the Era of Vision Foundation Models", TMLR 2024.
    """
    n = check_pool(X, n_instances)
    if not 0 < dropout < 1:
        raise ValueError(f"dropout must lie between 0 and 1; got {dropout!r}.")
    if n_samples < 2:
        raise ValueError(f"Passes are compared: n_samples must be 2 or more; got {n_samples}.")
    rng = check_random_state(random_state)
    proba, pool_features = proba_and_features(classifier, X)
    order = canonical_order(pool_features, rng)
    predicted = proba.argmax(axis=1)[order]
    estimator = estimator_of(classifier)
    coef = np.asarray(getattr(estimator, "coef_", 0.0))
    if coef.ndim == 2 and coef.shape[1] == pool_features.shape[1]:
        intercept = np.asarray(estimator.intercept_)
        rows = RowsInOrder(pool_features, order)
        passes = dropped_predictions(rows, coef, intercept, n_samples, dropout, rng)
    else:
        samples = sampled_proba(classifier, X, n_samples, rng)
        check_proba(samples.mean(axis=0))  # NaN has no class
        passes = samples.argmax(axis=2)[:, order]
    n_other = (passes != predicted).sum(axis=0)
    n_candidates = min(n, max(n_instances, int((n_other > n_samples / 2).sum())))
    candidates, _ = top_k(n_other, n_candidates, rng)
    candidates = np.sort(candidates)
    rows = RowsInOrder(pool_features, order[candidates])
    chosen, scores = nearest_to_centroids(rows, n_instances, rng)
    return order[candidates[chosen]], scores
