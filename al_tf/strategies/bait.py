"""BAIT: the batch that leaves the last layer's weights least uncertain about the pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import RowsInOrder, a_optimal, second_moment
from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, proba_and_features

_LARGE = 1e9
"""Squared length of features, over the regularization, up to which float32 holds its fourth power."""


def bait(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    regularization: float = 1.0,
    over_sample: float = 2.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the batch S that minimises ``tr(M⁻¹ I_pool)``, greedily forward and backward.

    I is the Fisher information of the last layer, ``I_pool`` its mean over the pool, and
    ``M = regularization · 1 + (sum_labeled I + sum_S I) / (m + k)``. In the paper
    ``I(x) = (diag(p) - p pᵀ) ⊗ f fᵀ``, of ``(K d)²`` entries: with ten classes and 1,280 features
    1.3 GB, and a product with it for every image. Here the class factor is replaced by its trace,

        ``I(x) = (1 - sum_c p_c²) f fᵀ``,

    of ``d²`` entries, which is the same choice for two classes and an approximation for more: it
    keeps how uncertain the model is about an image, and not between which classes.

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba`` and ``transform``; the labeled set is its ``X_training``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size k.
    random_state : RandomState
        Breaks ties.
    regularization : float
        More than 0; 1 as in the authors' code.
    over_sample : float
        Forward, this many times k images are chosen, and all but k dropped again; 2 as in the
        paper.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of the forward choice.
    scores : ndarray, shape (n_instances,)
        By how much each lowered the trace when it was chosen; they need not descend.

    Notes
    -----
    The weights of labeled set and batch in M are those of the authors' code, which takes I_pool
    over pool and labeled set together. Memory beside the features: three matrices d × d.

    References
    ----------
    Ash et al., "Gone Fishing: Neural Active Learning with Fisher Embeddings", NeurIPS 2021.
    """
    check_pool(X, n_instances)
    if not (np.isfinite(regularization) and regularization > 0):
        raise ValueError(f"regularization must be a positive number; got {regularization!r}.")
    rng = check_random_state(random_state)
    proba, pool_features = proba_and_features(classifier, X)
    pool_features = _in_range(pool_features, regularization)
    order = canonical_order(pool_features, rng)
    start = regularization * np.eye(pool_features.shape[1])
    labeled = getattr(classifier, "X_training", None)
    total = n_instances + (0 if labeled is None else len(labeled))
    if labeled is not None and len(labeled):
        labeled_proba, labeled_features = proba_and_features(classifier, labeled)
        labeled_features = _in_range(labeled_features, regularization)
        start += second_moment(labeled_features, _uncertainty(labeled_proba)) / total
    chosen, gains = a_optimal(
        RowsInOrder(pool_features, order),
        _uncertainty(proba[order]) / total,
        n_instances,
        start,
        over_sample=over_sample,
        random_state=rng,
    )
    return order[chosen], gains * total


def _in_range(features: np.ndarray, regularization: float) -> np.ndarray:
    """Return the features in a precision that holds products of four of them; refuse what has none."""
    reach = max(abs(float(features.max())), abs(float(features.min())))
    if reach**2 * np.finfo(np.float64).eps > regularization:
        raise ValueError(
            f"bait adds regularization={regularization:g} to squares of features, and rounding "
            f"loses it beside {reach:.3g} squared. Scale the features, or pass a larger "
            "regularization."
        )
    large = reach**2 * features.shape[1] > _LARGE * regularization
    return features.astype(np.float64) if large else features


def _uncertainty(proba: np.ndarray) -> np.ndarray:
    """Return ``1 - sum_c p_c²``, the trace of the covariance of a label, from 0 to 1 - 1/K."""
    return np.maximum(1.0 - np.einsum("ij,ij->i", proba, proba), 0.0)
