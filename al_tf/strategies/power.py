"""Stochastic batches: images drawn with probability proportional to a power of their score."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..seeding import RandomState, check_random_state
from ._order import canonical_order
from ._select import check_pool, predict_proba, sampled_proba, top_k
from .bald import bald_score
from .uncertainty import margin_score


def power_draw(
    scores: np.ndarray, n_instances: int, beta: float, random_state: RandomState = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw without replacement with probability proportional to ``score ** beta``.

    By the Gumbel top-k trick: the highest of ``log score + Gumbel(0, 1 / beta)``.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        0 or more.
    n_instances : int
        1 to n.
    beta : float
        More than 0; the larger, the nearer to the highest scores.
    random_state : RandomState
        Draws.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        In the order of the draw.
    scores : ndarray, shape (n_instances,)
        The perturbed logarithms, the highest first.

    Raises
    ------
    ValueError
        `beta` is not a positive number.
    """
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"beta must be a positive number; got {beta!r}.")
    rng = check_random_state(random_state)
    log_scores = np.log(np.maximum(scores, np.finfo(np.float64).tiny))
    return top_k(log_scores + rng.gumbel(size=len(scores)) / beta, n_instances, rng)


def power_margin(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    beta: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw images with probability proportional to their margin score to the power of beta.

    The score is that of `margin`, ``1 - (p_1st - p_2nd)``. Unlike the highest scores, the
    draw does not fill a batch with near-copies, and costs nothing. The paper's own score is BALD's
    (`power_bald`).

    Parameters
    ----------
    classifier : learner or estimator
        With ``predict_proba``.
    X : array-like, shape (n, ...)
        The pool.
    n_instances : int
        Batch size.
    random_state : RandomState
        Draws the batch.
    beta : float
        Exponent, more than 0; 1 as in the paper.

    Returns
    -------
    indices : ndarray, shape (n_instances,)
        Into `X`, in the order of the draw.
    scores : ndarray, shape (n_instances,)
        ``log score + Gumbel(0, 1 / beta)``, the highest first.

    References
    ----------
    Kirsch et al., "Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning",
    TMLR 2023.
    """
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    proba = predict_proba(classifier, X)
    order = canonical_order(proba, rng)
    chosen, scores = power_draw(margin_score(proba[order]), n_instances, beta, rng)
    return order[chosen], scores


def power_bald(
    classifier: Any,
    X: Any,
    n_instances: int = 1,
    *,
    random_state: RandomState = None,
    beta: float = 1.0,
    n_samples: int = 20,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw images with probability proportional to their BALD score to the power of beta.

    Parameters and returns as in `power_margin`, but the classifier needs ``sample_proba``, and the
    score is the mutual information of `bald` over `n_samples` samples.

    References
    ----------
    Kirsch et al., "Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning",
    TMLR 2023.
    """
    check_pool(X, n_instances)
    rng = check_random_state(random_state)
    samples = sampled_proba(classifier, X, n_samples, rng)
    return power_draw(bald_score(samples), n_instances, beta, rng)
