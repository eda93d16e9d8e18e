"""EPIG: the labels that say most about the predictions, not about the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, check_proba, sampled_proba, top_k
from .uncertainty import plogp

TILE = 2**20  # bytes of joint probabilities at once: they stay in a core's cache
ROUNDING = 1e-4  # nats: far more than float32 loses in a score


def epig_score(samples: np.ndarray, target_samples: np.ndarray) -> np.ndarray:
    """Return the expected predictive information gain of each image, in nats.

    ``mean_t sum_{y, y'} p(y, y') ln (p(y, y') / (p(y) p(y')))`` over target images t, with the
    joint probability ``p(y, y') = mean_s p_s(y) p_s(y')`` of the labels of image and target.

    Parameters
    ----------
    samples : ndarray, shape (S, n, K)
        Class probabilities of the images; sample s is one draw of the weights.
    target_samples : ndarray, shape (S, T, K)
        Those of the targets, by the same draws.

    Returns
    -------
    ndarray, shape (n,)
        From 0 to ln K; higher = more informative.
    """
    return _scores(samples, target_samples, np.float64)


def highest_epig(
    samples: np.ndarray, target_samples: np.ndarray, n_highest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images that may be among the highest by `epig_score`, and their scores.

    All images are scored in float32, and those in float64 that rounding may have kept from the
    first `n_highest`.

    Parameters
    ----------
    samples, target_samples : ndarray
        As in `epig_score`.
    n_highest : int
        1 to n.

    Returns
    -------
    images : ndarray, shape (at least n_highest,), intp
        Ascending. All others score lower than `n_highest` of these.
    scores : ndarray
        By `epig_score`.
    """
    rough = _scores(samples, target_samples, np.float32)
    threshold = np.partition(rough, len(rough) - n_highest)[len(rough) - n_highest]
    images = np.flatnonzero(rough >= threshold - 2 * ROUNDING)
    return images, epig_score(samples[:, images], target_samples)


def _scores(samples: np.ndarray, target_samples: np.ndarray, dtype: type) -> np.ndarray:
    """Return `epig_score`, with joint probabilities and their logarithms in `dtype`."""
    n_samples, n, n_classes = samples.shape
    n_targets = target_samples.shape[1]
    targets = np.asarray(target_samples, dtype=np.float64).reshape(n_samples, -1)  # (S, T K)
    target_entropy = -plogp(targets.mean(axis=0)).sum()
    targets = (targets / n_samples).astype(dtype)
    scores = np.empty(n)
    rows = max(1, TILE // (np.dtype(dtype).itemsize * n_classes * targets.shape[1]))
    for start in range(0, n, rows):
        block = samples[:, start : start + rows].astype(np.float64)  # (S, b, K)
        entropy = -plogp(block.mean(axis=0)).sum(axis=1)
        joint = block.reshape(n_samples, -1).T.astype(dtype) @ targets  # (b K, T K)
        logarithm = np.log(np.maximum(joint, np.finfo(dtype).tiny))
        information = np.einsum("ij,ij->i", joint, logarithm).astype(np.float64)
        information = information.reshape(-1, n_classes).sum(axis=1)
        scores[start : start + rows] = entropy + (target_entropy + information) / n_targets
    return np.maximum(scores, 0.0)


def epig(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    n_samples: int = 100,
    n_targets: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """Query the images whose labels are expected to sharpen the predictions on the pool most.

    `epig_score` on a random sample of the pool as targets. Unlike `bald`, it does not ask for
    labels that inform the model about places where there is hardly an image.

    Parameters
    ----------
    classifier : learner or estimator
        With ``sample_proba``, each sample being one draw of the weights for all images.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Seeds the samples, draws the targets, and breaks ties.
    n_samples : int
        Samples of the weights.
    n_targets : int
        Target images, 1 or more; at most the pool.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, best first.
    scores : ndarray, shape (n_instances,)
        Expected information gain in nats.

    References
    ----------
    Bickford Smith et al., "Prediction-Oriented Bayesian Active Learning", AISTATS 2023.
    """
    n = check_pool(X, n_instances)
    if n_targets < 1:
        raise ValueError(f"n_targets must be 1 or more; got {n_targets}.")
    rng = check_random_state(random_state)
    samples = sampled_proba(classifier, X, n_samples, rng, joint=True)
    order = canonical_order(check_proba(samples.mean(axis=0)), rng)
    targets = order[np.sort(rng.choice(n, min(n, n_targets), replace=False))]
    images, scores = highest_epig(samples, samples[:, targets], n_instances)
    every = np.full(n, -1.0)
    every[images] = scores
    chosen, best = top_k(every[order], n_instances, rng)
    return order[chosen], best
